//! Bounded, interruptible concurrency.

use std::future::Future;

use tokio::task::{JoinError, JoinSet};

use super::terminal::shutdown::Shutdown;

/// A limit on concurrent work, and what stops it.
#[derive(Clone, Debug)]
pub(crate) struct Concurrency {
    /// The number of tasks that run at a time.
    pub(crate) limit: u16,
    /// After a request to shut down, no task is started.
    pub(crate) shutdown: Shutdown,
}

impl Concurrency {
    /// Runs `work` on each of `items` concurrently, and passes every result to `done`. Returns the items that
    /// were not started, because a shutdown was requested.
    ///
    /// # Errors
    /// Returns an error if a task panics.
    pub(crate) async fn run<T, R, F>(
        &self,
        items: Vec<T>,
        work: impl Fn(T) -> F,
        mut done: impl FnMut(R),
    ) -> Result<Vec<T>, JoinError>
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let mut waiting = items.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < usize::from(self.limit)
                && !self.shutdown.is_requested()
                && let Some(item) = waiting.next()
            {
                running.spawn(work(item));
            }
            match running.join_next().await {
                Some(result) => done(result?),
                None => return Ok(waiting.collect()),
            }
        }
    }
}
