//! Changes that a runbook makes: automations are started through Systems Manager, and followed to the end.
//!
//! - `automation`: the calls of Systems Manager.
//! - `child`: what the automation of an instance shows of its change.
//! - `conclusion`: the result of each change, after the automation.
//! - this file: the journal, and the order of automations.

mod automation;
mod child;
mod conclusion;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::automation::{Automation, Parameters};
use self::conclusion::{Ended, StartedChange, conclude};
use super::change::{ChangeResult, PlannedChange};
use super::change_log::ChangeLog;
use super::recheck::{Recheck, Rechecked};
use crate::cli::journal::Journal;
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
        let ended = match self.automation.start(ids, parameters).await {
            Err(error) => Ended::Unknown(error.to_string()),
            Ok(execution_id) => match self.automation.follow(&execution_id).await {
                Ok(children) => Ended::Known { execution_id, children },
                Err(error) => {
                    // Nobody would see what it does. If it cannot be stopped either, the results say so.
                    let _ = self.automation.stop(&execution_id).await;
                    Ended::Unknown(format!("automation {execution_id} could not be followed: {error}"))
                }
            },
        };
        let is_complete = ended.lists_all(&started);
        for result in conclude(self.runbook, started, ended).await {
            self.log.add(result);
        }
        if is_complete { Next::Continue } else { Next::Stop }
    }

    /// Decides on each change with the facts of this moment, and writes those that are still needed to the journal.
    async fn record_batch(&mut self, changes: Vec<PlannedChange>) -> Vec<StartedChange> {
        let mut started = Vec::with_capacity(changes.len());
        for mut change in changes {
            match self.runbook.recheck.decide(&mut change).await {
                Ok(Rechecked::Enforce(current))
                    if current.raise_hop_limit_to != self.automation.raise_hop_limit_to =>
                {
                    let detail = "its hop limit was changed after the plan; run the command again";
                    self.add(change, ChangeStatus::NotStarted, detail.to_owned());
                }
                Ok(Rechecked::Enforce(current)) => {
                    match change.record(&self.runbook.journal, current.intended(true)) {
                        Ok(()) => {
                            let requested_at = self.runbook.recheck.clock.now();
                            started.push(StartedChange { change, current, requested_at });
                        }
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

    fn add(&mut self, change: PlannedChange, status: ChangeStatus, detail: String) {
        self.log.add(ChangeResult::without_effect(change, status, detail));
    }
}
