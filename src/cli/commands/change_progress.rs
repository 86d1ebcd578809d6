//! Results of changes, while they are made: errors, the report, and progress.

use std::io;

use crate::cli::output::changes::{Change, ChangeReport, ChangeStatus};
use crate::cli::terminal::messages;
use crate::cli::terminal::screen::{Progress, Screen};
use crate::cli::terminal::shutdown::Shutdown;

/// Receives the results of changes. If the report cannot be written, a shutdown is requested: no more changes are
/// started, and those in progress are finished.
pub(crate) struct ChangeProgress<'a> {
    report: &'a mut ChangeReport,
    progress: Progress,
    shutdown: Shutdown,
    written: io::Result<()>,
}

impl<'a> ChangeProgress<'a> {
    /// Shows progress over this number of instances.
    pub(crate) fn new(
        report: &'a mut ChangeReport,
        instances: usize,
        screen: &Screen,
        shutdown: Shutdown,
    ) -> Self {
        Self { report, progress: screen.over_instances(instances), shutdown, written: Ok(()) }
    }

    /// Reports the result of an instance.
    pub(crate) fn add(&mut self, change: &Change) {
        let report = &mut *self.report;
        let written = self.progress.suspend(|| {
            if change.status == ChangeStatus::Failed && !report.shows_failures() {
                messages::error(&format!("{}: {}", change.instance.instance_id, change.detail));
            }
            report.add(change)
        });
        self.progress.step();
        if written.is_err() && self.written.is_ok() {
            self.shutdown.request();
            self.written = written;
        }
    }

    /// Removes the progress bar.
    ///
    /// # Errors
    /// Returns the first error of the report.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.written
    }
}
