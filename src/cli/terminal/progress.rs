//! A progress bar. It is hidden unless standard error is a terminal.

use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const REGIONS: &str = "{spinner} {pos} of {len} Regions {wide_bar} {msg} resources, {elapsed}, {eta} left";
const INSTANCES: &str = "{spinner} {pos} of {len} instances {wide_bar} {per_sec}, {elapsed}, {eta} left";
const REDRAW: Duration = Duration::from_millis(200);

pub(crate) struct Progress {
    bar: ProgressBar,
    resources: AtomicU64,
}

impl Progress {
    /// Shows progress over Regions, in which resources are judged.
    pub(crate) fn over_regions(regions: usize) -> Self {
        Self::over(regions, REGIONS)
    }

    /// Shows progress over instances.
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
        bar.enable_steady_tick(REDRAW);
        Self { bar, resources: AtomicU64::new(0) }
    }

    /// Counts a judged resource.
    pub(crate) fn count_resource(&self) {
        let resources = self.resources.fetch_add(1, Ordering::Relaxed) + 1;
        if resources.is_multiple_of(100) {
            self.bar.set_message(resources.to_string());
        }
    }

    /// Advances by one step.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }

    /// Hides the bar while `write` prints something else.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
