//! `imdsv2 remediate`: requires IMDSv2 where it is safe, with a plan before and a journal of every change.
//!
//! - `args`: the options.
//! - `selection`, `target`: the instances to remediate, and those that need no change.
//! - `planning`: what to do with each of them; `plan_summary` is the plan in a few lines.
//! - `prompt`: the question before changes are made.
//! - `canary`: a few instances that are changed first, and watched.
//! - `recheck`: the decision right before a change, with the facts of that moment.
//! - `direct`, `runbook`: changes made by the command line, or by a runbook.
//! - `change`, `change_log`: a change with its lines in the journal, and the results of all changes.
//! - `sources`: what launched the instances, and launches more of them.
//! - `end_summary`: what was changed, what remains, and what to do next.

mod args;
mod canary;
mod change;
mod change_log;
mod direct;
mod end_summary;
mod plan_summary;
mod planning;
pub(crate) mod prompt;
mod recheck;
mod runbook;
mod selection;
mod sources;
mod target;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use time::OffsetDateTime;

pub(crate) use self::args::{Args, instance_id};
pub(crate) use self::planning::no_credentials;

use self::args::AutomationArgs;
use self::canary::{Split, Watch};
use self::change::{ChangeResult, PlannedChange};
use self::change_log::ChangeLog;
use self::direct::Enforcer;
use self::end_summary::EndSummary;
use self::planning::Prepared;
use self::recheck::Recheck;
use self::runbook::Runbook;
use self::sources::{OpenSource, Sources};
use crate::cli::clock::Clock;
use crate::cli::concurrency::Concurrency;
use crate::cli::exit::Completion;
use crate::cli::fleet::accounts::Environment;
use crate::cli::input::text;
use crate::cli::journal::Journal;
use crate::cli::output;
use crate::cli::output::changes::{Change, ChangeReport, ChangeStatus};
use crate::cli::terminal::messages;
use crate::cli::terminal::shutdown::Shutdown;

pub(crate) async fn run(args: &Args) -> anyhow::Result<Completion> {
    check_files(args)?;
    let filter = args.instance_filter()?;
    let Environment { clock, screen, .. } = &args.selection.environment;
    let shutdown = Shutdown::listen(screen);
    let plan = planning::plan(args, filter, clock).await?;
    let failures = plan.failures.len();
    for failure in &plan.failures {
        messages::error(failure);
    }
    let mut report = ChangeReport::open(args.format, args.output_file())?;
    let prepared = plan.prepare(args.limit);
    let journal = args.journal.clone().map_or_else(|| default_journal(clock), Ok)?;
    plan_summary::print(args, &prepared, &journal)?;
    let Prepared { changes, facts, sources, left, .. } = prepared;
    left.iter().try_for_each(|change| report.add(change)).context("cannot write the output")?;
    let mut applied = Applied::default();
    if args.dry_run {
        check(args, changes, &mut report, shutdown.clone()).await?;
    } else if !changes.is_empty() {
        applied = apply(args, changes, &journal, &mut report, shutdown.clone()).await?;
    }
    if applied.is_confirmed {
        end_summary::print_counts(args, &report, &applied, &journal);
    }
    let undo = applied.has_effect.then_some(journal.as_path());
    report.finish(undo).context("cannot write the output")?;
    if applied.is_confirmed || args.dry_run {
        let sources = open_sources(args, &sources, &shutdown).await;
        EndSummary { args, report: &report, skipped: &facts.skipped, sources }.print();
    }
    let errors = failures + report.count(ChangeStatus::Failed) + usize::from(applied.canary_failed);
    let open = [ChangeStatus::Skipped, ChangeStatus::NotStarted, ChangeStatus::Allowed];
    Ok(Completion::of(errors, open.into_iter().map(|status| report.count(status)).sum()))
}

/// Checks that no file is read or written twice, and that the journal can be created.
fn check_files(args: &Args) -> anyhow::Result<()> {
    let inputs = [args.journal.as_deref(), args.from.as_deref(), args.selection.accounts_file()];
    let inputs = inputs.into_iter().flatten().chain(args.callers.as_deref());
    let mut files: Vec<&Path> = inputs.chain(args.filter.files()).collect();
    text::check_stdin(&files)?;
    output::check_target(args.output_file(), &files)?;
    files.extend(args.output_file());
    output::check_target(args.details_file(), &files)?;
    args.journal.as_deref().map_or(Ok(()), check_journal)
}

/// Returns the sources that launch more such instances. It only looks if nobody wants the command to end.
async fn open_sources(args: &Args, sources: &Sources, shutdown: &Shutdown) -> Vec<OpenSource> {
    if shutdown.is_requested() {
        return Vec::new();
    }
    let Environment { clock, screen, .. } = &args.selection.environment;
    let _status = screen.status("Checking what launched the instances");
    sources.open(&args.rule_policy(), clock.now().date()).await
}

/// Checks that a journal can be created, before anything else is done.
fn check_journal(path: &Path) -> anyhow::Result<()> {
    Journal::check_absent(path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let shown = directory.display();
    ensure!(directory.is_dir(), "cannot create the journal {}: {shown} is not a directory", path.display());
    Ok(())
}

/// Asks EC2 whether the changes would be allowed. Whether they are allowed to a runbook's role is not checked.
async fn check(
    args: &Args,
    changes: Vec<PlannedChange>,
    report: &mut ChangeReport,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    shutdown.begin_work();
    let screen = &args.selection.environment.screen;
    let concurrency = Concurrency { limit: args.concurrency, shutdown };
    let mut log = ChangeLog::new(report, changes.len(), screen, concurrency.shutdown.clone());
    if let Some(document) = &args.automation.document {
        for change in changes {
            let detail =
                format!("{document} would {}; its permissions are not checked", change.description());
            log.add(ChangeResult::without_effect(change, ChangeStatus::NotStarted, detail));
        }
    } else {
        direct::check(changes, &concurrency, &mut log).await?;
    }
    log.finish().context("cannot write the output")
}

/// What came of the changes, beside their results.
#[derive(Default)]
struct Applied {
    /// Whether the question was answered with yes.
    is_confirmed: bool,
    /// Whether there is anything in the journal to undo.
    has_effect: bool,
    /// The number of instances that EC2 may have changed without a response.
    uncertain: usize,
    /// Whether the canary kept the others from being changed.
    canary_failed: bool,
}

/// Makes the changes, after confirmation.
async fn apply(
    args: &Args,
    changes: Vec<PlannedChange>,
    path: &Path,
    report: &mut ChangeReport,
    shutdown: Shutdown,
) -> anyhow::Result<Applied> {
    if let Some(size) = args.canary {
        size.check(changes.len()).map_err(anyhow::Error::msg)?;
    }
    let is_confirmed = args.yes || prompt::confirm("Change", changes.len())?;
    if !is_confirmed {
        messages::note("Nothing was changed.");
        let mut changes = changes.into_iter();
        let written =
            changes.try_for_each(|change| report.add(&Change { detail: String::new(), ..change.planned() }));
        written.context("cannot write the output")?;
        return Ok(Applied::default());
    }
    shutdown.begin_work();
    let Environment { clock, screen, .. } = &args.selection.environment;
    let mut log = ChangeLog::new(report, changes.len(), screen, shutdown.clone());
    let journal = Arc::new(Journal::create(path, "remediate", clock)?);
    // Before anything can fail: the way to undo what follows.
    screen.note(&format!("Journal: {}", path.display()));
    let method = Method::of(args, clock, &journal, &shutdown);
    let canary_failure = apply_in_order(args, clock, changes, &method, &mut log).await?;
    let has_effect = !log.changed.is_empty() || log.uncertain > 0;
    let (uncertain, written) = (log.uncertain, log.finish());
    if let Some(reason) = &canary_failure {
        messages::error(&format!("the other instances were not changed: {reason}"));
    }
    let canary_failed = canary_failure.is_some() && !shutdown.is_requested();
    let applied = Applied { is_confirmed, has_effect, uncertain, canary_failed };
    if let Err(error) = written {
        // The results are lost, but not what was changed.
        end_summary::print_counts(args, report, &applied, path);
        return Err(error).context("cannot write the output");
    }
    Ok(applied)
}

/// Changes the canary, watches it, and changes the others. Returns why the others were not changed.
async fn apply_in_order(
    args: &Args,
    clock: &Clock,
    changes: Vec<PlannedChange>,
    method: &Method,
    log: &mut ChangeLog<'_>,
) -> anyhow::Result<Option<String>> {
    let Some(size) = args.canary else {
        method.apply(changes, log).await?;
        return Ok(None);
    };
    let Split { canary, others } = canary::split(changes, size);
    method.apply(canary, log).await?;
    if others.is_empty() {
        return Ok(None);
    }
    match watch_canary(args, clock, log).await {
        Ok(()) => {
            method.apply(others, log).await?;
            Ok(None)
        }
        Err(reason) => {
            log.add_not_started(others);
            Ok(Some(reason))
        }
    }
}

async fn watch_canary(args: &Args, clock: &Clock, log: &ChangeLog<'_>) -> Result<(), String> {
    if log.has_failed {
        return Err("a change of the canary failed".to_owned());
    }
    let screen = &args.selection.environment.screen;
    Watch { soak: args.soak, policy: &args.policy(), clock, screen }.run(log).await
}

/// How the changes are made.
enum Method {
    Direct(Arc<Enforcer>),
    Runbook(Arc<Runbook>),
}

impl Method {
    fn of(args: &Args, clock: &Clock, journal: &Arc<Journal>, shutdown: &Shutdown) -> Self {
        let recheck = Recheck { policy: args.policy(), rule: args.rule_policy(), clock: clock.clone() };
        let AutomationArgs { document, role_arn, max_concurrency, max_errors } = &args.automation;
        match document {
            None => Self::Direct(Arc::new(Enforcer {
                recheck,
                journal: Arc::clone(journal),
                concurrency: Concurrency { limit: args.concurrency, shutdown: shutdown.clone() },
            })),
            Some(document) => Self::Runbook(Arc::new(Runbook {
                document: document.clone(),
                role_arn: role_arn.clone(),
                max_concurrency: max_concurrency.clone(),
                max_errors: max_errors.clone(),
                recheck,
                journal: Arc::clone(journal),
                shutdown: shutdown.clone(),
            })),
        }
    }

    async fn apply(&self, changes: Vec<PlannedChange>, log: &mut ChangeLog<'_>) -> anyhow::Result<()> {
        match self {
            Self::Direct(enforcer) => enforcer.apply(changes, log).await,
            Self::Runbook(runbook) => {
                runbook::apply(runbook, changes, log).await;
                Ok(())
            }
        }
    }
}

fn default_journal(clock: &Clock) -> anyhow::Result<PathBuf> {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let now: OffsetDateTime = clock.now();
    let now = now.format(format).context("cannot format the current time")?;
    Ok(PathBuf::from(format!("imdsv2-{now}.jsonl")))
}
