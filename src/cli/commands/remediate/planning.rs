//! The plan: what to do with each instance, by what CloudWatch knows of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::args::Args;
use super::change::PlannedChange;
use super::selection::InstanceSelection;
use super::target::{self, Target};
use crate::cli::fleet::accounts::AccountRegion;
use crate::cli::fleet::usage;
use crate::cli::output::changes::{Change, ChangeReport, ChangeStatus};
use crate::cli::terminal::messages;
use crate::rule::enforcement::{Decision, EnforcementPolicy, Usage, decide};
use crate::rule::policy::Policy;
use crate::rule::resource::Location;

/// What to do with each instance.
pub(super) type Plan = Vec<PlannedInstance>;

/// An instance, and what to do with it.
pub(super) struct PlannedInstance {
    pub(super) target: Target,
    pub(super) decision: Decision,
}

/// Lists the selected instances, and decides on each. Also returns what could not be listed.
///
/// # Errors
/// Returns an error if an input file cannot be read.
pub(super) async fn plan(args: &Args, policy: &EnforcementPolicy) -> anyhow::Result<(Plan, Vec<String>)> {
    let selection = match &args.from {
        Some(scan) => InstanceSelection::found_in(scan)?,
        None => InstanceSelection::ids(&args.instance_ids),
    };
    let fleet = match selection.regions() {
        Some(regions) => args.selection.fleet_in(regions).await?,
        None => args.selection.fleet().await?,
    };
    let mut failures = fleet.unreachable;
    let entered: BTreeSet<_> =
        fleet.regions.iter().map(|region| region.location.account_id.clone()).collect();
    let missing = selection.accounts().into_iter().filter(|account_id| !entered.contains(*account_id));
    failures.extend(missing.map(no_credentials));

    let planner = Arc::new(Planner {
        selection,
        rule_policy: args.parameters.clone().unwrap_or_default(),
        policy: *policy,
        slots: Semaphore::new(usize::from(args.concurrency)),
    });
    let mut tasks = JoinSet::new();
    for region in fleet.regions.into_iter().filter(|region| planner.selection.may_be_in(&region.location)) {
        let planner = Arc::clone(&planner);
        tasks.spawn(async move { planner.plan_region(&Arc::new(region)).await });
    }
    let mut plan = Vec::new();
    while let Some(planned) = tasks.join_next().await {
        match planned.context("the planning of a Region panicked")? {
            Ok(region) => plan.extend(region),
            Err(failure) => failures.push(failure),
        }
    }
    plan.sort_by(|a, b| a.target.instance.cmp(&b.target.instance));
    print_missing(&planner.selection, &plan, !failures.is_empty());
    Ok((plan, failures))
}

/// Describes an account that no credentials were passed for.
pub(crate) fn no_credentials(account_id: &str) -> String {
    format!("no credentials for account {account_id}: pass --role-arn")
}

/// Prints the selected instances that are not in the plan.
fn print_missing(selection: &InstanceSelection, plan: &Plan, has_failures: bool) {
    let planned: BTreeSet<_> = plan.iter().map(|planned| planned.target.instance_id()).collect();
    let reason = if has_failures {
        "not found among the instances that could be listed"
    } else {
        "nothing to do: compliant, exempt, or not found"
    };
    for id in selection.instance_ids().filter(|id| !planned.contains(id)) {
        messages::note(&format!("{id}: {reason}"));
    }
}

/// Plans account by account and Region by Region.
struct Planner {
    selection: InstanceSelection,
    rule_policy: Policy,
    policy: EnforcementPolicy,
    slots: Semaphore,
}

impl Planner {
    async fn plan_region(&self, region: &Arc<AccountRegion>) -> Result<Plan, String> {
        let _slot = self.slots.acquire().await;
        let targets = target::list(region, &self.rule_policy, &self.selection).await;
        let targets = targets.map_err(|error| format!("{}: {error}", region.location))?;
        decide_in_region(region, targets, &self.policy).await
    }
}

/// Decides on instances of one account and Region.
async fn decide_in_region(
    region: &AccountRegion,
    targets: Vec<Target>,
    policy: &EnforcementPolicy,
) -> Result<Plan, String> {
    let usages = if policy.lookback_days == 0 || targets.is_empty() {
        vec![Usage::NotChecked; targets.len()]
    } else {
        let candidates: Vec<_> = targets.iter().map(Target::candidate).collect();
        // Without a response of CloudWatch nothing is changed, even if unknown usage is acceptable.
        let usages = usage::imdsv1_usage(&region.cloudwatch(), &candidates, policy.lookback_days).await;
        usages.map_err(|error| format!("{}: {error}", region.location))?
    };
    let decide = |(target, usage): (Target, Usage)| {
        let decision = decide(&target.options, usage, policy);
        PlannedInstance { target, decision }
    };
    Ok(targets.into_iter().zip(usages).map(decide).collect())
}

/// Decides again on planned changes, with current data of CloudWatch.
///
/// # Errors
/// Returns an error if CloudWatch does not respond.
pub(super) async fn decide_again(
    changes: &[PlannedChange],
    policy: &EnforcementPolicy,
) -> Result<Plan, String> {
    let mut regions: BTreeMap<&Location, Vec<Target>> = BTreeMap::new();
    for PlannedChange { target, .. } in changes {
        regions.entry(&target.instance.location).or_default().push(target.clone());
    }
    let mut plan = Vec::new();
    for targets in regions.into_values() {
        let Some(region) = targets.first().map(|target| Arc::clone(&target.region)) else { continue };
        plan.extend(decide_in_region(&region, targets, policy).await?);
    }
    Ok(plan)
}

/// Prints the planned changes, writes the skipped instances to the report, and returns the changes.
///
/// # Errors
/// Returns an error if the report cannot be written.
pub(super) fn print_plan(plan: Plan, report: &mut ChangeReport) -> io::Result<Vec<PlannedChange>> {
    let (mut changes, mut skipped) = (Vec::new(), 0_usize);
    for PlannedInstance { target, decision } in plan {
        match decision {
            Decision::Enforce { raise_hop_limit_to } => {
                let change = PlannedChange { target, raise_hop_limit_to };
                let Location { account_id, region } = &change.target.instance.location;
                let (instance_id, description) = (change.target.instance_id(), change.description());
                messages::note(&format!("{account_id}  {region}  {instance_id}  {description}"));
                changes.push(change);
            }
            Decision::Skip(reason) => {
                skipped += 1;
                let detail = reason.to_string();
                let status = ChangeStatus::Skipped;
                report.add(&Change { instance: target.instance, status, detail })?;
            }
        }
    }
    messages::note(&format!("{} to change, {skipped} to skip", changes.len()));
    Ok(changes)
}
