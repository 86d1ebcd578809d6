//! `imdsv2 evaluate`: verdicts on recorded resources, offline.
//!
//! - this file: the options, and the verdicts.
//! - `records`: what each record contributes.

pub(crate) mod records;

use std::io;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use time::{Date, OffsetDateTime};

use self::records::{Failure, Recorded};
use crate::cli::calls::known::KnownCallers;
use crate::cli::comparison::Comparison;
use crate::cli::exit::Completion;
use crate::cli::filter::{Filter, FilterOptions};
use crate::cli::input::files::{self, Decompression, Input};
use crate::cli::input::split::{self, Position};
use crate::cli::input::text;
use crate::cli::input::workers::{self, InOrderError};
use crate::cli::output::{self, Basis, Conclusion, Finding, FindingContext, Output, OutputOptions};
use crate::cli::terminal::messages;
use crate::rule::policy::Policy;
use crate::rule::resource::Resource;
use crate::rule::verdict::{Summary, evaluate};
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

    /// Report who makes IMDSv1 calls: a file that `imdsv2 callers --format json` wrote
    #[arg(long, value_name = "FILE")]
    callers: Option<PathBuf>,

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
    let paths = inputs.iter().map(Input::path).chain(args.filter.files());
    let paths = paths.chain(args.compare.as_deref()).chain(args.callers.as_deref());
    let paths: Vec<_> = paths.collect();
    text::check_stdin(&paths)?;
    args.output.check_target(&paths)?;
    let filter = args.filter.filter()?;
    let comparison = args.compare.as_deref().map(Comparison::with).transpose()?;
    let callers = args.callers.as_deref().map(KnownCallers::read).transpose()?;
    let default = Policy::default();
    let shown = args.parameters.as_ref().unwrap_or(&default);
    let mut output = output::open(
        &args.output,
        Basis { policy: shown, usage_days: None, with_callers: callers.is_some(), with_account_names: false },
    )?;
    let mut evaluator = Evaluator {
        parameters: args.parameters.as_ref(),
        default: default.clone(),
        today: OffsetDateTime::now_utc().date(),
        filter: &filter,
        comparison,
        callers: callers.as_ref(),
        output: output.as_mut(),
        summary: Summary::default(),
        launches: RecordedLaunches::default(),
        held: Vec::new(),
        records: 0,
        unreadable: 0,
        skipped: 0,
    };
    evaluator.inputs(&inputs)?;
    let Evaluator { comparison, summary, records, unreadable, skipped, .. } = evaluator;
    let failures: Vec<_> = output::unreadable(unreadable).into_iter().collect();
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

/// Judges records, and writes the findings.
struct Evaluator<'a> {
    /// The policy of the command line, if any.
    parameters: Option<&'a Policy>,
    default: Policy,
    today: Date,
    filter: &'a Filter,
    comparison: Option<Comparison>,
    callers: Option<&'a KnownCallers>,
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
    /// Judges every record of the inputs. Several inputs are read concurrently, and judged in their order.
    ///
    /// # Errors
    /// Returns an error if the output cannot be written, or no thread can be started.
    fn inputs(&mut self, inputs: &[Input]) -> anyhow::Result<()> {
        const OUTPUT: &str = "cannot write the output";
        if let [input] = inputs {
            read(input, Decompression::Ahead, &mut |found| self.found(input, found)).context(OUTPUT)?;
        } else {
            let judged = workers::in_order(
                inputs,
                |input, sender| {
                    read(input, Decompression::Inline, &mut |found| sender.send(found.into_owned()))
                },
                |input, found| self.found(input, found),
            );
            match judged {
                Err(InOrderError::Receiver(error)) => Err(error).context(OUTPUT)?,
                judged => judged?,
            }
        }
        self.judge_held().context(OUTPUT)
    }

    fn found(&mut self, input: &Input, found: Found<'_>) -> io::Result<()> {
        match found {
            Found::Recorded(recorded) => self.recorded(recorded),
            Found::Unreadable(position, problem) => {
                self.unreadable += 1;
                input.report_unreadable(position, &problem);
                Ok(())
            }
        }
    }

    fn recorded(&mut self, recorded: Recorded<'_>) -> io::Result<()> {
        if matches!(recorded, Recorded::CloudTrail) {
            self.skipped += 1;
            return Ok(());
        }
        self.records += 1;
        match recorded {
            Recorded::Resource { resource, policy } => return self.resource(&resource, policy.as_ref()),
            Recorded::LaunchSource { resource, policy, captured } => {
                self.launches.remember(&resource, captured);
                return self.resource(&resource, policy.as_ref());
            }
            Recorded::TemplateVersion { template, number, is_default } => {
                self.launches.remember_version(&template, number, is_default);
                if is_default {
                    return self.resource(&template, None);
                }
            }
            Recorded::TemplateNumbers { id, numbers } => self.launches.remember_numbers(&id, numbers, None),
            Recorded::Image(image) => self.launches.remember_image(image),
            Recorded::AccountDefaults(defaults) => self.launches.remember_defaults(defaults),
            Recorded::CloudTrail => {}
        }
        Ok(())
    }

    fn resource(&mut self, resource: &Resource<'_>, policy: Option<&Policy>) -> io::Result<()> {
        if !self.filter.includes(resource) {
            return Ok(());
        }
        if resource.is_judged() && resource.depends_on_other_records() {
            self.launches.expect(resource);
            self.held.push((resource.clone().into_owned(), policy.cloned()));
            return Ok(());
        }
        self.judge(resource, policy)
    }

    /// Judges what depends on other records, when all were read.
    fn judge_held(&mut self) -> io::Result<()> {
        for (mut resource, policy) in std::mem::take(&mut self.held) {
            self.launches.complete(&mut resource);
            self.judge(&resource, policy.as_ref())?;
        }
        Ok(())
    }

    /// The parameters of the command line take precedence over those of an event.
    fn judge(&mut self, resource: &Resource<'_>, policy: Option<&Policy>) -> io::Result<()> {
        let policy = self.parameters.or(policy).unwrap_or(&self.default);
        let verdict = evaluate(resource, policy, self.today);
        self.summary.count(verdict.compliance);
        let context = FindingContext { policy, owner_tag: self.filter.owner_tag.as_deref() };
        let mut finding = Finding::new(resource, &verdict, context);
        finding.since = self.comparison.as_mut().and_then(|comparison| comparison.since(&finding));
        finding.add_callers(self.callers);
        self.output.finding(&finding)
    }
}

/// What is found in an input.
#[allow(clippy::large_enum_variant)] // most are of the large variant
enum Found<'a> {
    Recorded(Recorded<'a>),
    /// A record, or the whole input, that cannot be read.
    Unreadable(Option<Position>, String),
}

impl Found<'_> {
    fn into_owned(self) -> Found<'static> {
        match self {
            Self::Recorded(recorded) => Found::Recorded(recorded.into_owned()),
            Self::Unreadable(position, problem) => Found::Unreadable(position, problem),
        }
    }
}

/// Passes everything that is found in an input to `visit`.
///
/// # Errors
/// Returns the first error of `visit`, which ends the work.
fn read(
    input: &Input,
    decompression: Decompression,
    visit: &mut dyn FnMut(Found<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let reader = match input.open(decompression) {
        Ok(reader) => reader,
        Err(error) => return visit(Found::Unreadable(None, error.to_string())),
    };
    split::for_each(reader, MAX_RECORD, &mut |position, record| {
        let problem = match record {
            Err(problem) => problem,
            Ok(record) => match records::read(&record, &mut |recorded| visit(Found::Recorded(recorded))) {
                Ok(()) => return Ok(()),
                Err(Failure::Receiver(error)) => return Err(error),
                Err(Failure::Record(error)) => error.to_string(),
            },
        };
        visit(Found::Unreadable(Some(position), problem))
    })
}
