//! Progress on standard error, if it is a terminal, and messages between its lines.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::echo::NoControlEcho;
use super::messages;

// No line is as wide as the terminal: what Ctrl-C prints would be on the next one, and stay.
const REGIONS: &str = "{spinner} {pos} of {len} Regions {bar:24} {msg}{elapsed}{left}";
const INSTANCES: &str = "{spinner} {pos} of {len} instances {bar:24} {elapsed}{left}";
const STATUS: &str = "{spinner} {msg}";
const COUNTDOWN: &str = "{spinner} {msg}, {left}";
const REDRAW: Duration = Duration::from_millis(200);
/// The number of steps, and the time, before which the time left is not estimated.
const ESTIMATED_AFTER: (u64, Duration) = (3, Duration::from_secs(2));

/// What is shown on standard error. Clones show the same.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    bars: MultiProgress,
    /// `None` if standard error is not a terminal.
    echo: Option<Arc<NoControlEcho>>,
}

impl Default for Screen {
    fn default() -> Self {
        let is_shown = stderr().is_terminal() && !cfg!(test);
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let echo = is_shown.then(|| Arc::new(NoControlEcho::new()));
        Self { bars: MultiProgress::with_draw_target(target), echo }
    }
}

impl Screen {
    /// Shows progress over Regions, in which resources are judged.
    pub(crate) fn over_regions(&self, regions: usize) -> Progress {
        self.show(Some(regions), REGIONS)
    }

    /// Shows progress over instances.
    pub(crate) fn over_instances(&self, instances: usize) -> Progress {
        self.show(Some(instances), INSTANCES)
    }

    /// Shows what is being done.
    pub(crate) fn status(&self, text: &str) -> Progress {
        let progress = self.show(None, STATUS);
        progress.set_status(text);
        progress
    }

    /// Shows what is being waited for, and how long it still takes.
    pub(crate) fn countdown(&self, text: &str, duration: Duration) -> Progress {
        let left = move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            let left = Duration::from_secs(duration.saturating_sub(state.elapsed()).as_secs());
            let _ = write!(text, "{} left", humantime::format_duration(left)); // drawn again soon
        };
        let progress = self.show_with(None, COUNTDOWN, left);
        progress.set_status(text);
        progress
    }

    fn show(&self, steps: Option<usize>, template: &str) -> Progress {
        self.show_with(steps, template, time_left)
    }

    /// Shows a line; `left` writes the time left.
    fn show_with(
        &self,
        steps: Option<usize>,
        template: &str,
        left: impl Fn(&ProgressState, &mut dyn std::fmt::Write) + Clone + Send + Sync + 'static,
    ) -> Progress {
        let steps = steps.and_then(|steps| u64::try_from(steps).ok());
        let bar = self.bars.add(ProgressBar::with_draw_target(steps, ProgressDrawTarget::hidden()));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.with_key("left", left));
        }
        bar.tick();
        bar.enable_steady_tick(REDRAW);
        Progress { bar, resources: Arc::default() }
    }

    /// Prints an error above the progress.
    pub(crate) fn error(&self, message: &str) {
        self.bars.suspend(|| messages::error(message));
    }

    /// Prints a message above the progress.
    pub(crate) fn note(&self, message: &str) {
        self.bars.suspend(|| messages::note(message));
    }

    /// Removes all progress, and ends the process.
    pub(crate) fn quit(&self, exit_status: i32) -> ! {
        // Nothing is drawn again before the closure returns, which it does not.
        self.bars.suspend(|| {
            if let Some(echo) = &self.echo {
                echo.restore();
            }
            std::process::exit(exit_status)
        })
    }
}

/// Writes the estimated time left, once there are figures to estimate it from.
fn time_left(state: &ProgressState, text: &mut dyn std::fmt::Write) {
    let (steps, elapsed) = ESTIMATED_AFTER;
    if state.pos() >= steps && state.elapsed() >= elapsed {
        let seconds = Duration::from_secs(state.eta().as_secs());
        let _ = write!(text, ", about {} left", humantime::format_duration(seconds)); // drawn again soon
    }
}

/// Progress on the screen, until it is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
    resources: Arc<AtomicU64>,
}

impl Progress {
    /// Counts a judged resource.
    pub(crate) fn count_resource(&self) {
        let resources = self.resources.fetch_add(1, Ordering::Relaxed) + 1;
        if resources.is_multiple_of(100) {
            self.bar.set_message(format!("{resources} resources, "));
        }
    }

    /// Adds steps to those that were known before.
    pub(crate) fn add_steps(&self, steps: usize) {
        self.bar.inc_length(u64::try_from(steps).unwrap_or(u64::MAX));
    }

    /// Says what is being done.
    pub(crate) fn set_status(&self, text: &str) {
        self.bar.set_message(crate::rule::printable::printable(text).into_owned());
    }

    /// Advances by one step.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }

    /// Hides the progress while `write` prints something else.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
