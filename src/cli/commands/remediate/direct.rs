//! Changes made by the command line itself, several at once.

use std::future::Future;
use std::sync::Arc;

use super::change::{Done, Record, Task};
use crate::cli::concurrency::side_by_side;
use crate::cli::fleet::instance;
use crate::cli::journal::Journal;
use crate::cli::output::changes::Outcome;
use crate::cli::terminal::shutdown::Interrupt;

/// How many changes at once, and what ends them.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    pub(crate) concurrency: u16,
    pub(crate) interrupt: Interrupt,
}

/// Makes the changes, each in the journal first.
///
/// # Errors
/// Where a change broke off: the journal has how the instance was.
pub(crate) async fn apply(
    tasks: Vec<Task>,
    pace: &Pace,
    journal: &Arc<Journal>,
    record: &mut Record<'_>,
) -> anyhow::Result<()> {
    let enforce = |task: Task| {
        let journal = Arc::clone(journal);
        async move {
            let (outcome, detail) = match enforce(&task, &journal).await {
                Ok((outcome, detail)) => (outcome, detail.to_owned()),
                Err(error) => (Outcome::Failed, error),
            };
            Done { task, outcome, detail }
        }
    };
    each(tasks, pace, record, enforce).await
}

/// Asks EC2 whether each change would be allowed.
///
/// # Errors
/// Where asking broke off.
pub(crate) async fn prove(tasks: Vec<Task>, pace: &Pace, record: &mut Record<'_>) -> anyhow::Result<()> {
    let ask = |task: Task| async move {
        let ec2 = &task.target.place.clients.ec2;
        let answer = instance::set(ec2, &task.target.instance_id, "required", task.raise_to, true).await;
        let (outcome, detail) = match answer {
            Ok(()) => (Outcome::Allowed, format!("{}: allowed", task.words())),
            Err(error) => (Outcome::Failed, error),
        };
        Done { task, outcome, detail }
    };
    each(tasks, pace, record, ask).await
}

async fn each<F>(
    tasks: Vec<Task>,
    pace: &Pace,
    record: &mut Record<'_>,
    work: impl Fn(Task) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = Done> + Send + 'static,
{
    let done = |done| record.take(done);
    let left = side_by_side(tasks, pace.concurrency, &pace.interrupt, work, done).await?;
    for task in left {
        record.take(Done::not_begun(task));
    }
    Ok(())
}

/// Requires tokens on an instance, which is looked at once more: the plan may be old by now.
async fn enforce(task: &Task, journal: &Journal) -> Result<(Outcome, &'static str), String> {
    let (ec2, id) = (&task.target.place.clients.ec2, task.target.instance_id.as_str());
    let before = match instance::look(ec2, id).await? {
        None => return Ok((Outcome::Unneeded, "gone: nothing to do")),
        Some(now) if now.options.http_tokens == "required" => {
            return Ok((Outcome::Unneeded, "tokens are required already"));
        }
        Some(now) => now.options,
    };
    task.write_before(journal, &before)?;
    let mut outcome = instance::set(ec2, id, "required", task.raises(&before), false).await;
    if outcome.is_ok() {
        outcome = instance::settle(ec2, id, &task.wanted(&before)).await;
    }
    task.write_after(journal, &outcome)?;
    outcome.map(|()| (Outcome::Changed, "tokens are required now"))
}
