//! `imdsv2 evaluate`: verdicts on recorded resources, offline.
//!
//! - this file: the options.
//! - `evaluator`: the verdicts.
//! - `reading`: what is found in an input.
//! - `records`: reads each record, and `declarations` templates and plans; `recorded` is what they find.

mod declarations;
mod evaluator;
mod reading;
pub(crate) mod recorded;
pub(crate) mod records;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use time::OffsetDateTime;

use self::evaluator::{Counts, Evaluator, Options};
use crate::cli::calls::known::KnownCallers;
use crate::cli::comparison::Comparison;
use crate::cli::exit::Completion;
use crate::cli::filter::FilterOptions;
use crate::cli::input::files::{self, Input};
use crate::cli::input::text;
use crate::cli::output::{self, Basis, Conclusion, OutputOptions};
use crate::cli::terminal::messages;
use crate::rule::policy::Policy;
use crate::sources::cloudformation::parameters::TemplateParameters;

/// Evaluate recorded or declared resources, without an AWS account
///
/// Before deployment: reads CloudFormation templates (YAML or JSON), and Terraform or OpenTofu plans and states as
/// `terraform show -json` prints them.
///
/// After deployment: reads AWS Config's Lambda events and configuration items, its snapshot and history files (compressed
/// or not), the output of `aws configservice` commands that return resources, and lines or arrays of these.
///
/// Also reads the output of `aws ec2 describe-instances` and of the commands that describe what launches instances:
/// `aws ec2 describe-launch-templates`, `describe-launch-template-versions`, `aws autoscaling describe-launch-configurations` and
/// `describe-auto-scaling-groups`. What applies where these leave tokens unset is in the output of
/// `aws ec2 get-instance-metadata-defaults` and `describe-images`.
///
/// The kind of an input is detected.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  imdsv2 evaluate template.yaml
  terraform show -json plan.tfplan | imdsv2 evaluate
  imdsv2 evaluate snapshot.json.gz
  imdsv2 evaluate --format csv --output findings.csv history/
  imdsv2 evaluate --tag team=web --only non-compliant snapshot.json.gz
  aws ec2 describe-instances | imdsv2 evaluate --parameters '{\"maxHopLimit\":\"2\"}'

Exit status: 0 nothing is non-compliant, 1 something is, 2 an error.")]
pub(crate) struct Args {
    /// Files, directories (their .json, .jsonl, .ndjson, .template, .yaml and .yml files, also with .gz), or - for standard
    /// input [default: standard input]
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

    /// The parameters of CloudFormation templates, as a JSON file: an object of values, or what the AWS CLI takes
    #[arg(long, value_name = "FILE")]
    template_parameters: Option<PathBuf>,

    /// Exit with status 0 even if something is non-compliant
    #[arg(long)]
    exit_zero: bool,

    /// Exit with status 0 even if the input contains no records, or none that is selected
    #[arg(long)]
    allow_empty: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Completion> {
    let inputs = files::expand(&args.paths, files::RECORDS_AND_TEMPLATES)?;
    let paths = inputs.iter().map(Input::path).chain(args.filter.files());
    let paths = paths.chain(
        [&args.compare, &args.callers, &args.template_parameters].into_iter().flatten().map(PathBuf::as_path),
    );
    let paths: Vec<_> = paths.collect();
    text::check_stdin(&paths)?;
    args.output.check_target(&paths)?;
    let filter = args.filter.filter()?;
    let comparison = args.compare.as_deref().map(Comparison::with).transpose()?;
    let callers = args.callers.as_deref().map(KnownCallers::read).transpose()?;
    let template_parameters = args.template_parameters()?;
    let default = Policy::default();
    let shown = args.parameters.as_ref().unwrap_or(&default);
    let basis = Basis {
        policy: shown,
        usage_days: None,
        with_callers: callers.is_some(),
        with_account_names: false,
        with_files: true,
    };
    let mut output = output::open(&args.output, basis)?;
    let options = Options {
        policy: args.parameters.as_ref(),
        default: default.clone(),
        today: OffsetDateTime::now_utc().date(),
        filter: &filter,
        callers: callers.as_ref(),
        template_parameters: &template_parameters,
    };
    let mut evaluator = Evaluator::new(options, comparison, output.as_mut());
    evaluator.inputs(&inputs)?;
    let Evaluator { comparison, mut counts, parameter_names, .. } = evaluator;
    counts.unreadable += args.report_unknown_parameters(&template_parameters, &parameter_names);
    let failures: Vec<_> = output::unreadable(counts.unreadable).into_iter().collect();
    // What a file does not contain may still exist.
    let comparison = comparison.map(|comparison| comparison.conclude(|_, _| false));
    let conclusion = Conclusion {
        summary: counts.summary,
        failures: &failures,
        comparison: comparison.as_ref(),
        terminated: None,
        left_out: 0,
    };
    output.finish(&conclusion).context("cannot write the output")?;
    Ok(args.conclude(&counts))
}

impl Args {
    fn template_parameters(&self) -> anyhow::Result<TemplateParameters> {
        let Some(path) = &self.template_parameters else { return Ok(TemplateParameters::default()) };
        let json = text::read(path)?;
        TemplateParameters::from_json(&json)
            .with_context(|| format!("--template-parameters {}", path.display()))
    }

    /// Reports each passed parameter that no template has. Returns their number.
    fn report_unknown_parameters(&self, passed: &TemplateParameters, known: &BTreeSet<String>) -> usize {
        let Some(path) = &self.template_parameters else { return 0 };
        let is_unknown = |name: &&str| !name.starts_with("AWS::") && !known.contains(*name);
        let unknown = passed.names().filter(is_unknown).inspect(|name| {
            let file = path.display();
            messages::error(&format!("--template-parameters {file}: no template has the parameter {name}"));
        });
        unknown.count()
    }

    /// Reports what was not evaluated, and returns how the command ends.
    fn conclude(&self, counts: &Counts) -> Completion {
        if counts.other_files > 0 && !self.output.quiet {
            let files = match counts.other_files {
                1 => "1 file of another kind".to_owned(),
                files => format!("{files} files of other kinds"),
            };
            messages::note(&format!("Passed over {files}."));
        }
        // A template may declare nothing that the rule evaluates.
        let is_empty = counts.summary.is_empty() && (counts.records > 0 || counts.documents == 0);
        if counts.unreadable == 0 && is_empty && !self.allow_empty {
            messages::error(match counts.records {
                0 if counts.of_cloudtrail > 0 => {
                    "the input contains only records of CloudTrail, which `imdsv2 callers` reads: pass --allow-empty if \
                     that is expected"
                }
                0 => "the input contains no records: pass --allow-empty if that is expected",
                _ => "no resource in the input is selected: pass --allow-empty if that is expected",
            });
            return Completion::of(1, 0);
        }
        let findings = usize::try_from(counts.summary.non_compliant).unwrap_or(usize::MAX);
        Completion::of(counts.unreadable, findings).exit_zero(self.exit_zero)
    }
}
