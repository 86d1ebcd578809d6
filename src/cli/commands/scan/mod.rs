//! `imdsv2 scan`: verdicts on the resources that exist now, in every Region and account.
//!
//! - this file: the options, and the order of events.
//! - `account_scan`: accounts, entered and scanned concurrently.
//! - `aggregated`: what an AWS Config aggregator has recorded, instead.
//! - `region_scan`: one account and Region.
//! - `usage_summary`: what the scan says about IMDSv1 calls.

mod account_scan;
mod aggregated;
mod region_scan;
mod usage_summary;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use clap::Parser;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

use self::account_scan::AccountScan;
use self::aggregated::{Ages, AggregatedScan};
use self::region_scan::{Listing, Message, Question, RegionScan, judges};
use self::usage_summary::UsageSummary;
use crate::cli::calls::known::KnownCallers;
use crate::cli::comparison::Comparison;
use crate::cli::exit::Completion;
use crate::cli::filter::{FilterOptions, parameters_option};
use crate::cli::fleet::accounts::Accounts;
use crate::cli::fleet::failures::{self, Failure};
use crate::cli::fleet::selection::Selection;
use crate::cli::fleet::unreachable::{self, Unreachable};
use crate::cli::input::text;
use crate::cli::output::terminated::Terminated;
use crate::cli::output::{self, Basis, Conclusion, Finding, Output, OutputOptions};
use crate::cli::terminal::messages;
use crate::cli::terminal::screen::Progress;
use crate::cli::terminal::shutdown::Shutdown;
use crate::rule::launched_by::LaunchedBy;
use crate::rule::policy::Policy;
use crate::rule::resource::{Location, ResourceType};
use crate::rule::verdict::Summary;

/// The types of what launches instances.
const LAUNCH_SOURCES: [ResourceType<'static>; 3] =
    [ResourceType::LaunchTemplate, ResourceType::LaunchConfiguration, ResourceType::AutoScalingGroup];
/// The number of findings that may wait for the output.
const QUEUE: usize = 1_000;

/// Evaluate existing resources, in every Region and account
///
/// Lists instances, launch templates, launch configurations and Auto Scaling groups, and evaluates them as the AWS Config
/// rule does; with the rule parameter accountDefaults=true, account-level defaults, too. Nothing is
/// changed. A list that fails does not hide the others, nor what it returned before: the error is
/// printed at the end, and the exit status is 2.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  imdsv2 scan
  imdsv2 scan --region eu-central-1,eu-west-1 --usage-days 14
  imdsv2 scan --usage-days 14 --callers callers.json
  imdsv2 scan --if-enforced
  imdsv2 scan --tag team=web --type instance --only non-compliant
  imdsv2 scan --parameters '{\"accountDefaults\":\"true\"}'
  imdsv2 scan --format json --output today.json --compare yesterday.json
  imdsv2 scan --organization --role-name imdsv2-scanner --format html --output company.html
  imdsv2 scan --aggregator company --only non-compliant
  imdsv2 scan --accounts-file roles.txt --format csv --output findings.csv

Exit status: 0 nothing is non-compliant, 1 something is, 2 an error.")]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    filter: FilterOptions,

    #[command(flatten)]
    output: OutputOptions,

    /// Report whether each non-compliant instance made IMDSv1 calls in the last N days, 1 to 455
    #[arg(help_heading = "Evaluation")]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=455))]
    usage_days: Option<u16>,

    /// Report who makes IMDSv1 calls on non-compliant instances: a file that `imdsv2 callers --format json` wrote
    #[arg(help_heading = "Evaluation")]
    #[arg(long, value_name = "FILE")]
    callers: Option<PathBuf>,

    /// Report which launch templates, launch configurations and Auto Scaling groups could not launch instances if EC2
    /// enforced IMDSv2 (`HttpTokensEnforced`); these count as non-compliant
    #[arg(help_heading = "Evaluation")]
    #[arg(long, conflicts_with_all = ["usage_days", "compare"])]
    if_enforced: bool,

    /// Report what changed since an earlier scan: a file that `imdsv2 scan --format json` wrote, or - for standard
    /// input
    #[arg(help_heading = "Evaluation")]
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,

    /// Evaluate what AWS Config has recorded in the accounts and Regions of this aggregator, without a role in them. It is
    /// in the Region of the credentials; --region selects Regions of the resources. Records may be hours old
    #[arg(help_heading = "Accounts and Regions")]
    #[arg(long, value_name = "NAME")]
    #[arg(conflicts_with_all = ["organization", "role_arns", "accounts_file", "usage_days", "if_enforced"])]
    aggregator: Option<String>,

    /// The number of Regions that are scanned concurrently, over all accounts, 1 to 1024
    #[arg(help_heading = "Accounts and Regions")]
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,

    /// The rule parameters, as a JSON object of strings
    #[arg(help_heading = "Evaluation")]
    #[arg(long, value_name = "JSON", value_parser = Policy::from_rule_parameters)]
    parameters: Option<Policy>,

    /// Exit with status 0 even if something is non-compliant
    #[arg(help_heading = "Evaluation")]
    #[arg(long)]
    exit_zero: bool,
}

impl Args {
    /// Returns how long ago calls of terminated instances count, in days, if they are asked for. Filters select nothing
    /// that is gone.
    fn terminated_days(&self) -> Option<u16> {
        self.usage_days.filter(|_| !self.filter.is_any())
    }

    /// Returns the options that select the same instances, for the next command.
    fn options_for_next(&self) -> String {
        let parameters = parameters_option(self.parameters.as_ref());
        format!("{}{}{parameters}", self.selection.as_options(), self.filter.as_options())
    }
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<Completion> {
    let inputs = args.selection.accounts_file().into_iter().chain(args.compare.as_deref());
    let inputs = inputs.chain(args.callers.as_deref());
    let inputs: Vec<&Path> = inputs.chain(args.filter.files()).collect();
    text::check_stdin(&inputs)?;
    args.output.check_target(&inputs)?;
    ensure!(
        !(args.if_enforced && args.output.is_asff()),
        "--format asff: --if-enforced reports no findings of compliance; use another format"
    );
    let filter = args.filter.filter()?;
    let policy = args.parameters.clone().unwrap_or_default();
    ensure!(
        !args.if_enforced
            || LAUNCH_SOURCES.iter().any(|each| judges(&policy, each) && filter.includes_type(each)),
        "--if-enforced: the selected types launch no instances; select launch-template, launch-configuration or \
         auto-scaling-group"
    );
    let comparison = args.compare.as_deref().map(Comparison::with).transpose()?;
    let callers = args.callers.as_deref().map(KnownCallers::read).transpose()?;
    let screen = &args.selection.environment.screen;
    let shutdown = Shutdown::listen(screen);
    let basis = Basis {
        policy: &policy,
        usage_days: args.usage_days,
        with_callers: callers.is_some(),
        with_account_names: args.selection.is_organization(),
        with_files: false,
    };
    let scan = Arc::new(RegionScan {
        policy: policy.clone(),
        filter,
        today: OffsetDateTime::now_utc().date(),
        usage_days: args.usage_days,
        terminated_days: args.terminated_days(),
        question: if args.if_enforced { Question::IfEnforced } else { Question::Compliance },
        slots: Semaphore::new(args.concurrency.into()),
        shutdown: shutdown.clone(),
    });
    let ages = Arc::<Mutex<Ages>>::default();
    let (sender, mut receiver) = channel(QUEUE);
    let tasks = start(args, scan, Arc::clone(&ages), sender).await?;
    let mut results = Results {
        comparison,
        callers,
        summary: Summary::default(),
        usage: UsageSummary::default(),
        terminated: Vec::new(),
        failures: Vec::new(),
        unreachable: Vec::new(),
        owners: BTreeMap::new(),
        account_names: BTreeMap::new(),
        complete: BTreeSet::new(),
    };
    let status = screen.status("Finding the Regions of the account");
    let first = results.enter(&mut receiver).await?;
    drop(status);
    if first == 0 {
        join(tasks).await?;
        // Nothing was scanned, so an older report is kept.
        let mut failures = failures::lines(&results.failures, "scan");
        failures.extend(unreachable::lines(&results.unreachable, "scan"));
        for failure in &failures {
            messages::error(failure);
        }
        return Ok(Completion::of(failures.len(), 0));
    }
    let mut output = output::open(&args.output, basis)?;
    let progress = screen.over_regions(first);
    results.receive(&mut receiver, &progress, output.as_mut()).await?;
    join(tasks).await?;
    drop(progress);
    let ages = *ages.lock().unwrap_or_else(PoisonError::into_inner);
    conclude(args, results, ages, output.as_mut())
}

/// Starts the scan of the accounts, or of what an aggregator has recorded.
async fn start(
    args: &Args,
    scan: Arc<RegionScan>,
    ages: Arc<Mutex<Ages>>,
    sender: Sender<Message>,
) -> anyhow::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    if let Some(name) = &args.aggregator {
        ensure!(
            !scan.policy.judges_account_defaults(),
            "--aggregator {name}: AWS Config does not record account-level defaults: omit accountDefaults"
        );
        let aggregator = args.selection.aggregator(name, &recorded_types(&scan)).await?;
        let accounts = aggregator.accounts().await?;
        ensure!(
            !accounts.is_empty(),
            "--aggregator {name}: it has no resource of the selected types and Regions"
        );
        tasks.spawn(Arc::new(AggregatedScan::new(aggregator, scan, ages)).run(accounts, sender));
        return Ok(tasks);
    }
    let Accounts { accounts, entrance } = args.selection.accounts("scan").await?;
    let scan = Arc::new(AccountScan::new(entrance, scan, args.concurrency.into()));
    for account in accounts {
        let (scan, sender) = (Arc::clone(&scan), sender.clone());
        tasks.spawn(async move { scan.run(account, &sender).await });
    }
    Ok(tasks)
}

/// Returns the types of resources that are judged, and what Auto Scaling groups launch instances from, if these are.
fn recorded_types(scan: &RegionScan) -> Vec<ResourceType<'static>> {
    let is_judged = |each: &ResourceType<'_>| judges(&scan.policy, each) && scan.filter.includes_type(each);
    let with_groups = is_judged(&ResourceType::AutoScalingGroup);
    let types = std::iter::once(ResourceType::Instance).chain(LAUNCH_SOURCES);
    types.filter(|each| is_judged(each) || (with_groups && *each != ResourceType::Instance)).collect()
}

async fn join(mut tasks: JoinSet<()>) -> anyhow::Result<()> {
    while let Some(task) = tasks.join_next().await {
        task.context("the scan of an account panicked")?;
    }
    Ok(())
}

/// Writes what was held back, and prints failures, the summary of IMDSv1 calls, and the next command.
fn conclude(
    args: &Args,
    mut results: Results,
    ages: Ages,
    output: &mut dyn Output,
) -> anyhow::Result<Completion> {
    results.charge_terminated();
    let Results { comparison, summary, usage, terminated, failures, unreachable, complete, .. } = results;
    let mut failures = failures::lines(&failures, "scan");
    // At the end: what was scanned is one subject, and what could not be is another.
    failures.extend(unreachable::lines(&unreachable, "scan"));
    let policy = args.parameters.clone().unwrap_or_default();
    let is_listed = |place: &Location, resource_type: &str| {
        let is_judged = judges(&policy, &ResourceType::from_name(resource_type.into()));
        complete.contains(place) && is_judged && !args.filter.is_any()
    };
    let comparison = comparison.map(|comparison| comparison.conclude(is_listed));
    let terminated = args.terminated_days().map(|_| terminated.as_slice());
    let conclusion =
        Conclusion { summary, failures: &failures, comparison: comparison.as_ref(), terminated, left_out: 0 };
    output.finish(&conclusion).context("cannot write the output")?;
    for failure in &failures {
        messages::error(failure);
    }
    if !args.output.quiet {
        if let Some(comparison) = comparison.filter(|_| !args.output.is_table()) {
            messages::note(&comparison.to_string());
        }
        let options = args.options_for_next();
        match args.usage_days {
            _ if args.aggregator.is_some() => ages.describe().iter().for_each(|ages| messages::note(ages)),
            None if args.if_enforced && failures.is_empty() => messages::note(&if_enforced(&summary)),
            Some(days) => usage.print(days, &options),
            None if args.output.is_table() && usage.instances > 0 => {
                messages::note(&format!("Next: imdsv2 scan{options} --usage-days 14"));
            }
            None => {}
        }
    }
    let findings = usize::try_from(summary.non_compliant).unwrap_or(usize::MAX);
    Ok(Completion::of(failures.len(), findings).exit_zero(args.exit_zero))
}

/// Says what enabling `HttpTokensEnforced` would do.
fn if_enforced(summary: &Summary) -> String {
    // What cannot launch instances is neither allowed nor refused.
    let all = summary.compliant + summary.non_compliant;
    match summary.non_compliant {
        0 if all == 0 => "There is nothing that launches instances".to_owned(),
        0 => {
            format!("If EC2 enforced IMDSv2 now, it would allow the next launch of all {all} launch sources")
        }
        refused => format!(
            "If EC2 enforced IMDSv2 now, it would refuse, or might refuse, the next launch of {refused} of {all} launch \
             sources"
        ),
    }
}

/// What the scans of Regions return.
struct Results {
    comparison: Option<Comparison>,
    callers: Option<KnownCallers>,
    summary: Summary,
    usage: UsageSummary,
    terminated: Vec<Terminated>,
    failures: Vec<Failure>,
    /// Why accounts, or Regions of them, were not scanned.
    unreachable: Vec<Unreachable>,
    /// The names of accounts, by id.
    account_names: BTreeMap<String, String>,
    /// The places of which nothing is missing.
    complete: BTreeSet<Location>,
    /// What owns the Auto Scaling groups of a service, such as the node group of EKS, by the name of the group.
    owners: BTreeMap<(Location, String), LaunchedBy<'static>>,
}

impl Results {
    /// Remembers what an Auto Scaling group belongs to. Its terminated instances belong to the same.
    fn remember_owner(&mut self, finding: &Finding<'static>) {
        if finding.resource_type == ResourceType::AutoScalingGroup.name()
            && let (Some(place), Some(owner)) = (finding.location(), &finding.launched_by)
        {
            self.owners.insert((place, finding.short_id().to_owned()), owner.clone());
        }
    }

    /// Replaces the Auto Scaling groups of terminated instances by what owns these, and counts the calls.
    fn charge_terminated(&mut self) {
        for caller in &mut self.terminated {
            let (account_id, region) = (caller.account_id.clone(), caller.region.clone());
            let group = caller.launched_by.as_ref().map(|group| group.id.to_string());
            let owner = group.and_then(|group| self.owners.get(&(Location { account_id, region }, group)));
            if let Some(owner) = owner {
                caller.launched_by = Some(owner.clone());
            }
            self.usage.count_terminated(caller);
        }
    }

    /// Waits until there is a Region to scan. Returns the number of Regions that are known then.
    ///
    /// # Errors
    /// Returns an error if the selection is invalid.
    async fn enter(&mut self, receiver: &mut Receiver<Message>) -> anyhow::Result<usize> {
        while let Some(message) = receiver.recv().await {
            match message {
                Message::Entered(places, name) if !places.is_empty() => {
                    let first = places.len();
                    self.add_places(places, name);
                    return Ok(first);
                }
                Message::Unreachable(reasons) => self.unreachable.extend(reasons),
                Message::Invalid(error) => return Err(error),
                Message::Failed(failure, _) => self.failures.push(failure),
                // The others come from Regions.
                Message::Entered(..) | Message::Scanned(_) | Message::Terminated(_) | Message::Done => {}
            }
        }
        Ok(0)
    }

    fn add_places(&mut self, places: Vec<Location>, name: Option<String>) {
        let account_id = places.first().map(|place| place.account_id.clone());
        self.account_names.extend(account_id.zip(name));
        self.complete.extend(places);
    }

    /// Writes the findings of all Regions, until the last one is complete.
    ///
    /// # Errors
    /// Returns an error if the output cannot be written, or if the selection is invalid.
    async fn receive(
        &mut self,
        receiver: &mut Receiver<Message>,
        progress: &Progress,
        output: &mut dyn Output,
    ) -> anyhow::Result<()> {
        while let Some(message) = receiver.recv().await {
            match message {
                Message::Entered(places, name) => {
                    progress.add_steps(places.len());
                    self.add_places(places, name);
                }
                Message::Unreachable(reasons) => self.unreachable.extend(reasons),
                Message::Invalid(error) => return Err(error),
                Message::Scanned(mut scanned) => {
                    self.remember_owner(&scanned.finding);
                    self.summary.count(scanned.finding.compliance);
                    self.usage.count(&scanned);
                    progress.count_resource();
                    let comparison = self.comparison.as_mut();
                    scanned.finding.since = comparison.and_then(|each| each.since(&scanned.finding));
                    scanned.finding.add_callers(self.callers.as_ref());
                    let account_id = scanned.finding.account_id.as_deref();
                    scanned.finding.account_name =
                        account_id.and_then(|id| self.account_names.get(id)).cloned();
                    output.finding(&scanned.finding).context("cannot write the output")?;
                }
                Message::Terminated(callers) => self.terminated.extend(callers),
                Message::Failed(failure, listing) => {
                    if listing == Listing::Incomplete {
                        self.complete.remove(failure.location());
                    }
                    self.failures.push(failure);
                }
                Message::Done => progress.step(),
            }
        }
        Ok(())
    }
}
