//! The scan of one account and Region.

use std::fmt;

use time::{Date, OffsetDateTime};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;

use crate::aws::ApiError;
use crate::cli::fleet::accounts::AccountRegion;
use crate::cli::fleet::usage::{self, Candidate};
use crate::cli::output::Finding;
use crate::cli::terminal::shutdown::Shutdown;
use crate::rule::enforcement::Usage;
use crate::rule::policy::Policy;
use crate::rule::resource::{InstanceFacts, Location, Resource, ResourceType};
use crate::rule::usage::UsageState;
use crate::rule::verdict::{Compliance, Verdict, evaluate, evaluate_account_defaults};
use crate::sources::ec2::Ec2Error;
use crate::sources::ec2::region::{self, Visitor};

/// What the scan of a Region sends.
pub(super) enum Message {
    Scanned(Box<ScannedResource>),
    Failed(String),
    Done,
}

/// A resource and its verdict, owned.
pub(super) struct ScannedResource {
    resource: Resource<'static>,
    pub(super) verdict: Verdict,
    usage: Option<UsageState>,
}

impl ScannedResource {
    fn new(location: &Location, resource_type: ResourceType<'static>, id: &str, verdict: Verdict) -> Self {
        let resource = Resource {
            account_id: Some(location.account_id.clone().into()),
            region: Some(location.region.clone().into()),
            ..Resource::existing(resource_type, id.to_owned().into(), None)
        };
        Self { resource, verdict, usage: None }
    }

    pub(super) fn finding(&self) -> Finding<'_> {
        let finding = Finding::new(&self.resource, &self.verdict);
        self.usage.map_or(finding, |usage| finding.with_usage(usage))
    }
}

/// How every Region is scanned.
pub(super) struct RegionScan {
    pub(super) policy: Policy,
    pub(super) today: Date,
    pub(super) usage_days: Option<u16>,
    pub(super) slots: Semaphore,
    pub(super) shutdown: Shutdown,
}

/// What ends the scan of a part of a Region.
enum Stop {
    Ec2(Ec2Error),
    /// CloudWatch was not able to return how instances use IMDSv1.
    Usage(ApiError),
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
    AccountDefaults,
}

/// All parts, in the order in which they are listed.
const PARTS: [Part; 4] =
    [Part::Instances, Part::LaunchTemplates, Part::LaunchConfigurations, Part::AccountDefaults];

impl Part {
    /// Returns whether the part is judged at all.
    fn is_judged_by(self, policy: &Policy) -> bool {
        match self {
            Self::Instances => policy.judges(&ResourceType::Instance),
            Self::LaunchTemplates => policy.judges(&ResourceType::LaunchTemplate),
            Self::LaunchConfigurations => policy.judges(&ResourceType::LaunchConfiguration),
            Self::AccountDefaults => policy.judges_account_defaults(),
        }
    }

    /// Describes what ended the scan of the part; `None` without a receiver for the description.
    fn failure(self, stop: &Stop) -> Option<String> {
        match stop {
            Stop::Ec2(Ec2Error::List(error)) => Some(format!("cannot list {self}: {error}")),
            Stop::Ec2(error @ Ec2Error::Describe { .. }) => Some(error.to_string()),
            Stop::Usage(error) => Some(format!("cannot query the IMDSv1 usage of {self}: {error}")),
            Stop::Interrupted => Some(format!("{self} were not listed: interrupted")),
            Stop::NoReceiver => None,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Instances => "instances",
            Self::LaunchTemplates => "launch templates",
            Self::LaunchConfigurations => "launch configurations",
            Self::AccountDefaults => "account-level defaults",
        })
    }
}

impl RegionScan {
    /// Scans a Region, part by part: a part that the credentials may not list does not hide the others.
    pub(super) async fn run(&self, region: &AccountRegion, sender: &Sender<Message>) {
        let Ok(_slot) = self.slots.acquire().await else { return };
        for part in PARTS.into_iter().filter(|part| part.is_judged_by(&self.policy)) {
            let result = if self.shutdown.is_requested() {
                Err(Stop::Interrupted)
            } else {
                self.part(part, region, sender).await
            };
            if let Err(stop) = result
                && report(part, &stop, region, sender).await.is_err()
            {
                return;
            }
        }
        let _ = sender.send(Message::Done).await; // without a receiver, the output has failed
    }

    async fn part(&self, part: Part, region: &AccountRegion, sender: &Sender<Message>) -> Result<(), Stop> {
        let mut judge = Judge { scan: self, region, sender, open_instances: Vec::new() };
        match part {
            Part::Instances => {
                let listed = region::each_instance(&region.resources, &mut judge).await;
                if let Err(stop) = listed {
                    report(part, &stop, region, sender).await?;
                }
                // Instances on earlier pages are reported even if a later page failed.
                judge.send_with_usage().await
            }
            Part::LaunchTemplates => {
                let key = self.policy.exemption_tag_key.as_deref();
                region::each_launch_template(&region.resources, key, &mut judge).await
            }
            Part::LaunchConfigurations => {
                region::each_launch_configuration(&region.resources, &mut judge).await
            }
            Part::AccountDefaults => {
                let defaults = region::account_defaults(&region.resources).await?;
                let (account_id, verdict) =
                    (&region.location.account_id, evaluate_account_defaults(&defaults));
                let account = ResourceType::ACCOUNT;
                send(sender, ScannedResource::new(&region.location, account, account_id, verdict)).await
            }
        }
    }
}

/// Judges what is listed in a Region.
struct Judge<'a> {
    scan: &'a RegionScan,
    region: &'a AccountRegion,
    sender: &'a Sender<Message>,
    /// The instances that accept IMDSv1, if their usage is asked for.
    open_instances: Vec<OpenInstance>,
}

/// An instance that accepts IMDSv1.
struct OpenInstance {
    scanned: ScannedResource,
    may_call: bool,
    launched_at: Option<OffsetDateTime>,
}

impl Visitor for Judge<'_> {
    type Error = Stop;

    async fn instance(&mut self, instance: InstanceFacts<'_>) -> Result<(), Stop> {
        let scanned = self.judge(&instance.resource);
        let is_open =
            scanned.verdict.compliance == Compliance::NonCompliant && !instance.resource.requires_tokens();
        if is_open && self.scan.usage_days.is_some() {
            let (may_call, launched_at) = (instance.may_call(), instance.launched_at);
            self.open_instances.push(OpenInstance { scanned, may_call, launched_at });
            return Ok(());
        }
        send(self.sender, scanned).await
    }

    async fn launch_source(&mut self, resource: Resource<'_>) -> Result<(), Stop> {
        send(self.sender, self.judge(&resource)).await
    }
}

impl Judge<'_> {
    fn judge(&self, resource: &Resource<'_>) -> ScannedResource {
        let verdict = evaluate(resource, &self.scan.policy, self.scan.today);
        let resource_type = ResourceType::from_name(resource.resource_type.name().to_owned().into());
        ScannedResource::new(&self.region.location, resource_type, &resource.resource_id, verdict)
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
                Usage::Checked(evidence) => Some(evidence.state(open.may_call)),
                Usage::Incomplete => Some(UsageState::Unknown),
                Usage::NotChecked => None,
            };
            send(self.sender, ScannedResource { usage, ..open.scanned }).await?;
        }
        failure.map_or(Ok(()), Err)
    }
}

impl OpenInstance {
    fn candidate(&self) -> Candidate {
        let instance_id = self.scanned.resource.resource_id.to_string();
        Candidate { instance_id, launched_at: self.launched_at }
    }
}

/// Sends a failure, with the account and the Region.
async fn report(
    part: Part,
    stop: &Stop,
    region: &AccountRegion,
    sender: &Sender<Message>,
) -> Result<(), Stop> {
    let failure = part.failure(stop).ok_or(Stop::NoReceiver)?;
    let failure = Message::Failed(format!("{}: {failure}", region.location));
    sender.send(failure).await.map_err(|_| Stop::NoReceiver)
}

async fn send(sender: &Sender<Message>, scanned: ScannedResource) -> Result<(), Stop> {
    sender.send(Message::Scanned(Box::new(scanned))).await.map_err(|_| Stop::NoReceiver)
}
