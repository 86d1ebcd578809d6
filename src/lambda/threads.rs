//! The threads that the function works on.
//!
//! A change takes one call after another, on one thread: waking a second one would take longer than the work it could do.
//! A scheduled run has two: one decodes a page of EC2, which takes tens of milliseconds, while the other calls AWS Config.

use std::future::Future;
use std::io;
use std::panic::resume_unwind;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// The runtime of scheduled runs. It stays, since connections that are made in it are used again.
static TWO_THREADS: OnceLock<Runtime> = OnceLock::new();

/// Runs `work` on two threads, or on the current one if they cannot be started. It goes on if nobody waits for it any more.
///
/// # Panics
/// If `work` does.
pub(super) async fn on_two<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let Some(runtime) = two_threads() else { return work.await };
    match runtime.spawn(work).await {
        Ok(result) => result,
        Err(stopped) => resume_unwind(stopped.into_panic()),
    }
}

fn two_threads() -> Option<&'static Runtime> {
    if let Some(runtime) = TWO_THREADS.get() {
        return Some(runtime);
    }
    let started: io::Result<Runtime> = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    started.ok().map(|runtime| TWO_THREADS.get_or_init(|| runtime))
}
