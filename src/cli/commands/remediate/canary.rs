//! The canary: a few instances first, and a look at what they were refused, before the others.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use super::change::Task;
use super::selection::Target;
use crate::cli::fleet::usage;
use crate::cli::terminal::shutdown::Interrupt;
use crate::rule::enforcement::Usage;
use crate::rule::enforcement::{OnUnknown, Rules};

/// How often refusals are looked for while the canary soaks.
const EVERY: Duration = Duration::from_mins(1);

/// How large the canary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Instances(usize),
    Percent(usize),
}

impl FromStr for Size {
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

impl Size {
    /// How many of `all` instances, at least one.
    fn of(self, all: usize) -> usize {
        match self {
            Self::Instances(count) => count.min(all),
            Self::Percent(percent) => (all * percent).div_ceil(100).min(all),
        }
    }
}

/// Takes the canary out of the tasks: first of those that may make calls, since others tell nothing. Gives the
/// canary, and the others.
pub(crate) fn split(tasks: Vec<Task>, size: Size) -> (Vec<Task>, Vec<Task>) {
    let count = size.of(tasks.len());
    let (callers, mut silent): (Vec<_>, Vec<_>) = tasks.into_iter().partition(|task| task.target.may_call);
    let (mut canary, mut others) = spread(callers, count);
    let missing = count.saturating_sub(canary.len()).min(silent.len());
    others.extend(silent.split_off(missing));
    canary.extend(silent);
    (canary, others)
}

/// Takes `count` at even distances: the tasks are in the order of accounts and Regions.
fn spread(tasks: Vec<Task>, count: usize) -> (Vec<Task>, Vec<Task>) {
    let all = tasks.len();
    let count = count.min(all);
    let (mut taken, mut others) = (Vec::new(), Vec::new());
    for (number, task) in tasks.into_iter().enumerate() {
        let is_taken = (number + 1) * count / all > number * count / all;
        if is_taken { taken.push(task) } else { others.push(task) }
    }
    (taken, others)
}

/// Watches the canary for as long as `soak`.
///
/// # Errors
/// Why the others must not be changed: the canary is refused IMDSv1 calls, CloudWatch does not tell (and the
/// rules do not say to proceed then), or the work has to end.
pub(crate) async fn watch(
    canary: &[Target],
    since: SystemTime,
    soak: Duration,
    rules: &Rules,
    interrupt: &Interrupt,
) -> Result<(), String> {
    let until = Instant::now() + soak;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        tokio::select! {
            () = sleep(left.min(EVERY)) => {}
            () = interrupt.told() => return Err("interrupted while the canary was watched".to_owned()),
        }
        let refusals = refusals(canary, since).await?;
        if let Some((id, calls)) = refusals.iter().find_map(|(id, usage)| Some((id, usage.calls()?))) {
            return Err(format!("the canary {id} was refused {calls} IMDSv1 calls since its change"));
        }
        if left > EVERY {
            continue;
        }
        let silent = refusals.into_iter().find(|(_, usage)| *usage == Usage::Unknown);
        return match silent {
            Some((id, _)) if rules.on_unknown == OnUnknown::Stop && !rules.force => Err(format!(
                "CloudWatch has no data of the canary {id} since its change; give it more time by --soak, or \
                 --on-unknown-usage proceed"
            )),
            _ => Ok(()),
        };
    }
}

/// What each instance of the canary was refused.
async fn refusals(canary: &[Target], since: SystemTime) -> Result<Vec<(&str, Usage)>, String> {
    let mut places: BTreeMap<_, Vec<&Target>> = BTreeMap::new();
    for target in canary {
        places.entry((&target.place.account_id, &target.place.region)).or_default().push(target);
    }
    let mut refusals = Vec::new();
    for targets in places.into_values() {
        let Some(first) = targets.first() else { continue };
        let client = aws_sdk_cloudwatch::Client::new(&first.place.sdk);
        let candidates: Vec<_> =
            targets.iter().map(|target| (target.instance_id.as_str(), target.may_call)).collect();
        let usages = usage::refused(&client, &candidates, since).await?;
        refusals.extend(candidates.into_iter().map(|(id, _)| id).zip(usages));
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
            assert_eq!(text.parse::<Size>().expect(text).of(all), expected, "{text} of {all}");
        }
        for bad in ["", "0", "0%", "101%", "-1", "five", "%", "1.5"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }
}
