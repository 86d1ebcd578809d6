//! Changes that a runbook makes: automations are started through Systems Manager, and followed to the end.
//!
//! - `automation`: the calls of Systems Manager.
//! - this file: the journal, the order of automations, and the results of their instances.

mod automation;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_ssm::types::{AutomationExecution, AutomationExecutionStatus};

use self::automation::{Automation, Parameters};
use super::change::{ChangeResult, CurrentChange, Effect, PlannedChange, with_journal_error};
use super::change_log::ChangeLog;
use super::recheck::{Recheck, Rechecked};
use crate::cli::fleet::instance;
use crate::cli::journal::{Journal, Step};
use crate::cli::output::changes::ChangeStatus;
use crate::cli::terminal::shutdown::Shutdown;
use crate::rule::resource::Location;

/// The number of instances of an automation
/// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Target.html>).
const BATCH_SIZE: usize = 50;

/// The runbook, and how it is started.
#[derive(Clone, Debug)]
pub(super) struct Runbook {
    pub(super) document: String,
    pub(super) role_arn: Option<String>,
    pub(super) max_concurrency: String,
    pub(super) max_errors: String,
    pub(super) recheck: Recheck,
    pub(super) journal: Arc<Journal>,
    pub(super) shutdown: Shutdown,
}

/// Has the runbook make the changes. Each is written to the journal first. Automations run one after the other, in
/// all accounts and Regions, so that the limits on concurrency and failures hold for the whole command.
pub(super) async fn apply(runbook: &Arc<Runbook>, changes: Vec<PlannedChange>, log: &mut ChangeLog<'_>) {
    // A runbook may set the hop limit instead of only raising it, so it is passed only for those that need it.
    let mut groups: BTreeMap<(Location, Option<i32>), Vec<PlannedChange>> = BTreeMap::new();
    for change in changes {
        let key = (change.target.instance.location.clone(), change.raise_hop_limit_to);
        groups.entry(key).or_default().push(change);
    }
    let mut next = Next::Continue;
    for changes in groups.into_values() {
        let Some(first) = changes.first() else { continue };
        let client = first.target.region.ssm();
        let automation = Automation::new(client, Arc::clone(runbook), first.raise_hop_limit_to);
        let mut group = Group { runbook, automation, log };
        next = group.apply(changes, next).await;
    }
}

/// Changes in one account and Region that raise the hop limit alike.
struct Group<'a, 'l> {
    runbook: &'a Runbook,
    automation: Automation,
    log: &'a mut ChangeLog<'l>,
}

/// A change that is in the journal.
struct StartedChange {
    change: PlannedChange,
    current: CurrentChange,
}

/// Whether the next batch may be started.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Continue,
    Stop,
}

impl Group<'_, '_> {
    async fn apply(&mut self, mut changes: Vec<PlannedChange>, mut next: Next) -> Next {
        if next == Next::Stop {
            self.log.add_not_started(changes);
            return next;
        }
        let parameters = match self.automation.parameters().await {
            Ok(parameters) => parameters,
            Err(error) => {
                for change in changes {
                    self.add(change, ChangeStatus::Failed, error.clone());
                }
                return Next::Stop;
            }
        };
        while !changes.is_empty() {
            let rest = changes.split_off(changes.len().min(BATCH_SIZE));
            if next == Next::Stop || self.runbook.shutdown.is_requested() {
                self.log.add_not_started(changes);
            } else {
                next = self.apply_batch(changes, &parameters).await;
            }
            changes = rest;
        }
        next
    }

    /// Has an automation make these changes.
    async fn apply_batch(&mut self, changes: Vec<PlannedChange>, parameters: &Parameters) -> Next {
        let started = self.record_batch(changes).await;
        if started.is_empty() {
            return Next::Continue;
        }
        let ids = started.iter().map(|started| started.change.target.instance_id().to_owned()).collect();
        let execution_id = match self.automation.start(ids, parameters).await {
            Ok(execution_id) => execution_id,
            Err(error) => {
                self.conclude_unfollowed(started, &error.to_string()).await;
                return Next::Stop;
            }
        };
        match self.automation.follow(&execution_id).await {
            Ok(children) => self.conclude_batch(started, &execution_id, children).await,
            Err(error) => {
                let error = format!("automation {execution_id} could not be followed: {error}");
                self.conclude_unfollowed(started, &error).await;
                Next::Stop
            }
        }
    }

    /// Decides on each change with the facts of this moment, and writes those that are still needed to the journal.
    async fn record_batch(&mut self, changes: Vec<PlannedChange>) -> Vec<StartedChange> {
        let mut started = Vec::with_capacity(changes.len());
        for change in changes {
            match self.runbook.recheck.decide(&change).await {
                Ok(Rechecked::Enforce(current)) => {
                    match change.record(&self.runbook.journal, current.intended()) {
                        Ok(()) => started.push(StartedChange { change, current }),
                        Err(error) => {
                            self.runbook.shutdown.request();
                            self.add(change, ChangeStatus::Failed, error);
                        }
                    }
                }
                Ok(Rechecked::Leave(status, detail)) => self.add(change, status, detail),
                Err(error) => self.add(change, ChangeStatus::Failed, error),
            }
        }
        started
    }

    async fn conclude_batch(
        &mut self,
        started: Vec<StartedChange>,
        execution_id: &str,
        mut children: HashMap<String, AutomationExecution>,
    ) -> Next {
        let mut next = Next::Continue;
        for StartedChange { change, current } in started {
            if let Some(child) = children.remove(change.target.instance_id()) {
                let result = describe_child(&child);
                self.conclude(change, &current, result).await;
            } else {
                // The list of an automation's runs may be incomplete: only EC2 knows.
                next = Next::Stop;
                let found = find_change(&change).await;
                if found == Found::NotMade {
                    let recorded = change.record(&self.runbook.journal, Step::NotStarted);
                    let detail = format!("automation {execution_id} ended before this instance");
                    let detail = with_journal_error(detail, recorded);
                    self.add(change, ChangeStatus::NotStarted, detail);
                } else {
                    let error = format!("automation {execution_id} does not list this instance");
                    self.conclude_found(change, found, &error);
                }
            }
        }
        next
    }

    /// Concludes changes of an automation that was not followed to its end.
    async fn conclude_unfollowed(&mut self, started: Vec<StartedChange>, error: &str) {
        for StartedChange { change, .. } in started {
            let found = match find_change(&change).await {
                // The automation may still make the change.
                Found::NotMade => Found::Unknown,
                found => found,
            };
            self.conclude_found(change, found, error);
        }
    }

    /// Concludes a change whose automation ended: what it reports is compared with the instance.
    async fn conclude(&mut self, change: PlannedChange, current: &CurrentChange, result: Result<(), String>) {
        let (region, id) = (change.target.region.as_ref(), change.target.instance_id());
        let result = match result {
            Ok(()) => {
                let verified = instance::wait_until_applied(region, id, &current.wanted()).await;
                verified.map_err(|error| format!("the automation succeeded, but {error}"))
            }
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => {
                let recorded = change.record(&self.runbook.journal, Step::Changed);
                let detail = "HttpTokens is required".to_owned();
                let detail = with_journal_error(detail, recorded);
                let effect = Effect::Changed(self.runbook.recheck.clock.now());
                self.log.add(ChangeResult { change, status: ChangeStatus::Changed, effect, detail });
            }
            Err(error) => {
                let found = find_change(&change).await;
                self.conclude_found(change, found, &error);
            }
        }
    }

    /// Records and reports a change that failed, by what was found of it.
    fn conclude_found(&mut self, change: PlannedChange, found: Found, error: &str) {
        let journal = &self.runbook.journal;
        let (effect, recorded) = match found {
            Found::Made => {
                let effect = Effect::Changed(self.runbook.recheck.clock.now());
                (effect, change.record(journal, Step::Changed))
            }
            Found::NotMade => {
                (Effect::None, change.record(journal, Step::Refused { error: error.to_owned() }))
            }
            Found::Unknown => (Effect::Uncertain, Ok(())),
        };
        let detail = match (found, recorded) {
            (_, Err(recorded)) => format!("{error} ({recorded})"),
            (Found::Made, Ok(())) => format!("{error}; HttpTokens is required nevertheless"),
            (Found::NotMade, Ok(())) => error.to_owned(),
            (Found::Unknown, Ok(())) => format!("{error}; the change may still be made"),
        };
        self.log.add(ChangeResult { change, status: ChangeStatus::Failed, effect, detail });
    }

    fn add(&mut self, change: PlannedChange, status: ChangeStatus, detail: String) {
        self.log.add(ChangeResult::without_effect(change, status, detail));
    }
}

/// What EC2 shows of a change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Made,
    NotMade,
    Unknown,
}

/// Returns whether an instance requires tokens, as it does after its change.
async fn find_change(change: &PlannedChange) -> Found {
    match instance::describe(&change.target.region, change.target.instance_id()).await {
        Err(_) => Found::Unknown,
        Ok(Some(facts)) if facts.resource.requires_tokens() => Found::Made,
        Ok(_) => Found::NotMade,
    }
}

/// Returns whether the automation of an instance succeeded.
fn describe_child(child: &AutomationExecution) -> Result<(), String> {
    let id = child.automation_execution_id().unwrap_or_default();
    match child.automation_execution_status() {
        Some(AutomationExecutionStatus::Success | AutomationExecutionStatus::CompletedWithSuccess) => Ok(()),
        status => {
            let status = status.map_or("of unknown status", AutomationExecutionStatus::as_str);
            let reason = child.failure_message().unwrap_or("no failure message");
            Err(format!("automation {id} is {status}: {reason}"))
        }
    }
}
