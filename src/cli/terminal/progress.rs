//! Progress on a terminal. Nothing where standard error is no terminal.

use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const REGIONS: &str = "{spinner} {pos} of {len} Regions {wide_bar} {msg} resources, {elapsed}, {eta} left";
const INSTANCES: &str = "{spinner} {pos} of {len} instances {wide_bar} {per_sec}, {elapsed}, {eta} left";

pub(crate) struct Progress {
    bar: ProgressBar,
    judged: AtomicU64,
}

impl Progress {
    /// Progress over so many Regions, in which resources are judged.
    pub(crate) fn over_regions(regions: usize) -> Self {
        Self::over(regions, REGIONS)
    }

    /// Progress over so many instances.
    pub(crate) fn over_instances(instances: usize) -> Self {
        Self::over(instances, INSTANCES)
    }

    fn over(steps: usize, template: &str) -> Self {
        let target =
            if stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(u64::try_from(steps).ok(), target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, judged: AtomicU64::new(0) }
    }

    /// A resource more is judged.
    pub(crate) fn judged(&self) {
        let judged = self.judged.fetch_add(1, Ordering::Relaxed) + 1;
        if judged.is_multiple_of(100) {
            self.bar.set_message(judged.to_string());
        }
    }

    /// A step more is done.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }

    /// Writes something else to the terminal, beside the progress.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Takes the progress away, so that the result stands alone.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
