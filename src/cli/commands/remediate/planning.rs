//! The plan: what to do with each instance, by what EC2 and CloudWatch know of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::args::Args;
use super::change::PlannedChange;
use super::plan_summary::{BEYOND_LIMIT, PlanFacts};
use super::selection::InstanceSelection;
use super::sources::Sources;
use super::target::{self, Target, UnchangedInstance};
use crate::aws::ApiError;
use crate::cli::calls::known::KnownCallers;
use crate::cli::clock::Clock;
use crate::cli::filter::Filter;
use crate::cli::fleet::accounts::AccountRegion;
use crate::cli::fleet::failures::{self, Failure};
use crate::cli::fleet::{unreachable, usage};
use crate::cli::output::changes::{Change, ChangeStatus};
use crate::rule::enforcement::{Decision, EnforcementPolicy, NoChangeReason, SkipReason, Usage, decide};
use crate::rule::instance::InstanceKey;
use crate::rule::policy::Policy;
use crate::rule::resource::Location;
use crate::sources::ec2::Ec2Error;

/// What to do with each instance.
#[derive(Default)]
pub(super) struct Plan {
    instances: Vec<PlannedInstance>,
    /// The instances that are selected one by one and need no change.
    unchanged: Vec<UnchangedInstance>,
    /// What could not be listed or found.
    pub(super) failures: Vec<String>,
    /// The instances that the filter leaves out, if instances are selected one by one.
    left_out: BTreeSet<InstanceKey>,
    facts: PlanFacts,
}

/// An instance, and what to do with it.
struct PlannedInstance {
    target: Target,
    usage: Usage,
    usage_at: OffsetDateTime,
    decision: Decision,
    /// Why it would be skipped without `--force`.
    forced: Option<SkipReason>,
}

/// A plan, taken apart.
pub(super) struct Prepared {
    pub(super) changes: Vec<PlannedChange>,
    pub(super) facts: PlanFacts,
    pub(super) sources: Sources,
    /// What is planned for each instance that is changed.
    pub(super) planned: Vec<Change>,
    /// The instances that are not changed.
    pub(super) left: Vec<Change>,
}

/// Lists the selected instances, and decides on each.
///
/// # Errors
/// Returns an error if an input file cannot be read.
pub(super) async fn plan(args: &Args, filter: Filter, clock: &Clock) -> anyhow::Result<Plan> {
    let callers = args.callers.as_deref().map(KnownCallers::read).transpose()?;
    let selection = match &args.from {
        Some(scan) => InstanceSelection::found_in(scan)?,
        None => InstanceSelection::ids(&args.instance_ids),
    };
    let fleet = match selection.regions() {
        Some(regions) => args.selection.fleet_in(&selection.accounts(), regions, "remediate").await?,
        None => args.selection.fleet("remediate").await?,
    };
    let failures = unreachable::lines(&fleet.unreachable, "remediate");
    let mut plan = Plan { failures, ..Plan::default() };
    let entered: BTreeSet<_> =
        fleet.regions.iter().map(|region| region.location.account_id.clone()).collect();
    let accounts = selection.accounts();
    plan.failures.extend(accounts.difference(&entered).map(|account_id| no_credentials(account_id)));

    let planner = Arc::new(Planner {
        selection,
        filter,
        callers,
        rule: args.rule_policy(),
        policy: args.policy(),
        clock: clock.clone(),
        slots: Semaphore::new(usize::from(args.concurrency)),
    });
    let regions: Vec<_> =
        fleet.regions.into_iter().filter(|region| planner.selection.may_be_in(&region.location)).collect();
    plan.facts.regions = regions.iter().map(|region| region.location.region.clone()).collect();
    plan.facts.accounts = account_names(&regions).await;
    let progress = args.selection.environment.screen.over_regions(regions.len());
    let mut tasks = JoinSet::new();
    for region in regions {
        let planner = Arc::clone(&planner);
        tasks.spawn(async move { planner.plan_region(&Arc::new(region)).await });
    }
    let (mut listed, mut failures) = (BTreeSet::new(), Vec::new());
    while let Some(planned) = tasks.join_next().await {
        progress.step();
        match planned.context("the planning of a Region panicked")? {
            Ok(region) => {
                listed.insert(region.location.clone());
                plan.add_region(region);
            }
            Err(failure) => failures.push(failure),
        }
    }
    plan.failures.extend(failures::lines(&failures, "remediate"));
    plan.instances.sort_by(|a, b| a.target.instance.cmp(&b.target.instance));
    plan.add_missing(&planner.selection, &listed);
    Ok(plan)
}

/// Returns the names of accounts, as far as the credentials may read them.
async fn account_names(regions: &[AccountRegion]) -> BTreeMap<String, Option<String>> {
    let mut names = BTreeMap::new();
    for region in regions {
        let account_id = &region.location.account_id;
        if !names.contains_key(account_id) {
            names.insert(account_id.clone(), region.account_name().await);
        }
    }
    names
}

/// Describes an account that was not entered.
pub(crate) fn no_credentials(account_id: &str) -> String {
    format!("no credentials for account {account_id}: select it, or pass a role in it as --role-arn")
}

impl Plan {
    fn add_region(&mut self, region: RegionPlan) {
        self.instances.extend(region.instances);
        self.unchanged.extend(region.unchanged);
        self.facts.metrics += region.metrics;
        self.left_out.extend(region.left_out);
        for (reason, count) in region.unchanged_counts {
            *self.facts.unchanged.entry(reason).or_default() += count;
        }
    }

    /// Adds the instances that are selected one by one and were not listed. One that a scan found has disappeared
    /// since; an id that was passed may be misspelled.
    fn add_missing(&mut self, selection: &InstanceSelection, listed: &BTreeSet<Location>) {
        let planned = self.instances.iter().map(|planned| &planned.target.instance);
        let found: BTreeSet<&InstanceKey> = planned
            .chain(self.unchanged.iter().map(|unchanged| &unchanged.instance))
            .chain(&self.left_out)
            .collect();
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
        if !self.left_out.is_empty() {
            self.facts.unchanged.insert("not selected", self.left_out.len());
        }
        if !gone.is_empty() {
            *self.facts.unchanged.entry(NoChangeReason::NotFound.label()).or_default() += gone.len();
        }
        let reason = NoChangeReason::NotFound;
        let gone = gone.into_iter().map(|instance| UnchangedInstance { instance, reason: reason.clone() });
        self.unchanged.extend(gone);
        self.failures.extend(unknown);
    }

    /// Takes the plan apart. `limit` is the most instances to change.
    pub(super) fn prepare(self, limit: Option<u32>) -> Prepared {
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let Self { instances, unchanged, facts, .. } = self;
        let mut prepared = Prepared {
            changes: Vec::new(),
            facts,
            sources: Sources::default(),
            planned: Vec::new(),
            left: Vec::new(),
        };
        for UnchangedInstance { instance, reason } in unchanged {
            let (status, detail) = (ChangeStatus::Unchanged, reason.to_string());
            prepared.left.push(Change { instance, name: None, status, detail });
        }
        for planned in instances {
            prepared.sources.count(&planned.target);
            prepared.add(planned, limit);
        }
        prepared
    }
}

impl Prepared {
    fn add(&mut self, planned: PlannedInstance, limit: usize) {
        let PlannedInstance { target, usage, usage_at, decision, forced } = planned;
        let (status, detail) = match decision {
            Decision::Enforce { raise_hop_limit_to } => {
                let change = PlannedChange { target, raise_hop_limit_to, usage, usage_at };
                if self.changes.len() >= limit {
                    *self.facts.skipped.entry(BEYOND_LIMIT).or_default() += 1;
                    let detail = format!("{BEYOND_LIMIT} {limit}");
                    return self.left.push(Change { detail, ..change.planned() });
                }
                if let Some(reason) = forced {
                    *self.facts.forced.entry(reason.label()).or_default() += 1;
                }
                self.planned.push(change.planned());
                return self.changes.push(change);
            }
            Decision::Skip(reason) => {
                *self.facts.skipped.entry(reason.label()).or_default() += 1;
                (ChangeStatus::Skipped, target.why_skipped(&reason))
            }
            Decision::NoChange(reason) => {
                *self.facts.unchanged.entry(reason.label()).or_default() += 1;
                (ChangeStatus::Unchanged, reason.to_string())
            }
        };
        let name = target.name();
        self.left.push(Change { instance: target.instance, name, status, detail });
    }
}

/// Plans account by account and Region by Region.
struct Planner {
    selection: InstanceSelection,
    filter: Filter,
    callers: Option<KnownCallers>,
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
    /// The number of instances that need no change, by reason.
    unchanged_counts: BTreeMap<&'static str, usize>,
    /// The instances that the filter leaves out.
    left_out: Vec<InstanceKey>,
    /// The number of metrics that were requested.
    metrics: usize,
}

impl Planner {
    async fn plan_region(&self, region: &Arc<AccountRegion>) -> Result<RegionPlan, Failure> {
        let _slot = self.slots.acquire().await;
        let today = self.clock.now().date();
        let failed = |what: &str, error: ApiError| Failure::new(&region.location, what, Some(error));
        let listed = target::list(region, &self.rule, &self.selection, &self.filter, today).await;
        let listed = listed.map_err(|error| match error {
            Ec2Error::List(error) => failed("cannot list instances", error),
            Ec2Error::Describe { error, .. } => failed("cannot describe instances", error),
        })?;
        let (usage_at, mut metrics) = (self.clock.now(), 0);
        let usages = if self.policy.lookback_days == 0 || listed.targets.is_empty() {
            vec![Usage::NotChecked; listed.targets.len()]
        } else {
            let candidates: Vec<_> = listed.targets.iter().map(Target::candidate).collect();
            metrics = usage::metrics_requested(candidates.len());
            let (client, days) = (region.cloudwatch(), self.policy.lookback_days);
            // Without a response of CloudWatch nothing is changed, even if unknown usage is acceptable.
            let usages = usage::imdsv1_usage(&client, &candidates, days, usage_at).await;
            usages.map_err(|error| failed("cannot query the IMDSv1 usage of instances", error))?
        };
        let cautious = EnforcementPolicy { force: false, ..self.policy };
        let decide = |(mut target, usage): (Target, Usage)| {
            target.callers = self.callers.as_ref().map(|callers| callers.of(target.instance_id()));
            let decided = |policy| decide(Some(&target.facts), &usage, policy, &self.rule, today);
            let decision = decided(&self.policy);
            let forced = match decided(&cautious) {
                Decision::Skip(reason) if self.policy.force => Some(reason),
                _ => None,
            };
            PlannedInstance { target, usage, usage_at, decision, forced }
        };
        let instances = listed.targets.into_iter().zip(usages).map(decide).collect();
        let mut unchanged_counts = BTreeMap::new();
        for unchanged in &listed.unchanged {
            *unchanged_counts.entry(unchanged.reason.label()).or_default() += 1;
        }
        let is_named = !matches!(self.selection, InstanceSelection::All);
        let (unchanged, left_out) =
            if is_named { (listed.unchanged, listed.left_out) } else { (Vec::new(), Vec::new()) };
        let location = region.location.clone();
        Ok(RegionPlan { location, instances, unchanged, unchanged_counts, left_out, metrics })
    }
}
