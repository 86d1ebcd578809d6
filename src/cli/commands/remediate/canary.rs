//! The canary: a few instances that are changed first, and watched before the others are changed.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use super::change::PlannedChange;
use super::change_log::{ChangeLog, ChangedInstance};
use crate::cli::clock::Clock;
use crate::cli::fleet::usage::{self, Observation, Observed};
use crate::cli::terminal::screen::{Progress, Screen};
use crate::rule::enforcement::{EnforcementPolicy, OnConcern};
use crate::rule::resource::Location;

/// How often to ask CloudWatch for rejected calls while the canary is watched.
pub(super) const POLL_INTERVAL: Duration = Duration::from_mins(1);

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
    pub(super) fn of(self, all: usize) -> usize {
        match self {
            Self::Instances(count) => count.min(all),
            Self::Percent(percent) => (all * percent).div_ceil(100).min(all),
        }
    }

    /// Checks that a canary of this size leaves other instances to change.
    ///
    /// # Errors
    /// Returns an error if it includes all.
    pub(super) fn check(self, all: usize) -> Result<(), String> {
        match self {
            Self::Instances(count) if count >= all => Err(format!(
                "--canary {count} includes all {all} instances to change: pass a smaller number, or leave it out"
            )),
            Self::Percent(100) => {
                Err("--canary 100% includes all instances: pass less, or leave it out".to_owned())
            }
            Self::Instances(_) | Self::Percent(_) => Ok(()),
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
        changes.into_iter().partition(|change| change.target.facts.may_call());
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

/// How the canary is watched.
pub(super) struct Watch<'a> {
    pub(super) soak: Duration,
    pub(super) policy: &'a EnforcementPolicy,
    pub(super) clock: &'a Clock,
    pub(super) screen: &'a Screen,
}

impl Watch<'_> {
    /// Watches the instances that were changed, for the duration of the soak.
    ///
    /// # Errors
    /// Returns the reason why the others must not be changed: the canary shows nothing, because no instance of it
    /// that can call IMDS was changed or has reported since; an instance was rejected IMDSv1 calls; or a shutdown was
    /// requested.
    pub(super) async fn run(&self, log: &ChangeLog<'_>) -> Result<(), String> {
        let callers: Vec<_> = log.changed.iter().filter(|changed| changed.target.facts.may_call()).collect();
        if callers.is_empty() {
            return Err(
                "the canary shows nothing: no instance of it that can call IMDS was changed".to_owned()
            );
        }
        let until = self.clock.now() + self.soak;
        let mut reports = Reports::new(self, &callers);
        loop {
            let left = (until - self.clock.now()).try_into().unwrap_or(Duration::ZERO);
            tokio::select! {
                () = self.clock.sleep(POLL_INTERVAL.min(left)) => {}
                () = log.shutdown.requested() => {
                    return Err("interrupted while the canary was watched".to_owned());
                }
            }
            let observations = self.observe(&callers).await?;
            reports.update(&observations);
            let rejected = observations.iter().find(|(_, observation)| observation.rejected > 0);
            if let Some((id, Observation { rejected, .. })) = rejected {
                return Err(format!("the canary {id} was rejected {rejected} IMDSv1 calls since its change"));
            }
            if left <= POLL_INTERVAL {
                reports.conclude(self.soak);
                return self.conclude(&observations);
            }
        }
    }

    /// Decides at the end of the soak.
    fn conclude(&self, observations: &[(&str, Observation)]) -> Result<(), String> {
        let accepts_unknown = self.policy.force || self.policy.on_unknown_usage == OnConcern::Proceed;
        let silent = observations.iter().find(|(_, observation)| !observation.has_reported);
        let any_reported = observations.iter().any(|(_, observation)| observation.has_reported);
        match silent {
            None => Ok(()),
            Some(_) if accepts_unknown && any_reported => Ok(()),
            Some((id, _)) => Err(format!(
                "CloudWatch has no data of the canary {id} since its change; pass a longer --soak"
            )),
        }
    }

    /// Returns what CloudWatch knows of each instance since its change.
    async fn observe<'c>(
        &self,
        changed: &[&'c ChangedInstance],
    ) -> Result<Vec<(&'c str, Observation)>, String> {
        let mut regions: BTreeMap<&Location, Vec<&'c ChangedInstance>> = BTreeMap::new();
        for each in changed {
            regions.entry(&each.target.instance.location).or_default().push(each);
        }
        let mut observations = Vec::new();
        for changed in regions.into_values() {
            let Some(first) = changed.first() else { continue };
            let observed: Vec<Observed> = changed.iter().map(|each| each.observed.clone()).collect();
            let client = first.target.region.cloudwatch();
            let found = usage::observe(&client, &observed, self.clock.now()).await;
            let found = found.map_err(|error| error.to_string())?;
            observations.extend(changed.iter().map(|each| each.target.instance_id()).zip(found));
        }
        Ok(observations)
    }
}

/// What a person sees of a canary.
struct Reports<'a> {
    screen: &'a Screen,
    countdown: Progress,
    reported: BTreeSet<String>,
    instances: usize,
    rejected: u64,
}

impl<'a> Reports<'a> {
    fn new(watch: &Watch<'a>, callers: &[&ChangedInstance]) -> Self {
        let soak = humantime::format_duration(watch.soak);
        watch.screen.note(&format!("{} changed in the canary. Watching for {soak}.", callers.len()));
        for changed in callers {
            watch.screen.note(&format!("  {}", changed.target.label()));
        }
        let countdown = watch.screen.countdown("Canary: waiting for data of CloudWatch", watch.soak);
        let reported = BTreeSet::new();
        Self { screen: watch.screen, countdown, reported, instances: callers.len(), rejected: 0 }
    }

    fn update(&mut self, observations: &[(&str, Observation)]) {
        for (id, observation) in observations {
            if observation.has_reported && self.reported.insert((*id).to_owned()) {
                let rejected = observation.rejected;
                self.screen.note(&format!("  {id} reports to CloudWatch: {rejected} IMDSv1 calls rejected"));
            }
        }
        self.rejected = observations.iter().map(|(_, observation)| observation.rejected).sum();
        self.countdown.set_status(&self.line());
    }

    fn line(&self) -> String {
        let Self { reported, instances, rejected, .. } = self;
        format!("Canary: {} of {instances} reported, {rejected} IMDSv1 calls rejected", reported.len())
    }

    /// Says at the end of the soak what was seen.
    fn conclude(&self, soak: Duration) {
        self.screen.note(&format!("{} in {}.", self.line(), humantime::format_duration(soak)));
    }
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

    #[test]
    fn instances_that_do_not_report_keep_the_others_from_being_changed_unless_that_is_accepted() {
        let observation = |has_reported| ("i-1", Observation { rejected: 0, has_reported });
        let (all, some, none) =
            ([observation(true); 2], [observation(true), observation(false)], [observation(false); 2]);
        for (on_unknown_usage, force, expected) in [
            (OnConcern::Stop, false, [true, false, false]),
            (OnConcern::Proceed, false, [true, true, false]),
            (OnConcern::Stop, true, [true, true, false]),
        ] {
            let policy = EnforcementPolicy {
                lookback_days: 14,
                on_unknown_usage,
                on_boot_calls: OnConcern::Stop,
                force,
                hop_limit: None,
            };
            let screen = Screen::default();
            let clock = &Clock::System;
            let watch = Watch { soak: Duration::ZERO, policy: &policy, clock, screen: &screen };
            let released = [&all, &some, &none].map(|observations| watch.conclude(observations).is_ok());
            assert_eq!(released, expected, "{policy:?}");
        }
    }

    #[test]
    fn a_canary_that_includes_all_instances_is_an_error() {
        for (text, all, accepted) in
            [("18", 19, true), ("19", 19, false), ("1000", 19, false), ("99%", 1, true), ("100%", 7, false)]
        {
            let size: CanarySize = text.parse().expect(text);
            assert_eq!(size.check(all).is_ok(), accepted, "{text} of {all}");
        }
    }
}
