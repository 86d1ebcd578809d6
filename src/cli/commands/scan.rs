//! `imdsv2 scan`: the rule's verdicts on what is there now, in every Region and account.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use time::{Date, OffsetDateTime};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

use crate::cli::fleet::accounts::{Place, Selection};
use crate::cli::fleet::usage;
use crate::cli::output::{self, Evaluation, Format, Output};
use crate::cli::terminal::progress::Progress;
use crate::cli::terminal::shutdown::Interrupt;
use crate::cli::{Outcome, complain};
use crate::rule::enforcement::Usage;
use crate::rule::policy::Policy;
use crate::rule::resource::{Resource, ResourceType};
use crate::rule::verdict::{Compliance, Summary, Verdict, evaluate, evaluate_account};
use crate::sources::ec2::lookup::Ec2Error;
use crate::sources::ec2::region::{self, Visitor};

/// How many Regions are listed at once, over all accounts. EC2 throttles each account and Region by itself.
const OVERLAP: usize = 16;
/// How many verdicts may wait for the output.
const BACKLOG: usize = 1_000;
/// The type of an account, in AWS Config's words.
const ACCOUNT: &str = "AWS::::Account";

/// Judge what is there now, in every Region and account
///
/// Lists instances, launch templates, launch configurations and the account-level defaults, and judges
/// them as the AWS Config rule does. It changes nothing. A Region that cannot be listed does not hide
/// the others: it is reported, and the exit status is 2.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  imdsv2 scan
  imdsv2 scan --region eu-central-1 --region eu-west-1 --usage-days 14
  imdsv2 scan --accounts-file roles.txt --format csv --output findings.csv

Exit status: 0 nothing is non-compliant, 1 something is, 2 an error.")]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// Say of each non-compliant instance whether it made IMDSv1 calls in the last N days, 1 to 455
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=455))]
    usage_days: Option<u16>,

    /// How to show the verdicts
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// Where to write them instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The rule's parameters, as a JSON object of strings
    #[arg(long, value_name = "JSON", value_parser = Policy::from_rule_parameters)]
    parameters: Option<Policy>,

    /// End with status 0 even where something is non-compliant
    #[arg(long)]
    exit_zero: bool,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<Outcome> {
    let places = args.selection.places().await?;
    let policy = args.parameters.clone().unwrap_or_default();
    let mut output = output::open(args.format, args.output.as_deref(), args.usage_days.is_some(), &policy)?;
    let scan = Arc::new(Scan {
        policy,
        today: OffsetDateTime::now_utc().date(),
        usage_days: args.usage_days,
        slots: Semaphore::new(OVERLAP),
        interrupt: Interrupt::listen(),
    });
    let (findings, mut receiver) = channel(BACKLOG);
    let progress = Progress::over_regions(places.open.len());
    let mut tasks = JoinSet::new();
    for place in places.open {
        let (scan, findings) = (Arc::clone(&scan), findings.clone());
        tasks.spawn(async move { scan.place(&place, &findings).await });
    }
    drop(findings);
    let mut failures: Vec<_> = places.closed;
    let summary = show(&mut receiver, output.as_mut(), &progress, &mut failures).await;
    let summary = summary.context("cannot write the output")?;
    while let Some(task) = tasks.join_next().await {
        task.context("a Region's scan broke off")?;
    }
    progress.finish();
    failures.sort();
    output.finish(&summary, &failures).context("cannot write the output")?;
    for failure in &failures {
        complain(failure);
    }
    Ok(match (failures.len(), summary.non_compliant) {
        (1.., _) => Outcome::Incomplete,
        (0, 1..) if !args.exit_zero => Outcome::Findings,
        (0, _) => Outcome::Clean,
    })
}

/// Writes what the Regions send until the last one is done.
async fn show(
    receiver: &mut Receiver<Message>,
    output: &mut dyn Output,
    progress: &Progress,
    failures: &mut Vec<String>,
) -> std::io::Result<Summary> {
    let mut summary = Summary::default();
    while let Some(message) = receiver.recv().await {
        match message {
            Message::Finding(finding) => {
                summary.count(finding.verdict.compliance);
                progress.judged();
                output.evaluation(&finding.evaluation())?;
            }
            Message::Failed(failure) => failures.push(failure),
            Message::Done => progress.step(),
        }
    }
    Ok(summary)
}

/// What a Region sends.
enum Message {
    Finding(Box<Finding>),
    Failed(String),
    Done,
}

/// A verdict that stands by itself.
struct Finding {
    place: (Arc<str>, Arc<str>),
    resource_type: ResourceType<'static>,
    resource_id: String,
    verdict: Verdict,
    usage: Option<Usage>,
}

impl Finding {
    fn evaluation(&self) -> Evaluation<'_> {
        Evaluation {
            resource_type: self.resource_type.name(),
            resource_id: &self.resource_id,
            account_id: Some(&self.place.0),
            region: Some(&self.place.1),
            compliance: self.verdict.compliance,
            annotation: &self.verdict.annotation,
            imdsv1_use: self.usage.map(Usage::as_str),
            imdsv1_calls: self.usage.and_then(Usage::calls),
            is_judged_type: true,
        }
    }
}

/// What all Regions are looked at with.
struct Scan {
    policy: Policy,
    today: Date,
    usage_days: Option<u16>,
    slots: Semaphore,
    interrupt: Interrupt,
}

/// What ends the work on a Region.
enum Stop {
    Failed(String),
    /// Nobody takes what is found any more.
    Unwanted,
}

impl From<Ec2Error> for Stop {
    fn from(error: Ec2Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Scan {
    async fn place(&self, place: &Place, findings: &Sender<Message>) {
        let Ok(_slot) = self.slots.acquire().await else { return };
        // Each part by itself: what the role may not list does not hide what it may.
        for part in [Part::Instances, Part::LaunchTemplates, Part::LaunchConfigurations, Part::Defaults] {
            let looked = if self.interrupt.is_told() {
                Err(Stop::Failed(format!("{part} not looked at: interrupted")))
            } else {
                self.part(part, place, findings).await
            };
            match looked {
                Ok(()) => {}
                Err(Stop::Failed(reason)) => {
                    let failure = format!("account {}, {}: {reason}", place.account_id, place.region);
                    if findings.send(Message::Failed(failure)).await.is_err() {
                        return;
                    }
                }
                Err(Stop::Unwanted) => return,
            }
        }
        let _ = findings.send(Message::Done).await; // nobody waits: the output has failed
    }

    async fn part(&self, part: Part, place: &Place, findings: &Sender<Message>) -> Result<(), Stop> {
        let mut finder = Finder { scan: self, place, findings, waiting: Vec::new() };
        match part {
            Part::Instances if self.policy.judges(&ResourceType::Instance) => {
                region::each_instance(&place.clients, &mut finder).await?;
                finder.look_up_usage().await
            }
            Part::LaunchTemplates if self.policy.judges(&ResourceType::LaunchTemplate) => {
                let key = self.policy.exemption_tag_key.as_deref();
                region::each_launch_template(&place.clients, key, &mut finder).await
            }
            Part::LaunchConfigurations if self.policy.judges(&ResourceType::LaunchConfiguration) => {
                region::each_launch_configuration(&place.clients, &mut finder).await
            }
            Part::Defaults => {
                let verdict = evaluate_account(&region::account_defaults(&place.clients).await?);
                let finding = Finding {
                    place: (Arc::clone(&place.account_id), Arc::clone(&place.region)),
                    resource_type: ResourceType::Other(ACCOUNT.into()),
                    resource_id: place.account_id.to_string(),
                    verdict,
                    usage: None,
                };
                send(findings, finding).await
            }
            _ => Ok(()),
        }
    }
}

/// Judges what is listed in a place.
struct Finder<'a> {
    scan: &'a Scan,
    place: &'a Place,
    findings: &'a Sender<Message>,
    /// Instances that are open to IMDSv1, where their usage is asked for, and whether they may make calls.
    waiting: Vec<(Finding, bool)>,
}

impl Visitor for Finder<'_> {
    type Error = Stop;

    async fn visit(&mut self, resource: Resource<'_>, may_call: bool) -> Result<(), Stop> {
        let verdict = evaluate(&resource, &self.scan.policy, self.scan.today);
        let open = verdict.compliance == Compliance::NonCompliant && !tokens_required(&resource);
        let finding = finding(self.place, &resource, verdict);
        if open && self.scan.usage_days.is_some() && resource.resource_type == ResourceType::Instance {
            self.waiting.push((finding, may_call));
            return Ok(());
        }
        send(self.findings, finding).await
    }
}

impl Finder<'_> {
    /// Sends the instances that wait for their usage; without it where CloudWatch does not answer.
    async fn look_up_usage(self) -> Result<(), Stop> {
        let Some(days) = self.scan.usage_days else { return Ok(()) };
        let candidates: Vec<_> = self
            .waiting
            .iter()
            .map(|(finding, may_call)| (finding.resource_id.as_str(), *may_call))
            .collect();
        let client = aws_sdk_cloudwatch::Client::new(&self.place.sdk);
        let usages = usage::look_up(&client, &candidates, days).await;
        let failure = usages.as_ref().err().cloned();
        let usages = usages.unwrap_or_default().into_iter().map(Some).chain(std::iter::repeat(None));
        for ((finding, _), usage) in self.waiting.into_iter().zip(usages) {
            send(self.findings, Finding { usage, ..finding }).await?;
        }
        failure.map_or(Ok(()), |reason| Err(Stop::Failed(reason)))
    }
}

/// What is listed in a Region.
#[derive(Clone, Copy)]
enum Part {
    Instances,
    LaunchTemplates,
    LaunchConfigurations,
    Defaults,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Instances => "instances",
            Self::LaunchTemplates => "launch templates",
            Self::LaunchConfigurations => "launch configurations",
            Self::Defaults => "account-level defaults",
        })
    }
}

fn tokens_required(resource: &Resource<'_>) -> bool {
    resource
        .metadata_options
        .as_ref()
        .is_some_and(|options| options.http_tokens == crate::rule::resource::HttpTokens::Required)
}

fn finding(place: &Place, resource: &Resource<'_>, verdict: Verdict) -> Finding {
    Finding {
        place: (Arc::clone(&place.account_id), Arc::clone(&place.region)),
        resource_type: ResourceType::from_name(resource.resource_type.name().to_owned().into()),
        resource_id: resource.resource_id.to_string(),
        verdict,
        usage: None,
    }
}

async fn send(findings: &Sender<Message>, finding: Finding) -> Result<(), Stop> {
    findings.send(Message::Finding(Box::new(finding))).await.map_err(|_| Stop::Unwanted)
}
