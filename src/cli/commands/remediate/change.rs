//! The changes of a run: what is to be done, what came of it, and the journal of both.

use std::io;

use super::selection::Target;
use crate::cli::complain;
use crate::cli::fleet::instance::Options;
use crate::cli::journal::{Entry, Journal, Step};
use crate::cli::output::changes::{Changes, Outcome};
use crate::cli::terminal::progress::Progress;
use crate::cli::terminal::shutdown::Interrupt;
use crate::rule::enforcement::Decision;

/// An instance to change.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) target: Target,
    /// The hop limit to raise to, if any.
    pub(crate) raise_to: Option<i32>,
}

impl Task {
    /// The change in words.
    pub(crate) fn words(&self) -> String {
        match self.raise_to {
            None => "require tokens".to_owned(),
            Some(limit) => {
                format!("require tokens, raise the hop limit from {} to {limit}", self.target.hop_limit)
            }
        }
    }

    /// How the instance has to be, that is now as `before` says.
    pub(crate) fn wanted(&self, before: &Options) -> Options {
        let raise_to = self.raises(before);
        Options {
            http_tokens: "required".to_owned(),
            hop_limit: raise_to.unwrap_or(before.hop_limit),
            http_endpoint: before.http_endpoint.clone(),
        }
    }

    /// The hop limit to raise to, of an instance that is now as `before` says: the plan may be old by now.
    pub(crate) fn raises(&self, before: &Options) -> Option<i32> {
        self.raise_to.filter(|limit| before.http_endpoint != "disabled" && *limit > before.hop_limit)
    }

    /// Writes into the journal how the instance was.
    ///
    /// # Errors
    /// Where it cannot be written: the change must not be made then.
    pub(crate) fn write_before(&self, journal: &Journal, before: &Options) -> Result<(), String> {
        self.write(
            journal,
            Step::Changing {
                http_tokens: before.http_tokens.clone(),
                http_put_response_hop_limit: self.raises(before).map(|_| before.hop_limit),
                http_endpoint: before.http_endpoint.clone(),
            },
        )
    }

    /// Writes into the journal what came of the change.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn write_after(&self, journal: &Journal, outcome: &Result<(), String>) -> Result<(), String> {
        let step = match outcome {
            Ok(()) => Step::Changed,
            Err(error) => Step::Failed { error: error.clone() },
        };
        self.write(journal, step)
    }

    fn write(&self, journal: &Journal, step: Step) -> Result<(), String> {
        let (account_id, region, instance_id) = self.target.key();
        let entry = Entry {
            time: String::new(),
            account_id: account_id.to_owned(),
            region: region.to_owned(),
            instance_id: instance_id.to_owned(),
            step,
        };
        journal.write(entry).map_err(|error| format!("the journal: {error}"))
    }
}

/// What came of a task.
pub(crate) struct Done {
    pub(crate) task: Task,
    pub(crate) outcome: Outcome,
    pub(crate) detail: String,
}

impl Done {
    /// A task that was not begun, because the work has to end.
    pub(crate) fn not_begun(task: Task) -> Self {
        Self { task, outcome: Outcome::NotBegun, detail: "not begun".to_owned() }
    }
}

/// Takes what came of the tasks: tells it, counts it, and keeps what was changed.
pub(crate) struct Record<'a> {
    changes: &'a mut Changes,
    progress: Progress,
    pub(crate) interrupt: Interrupt,
    pub(crate) changed: Vec<Target>,
    /// Whether a task failed.
    pub(crate) failed: bool,
    broken: io::Result<()>,
}

impl<'a> Record<'a> {
    pub(crate) fn new(changes: &'a mut Changes, progress: Progress, interrupt: Interrupt) -> Self {
        Self { changes, progress, interrupt, changed: Vec::new(), failed: false, broken: Ok(()) }
    }

    /// Takes what came of a task. Where it cannot be written, the work ends: what is under way is
    /// finished, and stands in the journal.
    pub(crate) fn take(&mut self, done: Done) {
        let Done { task: Task { target, .. }, outcome, detail } = done;
        let (changes, id) = (&mut self.changes, &target.instance_id);
        let written = self.progress.aside(|| {
            if outcome == Outcome::Failed {
                complain(&format!("{id}: {detail}"));
            }
            changes.add(&target.change(outcome, detail))
        });
        self.progress.step();
        self.failed |= outcome == Outcome::Failed;
        if outcome == Outcome::Changed {
            self.changed.push(target);
        }
        if written.is_err() && self.broken.is_ok() {
            self.interrupt.tell();
            self.broken = written;
        }
    }

    /// Takes what is to be left of a plan, and gives what is to be done.
    pub(crate) fn leave(&mut self, plan: Vec<(Target, Decision)>) -> Vec<Task> {
        let mut tasks = Vec::new();
        for (target, decision) in plan {
            match decision {
                Decision::Enforce { raise_to } => tasks.push(Task { target, raise_to }),
                Decision::Leave(reason) => self.take(Done {
                    task: Task { target, raise_to: None },
                    outcome: Outcome::Left,
                    detail: format!("left as it is: {reason}"),
                }),
            }
        }
        tasks
    }

    /// Ends the progress.
    ///
    /// # Errors
    /// Where something could not be written.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.progress.finish();
        self.broken
    }
}
