//! Work on many things, several at once, that ends when it is told to.

use std::future::Future;

use anyhow::Context;
use tokio::task::JoinSet;

use crate::cli::terminal::shutdown::Interrupt;

/// Has `work` done on each of `things`, `at_once` of them side by side, and tells `done` what came of each. Once
/// told to end, it finishes what is under way. Gives what was not begun.
///
/// # Errors
/// Where a piece of work broke off.
pub(crate) async fn side_by_side<T, R, F>(
    things: Vec<T>,
    at_once: u16,
    interrupt: &Interrupt,
    work: impl Fn(T) -> F,
    mut done: impl FnMut(R),
) -> anyhow::Result<Vec<T>>
where
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let mut waiting = things.into_iter();
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < usize::from(at_once)
            && !interrupt.is_told()
            && let Some(thing) = waiting.next()
        {
            under_way.spawn(work(thing));
        }
        match under_way.join_next().await {
            Some(result) => done(result.context("a change broke off; the journal has how it was before")?),
            None => return Ok(waiting.collect()),
        }
    }
}
