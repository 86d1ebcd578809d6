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
    pub(super) options: Options,
    /// The options before the last change, and when that was.
    previous: Option<(Options, OffsetDateTime)>,
    pub(super) is_exempt: bool,
    pub(super) is_managed: bool,
    pub(super) launched_at: OffsetDateTime,
    /// When it was stopped, and when it was started again.
    stops: Vec<(OffsetDateTime, Option<OffsetDateTime>)>,
    pub(super) data_since: Option<OffsetDateTime>,
    /// IMDSv1 calls, and whether they were rejected.
    pub(super) calls: Vec<Call>,
    /// The options before the first change by the tool that is not restored.
    pub(super) changed_from: Option<Options>,
    /// Whether the tool ever changed it.
    pub(super) was_changed: bool,
    /// Whether somebody else changed the options after the tool did.
    pub(super) is_touched: bool,
}

/// An IMDSv1 call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) at: OffsetDateTime,
    pub(super) is_rejected: bool,
}

/// The metadata options of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) tokens: &'static str,
    pub(super) endpoint: &'static str,
    pub(super) hop_limit: i64,
}

impl Instance {
    fn new(number: usize, spec: &InstanceSpec) -> Self {
        let hours_ago = |hours: i64| START - Duration::hours(hours);
        let calls = spec.calls.iter().map(|hours| Call { at: hours_ago(*hours), is_rejected: false });
        Self {
            id: id(number),
            state: if spec.is_stopped { "stopped" } else { "running" },
            options: Options {
                tokens: if spec.requires_tokens { "required" } else { "optional" },
                endpoint: if spec.endpoint_disabled { "disabled" } else { "enabled" },
                hop_limit: spec.hop_limit,
            },
            previous: None,
            is_exempt: spec.is_exempt,
            is_managed: spec.is_managed,
            launched_at: hours_ago(spec.launched_hours_ago),
            stops: spec.is_stopped.then(|| (hours_ago(0), None)).into_iter().collect(),
            data_since: (spec.data_hours > 0).then(|| hours_ago(spec.data_hours)),
            calls: calls.collect(),
            changed_from: None,
            was_changed: false,
            is_touched: false,
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.state != "terminated"
    }

    pub(super) fn may_call(&self) -> bool {
        self.state == "running" && self.options.endpoint == "enabled"
    }

    /// Returns whether it ran at this time, and reported to CloudWatch.
    pub(super) fn ran_at(&self, at: OffsetDateTime) -> bool {
        let is_in = |(from, until): &(OffsetDateTime, Option<OffsetDateTime>)| {
            *from <= at && until.is_none_or(|until| at < until)
        };
        !self.stops.iter().any(is_in)
    }

    pub(super) fn requires_tokens(&self) -> bool {
        self.options.tokens == "required"
    }

    pub(super) fn tags(&self) -> BTreeMap<&'static str, &'static str> {
        self.is_exempt.then_some((EXEMPTION_TAG, "2026-12-31")).into_iter().collect()
    }

    /// Sets the options. EC2 may show the previous ones for a while.
    pub(super) fn set(&mut self, options: Options, now: OffsetDateTime) {
        if options != self.options {
            self.previous = Some((self.options, now));
            self.options = options;
        }
    }

    /// Returns the instance as EC2 shows it: changes are visible only after `delay`.
    pub(super) fn shown(&self, now: OffsetDateTime, delay: Duration) -> Self {
        let mut shown = self.clone();
        if let Some((previous, changed_at)) = self.previous
            && now - changed_at < delay
        {
            shown.options = previous;
        }
        shown
    }

    /// Returns the number of calls between these times.
    pub(super) fn calls_between(&self, start: OffsetDateTime, end: OffsetDateTime, is_rejected: bool) -> u64 {
        let calls = self.calls.iter().filter(|call| call.is_rejected == is_rejected);
        calls.filter(|call| (start..end).contains(&call.at)).count().try_into().unwrap_or(u64::MAX)
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
        let specs = specs.iter().enumerate();
        Self { instances: specs.map(|(number, spec)| Instance::new(number, spec)).collect() }
    }

    pub(super) fn find(&mut self, id: &str) -> Option<&mut Instance> {
        self.instances.iter_mut().find(|instance| instance.id == id && instance.exists())
    }

    /// Lets something happen to an instance.
    pub(super) fn happen(&mut self, number: usize, happening: Happening, now: OffsetDateTime) {
        let Some(instance) = self.instances.get_mut(number).filter(|instance| instance.exists()) else {
            return;
        };
        let mut options = instance.options;
        match happening {
            Happening::Stop if instance.state == "running" => {
                instance.state = "stopped";
                instance.stops.push((now, None));
            }
            Happening::Start if instance.state == "stopped" => {
                instance.state = "running";
                instance.launched_at = now;
                if let Some((_, until)) = instance.stops.last_mut() {
                    *until = Some(now);
                }
            }
            Happening::Terminate => instance.state = "terminated",
            Happening::Exempt => instance.is_exempt = true,
            Happening::Unexempt => instance.is_exempt = false,
            Happening::TakeOver => instance.is_managed = true,
            Happening::RequireTokens => options.tokens = "required",
            Happening::AllowImdsv1 => options.tokens = "optional",
            Happening::DisableEndpoint => options.endpoint = "disabled",
            Happening::EnableEndpoint => options.endpoint = "enabled",
            Happening::SetHopLimit(limit) => options.hop_limit = limit,
            Happening::CallImdsv1 if instance.may_call() => {
                let is_rejected = instance.requires_tokens();
                instance.calls.push(Call { at: now, is_rejected });
            }
            Happening::Stop | Happening::Start | Happening::CallImdsv1 => {}
            Happening::LoseData => instance.data_since = None,
        }
        if options != instance.options {
            instance.set(options, now);
            instance.is_touched = true;
        }
    }
}
