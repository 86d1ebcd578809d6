//! The decision whether to enforce IMDSv2 on an instance.
//!
//! The runbook `EnforceImdsv2` decides by the same rules; `tests/fixtures/enforcement-cases.json` tests both.

use std::fmt;

use time::Date;

use super::exemption::Exemption;
use super::instance::InstanceFacts;
use super::policy::Policy;
use super::resource::{HttpEndpoint, HttpTokens, Lifecycle, MetadataOptions};
use super::usage::{Evidence, UsageState};
use super::verdict::{Compliance, evaluate};

/// What is known about an instance's use of IMDSv1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// CloudWatch was asked, and returned all of its data.
    Checked(Evidence),
    /// CloudWatch was asked, and returned a part of its data.
    Incomplete,
    /// CloudWatch was not asked.
    NotChecked,
}

/// What the caller allows.
#[derive(Clone, Copy, Debug)]
pub struct EnforcementPolicy {
    /// The look-back period for IMDSv1 calls, in days; 0 does not ask CloudWatch.
    pub lookback_days: u16,
    /// What to do with an instance whose usage is unknown.
    pub on_unknown_usage: OnConcern,
    /// What to do with an instance that made IMDSv1 calls only when it was last started.
    pub on_boot_calls: OnConcern,
    /// Enforce IMDSv2 whatever the usage is.
    pub force: bool,
    /// The hop limit to raise a lower one to, 1 to 64.
    pub hop_limit: Option<i32>,
}

/// What to do with an instance that may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConcern {
    /// Skip the instance.
    Stop,
    /// Enforce IMDSv2.
    Proceed,
}

/// What to do with an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Require tokens.
    Enforce {
        /// The hop limit to raise the current one to, if it is lower than what the policy asks for.
        raise_hop_limit_to: Option<i32>,
    },
    /// There is nothing to do.
    NoChange(NoChangeReason),
    /// Do not change the instance, because its software may break.
    Skip(SkipReason),
}

/// Why there is nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoChangeReason {
    /// EC2 does not know the instance.
    NotFound,
    /// The instance is `shutting-down` or `terminated`; the state is kept.
    Terminated(String),
    /// `HttpTokens` is `required`.
    AlreadyRequired,
    /// The instance is exempt through this day.
    Exempt(Date),
    /// An AWS service manages the instance; its principal is kept.
    Managed(String),
    /// The instance complies with the rule, or the rule does not evaluate it.
    Compliant,
}

impl NoChangeReason {
    /// Returns the reason in a few words.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotFound => "gone",
            Self::Terminated(_) => "terminated",
            Self::AlreadyRequired => "already required",
            Self::Exempt(_) => "exempt",
            Self::Managed(_) => "managed by an AWS service",
            Self::Compliant => "compliant",
        }
    }
}

impl fmt::Display for NoChangeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("the instance no longer exists"),
            Self::Terminated(state) => write!(f, "the instance is {state}"),
            Self::AlreadyRequired => f.write_str("HttpTokens is already required"),
            Self::Exempt(last) => write!(f, "the instance is exempt by tag through {last}"),
            Self::Managed(principal) => write!(f, "{principal} manages the instance"),
            Self::Compliant => f.write_str("the instance complies with the rule"),
        }
    }
}

/// Why an instance is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The instance made IMDSv1 calls in the look-back period.
    InUse {
        /// The number of calls.
        calls: u64,
        /// The look-back period, in days.
        lookback_days: u16,
    },
    /// The instance made IMDSv1 calls when it was last started, and not since.
    BootCalls {
        /// The number of calls.
        calls: u64,
    },
    /// The data of CloudWatch does not prove that there were no calls.
    UsageUnknown {
        /// The look-back period, in days.
        lookback_days: u16,
    },
    /// CloudWatch did not return all of its data.
    IncompleteData,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { calls, lookback_days } => {
                let (calls, days) = (counted(*calls, "call"), counted((*lookback_days).into(), "day"));
                write!(f, "IMDSv1 is still in use: {calls} in the last {days}")
            }
            Self::BootCalls { calls } => {
                let calls = counted(*calls, "IMDSv1 call");
                write!(
                    f,
                    "the instance made {calls} when it was last started; they would fail at the next start"
                )
            }
            Self::UsageUnknown { lookback_days } => write!(
                f,
                "IMDSv1 usage is unknown: CloudWatch's data does not reach back half of {}",
                counted((*lookback_days).into(), "day")
            ),
            Self::IncompleteData => f.write_str(
                "IMDSv1 usage is unknown: CloudWatch returned incomplete data; run the command again",
            ),
        }
    }
}

impl SkipReason {
    /// Returns the reason in two words.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "in use",
            Self::BootCalls { .. } => "boot-time calls",
            Self::UsageUnknown { .. } => "usage unknown",
            Self::IncompleteData => "incomplete data",
        }
    }
}

fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Decides on an instance; `None` is one that EC2 does not know. `rule` and `today`, the date in UTC, decide about
/// compliance and exemptions.
#[must_use]
pub fn decide(
    instance: Option<&InstanceFacts<'_>>,
    usage: &Usage,
    policy: &EnforcementPolicy,
    rule: &Policy,
    today: Date,
) -> Decision {
    let Some(instance) = instance else { return Decision::NoChange(NoChangeReason::NotFound) };
    if let Some(reason) = needs_no_change(instance, rule, today) {
        return Decision::NoChange(reason);
    }
    match concern(instance, usage, policy) {
        Some(reason) if !policy.force => Decision::Skip(reason),
        _ => Decision::Enforce {
            raise_hop_limit_to: policy
                .hop_limit
                .and_then(|wanted| raised_hop_limit(instance.resource.metadata_options.as_ref(), wanted)),
        },
    }
}

/// Returns why there is nothing to do for an instance, whatever its usage is; `None` if it must be enforced.
#[must_use]
pub fn needs_no_change(instance: &InstanceFacts<'_>, rule: &Policy, today: Date) -> Option<NoChangeReason> {
    let resource = &instance.resource;
    match &resource.lifecycle {
        Lifecycle::NotFound => return Some(NoChangeReason::NotFound),
        Lifecycle::Terminated(state) => return Some(NoChangeReason::Terminated(state.to_string())),
        Lifecycle::Exists | Lifecycle::Declared | Lifecycle::NotRecorded(_) | Lifecycle::LeftScope => {}
    }
    if resource.metadata_options.as_ref().is_some_and(|o| o.http_tokens == HttpTokens::Required) {
        return Some(NoChangeReason::AlreadyRequired);
    }
    if let Exemption::Until(last) = Exemption::of(resource, rule, today) {
        return Some(NoChangeReason::Exempt(last));
    }
    if let Some(principal) = &resource.managed_by {
        return Some(NoChangeReason::Managed(principal.to_string()));
    }
    let verdict = evaluate(resource, rule, today);
    (verdict.compliance != Compliance::NonCompliant).then_some(NoChangeReason::Compliant)
}

/// Returns why the change may break software on an instance, if so.
fn concern(instance: &InstanceFacts<'_>, usage: &Usage, policy: &EnforcementPolicy) -> Option<SkipReason> {
    let lookback_days = policy.lookback_days;
    let evidence = match usage {
        Usage::NotChecked => return None,
        Usage::Incomplete => return Some(SkipReason::IncompleteData),
        Usage::Checked(evidence) => evidence,
    };
    match evidence.state(instance.may_call()) {
        UsageState::InUse(calls) => Some(SkipReason::InUse { calls, lookback_days }),
        UsageState::BootCalls(calls) => {
            (policy.on_boot_calls == OnConcern::Stop).then_some(SkipReason::BootCalls { calls })
        }
        UsageState::Unknown(_) => {
            (policy.on_unknown_usage == OnConcern::Stop).then_some(SkipReason::UsageUnknown { lookback_days })
        }
        UsageState::NotInUse => None,
    }
}

/// Returns the hop limit to set so that it is at least `wanted`; `None` if the current one stays: it is high enough
/// already, or the IMDS endpoint is disabled.
fn raised_hop_limit(options: Option<&MetadataOptions<'_>>, wanted: i32) -> Option<i32> {
    let is_disabled = options.is_some_and(|options| options.http_endpoint == HttpEndpoint::Disabled);
    let current = options.and_then(|options| options.hop_limit).unwrap_or_default();
    (i64::from(wanted) > current && !is_disabled).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use time::macros::datetime;
    use time::{Duration, OffsetDateTime};

    use super::*;
    use crate::rule::instance::InstanceState;
    use crate::rule::resource::{Resource, ResourceType, Tag};
    use crate::rule::usage::{DataPoint, LookBack};

    const NOW: OffsetDateTime = datetime!(2026-06-15 10:20:30 UTC);

    #[derive(Deserialize)]
    struct Table {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        instance: Option<CaseInstance>,
        usage: CaseUsage,
        policy: CasePolicy,
        expect: Expected,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct CaseInstance {
        state: String,
        http_tokens: Option<String>,
        http_endpoint: String,
        hop_limit: i64,
        launched_hours_ago: i64,
        tags: BTreeMap<String, String>,
        operator: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct CaseUsage {
        data_since_hours_ago: Option<i64>,
        calls: Vec<CaseCall>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct CaseCall {
        hours_ago: i64,
        count: u64,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct CasePolicy {
        lookback_days: u16,
        on_unknown_usage: String,
        on_boot_calls: String,
        force: bool,
        hop_limit: i32,
        #[serde(default)]
        exemption_tag_key: Option<String>,
        #[serde(default)]
        disabled_endpoint_compliant: Option<bool>,
    }

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(tag = "decision", rename_all = "camelCase", rename_all_fields = "camelCase")]
    enum Expected {
        Enforce { raise_hop_limit_to: Option<i32> },
        Nothing { reason: String },
        Skip { reason: String, calls: Option<u64> },
    }

    fn cases() -> Vec<Case> {
        let table = include_str!("../../tests/fixtures/enforcement-cases.json");
        serde_json::from_str::<Table>(table).expect("a table of cases").cases
    }

    impl CaseInstance {
        fn facts(&self) -> InstanceFacts<'_> {
            let options = MetadataOptions::from_api(
                self.http_tokens.as_deref().map(Into::into),
                Some(&self.http_endpoint),
                Some(self.hop_limit),
                Some("applied"),
            );
            let tag =
                |(key, value)| Tag { key: String::as_str(key).into(), value: String::as_str(value).into() };
            let resource = Resource {
                lifecycle: Lifecycle::from_instance_state(self.state.as_str().into()),
                tags: self.tags.iter().map(tag).collect(),
                managed_by: self.operator.as_deref().map(Into::into),
                ..Resource::existing(ResourceType::Instance, "i-0123456789abcdef0".into(), Some(options))
            };
            InstanceFacts {
                resource,
                state: InstanceState::from_api(Some(&self.state)),
                launched_at: Some(NOW - Duration::hours(self.launched_hours_ago)),
            }
        }
    }

    impl Case {
        fn usage(&self) -> Usage {
            if self.policy.lookback_days == 0 {
                return Usage::NotChecked;
            }
            let at = |hours_ago| {
                let at: OffsetDateTime = NOW - Duration::hours(hours_ago);
                at.replace_minute(0).and_then(|at| at.replace_second(0)).expect("a time")
            };
            let since = self.usage.data_since_hours_ago.map_or(0, |since| since + 1);
            let zeros = (0..since).map(|hours_ago| DataPoint { start: at(hours_ago), calls: 0 });
            let calls = self.usage.calls.iter();
            let calls = calls.map(|call| DataPoint { start: at(call.hours_ago), calls: call.count });
            let look_back = LookBack::new(NOW, self.policy.lookback_days);
            let launched_at = self.instance.as_ref().and_then(|instance| instance.facts().launched_at);
            // Only what is asked for: the look-back period and the boot window.
            let boot = launched_at.map(crate::rule::usage::BootWindow::of_launch);
            let points = zeros.chain(calls).filter(|point| {
                point.start >= look_back.start
                    || boot.is_some_and(|boot| (boot.start..boot.end()).contains(&point.start))
            });
            Usage::Checked(Evidence::of(points, &look_back, launched_at))
        }

        fn decision(&self) -> Decision {
            let concern = |word: &str| if word == "proceed" { OnConcern::Proceed } else { OnConcern::Stop };
            let policy = EnforcementPolicy {
                lookback_days: self.policy.lookback_days,
                on_unknown_usage: concern(&self.policy.on_unknown_usage),
                on_boot_calls: concern(&self.policy.on_boot_calls),
                force: self.policy.force,
                hop_limit: Some(self.policy.hop_limit).filter(|limit| *limit > 0),
            };
            let rule = Policy {
                exemption_tag_key: self.policy.exemption_tag_key.clone(),
                disabled_endpoint_compliant: self.policy.disabled_endpoint_compliant.unwrap_or(true),
                ..Policy::default()
            };
            let facts = self.instance.as_ref().map(CaseInstance::facts);
            decide(facts.as_ref(), &self.usage(), &policy, &rule, NOW.date())
        }
    }

    impl From<Decision> for Expected {
        fn from(decision: Decision) -> Self {
            match decision {
                Decision::Enforce { raise_hop_limit_to } => Self::Enforce { raise_hop_limit_to },
                Decision::NoChange(reason) => {
                    let reason = match reason {
                        NoChangeReason::NotFound => "notFound",
                        NoChangeReason::Terminated(_) => "terminated",
                        NoChangeReason::AlreadyRequired => "alreadyRequired",
                        NoChangeReason::Exempt(_) => "exempt",
                        NoChangeReason::Managed(_) => "managed",
                        NoChangeReason::Compliant => "compliant",
                    };
                    Self::Nothing { reason: reason.to_owned() }
                }
                Decision::Skip(reason) => {
                    let (reason, calls) = match reason {
                        SkipReason::InUse { calls, .. } => ("inUse", Some(calls)),
                        SkipReason::BootCalls { calls } => ("bootCalls", Some(calls)),
                        SkipReason::UsageUnknown { .. } => ("unknown", None),
                        SkipReason::IncompleteData => ("incompleteData", None),
                    };
                    Self::Skip { reason: reason.to_owned(), calls }
                }
            }
        }
    }

    #[test]
    fn every_case_of_the_table_is_decided_as_expected() {
        for case in cases() {
            assert_eq!(Expected::from(case.decision()), case.expect, "{}", case.name);
        }
    }

    #[test]
    fn the_table_has_a_case_for_each_reason_that_both_sides_know() {
        let found: std::collections::BTreeSet<_> = cases()
            .into_iter()
            .map(|case| match case.expect {
                Expected::Enforce { raise_hop_limit_to: None } => "enforce".to_owned(),
                Expected::Enforce { .. } => "raise".to_owned(),
                Expected::Nothing { reason } | Expected::Skip { reason, .. } => reason,
            })
            .collect();
        for reason in [
            "enforce",
            "raise",
            "notFound",
            "terminated",
            "alreadyRequired",
            "exempt",
            "managed",
            "inUse",
            "bootCalls",
            "unknown",
        ] {
            assert!(found.contains(reason), "{reason}");
        }
    }

    fn open_instance() -> InstanceFacts<'static> {
        let options = MetadataOptions::from_api(Some("optional".into()), Some("enabled"), Some(1), None);
        InstanceFacts {
            resource: Resource::existing(ResourceType::Instance, "i-0123456789abcdef0".into(), Some(options)),
            state: InstanceState::Running,
            launched_at: None,
        }
    }

    fn policy(force: bool, on_unknown_usage: OnConcern) -> EnforcementPolicy {
        let (lookback_days, on_boot_calls, hop_limit) = (14, OnConcern::Stop, None);
        EnforcementPolicy { lookback_days, on_unknown_usage, on_boot_calls, force, hop_limit }
    }

    #[test]
    fn incomplete_data_stops_the_change_even_if_unknown_usage_is_accepted() {
        let decide = |policy| {
            decide(Some(&open_instance()), &Usage::Incomplete, &policy, &Policy::default(), NOW.date())
        };
        assert_eq!(decide(policy(false, OnConcern::Proceed)), Decision::Skip(SkipReason::IncompleteData));
        assert_eq!(decide(policy(true, OnConcern::Stop)), Decision::Enforce { raise_hop_limit_to: None });
    }

    #[test]
    fn an_instance_that_complies_by_its_disabled_endpoint_needs_no_change() {
        let mut instance = open_instance();
        let options = MetadataOptions::from_api(Some("optional".into()), Some("disabled"), Some(1), None);
        instance.resource.metadata_options = Some(options);
        let reason = needs_no_change(&instance, &Policy::default(), NOW.date());
        assert_eq!(reason, Some(NoChangeReason::Compliant));
        let strict = Policy { disabled_endpoint_compliant: false, ..Policy::default() };
        assert_eq!(needs_no_change(&instance, &strict, NOW.date()), None);
    }

    #[test]
    fn reasons_are_plain_english() {
        let in_use = |calls, lookback_days| SkipReason::InUse { calls, lookback_days }.to_string();
        assert_eq!(in_use(1, 14), "IMDSv1 is still in use: 1 call in the last 14 days");
        assert_eq!(in_use(2, 1), "IMDSv1 is still in use: 2 calls in the last 1 day");
        assert_eq!(
            SkipReason::BootCalls { calls: 4 }.to_string(),
            "the instance made 4 IMDSv1 calls when it was last started; they would fail at the next start"
        );
        assert_eq!(
            SkipReason::UsageUnknown { lookback_days: 14 }.to_string(),
            "IMDSv1 usage is unknown: CloudWatch's data does not reach back half of 14 days"
        );
        let managed = NoChangeReason::Managed("eks.amazonaws.com".to_owned());
        assert_eq!(managed.to_string(), "eks.amazonaws.com manages the instance");
    }

    #[test]
    fn reasons_have_a_few_words() {
        for (reason, words) in [
            (NoChangeReason::NotFound, "gone"),
            (NoChangeReason::Terminated("terminated".to_owned()), "terminated"),
            (NoChangeReason::AlreadyRequired, "already required"),
            (NoChangeReason::Exempt(Date::MAX), "exempt"),
            (NoChangeReason::Managed("eks.amazonaws.com".to_owned()), "managed by an AWS service"),
            (NoChangeReason::Compliant, "compliant"),
        ] {
            assert_eq!(reason.label(), words);
        }
        for (reason, words) in [
            (SkipReason::InUse { calls: 1, lookback_days: 14 }, "in use"),
            (SkipReason::BootCalls { calls: 1 }, "boot-time calls"),
            (SkipReason::UsageUnknown { lookback_days: 14 }, "usage unknown"),
            (SkipReason::IncompleteData, "incomplete data"),
        ] {
            assert_eq!(reason.label(), words);
        }
    }
}
