//! `imdsv2 evaluate`: the rule's verdicts on recorded resources, offline.

use std::io;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use serde_json::Value;
use time::{Date, OffsetDateTime};

use crate::cli::input::files::{self, Input};
use crate::cli::input::split::{self, Kind, Position, Record};
use crate::cli::output::{self, Evaluation, Format, Output};
use crate::cli::{Outcome, complain};
use crate::rule::policy::Policy;
use crate::rule::resource::Resource;
use crate::rule::verdict::{Summary, evaluate};
use crate::sources::SourceError;
use crate::sources::aws_cli::{Instance, Reservation};
use crate::sources::config::configuration_item::ConfigurationItem;
use crate::sources::config::event::{ConfigEvent, EventError, Trigger};

/// Judge recorded resources, without an AWS account
///
/// Takes AWS Config's Lambda events and configuration items, its snapshot and history files (gzip or
/// not), the output of `aws configservice get-resource-config-history` and of
/// `aws ec2 describe-instances`, and lines or arrays of these. What an input is, is recognised.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  imdsv2 evaluate snapshot.json.gz
  imdsv2 evaluate --format csv --output findings.csv history/
  aws ec2 describe-instances | imdsv2 evaluate --parameters '{\"maxHopLimit\":\"2\"}'

Exit status: 0 nothing is non-compliant, 1 something is, 2 an error.")]
pub(crate) struct Args {
    /// Files, directories (their .json, .jsonl and .ndjson files, .gz too), or - for standard input,
    /// which is also what is read where none is named
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// How to show the verdicts
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// Where to write them instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The rule's parameters, as a JSON object of strings. They go before those in an event
    #[arg(long, value_name = "JSON", value_parser = Policy::from_rule_parameters)]
    parameters: Option<Policy>,

    /// End with status 0 even where something is non-compliant
    #[arg(long)]
    exit_zero: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let inputs = files::expand(&args.paths)?;
    let default = Policy::default();
    let shown = args.parameters.as_ref().unwrap_or(&default);
    let mut output = output::open(args.format, args.output.as_deref(), false, shown)?;
    let mut evaluator = Evaluator {
        given: args.parameters.as_ref(),
        default: default.clone(),
        today: OffsetDateTime::now_utc().date(),
        output: output.as_mut(),
        summary: Summary::default(),
        unread: 0,
    };
    for input in &inputs {
        evaluator.input(input).context("cannot write the output")?;
    }
    let Evaluator { summary, unread, .. } = evaluator;
    let failures = unread_inputs(unread);
    output.finish(&summary, &failures).context("cannot write the output")?;
    Ok(match (unread, summary.non_compliant) {
        (1.., _) => Outcome::Incomplete,
        (0, 1..) if !args.exit_zero => Outcome::Findings,
        (0, _) => Outcome::Clean,
    })
}

/// What the output says of what could not be read; standard error has each by itself.
fn unread_inputs(unread: u64) -> Vec<String> {
    match unread {
        0 => Vec::new(),
        1 => vec!["1 record or file could not be read".to_owned()],
        _ => vec![format!("{unread} records or files could not be read")],
    }
}

/// Takes records in, puts verdicts out.
struct Evaluator<'a> {
    /// The policy of the command line, if any.
    given: Option<&'a Policy>,
    default: Policy,
    today: Date,
    output: &'a mut dyn Output,
    summary: Summary,
    /// How many records, or whole inputs, could not be read.
    unread: u64,
}

impl Evaluator<'_> {
    /// Judges every record of an input. What cannot be read is reported, and the work goes on.
    ///
    /// # Errors
    /// Where the output cannot be written.
    fn input(&mut self, input: &Input) -> io::Result<()> {
        match input.open() {
            Ok(reader) => split::for_each(reader, &mut |position, record| {
                let problem = match record.map(|record| self.record(&record)) {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(Failure::Output(error))) => return Err(error),
                    Ok(Err(Failure::Record(problem))) => problem.to_string(),
                    Err(problem) => problem,
                };
                self.report_unread(input, Some(position), &problem);
                Ok(())
            }),
            Err(error) => {
                self.report_unread(input, None, &error.to_string());
                Ok(())
            }
        }
    }

    fn report_unread(&mut self, input: &Input, position: Option<Position>, problem: &str) {
        self.unread += 1;
        match position {
            Some(Position { record, byte }) => {
                complain(&format!("{input}: record {record} (at byte {byte}): {problem}"));
            }
            None => complain(&format!("{input}: {problem}")),
        }
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        match record {
            Record::Item(item) => self.resource(&item.resource(false)?, None),
            Record::Reservation(reservation) => self.reservation(reservation),
            Record::Other(kind, json) => match kind {
                Kind::Event => self.event(json),
                Kind::Notification => {
                    self.trigger(&Trigger::from_notification("notification", json)?, false, None)
                }
                Kind::Item => {
                    self.resource(&ConfigurationItem::from_json("item", json)?.resource(false)?, None)
                }
                Kind::Reservation => self.reservation(&Reservation::from_json(json)?),
                Kind::Instance => self.resource(&Instance::from_json(json)?.resource()?, None),
                Kind::Unknown => Err(RecordError::Unknown.into()),
            },
        }
    }

    fn reservation(&mut self, reservation: &Reservation<'_>) -> Result<(), Failure> {
        reservation.resources().try_for_each(|resource| self.resource(&resource?, None))
    }

    /// An event brings the rule's own parameters with it; those of the command line go before them.
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
            Trigger::Change(item) => self.resource(&item.resource(left_scope)?, policy),
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
        let policy = self.given.or(policy).unwrap_or(&self.default);
        let verdict = evaluate(resource, policy, self.today);
        self.summary.count(verdict.compliance);
        self.output.evaluation(&Evaluation::new(resource, &verdict)).map_err(Failure::Output)
    }
}

/// What ends the work on a record.
enum Failure {
    /// There is no verdict; the next record may have one.
    Record(RecordError),
    /// The verdict cannot be written; nor can any other.
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
        "not recognised; expected an AWS Config event, a configuration item, a snapshot or history file, or \
         the output of `aws ec2 describe-instances`"
    )]
    Unknown,
    #[error(
        "an oversized notification does not carry the item; evaluate the output of `aws configservice \
         get-resource-config-history --resource-type {resource_type} --resource-id {resource_id}` instead"
    )]
    Oversized { resource_type: String, resource_id: String },
    #[error(
        "a scheduled notification is about no resource in particular; evaluate the output of `aws ec2 \
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
