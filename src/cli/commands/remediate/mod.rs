//! `imdsv2 remediate`: requires IMDSv2 where it is safe, with a plan before and a journal of every change.

mod canary;
mod direct;
mod runbook;

mod change;
mod selection;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use clap::Parser;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::canary::Size;
use self::change::{Done, Record, Task};
use self::direct::Pace;
use self::runbook::Runbook;
use self::selection::{Target, Wanted};
use crate::cli::fleet::accounts::{Place, Selection};
use crate::cli::fleet::usage;
use crate::cli::journal::Journal;
use crate::cli::output::changes::{ChangeFormat, Changes, Outcome as Came};
use crate::cli::terminal::progress::Progress;
use crate::cli::terminal::shutdown::Interrupt;
use crate::cli::{Outcome, complain};
use crate::rule::enforcement::Usage;
use crate::rule::enforcement::{Decision, OnUnknown, Rules};
use crate::rule::policy::Policy;

/// Require IMDSv2 on non-compliant instances, where nothing uses IMDSv1
///
/// Lists instances as `imdsv2 scan` does, asks CloudWatch for IMDSv1 calls, prints a plan, asks, and
/// sets HttpTokens=required. An instance with IMDSv1 calls, or of which CloudWatch has no data, is left as
/// it is. The IMDS endpoint is never switched on, and the hop limit never lowered. Each change is in the
/// journal, on disk, before it is made; `imdsv2 restore` undoes it. Ctrl-C ends after the changes under way.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  imdsv2 remediate --region eu-central-1 --dry-run
  imdsv2 remediate --region eu-central-1 --instance-id i-0123456789abcdef0
  imdsv2 remediate --from scan.json --canary 5% --soak 1h --journal monday.jsonl
  imdsv2 remediate --accounts-file roles.txt --hop-limit 2 --yes --format json
  imdsv2 remediate --automation imdsv2-config-rule-EnforceImdsv2 \\
      --automation-role arn:aws:iam::123456789012:role/REMEDIATION_ROLE
  imdsv2 restore monday.jsonl

Exit status: 0 nothing is left open, 1 something is, 2 an error.")]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// Only this instance; may be repeated
    #[arg(help_heading = "Where")]
    #[arg(long = "instance-id", value_name = "ID")]
    instance_ids: Vec<String>,

    /// Only what a scan found non-compliant: the file that `imdsv2 scan --format json` wrote
    #[arg(help_heading = "Where")]
    #[arg(long, value_name = "FILE", conflicts_with = "instance_ids")]
    from: Option<PathBuf>,

    /// How many days back IMDSv1 calls are looked for, at most 455. 0 does not look
    #[arg(help_heading = "Rules")]
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u16).range(..=455))]
    usage_days: u16,

    /// What to do with an instance of which CloudWatch has no usage data
    #[arg(help_heading = "Rules")]
    #[arg(long, value_enum, default_value_t = OnUnknown::Stop)]
    on_unknown_usage: OnUnknown,

    /// Enforce although IMDSv1 is used, or its use is unknown. What uses it loses its credentials
    #[arg(help_heading = "Rules")]
    #[arg(long)]
    force: bool,

    /// Raise the hop limit to this, 1 to 64; containers often need 2. A higher one stays
    #[arg(help_heading = "Rules")]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=64))]
    hop_limit: Option<i32>,

    /// The rule's parameters, as a JSON object of strings: what is exempt is left as it is
    #[arg(help_heading = "Rules")]
    #[arg(long, value_name = "JSON", value_parser = Policy::from_rule_parameters)]
    parameters: Option<Policy>,

    /// Change nothing; ask EC2 whether the changes would be allowed
    #[arg(help_heading = "Changes")]
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(help_heading = "Changes")]
    #[arg(long)]
    yes: bool,

    /// How many instances are changed at once
    #[arg(help_heading = "Changes")]
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,

    /// Change so many first, such as 5 or 10%, and the others only where these are refused no IMDSv1 calls
    #[arg(help_heading = "Changes")]
    #[arg(long, value_name = "N|N%")]
    canary: Option<Size>,

    /// For how long the first ones are watched, such as 30m or 24h. CloudWatch is some minutes late
    #[arg(help_heading = "Changes")]
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = humantime::parse_duration)]
    soak: Duration,

    /// Where to write the journal; it must not exist. Without it: imdsv2-<time>.jsonl, here
    #[arg(help_heading = "Changes")]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// How to show what came of each instance
    #[arg(help_heading = "Output")]
    #[arg(long, value_enum, default_value_t = ChangeFormat::Table)]
    format: ChangeFormat,

    /// Where to write it instead of standard output
    #[arg(help_heading = "Output")]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    automation: AutomationArgs,
}

/// How a runbook makes the changes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "By a runbook")]
struct AutomationArgs {
    /// Have this Automation runbook make the changes, through Systems Manager; its name or ARN
    #[arg(long = "automation", value_name = "DOCUMENT")]
    document: Option<String>,

    /// The role that the runbook works with
    #[arg(long = "automation-role", value_name = "ARN", requires = "document")]
    role_arn: Option<String>,

    /// How many instances a run changes at once, such as 10 or 10%
    #[arg(long, value_name = "N|N%", default_value = "10", requires = "document")]
    max_concurrency: String,

    /// How many failures a run allows before it begins no more, such as 0 or 10%
    #[arg(long, value_name = "N|N%", default_value = "0", requires = "document")]
    max_errors: String,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<Outcome> {
    let rules = Rules {
        usage_days: args.usage_days,
        on_unknown: args.on_unknown_usage,
        force: args.force,
        hop_limit: args.hop_limit,
    };
    let (plan, failures) = make_plan(args, &rules).await?;
    for failure in &failures {
        complain(failure);
    }
    let mut changes = Changes::open(args.format, args.output.as_deref())?;
    let tasks = show_plan(plan, &mut changes).context("cannot write the output")?;
    let (journal, stopped) = if tasks.is_empty() {
        (None, false)
    } else if args.dry_run {
        prove(args, tasks, &mut changes).await?;
        (None, false)
    } else {
        change(args, &rules, tasks, &mut changes).await?
    };
    changes.finish(journal.as_ref().map(|journal| journal.path())).context("cannot write the output")?;
    let open = [Came::Left, Came::NotBegun, Came::Allowed].into_iter().map(|came| changes.count(came));
    Ok(match (failures.len() + changes.count(Came::Failed) + usize::from(stopped), open.sum()) {
        (1.., _) => Outcome::Incomplete,
        (0, 1_usize..) => Outcome::Findings,
        (0, 0) => Outcome::Clean,
    })
}

type Plan = Vec<(Target, Decision)>;

/// What is to be done with each instance, and what could not be looked at.
async fn make_plan(args: &Args, rules: &Rules) -> anyhow::Result<(Plan, Vec<String>)> {
    let wanted = match &args.from {
        Some(scan) => Wanted::found_in(scan)?,
        None => Wanted::ids(&args.instance_ids),
    };
    let places = match wanted.regions() {
        Some(regions) => args.selection.places_in(regions).await?,
        None => args.selection.places().await?,
    };
    let mut failures = places.closed;
    let entered: BTreeSet<_> = places.open.iter().map(|place| place.account_id.to_string()).collect();
    let unknown = wanted.accounts().into_iter().filter(|account_id| !entered.contains(*account_id));
    failures.extend(
        unknown.map(|account_id| format!("no credentials for account {account_id}: give --role-arn")),
    );

    let (wanted, policy) = (Arc::new(wanted), Arc::new(args.parameters.clone().unwrap_or_default()));
    let slots = Arc::new(Semaphore::new(usize::from(args.concurrency)));
    let mut tasks = JoinSet::new();
    for place in places.open.into_iter().filter(|place| wanted.may_be_in(place)) {
        let (slots, policy, wanted, rules) =
            (Arc::clone(&slots), Arc::clone(&policy), Arc::clone(&wanted), *rules);
        tasks.spawn(async move {
            let _slot = slots.acquire().await;
            plan_place(&Arc::new(place), &policy, &wanted, &rules).await
        });
    }
    let mut plan = Vec::new();
    while let Some(planned) = tasks.join_next().await {
        match planned.context("a Region's listing broke off")? {
            Ok(decided) => plan.extend(decided),
            Err(failure) => failures.push(failure),
        }
    }
    plan.sort_by(|(a, _), (b, _)| a.key().cmp(&b.key()));
    let found: BTreeSet<_> = plan.iter().map(|(target, _)| target.instance_id.as_str()).collect();
    let why = if failures.is_empty() { "compliant, exempt, or not there" } else { "or not looked at" };
    for missing in wanted.named().filter(|id| !found.contains(id)) {
        anstream::eprintln!("{missing}: nothing to do: {why}");
    }
    Ok((plan, failures))
}

async fn plan_place(
    place: &Arc<Place>,
    policy: &Policy,
    wanted: &Wanted,
    rules: &Rules,
) -> Result<Plan, String> {
    let name = format!("account {}, {}", place.account_id, place.region);
    let targets = selection::list(place, policy, wanted).await;
    let targets = targets.map_err(|error| format!("{name}: {error}"))?;
    decide(place, targets, rules).await
}

/// Decides on instances of one place, by what CloudWatch has of them.
async fn decide(place: &Place, targets: Vec<Target>, rules: &Rules) -> Result<Plan, String> {
    let usages: Vec<Option<Usage>> = if rules.usage_days == 0 || targets.is_empty() {
        vec![None; targets.len()]
    } else {
        let candidates: Vec<_> =
            targets.iter().map(|target| (target.instance_id.as_str(), target.may_call)).collect();
        let client = aws_sdk_cloudwatch::Client::new(&place.sdk);
        // Where CloudWatch does not answer, nothing is changed: not even with the usage taken as unknown.
        let usages = usage::look_up(&client, &candidates, rules.usage_days).await;
        let name = || format!("account {}, {}", place.account_id, place.region);
        usages.map_err(|error| format!("{}: {error}", name()))?.into_iter().map(Some).collect()
    };
    let decide = |(target, usage): (Target, _)| {
        let decision = rules.decide(usage, target.endpoint_on, target.hop_limit);
        (target, decision)
    };
    Ok(targets.into_iter().zip(usages).map(decide).collect())
}

/// Decides once more on what is to be changed.
async fn decide_again(tasks: &[Task], rules: &Rules) -> Result<Plan, String> {
    let mut places: BTreeMap<_, Vec<Target>> = BTreeMap::new();
    for Task { target, .. } in tasks {
        let (account_id, region, _) = target.key();
        places.entry((account_id, region)).or_default().push(target.clone());
    }
    let mut plan = Vec::new();
    for targets in places.into_values() {
        let Some(place) = targets.first().map(|target| Arc::clone(&target.place)) else { continue };
        plan.extend(decide(&place, targets, rules).await?);
    }
    Ok(plan)
}

/// Shows what is to be done, to people, and what is left as it is, in the output. Gives what is to be done.
fn show_plan(plan: Plan, changes: &mut Changes) -> io::Result<Vec<Task>> {
    let (mut tasks, mut left) = (Vec::new(), 0_usize);
    for (target, decision) in plan {
        match decision {
            Decision::Enforce { raise_to } => {
                let task = Task { target, raise_to };
                let (account_id, region, instance_id) = task.target.key();
                anstream::eprintln!("{account_id}  {region}  {instance_id}  {}", task.words());
                tasks.push(task);
            }
            Decision::Leave(reason) => {
                left += 1;
                changes.add(&target.change(Came::Left, format!("left as it is: {reason}")))?;
            }
        }
    }
    anstream::eprintln!("{} to change, {left} to leave as they are", tasks.len());
    Ok(tasks)
}

/// Asks EC2 whether the changes would be allowed. What a runbook's role may do, it cannot tell.
async fn prove(args: &Args, tasks: Vec<Task>, changes: &mut Changes) -> anyhow::Result<()> {
    let pace = Pace { concurrency: args.concurrency, interrupt: Interrupt::listen() };
    let mut record = Record::new(changes, Progress::over_instances(tasks.len()), pace.interrupt.clone());
    if let Some(document) = &args.automation.document {
        for task in tasks {
            let detail = format!("{}, by {document}: not tried", task.words());
            record.take(Done { task, outcome: Came::NotBegun, detail });
        }
    } else {
        direct::prove(tasks, &pace, &mut record).await?;
    }
    record.finish().context("cannot write the output")
}

/// Makes the changes. Gives the journal, and whether the canary stopped them.
async fn change(
    args: &Args,
    rules: &Rules,
    tasks: Vec<Task>,
    changes: &mut Changes,
) -> anyhow::Result<(Option<Arc<Journal>>, bool)> {
    let agreed = args.yes || agreed(tasks.len())?;
    let interrupt = Interrupt::listen();
    let mut record = Record::new(changes, Progress::over_instances(tasks.len()), interrupt.clone());
    if !agreed {
        for task in tasks {
            record.take(Done::not_begun(task));
        }
        record.finish().context("cannot write the output")?;
        return Ok((None, false));
    }
    let path = args.journal.clone().map_or_else(default_path, Ok)?;
    let journal = Arc::new(Journal::create(&path)?);
    let way = Way::of(args, rules, &journal, &interrupt);
    let (first, others) = match args.canary {
        Some(size) => canary::split(tasks, size),
        None => (tasks, Vec::new()),
    };
    let since = SystemTime::now();
    way.apply(first, &mut record).await?;
    let mut stopped = None;
    if !others.is_empty() {
        match after_canary(args, rules, &others, since, &record).await {
            Ok(plan) => way.apply(record.leave(plan), &mut record).await?,
            Err(reason) => {
                for task in others {
                    record.take(Done::not_begun(task));
                }
                stopped = Some(reason).filter(|_| !interrupt.is_told());
            }
        }
    }
    record.finish().context("cannot write the output")?;
    if let Some(reason) = &stopped {
        complain(&format!("{reason}: the others were not begun"));
    }
    tell_the_way_back(changes, &journal);
    Ok((Some(journal), stopped.is_some()))
}

/// Watches the canary, and decides on the others once more: what CloudWatch had of them is old by then.
async fn after_canary(
    args: &Args,
    rules: &Rules,
    others: &[Task],
    since: SystemTime,
    record: &Record<'_>,
) -> Result<Plan, String> {
    if record.failed {
        return Err("a change of the canary failed".to_owned());
    }
    anstream::eprintln!(
        "The canary is changed; it is watched for {}.",
        humantime::format_duration(args.soak)
    );
    canary::watch(&record.changed, since, args.soak, rules, &record.interrupt).await?;
    decide_again(others, rules).await
}

fn tell_the_way_back(changes: &Changes, journal: &Journal) {
    let (done, failed) = (changes.count(Came::Changed), changes.count(Came::Failed));
    let not_begun = changes.count(Came::NotBegun);
    let go_on = if not_begun > 0 { " To go on: the same command, with another journal." } else { "" };
    anstream::eprintln!(
        "{done} done, {failed} failed, {not_begun} not begun. To undo: imdsv2 restore {}.{go_on}",
        journal.path().display()
    );
}

/// How the changes are made.
enum Way<'a> {
    Direct(Pace, &'a Arc<Journal>),
    Runbook(Arc<Runbook>, &'a Arc<Journal>, &'a Interrupt),
}

impl<'a> Way<'a> {
    fn of(args: &Args, rules: &Rules, journal: &'a Arc<Journal>, interrupt: &'a Interrupt) -> Self {
        let AutomationArgs { document, role_arn, max_concurrency, max_errors } = &args.automation;
        match document {
            None => {
                let pace = Pace { concurrency: args.concurrency, interrupt: interrupt.clone() };
                Self::Direct(pace, journal)
            }
            Some(document) => {
                let runbook = Runbook {
                    document: document.clone(),
                    role_arn: role_arn.clone(),
                    max_concurrency: max_concurrency.clone(),
                    max_errors: max_errors.clone(),
                    rules: *rules,
                };
                Self::Runbook(Arc::new(runbook), journal, interrupt)
            }
        }
    }

    async fn apply(&self, tasks: Vec<Task>, record: &mut Record<'_>) -> anyhow::Result<()> {
        match self {
            Self::Direct(pace, journal) => direct::apply(tasks, pace, journal, record).await,
            Self::Runbook(runbook, journal, interrupt) => {
                runbook::apply(tasks, runbook, journal, interrupt, record).await
            }
        }
    }
}

/// Asks on the terminal.
fn agreed(changes: usize) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("there is nobody to ask: give --yes to change them, or --dry-run");
    }
    anstream::eprint!("Change {changes} instances? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn default_path() -> anyhow::Result<PathBuf> {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let now = OffsetDateTime::now_utc().format(format).context("cannot name the journal")?;
    Ok(PathBuf::from(format!("imdsv2-{now}.jsonl")))
}
