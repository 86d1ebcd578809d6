//! Progress on a terminal: Regions, resources, rate and time left. Nothing where standard error is no terminal.

use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const TEMPLATE: &str = "{spinner} {pos} of {len} Regions {wide_bar} {msg} resources, {elapsed}, {eta} left";

pub(super) struct Progress {
    bar: ProgressBar,
    judged: AtomicU64,
}

impl Progress {
    /// Progress over so many Regions.
    pub(super) fn over(regions: usize) -> Self {
        let target =
            if stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(u64::try_from(regions).ok(), target);
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, judged: AtomicU64::new(0) }
    }

    pub(super) fn judged(&self) {
        let judged = self.judged.fetch_add(1, Ordering::Relaxed) + 1;
        if judged.is_multiple_of(100) {
            self.bar.set_message(judged.to_string());
        }
    }

    pub(super) fn region_done(&self) {
        self.bar.inc(1);
    }

    /// Takes the progress away, so that the result stands alone.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
