//! The scan of one account and Region.

use std::collections::HashSet;
use std::fmt;

use time::{Date, OffsetDateTime};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;

use crate::aws::ApiError;
use crate::cli::filter::Filter;
use crate::cli::fleet::accounts::{AccountRegion, EnteredAccount};
use crate::cli::fleet::failures::Failure;
use crate::cli::fleet::terminated::{self, Callers};
use crate::cli::fleet::unreachable::Unreachable;
use crate::cli::fleet::usage::{self, Candidate};
use crate::cli::output::terminated::Terminated;
use crate::cli::output::{Finding, FindingContext};
use crate::cli::terminal::shutdown::Shutdown;
use crate::rule::enforcement::Usage;
use crate::rule::if_enforced::evaluate_if_enforced;
use crate::rule::instance::InstanceFacts;
use crate::rule::policy::Policy;
use crate::rule::resource::{Location, Resource, ResourceType};
use crate::rule::usage::{UnknownReason, UsageState};
use crate::rule::verdict::{Compliance, Verdict, evaluate, evaluate_account_defaults};
use crate::sources::ec2::Ec2Error;
use crate::sources::ec2::launch_facts::LaunchFacts;
use crate::sources::ec2::region::{self, Visitor};

/// What the scan of an account or a Region sends.
pub(super) enum Message {
    /// The places in which an account is scanned, and the name of the account, if it is known.
    Entered(Vec<Location>, Option<String>),
    /// Why an account, or a Region of it, cannot be scanned.
    Unreachable(Vec<Unreachable>),
    /// What ends the whole scan: the selection names a Region that does not exist, for example.
    Invalid(anyhow::Error),
    Scanned(Box<Scanned>),
    /// The instances that no longer exist, and made IMDSv1 calls.
    Terminated(Vec<Terminated>),
    /// Something failed. Whether resources may be missing from what was sent.
    Failed(Failure, Listing),
    Done,
}

/// Whether a failure left out resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    Complete,
    Incomplete,
}

/// What a scan asks about resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether they comply with the policy.
    Compliance,
    /// Whether EC2 would refuse to launch from them, once it enforces IMDSv2.
    IfEnforced,
}

/// A resource that was scanned.
pub(super) struct Scanned {
    pub(super) finding: Finding<'static>,
    /// How the instance uses IMDSv1, if CloudWatch was asked.
    pub(super) usage: Option<UsageState>,
    /// Whether software on the instance can call IMDS as it is now.
    pub(super) may_call: bool,
}

/// How every Region is scanned.
pub(super) struct RegionScan {
    pub(super) policy: Policy,
    pub(super) filter: Filter,
    pub(super) today: Date,
    pub(super) usage_days: Option<u16>,
    /// How long ago calls of terminated instances count, in days, if they are asked for.
    pub(super) terminated_days: Option<u16>,
    pub(super) question: Question,
    /// The Regions that may be scanned, and the accounts that may be entered. Most of the time, each makes one call.
    pub(super) slots: Semaphore,
    pub(super) shutdown: Shutdown,
}

/// What ends the scan of a part of a Region.
enum Stop {
    Ec2(Ec2Error),
    /// CloudWatch was not able to return how instances use IMDSv1.
    Usage(ApiError),
    /// It is not known how terminated instances used IMDSv1.
    TerminatedUsage(ApiError),
    Interrupted,
    /// The receiver is gone: the output has failed.
    NoReceiver,
}

impl From<Ec2Error> for Stop {
    fn from(error: Ec2Error) -> Self {
        Self::Ec2(error)
    }
}

/// What is listed in a Region.
#[derive(Clone, Copy)]
enum Part {
    Instances,
    LaunchTemplates,
    LaunchConfigurations,
    AutoScalingGroups,
    AccountDefaults,
}

/// Returns whether a scan with this policy judges resources of a type; for accounts, their account-level defaults.
pub(super) fn judges(policy: &Policy, resource_type: &ResourceType<'_>) -> bool {
    if *resource_type == ResourceType::ACCOUNT {
        policy.judges_account_defaults()
    } else {
        policy.judges(resource_type)
    }
}

/// All parts, in the order in which they are listed.
const PARTS: [Part; 5] = [
    Part::Instances,
    Part::LaunchTemplates,
    Part::LaunchConfigurations,
    Part::AutoScalingGroups,
    Part::AccountDefaults,
];

impl Part {
    /// Returns whether the part is judged at all.
    fn is_judged_by(self, policy: &Policy, filter: &Filter) -> bool {
        let resource_type = match self {
            Self::Instances => ResourceType::Instance,
            Self::LaunchTemplates => ResourceType::LaunchTemplate,
            Self::LaunchConfigurations => ResourceType::LaunchConfiguration,
            Self::AutoScalingGroups => ResourceType::AutoScalingGroup,
            Self::AccountDefaults => ResourceType::ACCOUNT,
        };
        judges(policy, &resource_type) && filter.includes_type(&resource_type)
    }

    /// Describes what ended the scan of the part; `None` without a receiver for the description.
    fn failure(self, stop: Stop, location: &Location) -> Option<Failure> {
        let (what, error) = match stop {
            Stop::Ec2(Ec2Error::List(error)) => (format!("cannot list {self}"), Some(error)),
            Stop::Ec2(Ec2Error::Describe { resource_id, error }) => {
                (format!("cannot judge {self}: cannot describe {resource_id}"), Some(error))
            }
            Stop::Usage(error) => (format!("cannot query the IMDSv1 usage of {self}"), Some(error)),
            Stop::TerminatedUsage(error) => {
                ("cannot query the IMDSv1 usage of terminated instances".to_owned(), Some(error))
            }
            Stop::Interrupted => (format!("{self} were not listed: interrupted"), None),
            Stop::NoReceiver => return None,
        };
        Some(Failure::new(location, &what, error))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Instances => "instances",
            Self::LaunchTemplates => "launch templates",
            Self::LaunchConfigurations => "launch configurations",
            Self::AutoScalingGroups => "Auto Scaling groups",
            Self::AccountDefaults => "account-level defaults",
        })
    }
}

impl RegionScan {
    /// Scans a Region, part by part: a part that the credentials may not list does not hide the others.
    pub(super) async fn run(&self, account: &EnteredAccount, region: &str, sender: &Sender<Message>) {
        let Ok(_slot) = self.slots.acquire().await else { return };
        let region = &account.region(region); // its clients exist as long as it is scanned
        let mut facts = LaunchFacts::new(&region.resources, &self.policy);
        if self.question == Question::IfEnforced {
            facts = facts.with_required_defaults();
        }
        for part in PARTS.into_iter().filter(|part| self.lists(*part)) {
            let result = if self.shutdown.is_requested() {
                Err(Stop::Interrupted)
            } else {
                self.part(part, region, &mut facts, sender).await
            };
            if let Err(stop) = result
                && report(part, stop, region, sender).await.is_err()
            {
                return;
            }
        }
        let _ = sender.send(Message::Done).await; // without a receiver, the output has failed
    }

    fn lists(&self, part: Part) -> bool {
        let is_asked = match self.question {
            Question::Compliance => true,
            Question::IfEnforced => !matches!(part, Part::Instances | Part::AccountDefaults),
        };
        is_asked && part.is_judged_by(&self.policy, &self.filter)
    }

    async fn part(
        &self,
        part: Part,
        region: &AccountRegion,
        facts: &mut LaunchFacts,
        sender: &Sender<Message>,
    ) -> Result<(), Stop> {
        let mut judge = Judge::new(self, region, sender);
        match part {
            Part::Instances => {
                let listed = region::each_instance(&region.resources, &mut judge).await;
                let is_complete = listed.is_ok();
                if let Err(stop) = listed {
                    report(part, stop, region, sender).await?;
                }
                let existing = std::mem::take(&mut judge.existing);
                // Instances on earlier pages are reported even if a later page failed.
                judge.send_with_usage().await?;
                // What was not listed may exist, unless the list is complete.
                if is_complete { self.terminated(region, &existing, sender).await } else { Ok(()) }
            }
            Part::LaunchTemplates => {
                let keys = self.policy.exemption_tag_key.as_deref().into_iter();
                let keys: Vec<_> = keys.chain(self.filter.tag_keys()).collect();
                region::each_launch_template(facts, &keys, &mut judge).await
            }
            Part::LaunchConfigurations => region::each_launch_configuration(facts, &mut judge).await,
            Part::AutoScalingGroups => region::each_auto_scaling_group(facts, &mut judge).await,
            Part::AccountDefaults => {
                let defaults = facts.account_defaults().await?;
                let account_id = region.location.account_id.as_str().into();
                let account = Resource::existing(ResourceType::ACCOUNT, account_id, None);
                if !self.filter.includes(&account) {
                    return Ok(());
                }
                send(sender, judge.scanned(&account, &evaluate_account_defaults(&defaults), false)).await
            }
        }
    }
}

impl RegionScan {
    async fn terminated(
        &self,
        region: &AccountRegion,
        existing: &HashSet<String>,
        sender: &Sender<Message>,
    ) -> Result<(), Stop> {
        let Some(days) = self.terminated_days else { return Ok(()) };
        let Callers { found, failure } =
            terminated::callers(region, existing, days, OffsetDateTime::now_utc()).await;
        sender.send(Message::Terminated(found)).await.map_err(|_| Stop::NoReceiver)?;
        failure.map_or(Ok(()), |error| Err(Stop::TerminatedUsage(error)))
    }
}

/// Judges what is listed in a Region.
struct Judge<'a> {
    scan: &'a RegionScan,
    region: &'a AccountRegion,
    sender: &'a Sender<Message>,
    /// The ids of the instances, if the calls of terminated ones are asked for.
    existing: HashSet<String>,
    /// The instances that accept IMDSv1, if their usage is asked for.
    open_instances: Vec<OpenInstance>,
}

/// An instance that accepts IMDSv1.
struct OpenInstance {
    scanned: Scanned,
    launched_at: Option<OffsetDateTime>,
}

impl Visitor for Judge<'_> {
    type Error = Stop;

    async fn instance(&mut self, instance: InstanceFacts<'_>) -> Result<(), Stop> {
        if self.scan.terminated_days.is_some() {
            self.existing.insert(instance.resource.resource_id.to_string());
        }
        let Some(scanned) = self.judge(&instance.resource, instance.may_call()) else { return Ok(()) };
        let is_open =
            scanned.finding.compliance == Compliance::NonCompliant && !instance.resource.requires_tokens();
        if is_open && self.scan.usage_days.is_some() {
            self.open_instances.push(OpenInstance { scanned, launched_at: instance.launched_at });
            return Ok(());
        }
        send(self.sender, scanned).await
    }

    async fn launch_source(&mut self, resource: Resource<'_>) -> Result<(), Stop> {
        match self.judge(&resource, false) {
            Some(scanned) => send(self.sender, scanned).await,
            None => Ok(()),
        }
    }
}

impl<'a> Judge<'a> {
    fn new(scan: &'a RegionScan, region: &'a AccountRegion, sender: &'a Sender<Message>) -> Self {
        Self { scan, region, sender, existing: HashSet::new(), open_instances: Vec::new() }
    }
}

impl Judge<'_> {
    /// Judges a resource, if it is selected.
    fn judge(&self, resource: &Resource<'_>, may_call: bool) -> Option<Scanned> {
        let RegionScan { policy, filter, today, question, .. } = self.scan;
        if !filter.includes(resource) {
            return None;
        }
        let verdict = match question {
            Question::Compliance => evaluate(resource, policy, *today),
            Question::IfEnforced => evaluate_if_enforced(resource),
        };
        Some(self.scanned(resource, &verdict, may_call))
    }

    fn scanned(&self, resource: &Resource<'_>, verdict: &Verdict, may_call: bool) -> Scanned {
        let RegionScan { policy, filter, .. } = self.scan;
        let context = FindingContext { policy, owner_tag: filter.owner_tag.as_deref() };
        let finding = Finding::listed(&self.region.location, resource, verdict, context);
        Scanned { finding, usage: None, may_call }
    }

    /// Sends the instances that wait for their usage; without it if CloudWatch does not respond.
    async fn send_with_usage(self) -> Result<(), Stop> {
        let Some(days) = self.scan.usage_days else { return Ok(()) };
        let candidates: Vec<_> = self.open_instances.iter().map(OpenInstance::candidate).collect();
        let now = OffsetDateTime::now_utc();
        let usages = usage::imdsv1_usage(&self.region.cloudwatch(), &candidates, days, now).await;
        let (usages, failure) = match usages {
            Ok(usages) => (usages, None),
            Err(error) => (Vec::new(), Some(Stop::Usage(error))),
        };
        let usages = usages.into_iter().chain(std::iter::repeat(Usage::NotChecked));
        for (open, usage) in self.open_instances.into_iter().zip(usages) {
            let usage = match usage {
                Usage::Checked(evidence) => Some(evidence.state(open.scanned.may_call)),
                Usage::Incomplete => Some(UsageState::Unknown(UnknownReason::IncompleteData)),
                Usage::NotChecked => None,
            };
            let Scanned { finding, may_call, .. } = open.scanned;
            let finding = match usage {
                Some(usage) => finding.with_usage(usage),
                None => finding,
            };
            send(self.sender, Scanned { finding, usage, may_call }).await?;
        }
        failure.map_or(Ok(()), Err)
    }
}

impl OpenInstance {
    fn candidate(&self) -> Candidate {
        let instance_id = self.scanned.finding.resource_id.to_string();
        Candidate { instance_id, launched_at: self.launched_at }
    }
}

/// Sends a failure, with the account and the Region.
async fn report(
    part: Part,
    stop: Stop,
    region: &AccountRegion,
    sender: &Sender<Message>,
) -> Result<(), Stop> {
    let listing = match stop {
        Stop::Usage(_) | Stop::TerminatedUsage(_) => Listing::Complete,
        Stop::Ec2(_) | Stop::Interrupted | Stop::NoReceiver => Listing::Incomplete,
    };
    let failure = part.failure(stop, &region.location).ok_or(Stop::NoReceiver)?;
    sender.send(Message::Failed(failure, listing)).await.map_err(|_| Stop::NoReceiver)
}

async fn send(sender: &Sender<Message>, scanned: Scanned) -> Result<(), Stop> {
    sender.send(Message::Scanned(Box::new(scanned))).await.map_err(|_| Stop::NoReceiver)
}
