//! `imdsv2 remediate`: requires IMDSv2 where it is safe, with a plan before and a journal of every change.
//!
//! - `args`: the options.
//! - `selection`, `target`: the instances to remediate, and those of them that accept IMDSv1.
//! - `planning`: what to do with each of them.
//! - `prompt`: the question before changes are made.
//! - `canary`: a few instances that are changed first, and watched.
//! - `direct`, `runbook`: changes made by the command line, or by a runbook.
//! - `change`, `change_log`: a change with its lines in the journal, and the results of all changes.

mod args;
mod canary;
mod change;
mod change_log;
mod direct;
mod planning;
mod prompt;
mod runbook;
mod selection;
mod target;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use time::OffsetDateTime;

pub(crate) use self::args::Args;
pub(crate) use self::planning::no_credentials;

use self::args::AutomationArgs;
use self::canary::Split;
use self::change::{ChangeResult, PlannedChange};
use self::change_log::ChangeLog;
use self::planning::Plan;
use self::runbook::Runbook;
use crate::cli::concurrency::Concurrency;
use crate::cli::exit::Completion;
use crate::cli::journal::Journal;
use crate::cli::output::changes::{ChangeReport, ChangeStatus};
use crate::cli::terminal::messages;
use crate::cli::terminal::shutdown::Shutdown;
use crate::rule::enforcement::EnforcementPolicy;

pub(crate) async fn run(args: &Args) -> anyhow::Result<Completion> {
    let policy = args.policy();
    let (plan, failures) = planning::plan(args, &policy).await?;
    for failure in &failures {
        messages::error(failure);
    }
    let mut report = ChangeReport::open(args.format, args.output.as_deref())?;
    let changes = planning::print_plan(plan, &mut report).context("cannot write the output")?;
    let mut applied = Applied::default();
    if args.dry_run {
        check(args, changes, &mut report).await?;
    } else if !changes.is_empty() {
        applied = apply(args, &policy, changes, &mut report).await?;
    }
    let journal = applied.journal.as_ref().map(|journal| journal.path());
    report.finish(journal).context("cannot write the output")?;
    let errors = failures.len() + report.count(ChangeStatus::Failed) + usize::from(applied.canary_failed);
    let open = [ChangeStatus::Skipped, ChangeStatus::NotStarted, ChangeStatus::Allowed];
    Ok(Completion::of(errors, open.into_iter().map(|status| report.count(status)).sum()))
}

/// Asks EC2 whether the changes would be allowed. Whether they are allowed to a runbook's role is not
/// checked.
async fn check(args: &Args, changes: Vec<PlannedChange>, report: &mut ChangeReport) -> anyhow::Result<()> {
    let concurrency = Concurrency { limit: args.concurrency, shutdown: Shutdown::listen() };
    let mut log = ChangeLog::new(report, changes.len(), concurrency.shutdown.clone());
    if let Some(document) = &args.automation.document {
        for change in changes {
            let detail =
                format!("{document} would {}; its permissions are not checked", change.description());
            log.add(ChangeResult { change, status: ChangeStatus::NotStarted, detail });
        }
    } else {
        direct::check(changes, &concurrency, &mut log).await?;
    }
    log.finish().context("cannot write the output")
}

/// What came of the changes, beside their results.
#[derive(Default)]
struct Applied {
    /// The journal, if changes were confirmed.
    journal: Option<Arc<Journal>>,
    /// Whether the canary kept the others from being changed.
    canary_failed: bool,
}

/// Makes the changes, after confirmation.
async fn apply(
    args: &Args,
    policy: &EnforcementPolicy,
    changes: Vec<PlannedChange>,
    report: &mut ChangeReport,
) -> anyhow::Result<Applied> {
    let is_confirmed = args.yes || prompt::confirm(changes.len())?;
    let shutdown = Shutdown::listen();
    let mut log = ChangeLog::new(report, changes.len(), shutdown.clone());
    if !is_confirmed {
        log.add_not_started(changes);
        log.finish().context("cannot write the output")?;
        return Ok(Applied::default());
    }
    let path = args.journal.clone().map_or_else(default_journal, Ok)?;
    let journal = Arc::new(Journal::create(&path)?);
    let method = Method::of(args, policy, &journal, &shutdown);
    let Split { canary, others } = match args.canary {
        Some(size) => canary::split(changes, size),
        None => Split { canary: changes, others: Vec::new() },
    };
    let since = SystemTime::now();
    method.apply(canary, &mut log).await?;
    let mut canary_failure = None;
    if !others.is_empty() {
        match watch_canary(args, policy, &others, since, &log).await {
            Ok(plan) => {
                let changes = log.add_skipped(plan);
                method.apply(changes, &mut log).await?;
            }
            Err(reason) => {
                log.add_not_started(others);
                canary_failure = Some(reason).filter(|_| !shutdown.is_requested());
            }
        }
    }
    log.finish().context("cannot write the output")?;
    if let Some(reason) = &canary_failure {
        messages::error(&format!("{reason}: the other instances were not changed"));
    }
    print_summary(report, &journal);
    Ok(Applied { journal: Some(journal), canary_failed: canary_failure.is_some() })
}

/// Watches the canary, and decides on the others again: the data of CloudWatch in the plan is outdated by
/// then.
async fn watch_canary(
    args: &Args,
    policy: &EnforcementPolicy,
    others: &[PlannedChange],
    since: SystemTime,
    log: &ChangeLog<'_>,
) -> Result<Plan, String> {
    if log.has_failed {
        return Err("a change of the canary failed".to_owned());
    }
    messages::note(&format!(
        "The canary was changed. Watching it for {}.",
        humantime::format_duration(args.soak)
    ));
    canary::watch(&log.changed, since, args.soak, policy, &log.shutdown).await?;
    planning::decide_again(others, policy).await
}

fn print_summary(report: &ChangeReport, journal: &Journal) {
    let (changed, failed) = (report.count(ChangeStatus::Changed), report.count(ChangeStatus::Failed));
    let not_started = report.count(ChangeStatus::NotStarted);
    let next =
        if not_started > 0 { " To continue: run the same command with another --journal." } else { "" };
    messages::note(&format!(
        "{changed} changed, {failed} failed, {not_started} not started. To undo: imdsv2 restore {}.{next}",
        journal.path().display()
    ));
}

/// How the changes are made.
enum Method<'a> {
    Direct(Concurrency, &'a Arc<Journal>),
    Runbook(Arc<Runbook>, &'a Arc<Journal>, &'a Shutdown),
}

impl<'a> Method<'a> {
    fn of(
        args: &Args,
        policy: &EnforcementPolicy,
        journal: &'a Arc<Journal>,
        shutdown: &'a Shutdown,
    ) -> Self {
        let AutomationArgs { document, role_arn, max_concurrency, max_errors } = &args.automation;
        match document {
            None => {
                let concurrency = Concurrency { limit: args.concurrency, shutdown: shutdown.clone() };
                Self::Direct(concurrency, journal)
            }
            Some(document) => {
                let runbook = Runbook {
                    document: document.clone(),
                    role_arn: role_arn.clone(),
                    max_concurrency: max_concurrency.clone(),
                    max_errors: max_errors.clone(),
                    policy: *policy,
                };
                Self::Runbook(Arc::new(runbook), journal, shutdown)
            }
        }
    }

    async fn apply(&self, changes: Vec<PlannedChange>, log: &mut ChangeLog<'_>) -> anyhow::Result<()> {
        match self {
            Self::Direct(concurrency, journal) => direct::apply(changes, concurrency, journal, log).await,
            Self::Runbook(runbook, journal, shutdown) => {
                runbook::apply(changes, runbook, journal, shutdown, log).await
            }
        }
    }
}

fn default_journal() -> anyhow::Result<PathBuf> {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let now = OffsetDateTime::now_utc().format(format).context("cannot format the current time")?;
    Ok(PathBuf::from(format!("imdsv2-{now}.jsonl")))
}
