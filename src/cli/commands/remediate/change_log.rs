//! The results of changes: printed, counted, and kept for the canary.

use std::io;

use super::change::{ChangeResult, PlannedChange};
use super::planning::Plan;
use super::target::Target;
use crate::cli::output::changes::{Change, ChangeReport, ChangeStatus};
use crate::cli::terminal::messages;
use crate::cli::terminal::progress::Progress;
use crate::cli::terminal::shutdown::Shutdown;
use crate::rule::enforcement::Decision;

/// Receives the results of changes.
pub(super) struct ChangeLog<'a> {
    report: &'a mut ChangeReport,
    progress: Progress,
    pub(super) shutdown: Shutdown,
    /// The instances that were changed.
    pub(super) changed: Vec<Target>,
    /// Whether a change failed.
    pub(super) has_failed: bool,
    written: io::Result<()>,
}

impl<'a> ChangeLog<'a> {
    pub(super) fn new(report: &'a mut ChangeReport, instances: usize, shutdown: Shutdown) -> Self {
        let progress = Progress::over_instances(instances);
        Self { report, progress, shutdown, changed: Vec::new(), has_failed: false, written: Ok(()) }
    }

    /// Takes the result of a change. If it cannot be written, no more changes are started; those in progress
    /// are finished, and are in the journal.
    pub(super) fn add(&mut self, result: ChangeResult) {
        let ChangeResult { change: PlannedChange { target, .. }, status, detail } = result;
        let report = &mut *self.report;
        let change = Change { instance: target.instance.clone(), status, detail };
        let written = self.progress.suspend(|| {
            if status == ChangeStatus::Failed {
                messages::error(&format!("{}: {}", change.instance.instance_id, change.detail));
            }
            report.add(&change)
        });
        self.progress.step();
        self.has_failed |= status == ChangeStatus::Failed;
        if status == ChangeStatus::Changed {
            self.changed.push(target);
        }
        if written.is_err() && self.written.is_ok() {
            self.shutdown.request();
            self.written = written;
        }
    }

    /// Takes a change that was not started.
    pub(super) fn add_not_started(&mut self, changes: Vec<PlannedChange>) {
        for change in changes {
            self.add(ChangeResult::not_started(change));
        }
    }

    /// Takes the instances that a plan skips, and returns the changes in it.
    pub(super) fn add_skipped(&mut self, plan: Plan) -> Vec<PlannedChange> {
        let mut changes = Vec::new();
        for planned in plan {
            let target = planned.target;
            match planned.decision {
                Decision::Enforce { raise_hop_limit_to } => {
                    changes.push(PlannedChange { target, raise_hop_limit_to });
                }
                Decision::Skip(reason) => self.add(ChangeResult {
                    change: PlannedChange { target, raise_hop_limit_to: None },
                    status: ChangeStatus::Skipped,
                    detail: reason.to_string(),
                }),
            }
        }
        changes
    }

    /// Removes the progress bar.
    ///
    /// # Errors
    /// Returns an error if a result could not be written.
    pub(super) fn finish(self) -> io::Result<()> {
        self.progress.finish();
        self.written
    }
}
