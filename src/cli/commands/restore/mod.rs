//! `imdsv2 restore`: undoes the changes in a journal.
//!
//! - this file: the options, the plan, and the order of restorations.
//! - `restoration`: the restoration of one instance.

mod restoration;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use time::OffsetDateTime;

use self::restoration::{Restoration, tokens_before};
use super::change_progress::ChangeProgress;
use super::remediate::{instance_id, no_credentials, prompt};
use crate::cli::concurrency::Concurrency;
use crate::cli::exit::Completion;
use crate::cli::fleet::accounts::AccountRegion;
use crate::cli::fleet::instance;
use crate::cli::fleet::selection::Selection;
use crate::cli::fleet::unreachable;
use crate::cli::journal::{self, Journal, Recorded};
use crate::cli::output;
use crate::cli::output::changes::{Change, ChangeFormat, ChangeReport, ChangeStatus};
use crate::cli::terminal::messages;
use crate::cli::terminal::shutdown::Shutdown;
use crate::rule::instance::InstanceKey;
use crate::rule::resource::Location;

/// Undo the changes in a journal of `imdsv2 remediate`
///
/// Prints a plan, asks for confirmation, sets the metadata options that an instance had before it was
/// changed, and verifies them. Instances that were not changed by `imdsv2 remediate` are not touched, and
/// the IMDS endpoint is never enabled. The command can be interrupted and run again.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  imdsv2 restore --dry-run monday.jsonl
  imdsv2 restore --instance-id i-0123456789abcdef0 monday.jsonl
  imdsv2 restore --accounts-file roles.txt --yes monday.jsonl

Exit status: 0 everything is restored, 1 something is not, 2 an error.")]
pub(crate) struct Args {
    /// The journal
    #[arg(value_name = "JOURNAL")]
    journal: PathBuf,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// An instance to restore; may be repeated [default: all instances in the journal]
    #[arg(help_heading = "Accounts and Regions")]
    #[arg(long = "instance-id", value_name = "ID", value_parser = instance_id)]
    instance_ids: Vec<String>,

    /// Change nothing; ask EC2 whether each change would be allowed
    #[arg(help_heading = "Changes")]
    #[arg(long)]
    dry_run: bool,

    /// Apply without asking for confirmation
    #[arg(help_heading = "Changes")]
    #[arg(long)]
    yes: bool,

    /// The number of instances to change concurrently
    #[arg(help_heading = "Changes")]
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,

    /// The output format
    #[arg(help_heading = "Output")]
    #[arg(long, value_enum, default_value_t = ChangeFormat::Table)]
    format: ChangeFormat,

    /// The output file; - is standard output [default: standard output]
    #[arg(help_heading = "Output")]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<Completion> {
    let inputs: Vec<&Path> =
        std::iter::once(args.journal.as_path()).chain(args.selection.accounts_file()).collect();
    let output = output::output_file(args.output.as_deref());
    output::check_target(output, &inputs)?;
    let contents = journal::read(&args.journal)?;
    for problem in &contents.problems {
        messages::error(problem);
    }
    let (mut restorations, mut failures) = (journal::unrestored(contents.entries), contents.problems.len());
    failures += args.select(&mut restorations);
    if restorations.is_empty() {
        messages::note(&format!("{}: nothing to restore", args.journal.display()));
        return Ok(Completion::of(failures, 0));
    }
    let shutdown = Shutdown::listen(&args.selection.environment.screen);
    let regions = restorations.keys().map(|key| key.location.region.clone()).collect();
    let accounts = restorations.keys().map(|key| key.location.account_id.clone()).collect();
    let fleet = args.selection.fleet_in(&accounts, regions, "restore").await?;
    let unreachable = unreachable::lines(&fleet.unreachable, "restore");
    for failure in &unreachable {
        messages::error(failure);
    }
    failures += unreachable.len();
    let regions: Regions =
        fleet.regions.into_iter().map(|region| (region.location.clone(), Arc::new(region))).collect();

    let visible_from = contents.written_at.map(|at| at + instance::CONSISTENCY_DELAY);
    print_plan(&restorations);
    let is_confirmed = args.dry_run || args.yes || prompt::confirm("Restore", restorations.len())?;
    let mut report = ChangeReport::open(args.format, output)?;
    let written = if !is_confirmed {
        messages::note("Nothing was restored.");
        add_not_started(restorations, &mut report)
    } else if args.dry_run {
        restore_all(args, restorations, &regions, visible_from, None, &mut report, shutdown).await?
    } else {
        let journal = Journal::append(&args.journal, "restore", &args.selection.environment.clock)?;
        // Another process may have restored instances before this one locked the journal.
        let current = journal::unrestored(journal::read(&args.journal)?.entries);
        restorations.retain(|key, _| current.contains_key(key));
        restore_all(args, restorations, &regions, visible_from, Some(journal), &mut report, shutdown).await?
    };
    let not_started = report.count(ChangeStatus::NotStarted);
    if not_started > 0 && is_confirmed {
        messages::note(&format!("{not_started} not started. To continue: run the same command again."));
    }
    written.and_then(|()| report.finish(None)).context("cannot write the output")?;
    let errors = failures + report.count(ChangeStatus::Failed);
    Ok(Completion::of(errors, not_started + report.count(ChangeStatus::Allowed)))
}

type Regions = HashMap<Location, Arc<AccountRegion>>;
type Restorations = BTreeMap<InstanceKey, Recorded>;

impl Args {
    /// Keeps the selected instances. Returns the number of selected instances that the journal does not contain.
    fn select(&self, restorations: &mut Restorations) -> usize {
        let elsewhere = |key: &InstanceKey| !self.selection.includes_region(&key.location.region);
        let in_other_regions = restorations.keys().filter(|key| elsewhere(key)).count();
        if in_other_regions > 0 {
            messages::note(&format!(
                "{in_other_regions} instances in other Regions are not selected by --region"
            ));
        }
        restorations.retain(|key, _| !elsewhere(key));
        if self.instance_ids.is_empty() {
            return 0;
        }
        let wanted: BTreeSet<_> = self.instance_ids.iter().map(String::as_str).collect();
        restorations.retain(|key, _| wanted.contains(key.instance_id.as_str()));
        let found: BTreeSet<_> = restorations.keys().map(|key| key.instance_id.as_str()).collect();
        let missing: Vec<_> = wanted.difference(&found).collect();
        for id in &missing {
            let journal = self.journal.display();
            messages::error(&format!("{journal} has no change of {id} that is not restored yet"));
        }
        missing.len()
    }
}

/// Prints what is about to be restored.
fn print_plan(restorations: &Restorations) {
    for (instance, recorded) in restorations {
        let Location { account_id, region } = &instance.location;
        let before = recorded.before();
        let note = match recorded {
            Recorded::Changed(_) => "",
            Recorded::Uncertain(_) => " (if the interrupted change was made)",
            Recorded::Automated(_) => " (if its automation made the change)",
        };
        let tokens = tokens_before(before);
        let tokens = tokens.as_str();
        let hop_limit = before.hop_limit.map_or_else(String::new, |limit| format!(", hop limit {limit}"));
        let id = &instance.instance_id;
        messages::note(&format!("{account_id}  {region}  {id}  set HttpTokens={tokens}{hop_limit}{note}"));
    }
    messages::note(&format!("{} to restore", restorations.len()));
}

fn add_not_started(restorations: Restorations, report: &mut ChangeReport) -> io::Result<()> {
    let mut keys = restorations.into_keys();
    keys.try_for_each(|instance| report.add(&Change::not_started(instance)))
}

/// Restores instances concurrently. If the output cannot be written, no more are started; the inner result is that
/// error.
async fn restore_all(
    args: &Args,
    restorations: Restorations,
    regions: &Regions,
    visible_from: Option<OffsetDateTime>,
    journal: Option<Journal>,
    report: &mut ChangeReport,
    shutdown: Shutdown,
) -> anyhow::Result<io::Result<()>> {
    shutdown.begin_work();
    let screen = &args.selection.environment.screen;
    let concurrency = Concurrency { limit: args.concurrency, shutdown: shutdown.clone() };
    let mut progress = ChangeProgress::new(report, restorations.len(), screen, shutdown);
    let journal = Arc::new(journal);
    let restore = |(instance, recorded): (InstanceKey, Recorded)| {
        let (region, journal) = (regions.get(&instance.location).cloned(), Arc::clone(&journal));
        async move {
            let result = match region {
                None => Err(no_credentials(&instance.location.account_id)),
                Some(region) => {
                    let journal = journal.as_ref().as_ref();
                    let restoration =
                        Restoration { region: &region, instance: &instance, visible_from, journal };
                    restoration.run(&recorded).await
                }
            };
            let (status, detail) = result.unwrap_or_else(|error| (ChangeStatus::Failed, error));
            Change { instance, name: None, status, detail }
        }
    };
    let add = |change| progress.add(&change);
    let not_started = concurrency.run(restorations.into_iter().collect(), restore, add).await;
    for (instance, _) in not_started.context("the restoration of an instance panicked")? {
        progress.add(&Change::not_started(instance));
    }
    Ok(progress.finish())
}
