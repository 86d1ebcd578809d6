//! Changes that a runbook makes: automations are started through Systems Manager, and followed to the end.
//!
//! - `automation`: the calls of Systems Manager.
//! - this file: the journal, the order of automations, and the results of their instances.

mod automation;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Context;
use aws_sdk_ssm::types::{AutomationExecution, AutomationExecutionStatus};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use self::automation::{Automation, Parameters};
use super::change::{ChangeResult, PlannedChange};
use super::change_log::ChangeLog;
use crate::cli::fleet::instance;
use crate::cli::journal::Journal;
use crate::cli::output::changes::ChangeStatus;
use crate::cli::terminal::shutdown::Shutdown;
use crate::rule::enforcement::EnforcementPolicy;
use crate::rule::resource::{HttpTokens, Location, MetadataOptions};

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
    pub(super) policy: EnforcementPolicy,
}

/// Has the runbook make the changes. Each is written to the journal first. Regions are processed
/// concurrently, the automations of each Region one after the other.
///
/// # Errors
/// Returns an error if the work in a Region panics. The journal contains the options from before.
pub(super) async fn apply(
    changes: Vec<PlannedChange>,
    runbook: &Arc<Runbook>,
    journal: &Arc<Journal>,
    shutdown: &Shutdown,
    log: &mut ChangeLog<'_>,
) -> anyhow::Result<()> {
    // A runbook may set the hop limit instead of only raising it, so it is passed only for those that need
    // it.
    let mut groups: BTreeMap<(Location, Option<i32>), Vec<PlannedChange>> = BTreeMap::new();
    for change in changes {
        let key = (change.target.instance.location.clone(), change.raise_hop_limit_to);
        groups.entry(key).or_default().push(change);
    }
    let (results, mut received) = unbounded_channel();
    let mut tasks = JoinSet::new();
    for changes in groups.into_values() {
        let Some(first) = changes.first() else { continue };
        let group = Group {
            automation: Automation::new(
                first.target.region.ssm(),
                Arc::clone(runbook),
                first.raise_hop_limit_to,
                shutdown.clone(),
            ),
            journal: Arc::clone(journal),
            shutdown: shutdown.clone(),
            results: results.clone(),
        };
        tasks.spawn(async move { group.apply(changes).await });
    }
    drop(results);
    while let Some(result) = received.recv().await {
        log.add(result);
    }
    while let Some(task) = tasks.join_next().await {
        task.with_context(|| {
            format!(
                "the work in a Region panicked; {} contains the options from before",
                journal.path().display()
            )
        })?;
    }
    Ok(())
}

/// Changes in one account and Region that raise the hop limit alike.
struct Group {
    automation: Automation,
    journal: Arc<Journal>,
    shutdown: Shutdown,
    results: UnboundedSender<ChangeResult>,
}

/// A change that is in the journal, and the options from before.
struct StartedChange {
    change: PlannedChange,
    before: MetadataOptions<'static>,
}

/// Whether the next batch may be started.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Continue,
    Stop,
}

impl Group {
    async fn apply(&self, mut changes: Vec<PlannedChange>) {
        let parameters = match self.automation.parameters().await {
            Ok(parameters) => parameters,
            Err(error) => {
                for change in changes {
                    self.send(change, ChangeStatus::Failed, error.clone());
                }
                return;
            }
        };
        let mut next = Next::Continue;
        while !changes.is_empty() {
            let rest = changes.split_off(changes.len().min(BATCH_SIZE));
            if next == Next::Stop || self.shutdown.is_requested() {
                for change in changes {
                    self.send_result(ChangeResult::not_started(change));
                }
            } else {
                next = self.apply_batch(changes, &parameters).await;
            }
            changes = rest;
        }
    }

    /// Has an automation make these changes.
    async fn apply_batch(&self, changes: Vec<PlannedChange>, parameters: &Parameters) -> Next {
        let started = self.record_batch(changes).await;
        if started.is_empty() {
            return Next::Continue;
        }
        let ids = started.iter().map(|started| started.change.target.instance_id().to_owned()).collect();
        let execution_id = match self.automation.start(ids, parameters).await {
            Ok(execution_id) => execution_id,
            Err(error) => {
                self.fail_all(started, &error.to_string());
                return Next::Stop;
            }
        };
        match self.automation.follow(&execution_id).await {
            Ok(children) => self.conclude_batch(started, &execution_id, children).await,
            Err(error) => {
                let error = format!("automation {execution_id}: {error}; its effect is unknown");
                self.fail_all(started, &error);
                Next::Stop
            }
        }
    }

    /// Writes the options from before to the journal, and returns the changes that are still needed.
    async fn record_batch(&self, changes: Vec<PlannedChange>) -> Vec<StartedChange> {
        let mut started = Vec::with_capacity(changes.len());
        for change in changes {
            match self.record_before(&change).await {
                Ok(Some(before)) => started.push(StartedChange { change, before }),
                Ok(None) => {
                    let detail = "HttpTokens is already required, or the instance no longer exists";
                    self.send(change, ChangeStatus::Unchanged, detail.to_owned());
                }
                Err(error) => self.send(change, ChangeStatus::Failed, error),
            }
        }
        started
    }

    /// Writes the current options to the journal and returns them; `None` if there is nothing to change.
    async fn record_before(
        &self,
        change: &PlannedChange,
    ) -> Result<Option<MetadataOptions<'static>>, String> {
        let (ec2, id) = (&change.target.region.resources.ec2, change.target.instance_id());
        let current = instance::describe(ec2, id).await.map_err(|error| error.to_string())?;
        let before = current.map(|current| current.options);
        let Some(before) = before.filter(|options| options.http_tokens != HttpTokens::Required) else {
            return Ok(None);
        };
        change.record_before(&self.journal, &before)?;
        Ok(Some(before))
    }

    async fn conclude_batch(
        &self,
        started: Vec<StartedChange>,
        execution_id: &str,
        mut children: HashMap<String, AutomationExecution>,
    ) -> Next {
        let mut next = Next::Continue;
        for StartedChange { change, before } in started {
            if let Some(child) = children.remove(change.target.instance_id()) {
                let result = verify(&change, &before, &child).await;
                self.conclude(change, result);
            } else {
                next = Next::Stop;
                let reason = format!("automation {execution_id} ended before this instance");
                match change.record_after(&self.journal, &Err(reason.clone())) {
                    Ok(()) => self.send(change, ChangeStatus::NotStarted, reason),
                    Err(error) => self.send(change, ChangeStatus::Failed, error),
                }
            }
        }
        next
    }

    fn fail_all(&self, started: Vec<StartedChange>, error: &str) {
        for StartedChange { change, .. } in started {
            self.conclude(change, Err(error.to_owned()));
        }
    }

    /// Writes the result of a change to the journal, and sends it.
    fn conclude(&self, change: PlannedChange, result: Result<(), String>) {
        let recorded = change.record_after(&self.journal, &result);
        match recorded.and(result) {
            Ok(()) => {
                self.send(change, ChangeStatus::Changed, "HttpTokens is required".to_owned());
            }
            Err(error) => self.send(change, ChangeStatus::Failed, error),
        }
    }

    fn send(&self, change: PlannedChange, status: ChangeStatus, detail: String) {
        self.send_result(ChangeResult { change, status, detail });
    }

    fn send_result(&self, result: ChangeResult) {
        // Results are received as long as there are groups.
        let _ = self.results.send(result);
    }
}

/// Verifies a change, by the status of its automation and by the options of the instance.
async fn verify(
    change: &PlannedChange,
    before: &MetadataOptions<'static>,
    child: &AutomationExecution,
) -> Result<(), String> {
    let id = child.automation_execution_id().unwrap_or_default();
    match child.automation_execution_status() {
        Some(AutomationExecutionStatus::Success | AutomationExecutionStatus::CompletedWithSuccess) => {
            let ec2 = &change.target.region.resources.ec2;
            let wanted = change.wanted(before);
            let verified = instance::wait_until_applied(ec2, change.target.instance_id(), &wanted).await;
            verified.map_err(|error| format!("automation {id} succeeded, but {error}"))
        }
        status => {
            let status = status.map_or("of unknown status", AutomationExecutionStatus::as_str);
            let reason = child.failure_message().unwrap_or("no failure message");
            Err(format!("automation {id} is {status}: {reason}"))
        }
    }
}
