//! The world: instances, what CloudWatch has of them, and what was done to them.

use std::collections::BTreeMap;

use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::history::{EXEMPTION_TAG, Happening, InstanceSpec};

/// When a history starts.
pub(super) const START: OffsetDateTime = datetime!(2026-06-15 10:20:30 UTC);

/// An instance.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) state: &'static str,
    pub(super) tokens: &'static str,
    pub(super) endpoint: &'static str,
    pub(super) hop_limit: i64,
    pub(super) is_exempt: bool,
    pub(super) is_managed: bool,
    pub(super) launched_at: OffsetDateTime,
    pub(super) data_since: Option<OffsetDateTime>,
    /// IMDSv1 calls, and whether they were rejected.
    pub(super) calls: Vec<Call>,
    /// The options before the first change by the tool that is not restored.
    pub(super) changed_from: Option<Options>,
    /// Whether somebody else changed the options after the tool did.
    pub(super) is_touched: bool,
}

/// An IMDSv1 call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) at: OffsetDateTime,
    pub(super) is_rejected: bool,
}

/// The options that the tool may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) tokens: &'static str,
    pub(super) hop_limit: i64,
}

impl Instance {
    fn new(number: usize, spec: &InstanceSpec) -> Self {
        let hours_ago = |hours: i64| START - Duration::hours(hours);
        let calls = spec.calls.iter().map(|hours| Call { at: hours_ago(*hours), is_rejected: false });
        Self {
            id: id(number),
            state: if spec.is_stopped { "stopped" } else { "running" },
            tokens: if spec.requires_tokens { "required" } else { "optional" },
            endpoint: if spec.endpoint_disabled { "disabled" } else { "enabled" },
            hop_limit: spec.hop_limit,
            is_exempt: spec.is_exempt,
            is_managed: spec.is_managed,
            launched_at: hours_ago(spec.launched_hours_ago),
            data_since: (spec.data_hours > 0).then(|| hours_ago(spec.data_hours)),
            calls: calls.collect(),
            changed_from: None,
            is_touched: false,
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.state != "terminated"
    }

    pub(super) fn may_call(&self) -> bool {
        self.state == "running" && self.endpoint == "enabled"
    }

    pub(super) fn options(&self) -> Options {
        Options { tokens: self.tokens, hop_limit: self.hop_limit }
    }

    pub(super) fn tags(&self) -> BTreeMap<&'static str, &'static str> {
        self.is_exempt.then_some((EXEMPTION_TAG, "2026-12-31")).into_iter().collect()
    }

    /// Returns the number of calls between these times; `None` if there is no data.
    pub(super) fn calls_between(
        &self,
        start: OffsetDateTime,
        end: OffsetDateTime,
        is_rejected: bool,
    ) -> Option<u64> {
        let calls = self.calls.iter().filter(|call| call.is_rejected == is_rejected);
        let count = calls.filter(|call| (start..end).contains(&call.at)).count();
        let has_data = self.data_since.is_some_and(|since| since < end);
        (count > 0 || has_data).then(|| u64::try_from(count).unwrap_or(u64::MAX))
    }
}

pub(super) fn id(number: usize) -> String {
    format!("i-0000000000000{number:04}")
}

/// All instances.
#[derive(Debug)]
pub(super) struct World {
    pub(super) instances: Vec<Instance>,
}

impl World {
    pub(super) fn new(specs: &[InstanceSpec]) -> Self {
        Self {
            instances: specs.iter().enumerate().map(|(number, spec)| Instance::new(number, spec)).collect(),
        }
    }

    pub(super) fn find(&mut self, id: &str) -> Option<&mut Instance> {
        self.instances.iter_mut().find(|instance| instance.id == id && instance.exists())
    }

    /// Lets something happen.
    pub(super) fn happen(&mut self, happening: Happening, now: OffsetDateTime) {
        let (number, hop_limit) = match happening {
            Happening::SetHopLimit(i, limit) => (i, limit),
            Happening::Stop(i)
            | Happening::Start(i)
            | Happening::Terminate(i)
            | Happening::Exempt(i)
            | Happening::Unexempt(i)
            | Happening::TakeOver(i)
            | Happening::RequireTokens(i)
            | Happening::AllowImdsv1(i)
            | Happening::DisableEndpoint(i)
            | Happening::EnableEndpoint(i)
            | Happening::CallImdsv1(i)
            | Happening::LoseData(i) => (i, 0),
        };
        let Some(instance) = self.instances.get_mut(number).filter(|instance| instance.exists()) else {
            return;
        };
        let before = (instance.options(), instance.endpoint);
        match happening {
            Happening::Stop(_) => instance.state = "stopped",
            Happening::Start(_) if instance.state == "stopped" => {
                instance.state = "running";
                instance.launched_at = now;
            }
            Happening::Terminate(_) => instance.state = "terminated",
            Happening::Exempt(_) => instance.is_exempt = true,
            Happening::Unexempt(_) => instance.is_exempt = false,
            Happening::TakeOver(_) => instance.is_managed = true,
            Happening::RequireTokens(_) => instance.tokens = "required",
            Happening::AllowImdsv1(_) => instance.tokens = "optional",
            Happening::DisableEndpoint(_) => instance.endpoint = "disabled",
            Happening::EnableEndpoint(_) => instance.endpoint = "enabled",
            Happening::SetHopLimit(..) => instance.hop_limit = hop_limit,
            Happening::CallImdsv1(_) if instance.may_call() => {
                instance.calls.push(Call { at: now, is_rejected: instance.tokens == "required" });
            }
            Happening::Start(_) | Happening::CallImdsv1(_) => {}
            Happening::LoseData(_) => instance.data_since = None,
        }
        if (instance.options(), instance.endpoint) != before {
            instance.is_touched = true;
        }
    }
}
