//! The canary: a few instances that are changed first, and watched before the others are changed.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use super::change::PlannedChange;
use super::target::Target;
use crate::cli::fleet::usage;
use crate::cli::terminal::shutdown::Shutdown;
use crate::rule::enforcement::{EnforcementPolicy, OnUnknownUsage, Usage};
use crate::rule::resource::Location;

/// How often to ask CloudWatch for refused calls while the canary is watched.
const POLL_INTERVAL: Duration = Duration::from_mins(1);

/// The size of the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CanarySize {
    Instances(usize),
    Percent(usize),
}

impl FromStr for CanarySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = match text.strip_suffix('%') {
            Some(percent) => {
                percent.parse().ok().filter(|percent| (1..=100).contains(percent)).map(Self::Percent)
            }
            None => text.parse().ok().filter(|count| *count > 0).map(Self::Instances),
        };
        size.ok_or_else(|| "expected a number of instances such as 5, or 1% to 100%".to_owned())
    }
}

impl CanarySize {
    /// Returns the number of instances out of `all`: at least one.
    fn of(self, all: usize) -> usize {
        match self {
            Self::Instances(count) => count.min(all),
            Self::Percent(percent) => (all * percent).div_ceil(100).min(all),
        }
    }
}

/// The changes of the canary, and all others.
pub(super) struct Split {
    pub(super) canary: Vec<PlannedChange>,
    pub(super) others: Vec<PlannedChange>,
}

/// Chooses the canary. Instances that may call IMDS come first: only they can show a problem.
pub(super) fn split(changes: Vec<PlannedChange>, size: CanarySize) -> Split {
    let count = size.of(changes.len());
    let (callers, mut silent): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|change| change.target.may_call);
    let Split { mut canary, mut others } = spread(callers, count);
    let missing = count.saturating_sub(canary.len()).min(silent.len());
    others.extend(silent.split_off(missing));
    canary.extend(silent);
    Split { canary, others }
}

/// Chooses `count` changes at even distances: the changes are sorted by account and Region.
fn spread(changes: Vec<PlannedChange>, count: usize) -> Split {
    let all = changes.len();
    let count = count.min(all);
    let (mut canary, mut others) = (Vec::new(), Vec::new());
    for (number, change) in changes.into_iter().enumerate() {
        let is_chosen = (number + 1) * count / all > number * count / all;
        if is_chosen { canary.push(change) } else { others.push(change) }
    }
    Split { canary, others }
}

/// Watches the canary for the duration of `soak`.
///
/// # Errors
/// Returns the reason why the others must not be changed: the canary is refused IMDSv1 calls, CloudWatch has
/// no data of it (unless the policy accepts that), or a shutdown was requested.
pub(super) async fn watch(
    canary: &[Target],
    since: SystemTime,
    soak: Duration,
    policy: &EnforcementPolicy,
    shutdown: &Shutdown,
) -> Result<(), String> {
    let until = Instant::now() + soak;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        tokio::select! {
            () = sleep(left.min(POLL_INTERVAL)) => {}
            () = shutdown.requested() => return Err("interrupted while the canary was watched".to_owned()),
        }
        let refusals = refusals(canary, since).await?;
        let refused =
            refusals.iter().find_map(|refusals| Some((refusals.instance_id, refusals.usage.calls()?)));
        if let Some((id, calls)) = refused {
            return Err(format!("the canary {id} was refused {calls} IMDSv1 calls since its change"));
        }
        if left > POLL_INTERVAL {
            continue;
        }
        let accepts_unknown = policy.force || policy.on_unknown_usage == OnUnknownUsage::Proceed;
        let unknown = refusals.into_iter().find(|refusals| refusals.usage == Usage::Unknown);
        return match unknown {
            Some(Refusals { instance_id, .. }) if !accepts_unknown => Err(format!(
                "CloudWatch has no data of the canary {instance_id} since its change: pass a longer --soak, or \
                 --on-unknown-usage proceed"
            )),
            _ => Ok(()),
        };
    }
}

/// The calls that an instance was refused.
struct Refusals<'a> {
    instance_id: &'a str,
    usage: Usage,
}

/// Returns what each instance of the canary was refused.
async fn refusals(canary: &[Target], since: SystemTime) -> Result<Vec<Refusals<'_>>, String> {
    let mut regions: BTreeMap<&Location, Vec<&Target>> = BTreeMap::new();
    for target in canary {
        regions.entry(&target.instance.location).or_default().push(target);
    }
    let mut refusals = Vec::new();
    for targets in regions.into_values() {
        let Some(first) = targets.first() else { continue };
        let candidates: Vec<_> = targets.iter().map(|target| target.candidate()).collect();
        let usages = usage::refused_calls(&first.region.cloudwatch(), &candidates, since).await;
        let usages = usages.map_err(|error| error.to_string())?;
        let instances = candidates.into_iter().zip(usages);
        refusals.extend(
            instances.map(|(candidate, usage)| Refusals { instance_id: candidate.instance_id, usage }),
        );
    }
    Ok(refusals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_or_a_percentage() {
        for (text, all, expected) in
            [("5", 100, 5), ("5", 3, 3), ("10%", 100, 10), ("1%", 20, 1), ("100%", 7, 7), ("33%", 10, 4)]
        {
            assert_eq!(text.parse::<CanarySize>().expect(text).of(all), expected, "{text} of {all}");
        }
        for bad in ["", "0", "0%", "101%", "-1", "five", "%", "1.5"] {
            assert!(bad.parse::<CanarySize>().is_err(), "{bad}");
        }
    }
}
