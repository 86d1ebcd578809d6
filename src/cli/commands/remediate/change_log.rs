//! The results of changes: printed, counted, and kept for the canary.

use std::io;

use super::change::{ChangeResult, Effect, PlannedChange};
use super::target::Target;
use crate::cli::commands::change_progress::ChangeProgress;
use crate::cli::fleet::usage::Observed;
use crate::cli::output::changes::{Change, ChangeReport, ChangeStatus};
use crate::cli::terminal::screen::Screen;
use crate::cli::terminal::shutdown::Shutdown;

/// An instance that was changed.
pub(super) struct ChangedInstance {
    pub(super) target: Target,
    pub(super) observed: Observed,
}

/// Receives the results of changes.
pub(super) struct ChangeLog<'a> {
    progress: ChangeProgress<'a>,
    pub(super) shutdown: Shutdown,
    /// The instances that EC2 changed.
    pub(super) changed: Vec<ChangedInstance>,
    /// The number of instances that EC2 may have changed without a response.
    pub(super) uncertain: usize,
    /// Whether a change failed.
    pub(super) has_failed: bool,
}

impl<'a> ChangeLog<'a> {
    pub(super) fn new(
        report: &'a mut ChangeReport,
        instances: usize,
        screen: &Screen,
        shutdown: Shutdown,
    ) -> Self {
        let progress = ChangeProgress::new(report, instances, screen, shutdown.clone());
        Self { progress, shutdown, changed: Vec::new(), uncertain: 0, has_failed: false }
    }

    /// Takes the result of a change. If it cannot be written, no more changes are started; those in progress are
    /// finished, and are in the journal.
    pub(super) fn add(&mut self, result: ChangeResult) {
        let ChangeResult { change: PlannedChange { target, .. }, status, effect, detail } = result;
        self.progress.add(&Change { instance: target.instance.clone(), name: target.name(), status, detail });
        self.has_failed |= status == ChangeStatus::Failed;
        match effect {
            Effect::None => {}
            Effect::Changed { requested_at, changed_at } => {
                let instance_id = target.instance.instance_id.clone();
                let observed = Observed { instance_id, requested_at, changed_at };
                self.changed.push(ChangedInstance { target, observed });
            }
            Effect::Uncertain => self.uncertain += 1,
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
        self.progress.finish()
    }
}
