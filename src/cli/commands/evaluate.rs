//! `imdsv2 evaluate`: verdicts on recorded resources, offline.

use std::io;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use serde_json::Value;
use time::{Date, OffsetDateTime};

use crate::cli::comparison::Comparison;
use crate::cli::exit::Completion;
use crate::cli::filter::{Filter, FilterOptions};
use crate::cli::input::detect::{InputRecord, RecordKind};
use crate::cli::input::files::{self, Decompression, Input};
use crate::cli::input::split::{self, Position};
use crate::cli::input::text;
use crate::cli::output::{self, Basis, Conclusion, Finding, FindingContext, Output, OutputOptions};
use crate::cli::terminal::messages;
use crate::rule::policy::Policy;
use crate::rule::resource::{Resource, ResourceType};
use crate::rule::verdict::{Summary, evaluate};
use crate::sources::SourceError;
use crate::sources::aws_cli::instances::{Instance, Reservation};
use crate::sources::aws_cli::launches::{
    self, AutoScalingGroup, LaunchConfiguration, LaunchTemplate, RecordedDefaults, TemplateVersion,
};
use crate::sources::config::configuration_item::ConfigurationItem;
use crate::sources::config::event::{ConfigEvent, EventError, Trigger};
use crate::sources::recorded_launches::RecordedLaunches;

/// The largest record that is read, in bytes.
const MAX_RECORD: usize = 256 * 1024 * 1024;

/// Evaluate recorded resources, without an AWS account
///
/// Reads AWS Config's Lambda events and configuration items, its snapshot and history files (compressed or
/// not), the output of `aws configservice get-resource-config-history`, and lines or arrays of these. The kind of an
/// input is detected.
///
/// Also reads the output of `aws ec2 describe-instances` and of the commands that describe what launches instances:
/// `aws ec2 describe-launch-templates`, `describe-launch-template-versions`, `aws autoscaling describe-launch-configurations` and
/// `describe-auto-scaling-groups`. What applies where these leave tokens unset is in the output of
/// `aws ec2 get-instance-metadata-defaults` and `describe-images`.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  imdsv2 evaluate snapshot.json.gz
  imdsv2 evaluate --format csv --output findings.csv history/
  imdsv2 evaluate --tag team=web --only non-compliant snapshot.json.gz
  aws ec2 describe-instances | imdsv2 evaluate --parameters '{\"maxHopLimit\":\"2\"}'

Exit status: 0 nothing is non-compliant, 1 something is, 2 an error.")]
pub(crate) struct Args {
    /// Files, directories (their .json, .jsonl and .ndjson files, also with .gz), or - for standard input
    /// [default: standard input]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    filter: FilterOptions,

    #[command(flatten)]
    output: OutputOptions,

    /// Report what changed since an earlier evaluation: a file that --format json wrote
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,

    /// The rule parameters, as a JSON object of strings. They take precedence over those of an event
    #[arg(long, value_name = "JSON", value_parser = Policy::from_rule_parameters)]
    parameters: Option<Policy>,

    /// Exit with status 0 even if something is non-compliant
    #[arg(long)]
    exit_zero: bool,

    /// Exit with status 0 even if the input contains no records, or none that is selected
    #[arg(long)]
    allow_empty: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Completion> {
    let inputs = files::expand(&args.paths)?;
    let paths = inputs.iter().map(Input::path).chain(args.filter.files()).chain(args.compare.as_deref());
    let paths: Vec<_> = paths.collect();
    text::check_stdin(&paths)?;
    args.output.check_target(&paths)?;
    let filter = args.filter.filter()?;
    let comparison = args.compare.as_deref().map(Comparison::with).transpose()?;
    let default = Policy::default();
    let shown = args.parameters.as_ref().unwrap_or(&default);
    let mut output = output::open(&args.output, Basis { policy: shown, usage_days: None })?;
    let mut evaluator = Evaluator {
        parameters: args.parameters.as_ref(),
        default: default.clone(),
        today: OffsetDateTime::now_utc().date(),
        filter: &filter,
        comparison,
        output: output.as_mut(),
        summary: Summary::default(),
        launches: RecordedLaunches::default(),
        held: Vec::new(),
        records: 0,
        unreadable: 0,
        skipped: 0,
    };
    for input in &inputs {
        evaluator.input(input).context("cannot write the output")?;
    }
    evaluator.judge_held().context("cannot write the output")?;
    let Evaluator { comparison, summary, records, unreadable, skipped, .. } = evaluator;
    let failures = unreadable_inputs(unreadable);
    // What a file does not contain may still exist.
    let comparison = comparison.map(|comparison| comparison.conclude(|_, _| false));
    let conclusion = Conclusion {
        summary,
        failures: &failures,
        comparison: comparison.as_ref(),
        terminated: None,
        left_out: 0,
    };
    output.finish(&conclusion).context("cannot write the output")?;
    if unreadable == 0 && summary.is_empty() && !args.allow_empty {
        messages::error(match records {
            0 if skipped > 0 => {
                "the input contains only records of CloudTrail, which `imdsv2 callers` reads: pass --allow-empty if that \
                 is expected"
            }
            0 => "the input contains no records: pass --allow-empty if that is expected",
            _ => "no resource in the input is selected: pass --allow-empty if that is expected",
        });
        return Ok(Completion::of(1, 0));
    }
    let findings = usize::try_from(summary.non_compliant).unwrap_or(usize::MAX);
    Ok(Completion::of(unreadable, findings).exit_zero(args.exit_zero))
}

/// What a report says about unreadable input. Each error was printed on standard error.
fn unreadable_inputs(count: usize) -> Vec<String> {
    match count {
        0 => Vec::new(),
        1 => vec!["1 record or file could not be read".to_owned()],
        _ => vec![format!("{count} records or files could not be read")],
    }
}

/// Judges records, and writes the findings.
struct Evaluator<'a> {
    /// The policy of the command line, if any.
    parameters: Option<&'a Policy>,
    default: Policy,
    today: Date,
    filter: &'a Filter,
    comparison: Option<Comparison>,
    output: &'a mut dyn Output,
    summary: Summary,
    launches: RecordedLaunches,
    /// What launches instances and is judged when everything was read, with the policy of its event.
    held: Vec<(Resource<'static>, Option<Policy>)>,
    /// The number of resources that were read.
    records: u64,
    /// The number of records or files that could not be read.
    unreadable: usize,
    /// The number of records that another command reads.
    skipped: u64,
}

impl Evaluator<'_> {
    /// Judges every record of an input. Unreadable ones are reported, and the work goes on.
    ///
    /// # Errors
    /// Returns an error if the output cannot be written.
    fn input(&mut self, input: &Input) -> io::Result<()> {
        match input.open(Decompression::Ahead) {
            Ok(reader) => split::for_each(reader, MAX_RECORD, &mut |position, record| {
                let problem = match record.map(|record| self.record(&record)) {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(Failure::Output(error))) => return Err(error),
                    Ok(Err(Failure::Record(problem))) => problem.to_string(),
                    Err(problem) => problem,
                };
                self.report_unreadable(input, Some(position), &problem);
                Ok(())
            }),
            Err(error) => {
                self.report_unreadable(input, None, &error.to_string());
                Ok(())
            }
        }
    }

    fn report_unreadable(&mut self, input: &Input, position: Option<Position>, problem: &str) {
        self.unreadable += 1;
        input.report_unreadable(position, problem);
    }

    fn record(&mut self, record: &InputRecord<'_>) -> Result<(), Failure> {
        match record {
            InputRecord::Item(item) => self.item(item, false, None),
            InputRecord::Reservation(reservation) => self.reservation(reservation),
            InputRecord::Other(kind, json) => match kind {
                RecordKind::Event => self.event(json),
                RecordKind::Notification => {
                    self.trigger(&Trigger::from_notification("notification", json)?, false, None)
                }
                RecordKind::Item => self.item(&ConfigurationItem::from_json("item", json)?, false, None),
                RecordKind::Reservation => self.reservation(&Reservation::from_json(json)?),
                RecordKind::Instance => self.resource(&Instance::from_json(json)?.resource()?, None),
                RecordKind::TemplateVersion => self.template_version(&TemplateVersion::from_json(json)?),
                RecordKind::LaunchTemplate => {
                    self.records += 1;
                    let template = LaunchTemplate::from_json(json)?;
                    let (id, numbers) = template.numbers();
                    self.launches.remember_numbers(id, numbers, None);
                    Ok(())
                }
                RecordKind::LaunchConfiguration => {
                    let configuration = LaunchConfiguration::from_json(json)?;
                    let resource = configuration.resource()?;
                    self.launches.remember(&resource, None);
                    self.resource(&resource, None)
                }
                RecordKind::AutoScalingGroup => {
                    self.resource(&AutoScalingGroup::from_json(json)?.resource()?, None)
                }
                RecordKind::Image => {
                    self.records += 1;
                    self.launches.remember_image(launches::image(json)?);
                    Ok(())
                }
                RecordKind::AccountDefaults => {
                    self.records += 1;
                    self.launches.remember_defaults(RecordedDefaults::from_json(json)?);
                    Ok(())
                }
                RecordKind::CloudTrailRecord | RecordKind::LookedUpEvent => {
                    self.skipped += 1;
                    Ok(())
                }
                RecordKind::CloudTrailDigest => Ok(()),
                RecordKind::Unknown => Err(RecordError::Unknown.into()),
            },
        }
    }

    fn item(
        &mut self,
        item: &ConfigurationItem<'_>,
        left_scope: bool,
        policy: Option<&Policy>,
    ) -> Result<(), Failure> {
        let resource = item.resource(left_scope)?;
        if matches!(resource.resource_type, ResourceType::LaunchTemplate | ResourceType::LaunchConfiguration)
        {
            self.launches.remember(&resource, item.capture_time().ok());
        }
        self.resource(&resource, policy)
    }

    /// A launch template is judged by its default version. Groups may use others.
    fn template_version(&mut self, version: &TemplateVersion<'_>) -> Result<(), Failure> {
        let template = version.resource()?;
        self.launches.remember_version(&template, version.version_number, version.is_default);
        if version.is_default {
            return self.resource(&template, None);
        }
        self.records += 1;
        Ok(())
    }

    fn reservation(&mut self, reservation: &Reservation<'_>) -> Result<(), Failure> {
        reservation.resources().try_for_each(|resource| self.resource(&resource?, None))
    }

    /// An event carries the parameters of its rule. Those of the command line take precedence.
    fn event(&mut self, json: &str) -> Result<(), Failure> {
        let payload: Value = serde_json::from_str(json)
            .map_err(|error| SourceError::Shape { field: "event".to_owned(), error })?;
        let event = ConfigEvent::new(&payload)?;
        let policy = event.policy()?;
        self.trigger(&event.trigger()?, event.left_scope()?, Some(&policy))
    }

    fn trigger(
        &mut self,
        trigger: &Trigger<'_>,
        left_scope: bool,
        policy: Option<&Policy>,
    ) -> Result<(), Failure> {
        match trigger {
            Trigger::Change(item) => self.item(item, left_scope, policy),
            Trigger::Oversized(summary) => {
                let resource = summary.resource(left_scope)?;
                if resource.is_judged() {
                    return Err(RecordError::oversized(&resource).into());
                }
                self.resource(&resource, policy)
            }
            Trigger::Scheduled(_) => Err(RecordError::Scheduled.into()),
        }
    }

    fn resource(&mut self, resource: &Resource<'_>, policy: Option<&Policy>) -> Result<(), Failure> {
        self.records += 1;
        if !self.filter.includes(resource) {
            return Ok(());
        }
        if resource.is_judged() && resource.depends_on_other_records() {
            self.launches.expect(resource);
            self.held.push((resource.clone().into_owned(), policy.cloned()));
            return Ok(());
        }
        self.judge(resource, policy).map_err(Failure::Output)
    }

    /// Judges what depends on other records, when all were read.
    fn judge_held(&mut self) -> io::Result<()> {
        for (mut resource, policy) in std::mem::take(&mut self.held) {
            self.launches.complete(&mut resource);
            self.judge(&resource, policy.as_ref())?;
        }
        Ok(())
    }

    fn judge(&mut self, resource: &Resource<'_>, policy: Option<&Policy>) -> io::Result<()> {
        let policy = self.parameters.or(policy).unwrap_or(&self.default);
        let verdict = evaluate(resource, policy, self.today);
        self.summary.count(verdict.compliance);
        let context = FindingContext { policy, owner_tag: self.filter.owner_tag.as_deref() };
        let mut finding = Finding::new(resource, &verdict, context);
        finding.since = self.comparison.as_mut().and_then(|comparison| comparison.since(&finding));
        self.output.finding(&finding)
    }
}

/// What ends the work on a record.
enum Failure {
    /// The record has no verdict; the next one may have one.
    Record(RecordError),
    /// The output cannot be written.
    Output(io::Error),
}

impl<E: Into<RecordError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Record(error.into())
    }
}

/// Why a record has no verdict.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error(
        "unknown record: expected an AWS Config event, a configuration item, a snapshot or history file, or the \
         output of `aws ec2 describe-instances`, `describe-launch-templates`, `describe-launch-template-versions`, `describe-images` or \
         `get-instance-metadata-defaults`, or of `aws autoscaling describe-auto-scaling-groups` or \
         `describe-launch-configurations`"
    )]
    Unknown,
    #[error(
        "an oversized notification does not contain the configuration item: evaluate the output of `aws \
         configservice get-resource-config-history --resource-type {resource_type} --resource-id {resource_id}` \
         instead"
    )]
    Oversized { resource_type: String, resource_id: String },
    #[error(
        "a scheduled notification does not contain a resource: evaluate the output of `aws ec2 \
         describe-instances` instead"
    )]
    Scheduled,
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Event(#[from] EventError),
}

impl RecordError {
    fn oversized(resource: &Resource<'_>) -> Self {
        Self::Oversized {
            resource_type: resource.resource_type.name().to_owned(),
            resource_id: resource.resource_id.to_string(),
        }
    }
}
