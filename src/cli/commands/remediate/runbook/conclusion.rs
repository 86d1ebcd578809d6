//! The result of each change that an automation was started for.
//!
//! That an instance requires tokens after an automation that failed does not show who changed it. The journal then
//! keeps the intention only, and `restore` says so in its plan.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::Runbook;
use super::child::{Child, Evidence};
use crate::cli::commands::remediate::change::{
    ChangeResult, CurrentChange, Effect, PlannedChange, with_journal_error,
};
use crate::cli::fleet::instance;
use crate::cli::journal::Step;
use crate::cli::output::changes::ChangeStatus;

/// A change that is in the journal, and that an automation was started for.
pub(super) struct StartedChange {
    pub(super) change: PlannedChange,
    pub(super) current: CurrentChange,
    pub(super) requested_at: OffsetDateTime,
}

/// How an automation ended.
pub(super) enum Ended {
    /// It is over, and these are the automations of its instances.
    Known { execution_id: String, children: HashMap<String, Child> },
    /// It is not known whether it was started or what it does, for this reason.
    Unknown(String),
}

impl Ended {
    /// Returns whether the automation ended with a result for each change.
    pub(super) fn lists_all(&self, started: &[StartedChange]) -> bool {
        match self {
            Self::Unknown(_) => false,
            Self::Known { children, .. } => {
                started.iter().all(|started| children.contains_key(started.change.target.instance_id()))
            }
        }
    }
}

/// What is known of a change.
enum Known {
    /// The automation changed the instance.
    Changed,
    /// The automation did not change the instance, and will not.
    Unchanged,
    /// The instance requires tokens: the automation changed it, or somebody else.
    Required,
    /// The automation may still change the instance.
    Pending,
}

/// Concludes each change, and writes the result to the journal.
pub(super) async fn conclude(
    runbook: &Runbook,
    started: Vec<StartedChange>,
    ended: Ended,
) -> Vec<ChangeResult> {
    let mut conclusion = Conclusion { runbook, is_settled: false };
    let mut results = Vec::with_capacity(started.len());
    match ended {
        Ended::Known { execution_id, mut children } => {
            for started in started {
                results.push(match children.remove(started.change.target.instance_id()) {
                    Some(child) => conclusion.of_child(started, &child).await,
                    None => conclusion.of_unlisted(started, &execution_id).await,
                });
            }
        }
        Ended::Unknown(error) => {
            for started in started {
                let known = match conclusion.ask_ec2(&started.change).await {
                    Known::Unchanged => Known::Pending,
                    known => known,
                };
                results.push(conclusion.failed(started, &known, &error));
            }
        }
    }
    results
}

struct Conclusion<'a> {
    runbook: &'a Runbook,
    /// Whether EC2 has had the time to show all changes of the automation.
    is_settled: bool,
}

impl Conclusion<'_> {
    async fn of_child(&mut self, started: StartedChange, child: &Child) -> ChangeResult {
        match (child.result(), child.evidence()) {
            (Ok(()), Evidence::Unchanged) => {
                let recorded = started.change.record(&self.runbook.journal, Step::NotStarted);
                let detail = with_journal_error(child.finding().to_owned(), recorded);
                ChangeResult::without_effect(started.change, ChangeStatus::Unchanged, detail)
            }
            (Ok(()), evidence @ (Evidence::Changed | Evidence::Unclear)) => {
                let (region, id) =
                    (started.change.target.region.as_ref(), started.change.target.instance_id());
                match instance::wait_until_applied(region, id, &started.current.wanted()).await {
                    Ok(()) => self.changed(started),
                    Err(error) => {
                        let error = format!("the automation succeeded, but {error}");
                        let known = self.judge(&started.change, evidence).await;
                        self.failed(started, &known, &error)
                    }
                }
            }
            (Err(error), evidence) => {
                let known = match self.judge(&started.change, evidence).await {
                    Known::Unchanged if child.is_in_progress() => Known::Pending,
                    known => known,
                };
                self.failed(started, &known, &error)
            }
        }
    }

    /// Concludes a change that the automation does not list. The list may be incomplete: only EC2 knows.
    async fn of_unlisted(&mut self, started: StartedChange, execution_id: &str) -> ChangeResult {
        match self.ask_ec2(&started.change).await {
            Known::Unchanged => {
                let recorded = started.change.record(&self.runbook.journal, Step::NotStarted);
                let detail = format!("automation {execution_id} ended before this instance");
                let detail = with_journal_error(detail, recorded);
                ChangeResult::without_effect(started.change, ChangeStatus::NotStarted, detail)
            }
            known => {
                let error = format!("automation {execution_id} does not list this instance");
                self.failed(started, &known, &error)
            }
        }
    }

    async fn judge(&mut self, change: &PlannedChange, evidence: Evidence) -> Known {
        match evidence {
            Evidence::Changed => Known::Changed,
            Evidence::Unchanged => Known::Unchanged,
            Evidence::Unclear => self.ask_ec2(change).await,
        }
    }

    /// Returns what EC2 shows: whether the instance requires tokens, which it did not before.
    async fn ask_ec2(&mut self, change: &PlannedChange) -> Known {
        if !self.is_settled {
            self.runbook.recheck.clock.sleep(instance::CONSISTENCY_DELAY).await;
            self.is_settled = true;
        }
        match instance::describe(&change.target.region, change.target.instance_id()).await {
            Err(_) => Known::Pending,
            Ok(Some(facts)) if facts.resource.requires_tokens() => Known::Required,
            Ok(_) => Known::Unchanged,
        }
    }

    fn changed(&self, started: StartedChange) -> ChangeResult {
        let recorded = started.change.record(&self.runbook.journal, Step::Changed);
        let detail = with_journal_error("HttpTokens is required".to_owned(), recorded);
        let effect = self.effect(&started);
        ChangeResult { change: started.change, status: ChangeStatus::Changed, effect, detail }
    }

    /// Records and reports a change that failed, by what is known of it.
    fn failed(&self, started: StartedChange, known: &Known, error: &str) -> ChangeResult {
        let journal = &self.runbook.journal;
        let (effect, step, note) = match known {
            Known::Changed => (self.effect(&started), Some(Step::Changed), "; the instance was changed"),
            Known::Unchanged => (Effect::None, Some(Step::Refused { error: error.to_owned() }), ""),
            Known::Required => {
                (Effect::Uncertain, None, "; HttpTokens is required, by this automation or by somebody else")
            }
            Known::Pending => (Effect::Uncertain, None, "; the change may still be made"),
        };
        let recorded = step.map_or(Ok(()), |step| started.change.record(journal, step));
        let detail = with_journal_error(format!("{error}{note}"), recorded);
        ChangeResult { change: started.change, status: ChangeStatus::Failed, effect, detail }
    }

    fn effect(&self, started: &StartedChange) -> Effect {
        let changed_at = self.runbook.recheck.clock.now();
        Effect::Changed { requested_at: started.requested_at, changed_at }
    }
}
