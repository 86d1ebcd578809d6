//! A scheduled run: every resource of the Region is judged and reported, and stale results are withdrawn.
//!
//! Nothing is collected first: pages of EC2 become verdicts, verdicts become batches, and batches are sent
//! while the next page arrives. Memory grows only by a number for each resource, which distinguishes stale
//! results from current ones, and by the id of each result whose resource has not been listed yet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_config::error::BuildError;
use aws_sdk_config::primitives::DateTime;
use time::{Date, OffsetDateTime};
use tokio::time::Instant;

use super::accounts::AccountClients;
use super::report::batches::Reporter;
use super::report::date_time;
use super::report::put::{ReportError, evaluation};
use super::report::results::{ResultsError, each_result};
use super::stale::{StaleResult, StaleResults};
use crate::rule::instance::InstanceFacts;
use crate::rule::policy::Policy;
use crate::rule::resource::{Lifecycle, Resource, ResourceType};
use crate::rule::verdict::{Summary, Verdict, evaluate, evaluate_account_defaults};
use crate::sources::ec2::Ec2Error;
use crate::sources::ec2::launch_facts::LaunchFacts;
use crate::sources::ec2::region::{self, Visitor};

/// The part of the time limit that is kept for a page being decoded, since the clock is not checked
/// meanwhile. A function with little memory has a small share of a processor.
const DECODING: Duration = Duration::from_secs(2);

/// A scheduled run, as requested by AWS Config.
#[derive(Clone, Debug)]
pub struct ScheduledRun {
    /// The account to evaluate.
    pub account_id: String,
    /// The name of the rule in AWS Config.
    pub rule_name: String,
    /// The token that is returned with the evaluations.
    pub result_token: String,
    /// The rule parameters.
    pub policy: Policy,
    /// When AWS Config created the notification: the ordering timestamp of all evaluations.
    pub created: OffsetDateTime,
    /// The date in UTC, on which exemptions depend.
    pub today: Date,
    /// When the run must be complete.
    pub until: Instant,
}

/// Judges and reports every resource of the Region whose type the policy includes, and the account-level
/// defaults if the policy asks for them. Then reports `NOT_APPLICABLE` for every older result of the rule
/// whose resource was not listed.
///
/// # Errors
/// Returns an error if resources or results cannot be listed, evaluations cannot be reported, or the time
/// limit is reached. What was reported before is correct, and no result is withdrawn unless every list was
/// complete.
pub async fn evaluate_region(
    clients: &AccountClients,
    run: ScheduledRun,
) -> Result<Summary, ScheduledRunError> {
    let until = run.until.checked_sub(DECODING).unwrap_or(run.until);
    let mut evaluator = RegionEvaluator {
        reporter: Reporter::new(clients, &run.result_token, until),
        run: &run,
        summary: Summary::default(),
        judged: 0,
        withdrawal: Withdrawal::NotStarted,
    };
    let work = tokio::time::timeout_at(until, evaluator.evaluate(clients)).await;
    let mut outcome = work.unwrap_or_else(|_| Err(Reason::out_of_time(clients)));
    if let Err(Reason::Ec2(_) | Reason::Results(_)) = outcome {
        // The verdicts reached so far are correct, whatever could not be listed.
        let finished = tokio::time::timeout_at(until, evaluator.reporter.finish()).await;
        tracing::debug!(?finished, "reported the verdicts reached before the run failed");
    }
    // Requests in flight may still be accepted: only then is it known how far the run came.
    let settled = evaluator.reporter.settle().await.map_err(Reason::from);
    outcome = outcome.and(settled);
    if matches!(outcome, Err(Reason::Report(_))) && Instant::now() >= until {
        outcome = Err(Reason::out_of_time(clients));
    }
    let (judged, reported) = (evaluator.judged, evaluator.reporter.reported());
    match outcome {
        Ok(()) => {
            tracing::info!(judged, reported, "scheduled run completed");
            Ok(evaluator.summary)
        }
        Err(reason) => Err(ScheduledRunError { judged, reported, withdrawal: evaluator.withdrawal, reason }),
    }
}

/// Judges what is listed, and reports it.
struct RegionEvaluator<'a> {
    run: &'a ScheduledRun,
    reporter: Reporter,
    summary: Summary,
    judged: usize,
    withdrawal: Withdrawal,
}

impl RegionEvaluator<'_> {
    async fn evaluate(&mut self, clients: &AccountClients) -> Result<(), Reason> {
        let stale = Arc::<Mutex<StaleResults>>::default();
        let (matched, created) = (Arc::clone(&stale), date_time(self.run.created));
        let results = each_result(&clients.config, &self.run.rule_name, move |result| {
            // A result that is newer than the run belongs to a change that the run may not have seen.
            if result.ordering_timestamp.is_none_or(|at| milliseconds(at) <= milliseconds(created)) {
                lock(&matched).result_exists(&result);
            }
        });
        // Concurrently: both are long lists of pages, each of which names the next.
        tokio::try_join!(self.list(clients, &stale), async { results.await.map_err(Reason::from) })?;
        self.reporter.finish().await?;
        let stale = std::mem::take(&mut *lock(&stale));
        self.withdraw(stale).await
    }

    async fn list(&mut self, clients: &AccountClients, stale: &Mutex<StaleResults>) -> Result<(), Reason> {
        let (policy, resources) = (&self.run.policy, clients.resources());
        let mut facts = LaunchFacts::new(resources, policy);
        let mut lister = Lister { evaluator: self, stale };
        if policy.judges(&ResourceType::Instance) {
            region::each_instance(resources, &mut lister).await?;
        }
        if policy.judges(&ResourceType::LaunchTemplate) {
            let keys: Vec<_> = policy.exemption_tag_key.as_deref().into_iter().collect();
            region::each_launch_template(&mut facts, &keys, &mut lister).await?;
        }
        if policy.judges(&ResourceType::LaunchConfiguration) {
            region::each_launch_configuration(&mut facts, &mut lister).await?;
        }
        if policy.judges(&ResourceType::AutoScalingGroup) {
            region::each_auto_scaling_group(&mut facts, &mut lister).await?;
        }
        if policy.judges_account_defaults() {
            let verdict = evaluate_account_defaults(&facts.account_defaults().await?);
            let (resource_type, account_id) = (ResourceType::ACCOUNT, &self.run.account_id);
            lock(stale).resource_exists(resource_type.name(), account_id);
            self.judged += 1;
            self.report(resource_type.name(), account_id, &verdict).await?;
        }
        Ok(())
    }

    async fn withdraw(&mut self, stale: StaleResults) -> Result<(), Reason> {
        if stale.is_empty() {
            return Ok(());
        }
        self.withdrawal = Withdrawal::Incomplete;
        for StaleResult { resource_type, resource_id } in stale.into_results() {
            // A resource of a type that the policy excludes may still exist.
            let included = self.run.policy.judges(&resource_type);
            let lifecycle = if included { Lifecycle::NotFound } else { Lifecycle::Exists };
            let resource = Resource::existing(resource_type, resource_id.as_ref().into(), None);
            let resource = Resource { lifecycle, ..resource };
            let verdict = evaluate(&resource, &self.run.policy, self.run.today);
            self.report(resource.resource_type.name(), &resource.resource_id, &verdict).await?;
        }
        Ok(self.reporter.finish().await?)
    }

    async fn report(
        &mut self,
        resource_type: &str,
        resource_id: &str,
        verdict: &Verdict,
    ) -> Result<(), Reason> {
        let evaluation = evaluation(resource_type, resource_id, verdict, self.run.created)?;
        self.reporter.report(evaluation).await?;
        self.summary.count(verdict.compliance);
        Ok(())
    }
}

/// Passes listed resources on to the evaluator.
struct Lister<'a, 'r> {
    evaluator: &'a mut RegionEvaluator<'r>,
    stale: &'a Mutex<StaleResults>,
}

impl Visitor for Lister<'_, '_> {
    type Error = Reason;

    async fn instance(&mut self, instance: InstanceFacts<'_>) -> Result<(), Reason> {
        self.launch_source(instance.resource).await
    }

    async fn launch_source(&mut self, resource: Resource<'_>) -> Result<(), Reason> {
        let (resource_type, resource_id) = (resource.resource_type.name(), &resource.resource_id);
        let verdict = evaluate(&resource, &self.evaluator.run.policy, self.evaluator.run.today);
        lock(self.stale).resource_exists(resource_type, resource_id);
        self.evaluator.judged += 1;
        self.evaluator.report(resource_type, resource_id, &verdict).await
    }
}

/// Rounds to milliseconds: AWS Config keeps these, and returns them as inexact fractions of a second.
fn milliseconds(time: DateTime) -> i128 {
    (time.as_nanos() + 500_000).div_euclid(1_000_000)
}

fn lock(stale: &Mutex<StaleResults>) -> MutexGuard<'_, StaleResults> {
    stale.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far the withdrawal of stale results came in a run that failed.
#[derive(Clone, Copy, Debug)]
enum Withdrawal {
    NotStarted,
    Incomplete,
}

impl std::fmt::Display for Withdrawal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotStarted => "no stale results were withdrawn",
            Self::Incomplete => "not all stale results were withdrawn",
        })
    }
}

/// A scheduled run that did not complete, and how far it came.
#[derive(Debug, thiserror::Error)]
#[error(
    "the scheduled run stopped after {judged} resources were judged and {reported} evaluations reported; \
     {withdrawal}: {reason}"
)]
pub struct ScheduledRunError {
    judged: usize,
    reported: usize,
    withdrawal: Withdrawal,
    reason: Reason,
}

impl ScheduledRunError {
    /// Returns a name for the kind of error.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.reason {
            Reason::Ec2(_) => "Ec2NotReadable",
            Reason::Results(_) => "ResultsNotReadable",
            Reason::Evaluation(_) | Reason::Report(_) => "EvaluationsNotReported",
            Reason::OutOfTime(_) => "OutOfTime",
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error(transparent)]
    Ec2(#[from] Ec2Error),
    #[error(transparent)]
    Results(#[from] ResultsError),
    #[error("the evaluation is incomplete: {0}")]
    Evaluation(#[from] BuildError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("Lambda's time limit was reached{0}; raise the function's timeout or memory")]
    OutOfTime(String),
}

impl Reason {
    fn out_of_time(clients: &AccountClients) -> Self {
        let calls = clients.calls.to_string();
        Self::OutOfTime(if calls.is_empty() { calls } else { format!(" while waiting for {calls}") })
    }
}
