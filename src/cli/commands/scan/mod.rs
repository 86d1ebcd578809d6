//! `imdsv2 scan`: verdicts on the resources that exist now, in every Region and account.

mod region_scan;

use std::io;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;

use self::region_scan::{Message, RegionScan};
use crate::cli::exit::Completion;
use crate::cli::fleet::accounts::Selection;
use crate::cli::output::{self, Output, OutputOptions};
use crate::cli::terminal::messages;
use crate::cli::terminal::progress::Progress;
use crate::cli::terminal::shutdown::Shutdown;
use crate::rule::policy::Policy;
use crate::rule::verdict::Summary;

/// The number of Regions that are listed concurrently, over all accounts. EC2 throttles each account and
/// Region on its own.
const CONCURRENCY: usize = 16;
/// The number of findings that may wait for the output.
const QUEUE: usize = 1_000;

/// Evaluate existing resources, in every Region and account
///
/// Lists instances, launch templates and launch configurations, and evaluates them as the AWS Config
/// rule does; with the rule parameter accountDefaults=true, account-level defaults, too. Nothing is
/// changed. A list that fails does not hide the others, nor what it returned before: the error is
/// printed at the end, and the exit status is 2.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  imdsv2 scan
  imdsv2 scan --region eu-central-1 --region eu-west-1 --usage-days 14
  imdsv2 scan --parameters '{\"accountDefaults\":\"true\"}'
  imdsv2 scan --accounts-file roles.txt --format csv --output findings.csv

Exit status: 0 nothing is non-compliant, 1 something is, 2 an error.")]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// Report whether each non-compliant instance made IMDSv1 calls in the last N days, 1 to 455
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=455))]
    usage_days: Option<u16>,

    #[command(flatten)]
    output: OutputOptions,

    /// The rule parameters, as a JSON object of strings
    #[arg(long, value_name = "JSON", value_parser = Policy::from_rule_parameters)]
    parameters: Option<Policy>,

    /// Exit with status 0 even if something is non-compliant
    #[arg(long)]
    exit_zero: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<Completion> {
    let inputs: Vec<_> = args.selection.accounts_file().into_iter().collect();
    args.output.check_target(&inputs)?;
    let fleet = args.selection.fleet().await?;
    if fleet.regions.is_empty() && !fleet.unreachable.is_empty() {
        // There is nothing to report, so an older report is kept.
        fleet.unreachable.iter().for_each(|failure| messages::error(failure));
        return Ok(Completion::of(fleet.unreachable.len(), 0));
    }
    let shutdown = Shutdown::listen();
    let policy = args.parameters.clone().unwrap_or_default();
    let mut output = output::open(&args.output, args.usage_days.is_some(), &policy)?;
    let scan = Arc::new(RegionScan {
        policy,
        today: OffsetDateTime::now_utc().date(),
        usage_days: args.usage_days,
        slots: Semaphore::new(CONCURRENCY),
        shutdown,
    });
    let (sender, mut receiver) = channel(QUEUE);
    let progress = Progress::over_regions(fleet.regions.len());
    let mut tasks = JoinSet::new();
    for region in fleet.regions {
        let (scan, sender) = (Arc::clone(&scan), sender.clone());
        tasks.spawn(async move { scan.run(&region, &sender).await });
    }
    drop(sender);
    let mut failures: Vec<_> = fleet.unreachable;
    let summary = receive(&mut receiver, output.as_mut(), &progress, &mut failures).await;
    let summary = summary.context("cannot write the output")?;
    while let Some(task) = tasks.join_next().await {
        task.context("the scan of a Region panicked")?;
    }
    progress.finish();
    failures.sort();
    output.finish(&summary, &failures).context("cannot write the output")?;
    for failure in &failures {
        messages::error(failure);
    }
    let findings = usize::try_from(summary.non_compliant).unwrap_or(usize::MAX);
    Ok(Completion::of(failures.len(), findings).exit_zero(args.exit_zero))
}

/// Writes the findings of all Regions, until the last one is complete.
async fn receive(
    receiver: &mut Receiver<Message>,
    output: &mut dyn Output,
    progress: &Progress,
    failures: &mut Vec<String>,
) -> io::Result<Summary> {
    let mut summary = Summary::default();
    while let Some(message) = receiver.recv().await {
        match message {
            Message::Scanned(scanned) => {
                summary.count(scanned.verdict.compliance);
                progress.count_resource();
                output.finding(&scanned.finding())?;
            }
            Message::Failed(failure) => failures.push(failure),
            Message::Done => progress.step(),
        }
    }
    Ok(summary)
}
