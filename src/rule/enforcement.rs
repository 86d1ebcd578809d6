//! The decision whether to enforce IMDSv2 on an instance that accepts IMDSv1.
//!
//! The runbook `EnforceImdsv2` decides by the same rules.

use std::fmt;

use super::resource::{HttpEndpoint, MetadataOptions};

/// Whether software on an instance uses IMDSv1, as far as CloudWatch knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// The instance made this number of IMDSv1 calls in the look-back period.
    InUse(u64),
    /// CloudWatch's data of a running instance does not reach back half of the look-back period. Missing data
    /// is not zero.
    Unknown,
    /// The instance made no IMDSv1 calls.
    NotInUse,
    /// CloudWatch was not asked.
    NotChecked,
}

impl Usage {
    /// Returns the number of IMDSv1 calls, if there were any.
    #[must_use]
    pub fn calls(self) -> Option<u64> {
        match self {
            Self::InUse(calls) => Some(calls),
            Self::Unknown | Self::NotInUse | Self::NotChecked => None,
        }
    }
}

/// What the caller allows.
#[derive(Clone, Copy, Debug)]
pub struct EnforcementPolicy {
    /// The look-back period for IMDSv1 calls, in days; 0 does not ask CloudWatch.
    pub lookback_days: u16,
    /// What to do with a running instance whose usage is unknown.
    pub on_unknown_usage: OnUnknownUsage,
    /// Enforce IMDSv2 whatever the usage is.
    pub force: bool,
    /// The hop limit to raise a lower one to, 1 to 64.
    pub hop_limit: Option<i32>,
}

/// What to do with a running instance whose use of IMDSv1 is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknownUsage {
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
    /// Do not change the instance.
    Skip(SkipReason),
}

/// Why an instance is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The instance still makes IMDSv1 calls.
    InUse {
        /// The number of calls.
        calls: u64,
        /// The look-back period, in days.
        lookback_days: u16,
    },
    /// CloudWatch does not have enough data to rule out IMDSv1 calls.
    UsageUnknown,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { calls: 1, lookback_days } => {
                write!(f, "IMDSv1 is still in use: 1 call in the last {lookback_days} days")
            }
            Self::InUse { calls, lookback_days } => {
                write!(f, "IMDSv1 is still in use: {calls} calls in the last {lookback_days} days")
            }
            Self::UsageUnknown => {
                f.write_str("IMDSv1 usage is unknown: CloudWatch does not have enough data")
            }
        }
    }
}

/// Decides whether to enforce IMDSv2 on an instance with these metadata options and this usage of IMDSv1.
#[must_use]
pub fn decide(options: &MetadataOptions<'_>, usage: Usage, policy: &EnforcementPolicy) -> Decision {
    if !policy.force {
        match usage {
            Usage::InUse(calls) => {
                return Decision::Skip(SkipReason::InUse { calls, lookback_days: policy.lookback_days });
            }
            Usage::Unknown if policy.on_unknown_usage == OnUnknownUsage::Stop => {
                return Decision::Skip(SkipReason::UsageUnknown);
            }
            Usage::Unknown | Usage::NotInUse | Usage::NotChecked => {}
        }
    }
    Decision::Enforce {
        raise_hop_limit_to: policy.hop_limit.and_then(|wanted| raised_hop_limit(options, wanted)),
    }
}

/// Returns the hop limit to set so that it is at least `wanted`; `None` if the current one stays: it is high
/// enough already, or the IMDS endpoint is disabled.
#[must_use]
pub fn raised_hop_limit(options: &MetadataOptions<'_>, wanted: i32) -> Option<i32> {
    let is_lower = i64::from(wanted) > options.hop_limit.unwrap_or_default();
    (is_lower && options.http_endpoint != HttpEndpoint::Disabled).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: EnforcementPolicy = EnforcementPolicy {
        lookback_days: 14,
        on_unknown_usage: OnUnknownUsage::Stop,
        force: false,
        hop_limit: None,
    };

    fn options(endpoint: &str, hop_limit: i64) -> MetadataOptions<'static> {
        MetadataOptions::from_api(Some("optional".into()), Some(endpoint), Some(hop_limit), None)
    }

    #[test]
    fn usage_decides() {
        let proceed = EnforcementPolicy { on_unknown_usage: OnUnknownUsage::Proceed, ..POLICY };
        let force = EnforcementPolicy { force: true, ..POLICY };
        for (policy, usage, skipped) in [
            (POLICY, Usage::NotChecked, None),
            (POLICY, Usage::NotInUse, None),
            (POLICY, Usage::Unknown, Some(SkipReason::UsageUnknown)),
            (POLICY, Usage::InUse(1), Some(SkipReason::InUse { calls: 1, lookback_days: 14 })),
            (proceed, Usage::Unknown, None),
            (proceed, Usage::InUse(1), Some(SkipReason::InUse { calls: 1, lookback_days: 14 })),
            (force, Usage::Unknown, None),
            (force, Usage::InUse(1), None),
        ] {
            let expected = skipped.map_or(Decision::Enforce { raise_hop_limit_to: None }, Decision::Skip);
            assert_eq!(decide(&options("enabled", 1), usage, &policy), expected, "{policy:?} {usage:?}");
        }
    }

    #[test]
    fn hop_limit_is_raised_but_never_lowered_nor_set_on_a_disabled_endpoint() {
        for (wanted, endpoint, hop_limit, raise_hop_limit_to) in [
            (None, "enabled", 1, None),
            (Some(2), "enabled", 1, Some(2)),
            (Some(2), "enabled", 2, None),
            (Some(2), "enabled", 3, None),
            (Some(2), "disabled", 1, None),
        ] {
            let policy = EnforcementPolicy { hop_limit: wanted, ..POLICY };
            let decision = decide(&options(endpoint, hop_limit), Usage::NotChecked, &policy);
            assert_eq!(decision, Decision::Enforce { raise_hop_limit_to });
        }
    }

    #[test]
    fn a_reason_counts_calls_in_plain_english() {
        let reason = |calls| SkipReason::InUse { calls, lookback_days: 14 }.to_string();
        assert_eq!(reason(1), "IMDSv1 is still in use: 1 call in the last 14 days");
        assert_eq!(reason(2), "IMDSv1 is still in use: 2 calls in the last 14 days");
    }
}
