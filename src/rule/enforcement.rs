//! What is to be done with an instance: the rules of the runbook `EnforceImdsv2`, without I/O.

use clap::ValueEnum;

/// What is known of an instance's use of IMDSv1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// So many calls in the look-back.
    InUse(u64),
    /// CloudWatch's data of an instance that may make calls does not reach back half of the look-back: no
    /// data is not zero.
    Unknown,
    /// None.
    Safe,
}

impl Usage {
    /// How the output says it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InUse(_) => "still in use",
            Self::Unknown => "unknown",
            Self::Safe => "safe to enforce",
        }
    }

    /// The number of calls, where there are any.
    pub(crate) fn calls(self) -> Option<u64> {
        match self {
            Self::InUse(calls) => Some(calls),
            Self::Unknown | Self::Safe => None,
        }
    }
}

/// What the caller allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// How many days back usage is looked for; 0 looks at none.
    pub(crate) usage_days: u16,
    /// What to do without data of an instance that may make calls.
    pub(crate) on_unknown: OnUnknown,
    /// Enforce whatever the usage is.
    pub(crate) force: bool,
    /// The hop limit that is wanted; a higher one stays.
    pub(crate) hop_limit: Option<i32>,
}

/// What to do with an instance whose use of IMDSv1 is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnUnknown {
    /// Leave it as it is
    Stop,
    /// Enforce
    Proceed,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Require tokens, and raise the hop limit to this, if any.
    Enforce { raise_to: Option<i32> },
    /// Leave it as it is, because of this.
    Leave(String),
}

impl Rules {
    /// Decides on an instance with this use of IMDSv1 (`None`: not looked at), endpoint and hop limit.
    pub(crate) fn decide(&self, usage: Option<Usage>, endpoint_on: bool, hop_limit: i32) -> Decision {
        let days = self.usage_days;
        match usage {
            Some(Usage::InUse(calls)) if !self.force => {
                return Decision::Leave(format!("still uses IMDSv1: {calls} calls in the last {days} days"));
            }
            Some(Usage::Unknown) if !self.force && self.on_unknown == OnUnknown::Stop => {
                return Decision::Leave("its use of IMDSv1 is unknown: CloudWatch has no data".to_owned());
            }
            _ => {}
        }
        Decision::Enforce { raise_to: self.hop_limit.filter(|wanted| endpoint_on && *wanted > hop_limit) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { usage_days: 14, on_unknown: OnUnknown::Stop, force: false, hop_limit: None };

    fn enforces(rules: Rules, usage: Option<Usage>) -> bool {
        matches!(rules.decide(usage, true, 1), Decision::Enforce { .. })
    }

    #[test]
    fn usage_decides() {
        let proceed = Rules { on_unknown: OnUnknown::Proceed, ..RULES };
        let force = Rules { force: true, ..RULES };
        for (rules, usage, expected) in [
            (RULES, None, true),
            (RULES, Some(Usage::Safe), true),
            (RULES, Some(Usage::Unknown), false),
            (RULES, Some(Usage::InUse(1)), false),
            (proceed, Some(Usage::Unknown), true),
            (proceed, Some(Usage::InUse(1)), false),
            (force, Some(Usage::Unknown), true),
            (force, Some(Usage::InUse(1)), true),
        ] {
            assert_eq!(enforces(rules, usage), expected, "{rules:?} {usage:?}");
        }
    }

    #[test]
    fn the_hop_limit_is_raised_and_never_lowered_or_set_on_a_disabled_endpoint() {
        for (wanted, endpoint_on, hop_limit, raise_to) in [
            (None, true, 1, None),
            (Some(2), true, 1, Some(2)),
            (Some(2), true, 2, None),
            (Some(2), true, 3, None),
            (Some(2), false, 1, None),
        ] {
            let rules = Rules { hop_limit: wanted, ..RULES };
            assert_eq!(rules.decide(None, endpoint_on, hop_limit), Decision::Enforce { raise_to });
        }
    }
}
