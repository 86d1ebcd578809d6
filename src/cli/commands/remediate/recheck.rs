//! The decision right before a change, with the facts of that moment: the plan may be outdated.

use time::{Duration, OffsetDateTime};

use super::change::{CurrentChange, PlannedChange};
use super::target::Target;
use crate::cli::clock::Clock;
use crate::cli::fleet::instance;
use crate::cli::fleet::usage::{Candidate, imdsv1_usage};
use crate::cli::output::changes::ChangeStatus;
use crate::rule::enforcement::{Decision, EnforcementPolicy, Usage, decide};
use crate::rule::instance::InstanceFacts;
use crate::rule::policy::Policy;
use crate::rule::resource::MetadataOptions;

/// The age from which usage is asked for again.
const MAX_USAGE_AGE: Duration = Duration::minutes(5);
/// The number of times that an instance may be started again while it is checked.
const MAX_CHECKS: u32 = 3;

/// What a decision depends on beside the instance.
#[derive(Clone, Debug)]
pub(super) struct Recheck {
    pub(super) policy: EnforcementPolicy,
    pub(super) rule: Policy,
    pub(super) clock: Clock,
}

/// The decision right before a change.
pub(super) enum Rechecked {
    /// Make this change now.
    Enforce(CurrentChange),
    /// Do not change the instance.
    Leave(ChangeStatus, String),
}

impl Recheck {
    /// Decides on a planned change once more, and gives it the facts of this moment. The instance is described last,
    /// so that nothing but the journal comes between its facts and the change.
    ///
    /// # Errors
    /// Returns an error if EC2 or CloudWatch does not respond.
    pub(super) async fn decide(&self, change: &mut PlannedChange) -> Result<Rechecked, String> {
        let (mut usage, mut usage_at) = (change.usage, change.usage_at);
        let mut launched_at = change.target.facts.launched_at;
        for _ in 0..MAX_CHECKS {
            if self.needs_usage() && self.clock.now() - usage_at > MAX_USAGE_AGE {
                let candidate = Candidate { launched_at, ..change.target.candidate() };
                usage = self.usage(change, candidate).await?;
            }
            let facts = instance::describe(&change.target.region, change.target.instance_id()).await;
            let facts = facts.map_err(|error| error.to_string())?;
            let current = facts.as_ref().and_then(|facts| facts.launched_at);
            if self.needs_usage() && facts.is_some() && current != launched_at {
                // It was started again: its boot-time calls are others, and the usage must be asked for again.
                (launched_at, usage_at) = (current, OffsetDateTime::UNIX_EPOCH);
                continue;
            }
            if let Some(facts) = &facts {
                change.target.facts = facts.clone();
            }
            return Ok(self.rechecked(&change.target, facts, &usage));
        }
        Err("the instance was started again and again while it was checked".to_owned())
    }

    fn needs_usage(&self) -> bool {
        self.policy.lookback_days > 0
    }

    async fn usage(&self, change: &PlannedChange, candidate: Candidate) -> Result<Usage, String> {
        let (client, now) = (change.target.region.cloudwatch(), self.clock.now());
        let usage = imdsv1_usage(&client, &[candidate], self.policy.lookback_days, now).await;
        let usage = usage.map_err(|error| error.to_string())?;
        Ok(usage.first().copied().unwrap_or(Usage::Incomplete))
    }

    fn rechecked(&self, target: &Target, facts: Option<InstanceFacts<'static>>, usage: &Usage) -> Rechecked {
        let today = self.clock.now().date();
        match decide(facts.as_ref(), usage, &self.policy, &self.rule, today) {
            Decision::Enforce { raise_hop_limit_to } => {
                let options = facts.and_then(|facts| facts.resource.metadata_options);
                let before = options.unwrap_or(MetadataOptions::UNSET);
                Rechecked::Enforce(CurrentChange { before, raise_hop_limit_to })
            }
            Decision::NoChange(reason) => Rechecked::Leave(ChangeStatus::Unchanged, reason.to_string()),
            Decision::Skip(reason) => Rechecked::Leave(ChangeStatus::Skipped, target.why_skipped(&reason)),
        }
    }
}
