//! Works on inputs concurrently, with one worker for each core.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::files::Input;

/// Returns how many workers there are for this number of inputs.
pub(super) fn count(inputs: usize) -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(inputs)
}

/// Calls `work` for every input, in any order. It is called with the number of the input, too.
pub(crate) fn each(inputs: &[Input], work: impl Fn(usize, &Input) + Sync) {
    let next = AtomicUsize::new(0);
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(input) = inputs.get(number) else { return };
            work(number, input);
        }
    };
    thread::scope(|scope| {
        for _ in 1..count(inputs.len()) {
            // If the system starts no more threads, those that it started do the work.
            let _ = thread::Builder::new().spawn_scoped(scope, worker);
        }
        worker();
    });
}
