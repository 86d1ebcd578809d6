//! The plan: what to do with each instance, by what EC2 and CloudWatch know of it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use anyhow::Context;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::args::Args;
use super::change::PlannedChange;
use super::selection::InstanceSelection;
use super::target::{self, Target, UnchangedInstance};
use crate::cli::clock::Clock;
use crate::cli::fleet::accounts::AccountRegion;
use crate::cli::fleet::usage;
use crate::cli::output::changes::{Change, ChangeReport, ChangeStatus};
use crate::cli::terminal::messages;
use crate::rule::enforcement::{Decision, EnforcementPolicy, NoChangeReason, Usage, decide};
use crate::rule::policy::Policy;
use crate::rule::resource::{InstanceKey, Location};

/// What to do with each instance.
#[derive(Default)]
pub(super) struct Plan {
    instances: Vec<PlannedInstance>,
    /// The instances that are selected one by one and need no change.
    unchanged: Vec<UnchangedInstance>,
    /// What could not be listed or found.
    pub(super) failures: Vec<String>,
}

/// An instance, and what to do with it.
struct PlannedInstance {
    target: Target,
    usage: Usage,
    usage_at: OffsetDateTime,
    decision: Decision,
}

/// Lists the selected instances, and decides on each.
///
/// # Errors
/// Returns an error if an input file cannot be read.
pub(super) async fn plan(args: &Args, clock: &Clock) -> anyhow::Result<Plan> {
    let selection = match &args.from {
        Some(scan) => InstanceSelection::found_in(scan)?,
        None => InstanceSelection::ids(&args.instance_ids),
    };
    let fleet = match selection.regions() {
        Some(regions) => args.selection.fleet_in(regions).await?,
        None => args.selection.fleet().await?,
    };
    let mut plan = Plan { failures: fleet.unreachable, ..Plan::default() };
    let entered: BTreeSet<_> =
        fleet.regions.iter().map(|region| region.location.account_id.clone()).collect();
    let missing = selection.accounts().into_iter().filter(|account_id| !entered.contains(*account_id));
    plan.failures.extend(missing.map(no_credentials));

    let planner = Arc::new(Planner {
        selection,
        rule: args.rule_policy(),
        policy: args.policy(),
        clock: clock.clone(),
        slots: Semaphore::new(usize::from(args.concurrency)),
    });
    let mut tasks = JoinSet::new();
    for region in fleet.regions.into_iter().filter(|region| planner.selection.may_be_in(&region.location)) {
        let planner = Arc::clone(&planner);
        tasks.spawn(async move { planner.plan_region(&Arc::new(region)).await });
    }
    let mut listed = BTreeSet::new();
    while let Some(planned) = tasks.join_next().await {
        match planned.context("the planning of a Region panicked")? {
            Ok(region) => {
                listed.insert(region.location);
                plan.instances.extend(region.instances);
                plan.unchanged.extend(region.unchanged);
            }
            Err(failure) => plan.failures.push(failure),
        }
    }
    plan.instances.sort_by(|a, b| a.target.instance.cmp(&b.target.instance));
    plan.add_missing(&planner.selection, &listed);
    Ok(plan)
}

/// Describes an account that no credentials were passed for.
pub(crate) fn no_credentials(account_id: &str) -> String {
    format!("no credentials for account {account_id}: pass --role-arn")
}

impl Plan {
    /// Adds the instances that are selected one by one and were not listed. One that a scan found has disappeared
    /// since; an id that was passed may be misspelled.
    fn add_missing(&mut self, selection: &InstanceSelection, listed: &BTreeSet<Location>) {
        let planned = self.instances.iter().map(|planned| &planned.target.instance);
        let found: BTreeSet<&InstanceKey> =
            planned.chain(self.unchanged.iter().map(|unchanged| &unchanged.instance)).collect();
        let ids: BTreeSet<&str> = found.iter().map(|key| key.instance_id.as_str()).collect();
        let (mut gone, mut unknown) = (Vec::new(), Vec::new());
        match selection {
            InstanceSelection::All => {}
            InstanceSelection::Ids(wanted) => {
                let missing = wanted.iter().filter(|id| !ids.contains(id.as_str()));
                unknown.extend(missing.map(|id| {
                    format!("instance {id} was not found in the accounts and Regions that could be listed")
                }));
            }
            InstanceSelection::Found(wanted) => {
                let is_gone = |key: &&InstanceKey| listed.contains(&key.location) && !found.contains(key);
                gone.extend(wanted.iter().filter(is_gone).cloned());
            }
        }
        let reason = NoChangeReason::NotFound;
        let gone = gone.into_iter().map(|instance| UnchangedInstance { instance, reason: reason.clone() });
        self.unchanged.extend(gone);
        self.failures.extend(unknown);
    }

    /// Prints the planned changes, writes the other instances to the report, and returns the changes.
    ///
    /// # Errors
    /// Returns an error if the report cannot be written.
    pub(super) fn print(self, report: &mut ChangeReport) -> io::Result<Vec<PlannedChange>> {
        for UnchangedInstance { instance, reason } in self.unchanged {
            report.add(&Change { instance, status: ChangeStatus::Unchanged, detail: reason.to_string() })?;
        }
        let (mut changes, mut skipped) = (Vec::new(), 0_usize);
        for PlannedInstance { target, usage, usage_at, decision } in self.instances {
            let (status, detail) = match decision {
                Decision::Enforce { raise_hop_limit_to } => {
                    let change = PlannedChange { target, raise_hop_limit_to, usage, usage_at };
                    let Location { account_id, region } = &change.target.instance.location;
                    let (instance_id, description) = (change.target.instance_id(), change.description());
                    messages::note(&format!("{account_id}  {region}  {instance_id}  {description}"));
                    changes.push(change);
                    continue;
                }
                Decision::Skip(reason) => {
                    skipped += 1;
                    (ChangeStatus::Skipped, reason.to_string())
                }
                Decision::NoChange(reason) => (ChangeStatus::Unchanged, reason.to_string()),
            };
            report.add(&Change { instance: target.instance, status, detail })?;
        }
        messages::note(&format!("{} to change, {skipped} to skip", changes.len()));
        Ok(changes)
    }
}

/// Plans account by account and Region by Region.
struct Planner {
    selection: InstanceSelection,
    rule: Policy,
    policy: EnforcementPolicy,
    clock: Clock,
    slots: Semaphore,
}

/// The plan for an account and Region.
struct RegionPlan {
    location: Location,
    instances: Vec<PlannedInstance>,
    unchanged: Vec<UnchangedInstance>,
}

impl Planner {
    async fn plan_region(&self, region: &Arc<AccountRegion>) -> Result<RegionPlan, String> {
        let _slot = self.slots.acquire().await;
        let today = self.clock.now().date();
        let failed = |error: String| format!("{}: {error}", region.location);
        let listed = target::list(region, &self.rule, &self.selection, today).await;
        let listed = listed.map_err(|error| failed(error.to_string()))?;
        let usage_at = self.clock.now();
        let usages = if self.policy.lookback_days == 0 || listed.targets.is_empty() {
            vec![Usage::NotChecked; listed.targets.len()]
        } else {
            let candidates: Vec<_> = listed.targets.iter().map(Target::candidate).collect();
            let (client, days) = (region.cloudwatch(), self.policy.lookback_days);
            // Without a response of CloudWatch nothing is changed, even if unknown usage is acceptable.
            let usages = usage::imdsv1_usage(&client, &candidates, days, usage_at).await;
            usages.map_err(|error| failed(error.to_string()))?
        };
        let decide = |(target, usage): (Target, Usage)| {
            let decision = decide(Some(&target.facts), &usage, &self.policy, &self.rule, today);
            PlannedInstance { target, usage, usage_at, decision }
        };
        let instances = listed.targets.into_iter().zip(usages).map(decide).collect();
        let is_named = !matches!(self.selection, InstanceSelection::All);
        let unchanged = if is_named { listed.unchanged } else { Vec::new() };
        Ok(RegionPlan { location: region.location.clone(), instances, unchanged })
    }
}
