//! `imdsv2 remediate`: requires IMDSv2 where it is safe, with a plan before and a journal of every change.

mod plan;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use clap::Parser;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::plan::{Decision, OnUnknown, Rules};
use super::instance::{self, Options};
use super::journal::{Entry, Journal, Step};
use super::places::{Place, Selection};
use super::usage::{self, Usage};
use super::{Outcome, complain};
use crate::policy::Policy;
use crate::resource::{HttpTokens, Resource, ResourceType};
use crate::sources::ec2::Ec2Error;
use crate::sources::region::{self, Visitor};
use crate::verdict::{Compliance, evaluate};

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
  imdsv2 remediate --accounts-file roles.txt --hop-limit 2 --yes --journal monday.jsonl
  imdsv2 restore monday.jsonl

Exit status: 0 nothing is left open, 1 something is, 2 an error.")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// Only this instance; may be repeated
    #[arg(long = "instance-id", value_name = "ID")]
    instance_ids: Vec<String>,

    /// How many days back IMDSv1 calls are looked for, at most 455. 0 does not look
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u16).range(..=455))]
    usage_days: u16,

    /// What to do with an instance of which CloudWatch has no usage data
    #[arg(long, value_enum, default_value_t = OnUnknown::Stop)]
    on_unknown_usage: OnUnknown,

    /// Enforce although IMDSv1 is used, or its use is unknown. What uses it loses its credentials
    #[arg(long)]
    force: bool,

    /// Raise the hop limit to this, 1 to 64; containers often need 2. A higher one stays
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=64))]
    hop_limit: Option<i32>,

    /// The rule's parameters, as a JSON object of strings: what is exempt is left as it is
    #[arg(long, value_name = "JSON", value_parser = Policy::from_rule_parameters)]
    parameters: Option<Policy>,

    /// Change nothing; ask EC2 whether the changes would be allowed
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    /// How many instances are changed at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,

    /// Where to write the journal; it must not exist. Without it: imdsv2-<time>.jsonl, here
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

/// An instance that is open to IMDSv1.
#[derive(Clone, Debug)]
struct Target {
    place: Arc<Place>,
    instance_id: String,
    may_call: bool,
    endpoint_on: bool,
    hop_limit: i32,
}

pub(in crate::cli) async fn run(args: &Args) -> anyhow::Result<Outcome> {
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
    show_plan(&plan).context("cannot write the plan")?;
    let left = plan.iter().filter(|(_, decision)| matches!(decision, Decision::Leave(_))).count();
    let work: Vec<_> = plan
        .into_iter()
        .filter_map(|(target, decision)| match decision {
            Decision::Enforce { raise_to } => Some((target, raise_to)),
            Decision::Leave(_) => None,
        })
        .collect();
    let done = if args.dry_run { prove(work).await } else { change(args, work).await? };
    Ok(match (failures.len() + done.failed, left + done.not_begun) {
        (1.., _) => Outcome::Incomplete,
        (0, 1..) => Outcome::Findings,
        (0, 0) => Outcome::Clean,
    })
}

type Plan = Vec<(Target, Decision)>;

async fn make_plan(args: &Args, rules: &Rules) -> anyhow::Result<(Plan, Vec<String>)> {
    let places = args.selection.places().await?;
    let mut failures = places.closed;
    let wanted: BTreeSet<_> = args.instance_ids.iter().cloned().collect();
    let policy = Arc::new(args.parameters.clone().unwrap_or_default());
    let slots = Arc::new(Semaphore::new(usize::from(args.concurrency)));
    let mut tasks = JoinSet::new();
    for place in places.open {
        let (slots, policy, wanted, rules) =
            (Arc::clone(&slots), Arc::clone(&policy), wanted.clone(), *rules);
        tasks.spawn(async move {
            let _slot = slots.acquire().await;
            plan_place(Arc::new(place), &policy, &wanted, &rules).await
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
    for missing in wanted.iter().filter(|id| !found.contains(id.as_str())) {
        anstream::eprintln!("{missing}: nothing to do: compliant, exempt, or not there");
    }
    Ok((plan, failures))
}

async fn plan_place(
    place: Arc<Place>,
    policy: &Policy,
    wanted: &BTreeSet<String>,
    rules: &Rules,
) -> Result<Plan, String> {
    let name = format!("account {}, {}", place.account_id, place.region);
    let mut open = Open { place: &place, policy, wanted, targets: Vec::new() };
    let listed = region::each_instance(&place.clients, &mut open).await;
    listed.map_err(|error| format!("{name}: {error}"))?;
    let targets = open.targets;
    let usages: Vec<Option<Usage>> = if rules.usage_days == 0 || targets.is_empty() {
        vec![None; targets.len()]
    } else {
        let candidates: Vec<_> =
            targets.iter().map(|target| (target.instance_id.as_str(), target.may_call)).collect();
        let client = aws_sdk_cloudwatch::Client::new(&place.sdk);
        // Where CloudWatch does not answer, nothing is changed: not even with the usage taken as unknown.
        let usages = usage::look_up(&client, &candidates, rules.usage_days).await;
        usages.map_err(|error| format!("{name}: {error}"))?.into_iter().map(Some).collect()
    };
    let decide = |(target, usage): (Target, _)| {
        let decision = rules.decide(usage, target.endpoint_on, target.hop_limit);
        (target, decision)
    };
    Ok(targets.into_iter().zip(usages).map(decide).collect())
}

/// Takes the instances that are open to IMDSv1, of those that are wanted.
struct Open<'a> {
    place: &'a Arc<Place>,
    policy: &'a Policy,
    wanted: &'a BTreeSet<String>,
    targets: Vec<Target>,
}

impl Visitor for Open<'_> {
    type Error = Ec2Error;

    async fn visit(&mut self, resource: Resource<'_>, may_call: bool) -> Result<(), Ec2Error> {
        let verdict = evaluate(&resource, self.policy, OffsetDateTime::now_utc().date());
        let options = resource.metadata_options.as_ref();
        let required = options.is_some_and(|options| options.http_tokens == HttpTokens::Required);
        let asked = self.wanted.is_empty() || self.wanted.contains(resource.resource_id.as_ref());
        if asked && verdict.compliance == Compliance::NonCompliant && !required {
            debug_assert_eq!(resource.resource_type, ResourceType::Instance);
            let endpoint_on = options.is_none_or(|options| !options.endpoint_disabled);
            let hop_limit = options.and_then(|options| options.hop_limit).unwrap_or_default();
            self.targets.push(Target {
                place: Arc::clone(self.place),
                instance_id: resource.resource_id.to_string(),
                may_call: may_call && endpoint_on,
                endpoint_on,
                hop_limit: i32::try_from(hop_limit).unwrap_or(i32::MAX),
            });
        }
        Ok(())
    }
}

impl Target {
    fn key(&self) -> (&str, &str, &str) {
        (&self.place.account_id, &self.place.region, &self.instance_id)
    }

    fn entry(&self, step: Step) -> Entry {
        let (account_id, region, instance_id) = self.key();
        Entry {
            time: String::new(),
            account_id: account_id.to_owned(),
            region: region.to_owned(),
            instance_id: instance_id.to_owned(),
            step,
        }
    }

    fn say(&self, what: &str) {
        let (account_id, region, instance_id) = self.key();
        anstream::println!("{account_id}  {region}  {instance_id}  {what}");
    }
}

fn show_plan(plan: &Plan) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (target, decision) in plan {
        let (account_id, region, instance_id) = target.key();
        let what = match decision {
            Decision::Enforce { raise_to: None } => "require tokens".to_owned(),
            Decision::Enforce { raise_to: Some(limit) } => {
                format!("require tokens, raise the hop limit from {} to {limit}", target.hop_limit)
            }
            Decision::Leave(reason) => format!("leave as it is: {reason}"),
        };
        writeln!(out, "{account_id}  {region}  {instance_id}  {what}")?;
    }
    let enforce = plan.iter().filter(|(_, decision)| matches!(decision, Decision::Enforce { .. })).count();
    writeln!(out, "{enforce} to change, {} to leave as they are", plan.len() - enforce)?;
    out.flush()
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    failed: usize,
    not_begun: usize,
}

/// Asks EC2 whether each change would be allowed.
async fn prove(work: Vec<(Target, Option<i32>)>) -> Done {
    let mut done = Done { not_begun: work.len(), ..Done::default() };
    for (target, raise_to) in work {
        let ec2 = &target.place.clients.ec2;
        match instance::set(ec2, &target.instance_id, "required", raise_to, true).await {
            Ok(()) => target.say("allowed"),
            Err(error) => {
                complain(&format!("{}: {error}", target.instance_id));
                done.failed += 1;
            }
        }
    }
    done
}

/// Makes the changes, each in the journal first.
async fn change(args: &Args, work: Vec<(Target, Option<i32>)>) -> anyhow::Result<Done> {
    if work.is_empty() {
        return Ok(Done::default());
    }
    if !args.yes && !agreed(work.len())? {
        return Ok(Done { not_begun: work.len(), ..Done::default() });
    }
    let path = args.journal.clone().map_or_else(default_path, Ok)?;
    let journal = Arc::new(Journal::create(&path)?);
    let stop = stop_on_interrupt();
    let slots = Arc::new(Semaphore::new(usize::from(args.concurrency)));
    let mut tasks = JoinSet::new();
    for (target, raise_to) in work {
        let (journal, stop, slots) = (Arc::clone(&journal), Arc::clone(&stop), Arc::clone(&slots));
        tasks.spawn(async move {
            let _slot = slots.acquire().await;
            if stop.load(Ordering::Relaxed) {
                return Change::NotBegun;
            }
            match enforce(&target, raise_to, &journal).await {
                Ok(what) => {
                    target.say(what);
                    Change::Made
                }
                Err(error) => {
                    complain(&format!("{}: {error}", target.instance_id));
                    Change::Failed
                }
            }
        });
    }
    let (mut done, mut made) = (Done::default(), 0_usize);
    while let Some(change) = tasks.join_next().await {
        match change.context("a change broke off; the journal has how the instance was")? {
            Change::Made => made += 1,
            Change::Failed => done.failed += 1,
            Change::NotBegun => done.not_begun += 1,
        }
    }
    let journal = journal.path().display();
    anstream::eprintln!(
        "{made} done, {} failed, {} not begun. To undo: imdsv2 restore {journal}",
        done.failed,
        done.not_begun
    );
    Ok(done)
}

enum Change {
    Made,
    Failed,
    NotBegun,
}

/// Requires tokens on an instance, which is looked at once more: the plan may be old by now.
async fn enforce(target: &Target, raise_to: Option<i32>, journal: &Journal) -> Result<&'static str, String> {
    let (ec2, id) = (&target.place.clients.ec2, target.instance_id.as_str());
    let Some(now) = instance::look(ec2, id).await? else { return Ok("gone: nothing to do") };
    let before = now.options;
    if before.http_tokens == "required" {
        return Ok("tokens are required already");
    }
    let raise_to = raise_to.filter(|limit| before.http_endpoint != "disabled" && *limit > before.hop_limit);
    let written = |step| journal.write(target.entry(step)).map_err(|error| format!("the journal: {error}"));
    written(Step::Changing {
        http_tokens: before.http_tokens.clone(),
        http_put_response_hop_limit: raise_to.map(|_| before.hop_limit),
        http_endpoint: before.http_endpoint.clone(),
    })?;
    let wanted = Options {
        http_tokens: "required".to_owned(),
        hop_limit: raise_to.unwrap_or(before.hop_limit),
        http_endpoint: before.http_endpoint,
    };
    let mut outcome = instance::set(ec2, id, "required", raise_to, false).await;
    if outcome.is_ok() {
        outcome = instance::settle(ec2, id, &wanted).await;
    }
    let step = match &outcome {
        Ok(()) => Step::Changed,
        Err(error) => Step::Failed { error: error.clone() },
    };
    written(step)?;
    outcome.map(|()| "tokens are required now")
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

/// Becomes true at the first Ctrl-C; the second one ends the process, as ever.
pub(in crate::cli) fn stop_on_interrupt() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if seen.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            anstream::eprintln!("Ending after the changes under way. Again Ctrl-C ends at once.");
        }
    });
    stop
}
