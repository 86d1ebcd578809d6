//! A scheduled run: everything in the Region is judged and reported, and results of what is gone are
//! withdrawn.
//!
//! Nothing is gathered first: pages of EC2 become verdicts, verdicts become batches, and batches leave
//! while the next page comes. What grows with the fleet is one number for each resource, by which stale
//! results are told from live ones, and the id of each result whose resource has not been listed yet.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_config::error::BuildError;
use aws_sdk_config::primitives::DateTime;
use time::{Date, OffsetDateTime};
use tokio::time::Instant;

use crate::aws::clients::Clients;
use crate::lambda::report::batches::Reporter;
use crate::lambda::report::put::{ReportError, date_time, evaluation};
use crate::lambda::report::results::{ResultOf, ResultsError, each_result};
use crate::rule::policy::Policy;
use crate::rule::resource::{Lifecycle, Resource, ResourceType};
use crate::rule::verdict::{Summary, Verdict, evaluate, evaluate_account};
use crate::sources::ec2::lookup::Ec2Error;
use crate::sources::ec2::region::{self, Visitor};

/// What is kept of the time for a page that is being decoded: nobody looks at the clock meanwhile, and a
/// function with little memory has a small share of a processor.
const DECODING: Duration = Duration::from_secs(2);
/// The type of the account itself, in AWS Config's words.
const ACCOUNT: &str = "AWS::::Account";

/// What is asked of a scheduled run.
#[derive(Clone, Copy, Debug)]
pub struct ScheduledRun<'a> {
    /// The account that is looked at.
    pub account_id: &'a str,
    /// The rule's name in AWS Config.
    pub rule_name: &'a str,
    /// The token that goes back with the evaluations.
    pub result_token: &'a str,
    /// The rule's parameters.
    pub policy: &'a Policy,
    /// When AWS Config called for the run: all its evaluations are ordered by this time.
    pub created: OffsetDateTime,
    /// The date in UTC, on which exemptions depend.
    pub today: Date,
    /// When everything has to be done.
    pub until: Instant,
}

/// Judges and reports every instance, launch template and launch configuration of the Region, as far as
/// the policy judges their types, and its account-level defaults if the policy does. Once all are listed
/// and reported, reports `NOT_APPLICABLE` for every older result of the rule whose resource is not among
/// them.
///
/// # Errors
/// Where the Region or the rule's results cannot be listed, evaluations cannot be reported, or the time
/// runs out. What was reported by then is true, and nothing is withdrawn unless all were listed.
pub async fn evaluate_region(clients: &Clients, run: ScheduledRun<'_>) -> Result<Summary, Interrupted> {
    let run = ScheduledRun { until: run.until.checked_sub(DECODING).unwrap_or(run.until), ..run };
    let mut progress = Progress {
        run,
        reporter: Reporter::new(&clients.config, run.result_token, run.until),
        summary: Summary::default(),
        judged: 0,
        withdrawing: false,
    };
    let work = tokio::time::timeout_at(run.until, progress.go(clients)).await;
    let mut outcome = work.unwrap_or(Err(Reason::OutOfTime));
    if let Err(Reason::Ec2(_) | Reason::Results(_)) = outcome {
        // What was judged is true, whatever could not be listed.
        let finished = tokio::time::timeout_at(run.until, progress.reporter.finish()).await;
        tracing::debug!(?finished, "what was judged before the run broke off");
    }
    // What is under way may still arrive: only then is it known how far the run came.
    let settled = progress.reporter.settle().await.map_err(Reason::from);
    outcome = outcome.and(settled);
    if matches!(outcome, Err(Reason::Report(_))) && Instant::now() >= run.until {
        outcome = Err(Reason::OutOfTime);
    }
    match outcome {
        Ok(()) => {
            tracing::info!(
                judged = progress.judged,
                reported = progress.reporter.reported(),
                "scheduled run"
            );
            Ok(progress.summary)
        }
        Err(reason) => Err(Interrupted {
            judged: progress.judged,
            reported: progress.reporter.reported(),
            withdrawal: if progress.withdrawing { "was not completed" } else { "had not begun" },
            reason,
        }),
    }
}

struct Progress<'a> {
    run: ScheduledRun<'a>,
    reporter: Reporter,
    summary: Summary,
    judged: usize,
    withdrawing: bool,
}

impl Progress<'_> {
    async fn go(&mut self, clients: &Clients) -> Result<(), Reason> {
        let stale = Arc::<Mutex<Stale>>::default();
        let (matched, created) = (Arc::clone(&stale), date_time(self.run.created));
        let results = each_result(&clients.config, self.run.rule_name, move |result| {
            // A result that is newer than the run is of a change that the run may not have seen.
            if result.ordering_timestamp.is_none_or(|at| milliseconds(at) <= milliseconds(created)) {
                lock(&matched).result_exists(result);
            }
        });
        // Side by side: both are long lists of pages, each of which names the next.
        tokio::try_join!(self.list(clients, &stale), async { results.await.map_err(Reason::from) })?;

        self.reporter.finish().await?;

        let stale = std::mem::take(&mut *lock(&stale));
        self.withdrawing = !stale.unmatched.is_empty();
        for (resource_type, resource_id) in stale.gone() {
            // Of a type that is not judged any more, it may well exist.
            let judged = self.run.policy.judges(&resource_type);
            let lifecycle = if judged { Lifecycle::Vanished } else { Lifecycle::Live };
            let gone = Resource {
                resource_type,
                resource_id: resource_id.as_ref().into(),
                account_id: None,
                region: None,
                lifecycle,
                tags: Vec::new(),
                metadata_options: None,
                gap: None,
            };
            let verdict = evaluate(&gone, self.run.policy, self.run.today);
            self.report(gone.resource_type.name(), &gone.resource_id, &verdict).await?;
        }
        Ok(self.reporter.finish().await?)
    }

    async fn list(&mut self, clients: &Clients, stale: &Mutex<Stale>) -> Result<(), Reason> {
        let policy = self.run.policy;
        let mut judge = Judge { progress: self, stale };
        if policy.judges(&ResourceType::Instance) {
            region::each_instance(clients, &mut judge).await?;
        }
        if policy.judges(&ResourceType::LaunchTemplate) {
            let key = policy.exemption_tag_key.as_deref();
            region::each_launch_template(clients, key, &mut judge).await?;
        }
        if policy.judges(&ResourceType::LaunchConfiguration) {
            region::each_launch_configuration(clients, &mut judge).await?;
        }
        if policy.account_defaults {
            let verdict = evaluate_account(&region::account_defaults(clients).await?);
            lock(stale).resource_exists(ACCOUNT, self.run.account_id);
            self.judged += 1;
            self.report(ACCOUNT, self.run.account_id, &verdict).await?;
        }
        Ok(())
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

/// Judges what is listed.
struct Judge<'a, 'r> {
    progress: &'a mut Progress<'r>,
    stale: &'a Mutex<Stale>,
}

impl Visitor for Judge<'_, '_> {
    type Error = Reason;

    async fn visit(&mut self, resource: Resource<'_>, _: bool) -> Result<(), Reason> {
        let (resource_type, resource_id) = (resource.resource_type.name(), &resource.resource_id);
        let verdict = evaluate(&resource, self.progress.run.policy, self.progress.run.today);
        lock(self.stale).resource_exists(resource_type, resource_id);
        self.progress.judged += 1;
        self.progress.report(resource_type, resource_id, &verdict).await
    }
}

/// AWS Config keeps milliseconds, and writes them as fractions of a second, which are not exact.
fn milliseconds(time: DateTime) -> i128 {
    (time.as_nanos() + 500_000).div_euclid(1_000_000)
}

fn lock(stale: &Mutex<Stale>) -> MutexGuard<'_, Stale> {
    stale.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which results are of resources that are gone, told while both are still being listed.
///
/// A resource that exists is kept as a hash of 64 bits. Where two of 100,000 hash alike, which happens to
/// one fleet in thousands of millions, a stale result may stay until the next run; none is withdrawn wrongly.
#[derive(Debug, Default)]
struct Stale {
    hasher: RandomState,
    existing: HashSet<u64>,
    /// Type and id of each result whose resource has not been listed yet.
    unmatched: HashMap<u64, (ResourceType<'static>, Box<str>)>,
}

impl Stale {
    fn resource_exists(&mut self, resource_type: &str, resource_id: &str) {
        let key = self.hasher.hash_one((resource_type, resource_id));
        self.existing.insert(key);
        self.unmatched.remove(&key);
    }

    fn result_exists(&mut self, result: ResultOf<'_>) {
        let key = self.hasher.hash_one((result.resource_type, result.resource_id));
        if !self.existing.contains(&key) {
            let resource_type = ResourceType::from_name(result.resource_type.to_owned().into());
            self.unmatched.insert(key, (resource_type, result.resource_id.into()));
        }
    }

    /// Type and id of every result whose resource was not listed, once all are.
    fn gone(self) -> impl Iterator<Item = (ResourceType<'static>, Box<str>)> {
        self.unmatched.into_values()
    }
}

/// A run that did not come to its end, and how far it came.
#[derive(Debug, thiserror::Error)]
#[error(
    "the scheduled run ended early, with {judged} resources judged and {reported} evaluations reported; the \
     withdrawal of stale results {withdrawal}: {reason}"
)]
pub struct Interrupted {
    judged: usize,
    reported: usize,
    withdrawal: &'static str,
    reason: Reason,
}

impl Interrupted {
    /// A name for the kind of error.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.reason {
            Reason::Ec2(_) => "Ec2NotReadable",
            Reason::Results(_) => "ResultsNotReadable",
            Reason::Evaluation(_) | Reason::Report(_) => "EvaluationsNotReported",
            Reason::OutOfTime => "OutOfTime",
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
    #[error("Lambda's time limit came first; give the function more time or memory")]
    OutOfTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result<'a>(resource_type: &'a str, resource_id: &'a str) -> ResultOf<'a> {
        ResultOf { resource_type, resource_id, ordering_timestamp: None }
    }

    #[test]
    fn a_result_is_stale_when_no_resource_of_its_type_and_id_exists() {
        let mut stale = Stale::default();
        stale.resource_exists("AWS::EC2::Instance", "i-before");
        stale.result_exists(result("AWS::EC2::Instance", "i-before"));
        stale.result_exists(result("AWS::EC2::Instance", "i-after"));
        stale.result_exists(result("AWS::EC2::Instance", "i-after")); // as compliant and as non-compliant
        stale.result_exists(result("AWS::EC2::Instance", "i-gone"));
        stale.result_exists(result("AWS::EC2::LaunchTemplate", "i-before")); // same id, another type
        stale.resource_exists("AWS::EC2::Instance", "i-after");
        stale.resource_exists("AWS::EC2::Instance", "i-new");
        stale.result_exists(result("AWS::EC2::Instance", "i-after"));
        let mut gone: Vec<_> = stale.gone().collect();
        gone.sort_by(|a, b| a.1.cmp(&b.1));
        let expected =
            [(ResourceType::LaunchTemplate, "i-before".into()), (ResourceType::Instance, "i-gone".into())];
        assert_eq!(gone, expected);
    }
}
