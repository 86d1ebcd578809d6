//! The results of changes: printed, counted, and kept for the canary.

use std::io;

use super::change::{ChangeResult, Effect, PlannedChange};
use super::target::Target;
use crate::cli::fleet::usage::Observed;
use crate::cli::output::changes::{Change, ChangeReport, ChangeStatus};
use crate::cli::terminal::messages;
use crate::cli::terminal::progress::Progress;
use crate::cli::terminal::shutdown::Shutdown;

/// An instance that was changed.
pub(super) struct ChangedInstance {
    pub(super) target: Target,
    pub(super) observed: Observed,
}

/// Receives the results of changes.
pub(super) struct ChangeLog<'a> {
    report: &'a mut ChangeReport,
    progress: Progress,
    pub(super) shutdown: Shutdown,
    /// The instances that EC2 changed.
    pub(super) changed: Vec<ChangedInstance>,
    /// The number of instances that EC2 may have changed without a response.
    pub(super) uncertain: usize,
    /// Whether a change failed.
    pub(super) has_failed: bool,
    written: io::Result<()>,
}

impl<'a> ChangeLog<'a> {
    pub(super) fn new(report: &'a mut ChangeReport, instances: usize, shutdown: Shutdown) -> Self {
        let progress = Progress::over_instances(instances);
        Self {
            report,
            progress,
            shutdown,
            changed: Vec::new(),
            uncertain: 0,
            has_failed: false,
            written: Ok(()),
        }
    }

    /// Takes the result of a change. If it cannot be written, no more changes are started; those in progress are
    /// finished, and are in the journal.
    pub(super) fn add(&mut self, result: ChangeResult) {
        let ChangeResult { change: PlannedChange { target, .. }, status, effect, detail } = result;
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
        match effect {
            Effect::None => {}
            Effect::Changed(changed_at) => {
                let instance_id = target.instance.instance_id.clone();
                let observed = Observed { instance_id, changed_at };
                self.changed.push(ChangedInstance { target, observed });
            }
            Effect::Uncertain => self.uncertain += 1,
        }
        if written.is_err() && self.written.is_ok() {
            self.shutdown.request();
            self.written = written;
        }
    }

    /// Takes changes that were not started.
    pub(super) fn add_not_started(&mut self, changes: Vec<PlannedChange>) {
        for change in changes {
            self.add(ChangeResult::not_started(change));
        }
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
