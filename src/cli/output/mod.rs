//! Output formats: one file for each.
//!
//! - `destination`: where output goes, standard output or a file that is replaced when it is complete;
//!   `batch_directory` is a directory of files.
//! - `finding`: a resource with its verdict.
//! - `sources`: what launches instances, with the instances that it launched.
//! - `terminated`: an instance that no longer exists, and made IMDSv1 calls.
//! - `table`, `json`, `csv`, `html`, `asff`, `ocsf`, `sarif`, `junit`, `github`, `commands`: findings; `shown` leaves out some
//!   of them, and `checks` has what these formats say of each type.
//! - `changes`: the results of changes.
//! - `callers`: who uses IMDSv1.

mod asff;
mod batch_directory;
pub(crate) mod callers;
#[cfg(feature = "live")]
pub(crate) mod changes;
mod checks;
mod commands;
mod csv;
mod destination;
mod finding;
mod github;
mod html;
mod json;
mod junit;
mod ocsf;
mod sarif;
mod shown;
mod sources;
pub(crate) mod table;
pub(crate) mod terminated;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::json;

pub(crate) use self::destination::{check_target, output_file, write};
pub(crate) use self::finding::{Finding, FindingContext};

use self::asff::{Asff, Target};
use self::batch_directory::BatchDirectory;
use self::destination::{Destination, Replacement};
use self::shown::Shown;
use self::table::TableOptions;
use self::terminated::Terminated;
use crate::cli::comparison::ComparisonSummary;
use crate::cli::filter::ShownOptions;
use crate::cli::terminal::messages;
use crate::rule::policy::Policy;
use crate::rule::verdict::Summary;

/// The formats of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for people, sorted, non-compliant resources first
    Table,
    /// One JSON object with the evaluations and a summary
    Json,
    /// One line for each evaluation, with a header
    Csv,
    /// A report in one file, for a browser
    Html,
    /// Findings for Security Hub, in batches that are input of `BatchImportFindings`
    Asff,
    /// Compliance findings of OCSF, one JSON object on each line, for Security Lake
    Ocsf,
    /// SARIF, for code scanning: the non-compliant resources
    Sarif,
    /// A test report in XML: a test case for each resource
    Junit,
    /// Annotations for GitHub Actions, and a summary of the step
    Github,
    /// A shell script of AWS CLI commands; it does nothing until its first line is removed
    Commands,
}

/// The options of a command that writes findings.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputOptions {
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// The output file, or a directory for asff; - is standard output [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Print no summaries and hints on standard error
    #[arg(long)]
    pub(crate) quiet: bool,

    /// The file to which --format github appends a summary in Markdown
    #[arg(long, value_name = "FILE", env = "GITHUB_STEP_SUMMARY")]
    step_summary: Option<PathBuf>,

    #[command(flatten)]
    table: TableOptions,

    #[command(flatten)]
    shown: ShownOptions,
}

impl OutputOptions {
    /// Checks that the output file is none of the inputs, under any name.
    ///
    /// # Errors
    /// Returns an error that names both if it is.
    pub(crate) fn check_target(&self, inputs: &[&Path]) -> anyhow::Result<()> {
        check_target(self.file(), inputs)
    }

    /// Returns whether the output is a table.
    #[cfg(feature = "live")]
    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Returns whether the output is for Security Hub.
    #[cfg(feature = "live")]
    pub(crate) fn is_asff(&self) -> bool {
        self.format == Format::Asff
    }

    /// Returns the output file; `None` is standard output.
    pub(crate) fn file(&self) -> Option<&Path> {
        output_file(self.output.as_deref())
    }
}

/// What is known when the last finding was written.
pub(crate) struct Conclusion<'a> {
    pub(crate) summary: Summary,
    /// What could not be evaluated.
    pub(crate) failures: &'a [String],
    /// What changed since an earlier scan, if there is one to compare with.
    pub(crate) comparison: Option<&'a ComparisonSummary>,
    /// The terminated instances that made IMDSv1 calls, if they were asked for.
    pub(crate) terminated: Option<&'a [Terminated]>,
    /// The number of resources that `--only` and `--limit` leave out.
    pub(crate) left_out: u64,
}

/// Receives findings one by one, and writes them in a format.
pub(crate) trait Output {
    /// Writes the next finding.
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()>;

    /// Receives a finding that is not to be written. Some formats count it.
    fn left_out(&mut self, _finding: &Finding<'_>) {}

    /// Writes what was held back, and the summary if the format has one.
    fn finish(&mut self, conclusion: &Conclusion<'_>) -> io::Result<()>;
}

/// Returns a summary as a phrase, such as `16 resources: 6 non-compliant, 5 compliant, 5 not applicable`.
fn in_words(summary: &Summary) -> String {
    let Summary { compliant, non_compliant, not_applicable } = summary;
    let total = compliant + non_compliant + not_applicable;
    let resources = if total == 1 { "resource" } else { "resources" };
    format!(
        "{total} {resources}: {non_compliant} non-compliant, {compliant} compliant, {not_applicable} not applicable"
    )
}

/// Describes unreadable input. Each error was printed on standard error.
pub(crate) fn unreadable(count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some("1 record or file could not be read".to_owned()),
        _ => Some(format!("{count} records or files could not be read")),
    }
}

/// What reports state about how findings were made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Basis<'a> {
    pub(crate) policy: &'a Policy,
    /// The look-back period for IMDSv1 calls, in days, if they were asked for.
    pub(crate) usage_days: Option<u16>,
    /// Whether callers were passed.
    pub(crate) with_callers: bool,
    /// Whether the names of accounts are known.
    pub(crate) with_account_names: bool,
    /// Whether resources may be declared in templates or plans.
    pub(crate) with_files: bool,
}

/// Opens the output that the options name. A file is not changed before [`Output::finish`]; a directory must be
/// new or empty.
///
/// # Errors
/// Returns an error if the file or directory cannot be created or written.
pub(crate) fn open(options: &OutputOptions, basis: Basis<'_>) -> anyhow::Result<Box<dyn Output>> {
    let output = open_format(options, basis)?;
    let shown = options.shown;
    if shown.only.is_none() && shown.limit.is_none() {
        return Ok(output);
    }
    Ok(Box::new(Shown::new(output, shown, options.quiet)))
}

fn open_format(options: &OutputOptions, basis: Basis<'_>) -> anyhow::Result<Box<dyn Output>> {
    let (format, quiet, file) = (options.format, options.quiet, options.file());
    if let (Format::Asff, Some(path)) = (format, file.filter(|path| BatchDirectory::is_named_by(path))) {
        return Ok(Box::new(Asff::new(Target::Directory(BatchDirectory::create(path, quiet)?))));
    }
    let Destination { writer, is_terminal, replacement } = Destination::open(file)?;
    let with_usage = basis.usage_days.is_some();
    let output: Box<dyn Output> = match format {
        Format::Table => Box::new(table::Table::new(writer, is_terminal, options.table)),
        Format::Json => Box::new(json::JsonList::new(writer, &json!({}), "evaluations")?),
        Format::Asff => Box::new(Asff::new(Target::Lines(writer))),
        Format::Ocsf => Box::new(ocsf::Ocsf::new(writer)),
        Format::Sarif => Box::new(sarif::Sarif::begin(writer).context("cannot write the output")?),
        Format::Junit => Box::new(junit::JUnit::new(writer)),
        Format::Github => Box::new(github::GitHub::new(writer, options.step_summary.clone())),
        Format::Csv => Box::new(csv::Csv::new(writer, basis)),
        Format::Commands => Box::new(commands::Commands::new(writer, with_usage)),
        Format::Html => Box::new(html::Html::begin(writer, basis).context("cannot write the output")?),
    };
    Ok(match replacement {
        None => output,
        Some(_) => Box::new(FileOutput {
            output,
            replacement,
            reported_as: file.filter(|_| !quiet).map(Path::to_owned),
        }),
    })
}

/// An output to a file, which is replaced when the output is complete.
struct FileOutput {
    output: Box<dyn Output>,
    replacement: Option<Replacement>,
    /// The name of the file in the message that it was written, if there is to be one.
    reported_as: Option<PathBuf>,
}

impl Output for FileOutput {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        self.output.finding(finding)
    }

    fn left_out(&mut self, finding: &Finding<'_>) {
        self.output.left_out(finding);
    }

    fn finish(&mut self, conclusion: &Conclusion<'_>) -> io::Result<()> {
        self.output.finish(conclusion)?;
        self.replacement.take().map_or(Ok(()), Replacement::commit)?;
        if let Some(file) = &self.reported_as {
            messages::note(&format!("{}: {}", file.display(), in_words(&conclusion.summary)));
        }
        Ok(())
    }
}
