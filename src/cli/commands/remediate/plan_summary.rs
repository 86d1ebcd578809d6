//! The plan in a few lines: what a person has to know to agree to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::args::Args;
use super::canary::{POLL_INTERVAL, Split};
use super::change::PlannedChange;
use super::planning::Prepared;
use crate::cli::fleet::usage::metrics_requested;
use crate::cli::output::changes::{ChangeFormat, ChangeReport};
use crate::cli::terminal::messages;
use crate::cli::terminal::names::some;
use crate::rule::instance::InstanceState;
use crate::rule::launched_by::is_cluster_node;
use crate::rule::resource::HttpEndpoint;

/// How long a change takes, as a rule: EC2 applies it within seconds, and it is described before and after.
const TYPICAL_CHANGE: Duration = Duration::from_secs(5);
/// The price of 1,000 metrics that are requested from CloudWatch, in US cents
/// (<https://aws.amazon.com/cloudwatch/pricing/>).
const CENTS: usize = 1;

/// Why an instance is not changed that could be.
pub(super) const BEYOND_LIMIT: &str = "beyond --limit";

/// What the plan says, beside the changes.
#[derive(Default)]
pub(super) struct PlanFacts {
    /// The accounts, each with its name if it is known.
    pub(super) accounts: BTreeMap<String, Option<String>>,
    pub(super) regions: BTreeSet<String>,
    /// The number of instances to skip, by reason.
    pub(super) skipped: BTreeMap<&'static str, usize>,
    /// The number of instances that need no change, by reason.
    pub(super) unchanged: BTreeMap<&'static str, usize>,
    /// The number of instances that are changed only because of `--force`, by the reason to skip them.
    pub(super) forced: BTreeMap<&'static str, usize>,
    /// The number of metrics that were requested for the plan.
    pub(super) metrics: usize,
}

/// Returns counts as a phrase, such as `9 in use, 3 boot-time calls`.
pub(super) fn counts(counts: &BTreeMap<&'static str, usize>) -> String {
    let parts = counts.iter().map(|(reason, count)| format!("{count} {reason}"));
    parts.collect::<Vec<_>>().join(", ")
}

/// Returns the number of instances with the reasons, such as `12 instances: 9 in use, 3 boot-time calls`.
fn all(reasons: &BTreeMap<&'static str, usize>) -> String {
    let all = instances(reasons.values().sum());
    match reasons.first_key_value() {
        Some((reason, _)) if reasons.len() == 1 => format!("{all}: {reason}"),
        _ => format!("{all}: {}", counts(reasons)),
    }
}

/// Returns a number with its noun.
fn instances(count: usize) -> String {
    if count == 1 { "1 instance".to_owned() } else { format!("{count} instances") }
}

/// Prints the plan, and where `--details` says, what is planned for each instance.
///
/// # Errors
/// Returns an error if the details cannot be written.
pub(super) fn print(args: &Args, prepared: &Prepared, journal: &Path) -> anyhow::Result<()> {
    let Prepared { changes, facts, planned, left, .. } = prepared;
    let journal = (!args.dry_run).then(|| journal.display().to_string());
    messages::note("Plan");
    for (label, value) in entries(args, facts, changes, journal.as_deref()) {
        messages::entry(label, &value);
    }
    for warning in warnings(args, facts) {
        messages::warning(&warning);
    }
    let mut details = planned.iter().chain(left);
    let Some(file) = args.details_file() else {
        for change in details.filter(|_| args.details.is_some()) {
            messages::note(&change.line());
        }
        return Ok(());
    };
    let mut report = ChangeReport::open(ChangeFormat::Csv, Some(file))?;
    let written = details.try_for_each(|change| report.add(change));
    written.and_then(|()| report.finish(None)).context("cannot write the details")?;
    messages::note(&format!("{}: what is planned for each instance", file.display()));
    Ok(())
}

/// Returns the plan as labels and values. `journal` is where the changes will be written.
fn entries(
    args: &Args,
    facts: &PlanFacts,
    changes: &[PlannedChange],
    journal: Option<&str>,
) -> Vec<(&'static str, String)> {
    let mut entries = Vec::new();
    let mut add = |label, text| entries.push((label, text));
    let accounts: Vec<_> = facts.accounts.iter().map(account).collect();
    add(if accounts.len() == 1 { "Account" } else { "Accounts" }, some(&accounts));
    add("Credentials", args.selection.credentials());
    let regions: Vec<_> = facts.regions.iter().collect();
    add(if regions.len() == 1 { "Region" } else { "Regions" }, some(&regions));
    add("Change", change_line(changes));
    for (label, reasons) in [("Skip", &facts.skipped), ("No change", &facts.unchanged)] {
        if !reasons.is_empty() {
            add(label, all(reasons));
        }
    }
    if !changes.is_empty() {
        if let Some(text) = hop_limit_line(args, changes) {
            add("Hop limit", text);
        }
        if let Some(text) = canary_line(args, changes) {
            add("Canary", text);
        }
        add("Duration", duration_line(args, changes.len()));
    }
    add("CloudWatch", cost_line(args, facts.metrics, changes.len()));
    if let Some(journal) = journal.filter(|_| !changes.is_empty()) {
        add("Journal", journal.to_owned());
    }
    entries
}

/// Returns what the plan does not check, if anything.
fn warnings(args: &Args, facts: &PlanFacts) -> Vec<String> {
    let policy = args.policy();
    let mut warnings = Vec::new();
    if policy.lookback_days == 0 {
        warnings.push(
            "--usage-days 0: IMDSv1 calls are NOT CHECKED; software that uses IMDSv1 loses access".to_owned(),
        );
    }
    if policy.force {
        let forced = if facts.forced.is_empty() { "none now".to_owned() } else { counts(&facts.forced) };
        warnings.push(format!(
            "--force: instances are changed ALTHOUGH they use IMDSv1 or may use it ({forced}); their software loses \
             access"
        ));
    }
    warnings
}

fn account((id, name): (&String, &Option<String>)) -> String {
    name.as_ref().map_or_else(|| id.clone(), |name| format!("{id} ({name})"))
}

fn change_line(changes: &[PlannedChange]) -> String {
    let stopped = changes.iter().filter(|change| change.target.facts.state == InstanceState::Stopped).count();
    let note =
        if stopped > 0 { format!("; {stopped} of them stopped: at their next start") } else { String::new() };
    let change = if changes.is_empty() { "" } else { ": set HttpTokens=required" };
    format!("{}{change}{note}", instances(changes.len()))
}

/// Describes what happens to hop limits, and warns of those that containers cannot reach IMDSv2 through
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>).
fn hop_limit_line(args: &Args, changes: &[PlannedChange]) -> Option<String> {
    let raised = changes.iter().filter(|change| change.raise_hop_limit_to.is_some()).count();
    if let Some(limit) = args.policy().hop_limit {
        return Some(format!("raised to {limit} on {}", instances(raised)));
    }
    let has_one = |change: &&PlannedChange| {
        let options = change.target.facts.resource.metadata_options.as_ref();
        options.is_some_and(|o| o.hop_limit == Some(1) && o.http_endpoint != HttpEndpoint::Disabled)
    };
    let ones: Vec<_> = changes.iter().filter(has_one).collect();
    let nodes = ones.iter().filter(|change| is_cluster_node(&change.target.facts.resource)).count();
    match (ones.len(), nodes) {
        (0, _) => None,
        (all, 0) => Some(format!("1 on {}: if they run containers, pass --hop-limit 2", instances(all))),
        (all, nodes) => Some(format!(
            "1 on {}, {nodes} of which in a container cluster: its containers lose access; pass --hop-limit 2",
            instances(all)
        )),
    }
}

fn canary_line(args: &Args, changes: &[PlannedChange]) -> Option<String> {
    let Split { canary, .. } = super::canary::split(changes.to_vec(), args.canary?);
    let names: Vec<_> = canary.iter().map(|change| change.target.instance_id()).collect();
    let soak = humantime::format_duration(args.soak);
    Some(format!("{} first, watched for {soak}: {}", instances(canary.len()), some(&names)))
}

fn duration_line(args: &Args, changes: usize) -> String {
    let soak = match args.canary {
        Some(_) => format!(", and {} for the canary", humantime::format_duration(args.soak)),
        None => String::new(),
    };
    if let Some(document) = &args.automation.document {
        return format!("as long as {document} takes, {} at a time{soak}", args.automation.max_concurrency);
    }
    let rounds = changes.div_ceil(usize::from(args.concurrency));
    let time = TYPICAL_CHANGE.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX));
    let time = humantime::format_duration(time);
    format!("about {time}, {} at a time{soak}", args.concurrency)
}

/// Estimates what the requests to CloudWatch cost: those for the plan, those right before the changes, and those for
/// the canary.
fn cost_line(args: &Args, metrics: usize, changes: usize) -> String {
    let checks = if args.policy().lookback_days > 0 { metrics_requested(changes) } else { 0 };
    let polls = usize::try_from(args.soak.as_secs() / POLL_INTERVAL.as_secs()).unwrap_or(usize::MAX);
    let watched = args.canary.map_or(0, |size| metrics_requested(size.of(changes)).saturating_mul(polls + 1));
    let all = metrics.saturating_add(checks).saturating_add(watched);
    match all.saturating_mul(CENTS).div_ceil(1_000) {
        0 => "no requests".to_owned(),
        1 => format!("less than 0.01 USD: at most {all} metrics requested"),
        cents => format!("about {}.{:02} USD: at most {all} metrics requested", cents / 100, cents % 100),
    }
}
