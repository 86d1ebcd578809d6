//! Output formats: one file for each.
//!
//! `destination` is where output goes: standard output, or a file that is replaced when it is complete;
//! `batch_directory` is a directory of files.
//! `table`, `json`, `csv`, `html` and `asff` write findings; `changes` writes the results of changes.

mod asff;
mod batch_directory;
#[cfg(feature = "live")]
pub(crate) mod changes;
mod csv;
mod destination;
mod html;
mod json;
mod table;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

pub(crate) use self::destination::check_target;

use self::asff::{Asff, Target};
use self::batch_directory::BatchDirectory;
use self::destination::{Destination, Replacement};
use crate::cli::terminal::messages;
use crate::rule::policy::Policy;
use crate::rule::resource::{Resource, ResourceType};
#[cfg(feature = "live")]
use crate::rule::usage::UsageState;
use crate::rule::verdict::{Compliance, Summary, Verdict};

/// The formats of findings.
#[derive(Clone, Copy, Debug, ValueEnum)]
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
}

/// The options of a command that writes findings.
#[derive(Debug, Args)]
pub(crate) struct OutputOptions {
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// The output file, or a directory for asff [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Do not print what was written to the output file
    #[arg(long)]
    quiet: bool,
}

impl OutputOptions {
    /// Checks that the output file is none of the inputs, under any name.
    ///
    /// # Errors
    /// Returns an error that names both if it is.
    pub(crate) fn check_target(&self, inputs: &[&Path]) -> anyhow::Result<()> {
        check_target(self.output.as_deref(), inputs)
    }
}

/// A verdict and its resource, in the terms of AWS Config. This is the shape of the JSON output.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding<'a> {
    pub(crate) resource_type: &'a str,
    pub(crate) resource_id: &'a str,
    pub(crate) account_id: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
    pub(crate) compliance: Compliance,
    pub(crate) annotation: &'a str,
    /// Whether the instance uses IMDSv1, if CloudWatch was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    imdsv1_use: Option<&'static str>,
    /// The number of its IMDSv1 calls, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    imdsv1_calls: Option<u64>,
    /// Whether the rule evaluates resources of this type at all.
    #[serde(skip)]
    is_judged_type: bool,
}

impl<'a> Finding<'a> {
    /// Returns the finding for a resource.
    pub(crate) fn new(resource: &'a Resource<'_>, verdict: &'a Verdict) -> Self {
        Self {
            resource_type: resource.resource_type.name(),
            resource_id: &resource.resource_id,
            account_id: resource.account_id.as_deref(),
            region: resource.region.as_deref(),
            compliance: verdict.compliance,
            annotation: &verdict.annotation,
            imdsv1_use: None,
            imdsv1_calls: None,
            is_judged_type: !matches!(resource.resource_type, ResourceType::Other(_))
                || resource.resource_type == ResourceType::ACCOUNT,
        }
    }

    /// Adds how the instance uses IMDSv1.
    #[cfg(feature = "live")]
    pub(crate) fn with_usage(self, usage: UsageState) -> Self {
        Self { imdsv1_use: Some(usage_name(usage)), imdsv1_calls: usage.calls(), ..self }
    }
}

/// Returns the value of `imdsv1Use`.
#[cfg(feature = "live")]
fn usage_name(usage: UsageState) -> &'static str {
    match usage {
        UsageState::InUse(_) => "still in use",
        UsageState::BootCalls(_) => "boot-time calls",
        UsageState::Unknown => "unknown",
        UsageState::NotInUse => "safe to enforce",
    }
}

/// Receives findings one by one, and writes them in a format.
pub(crate) trait Output {
    /// Writes the next finding.
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()>;

    /// Writes what was held back, and the summary if the format has one. `failures` describes what could not
    /// be evaluated.
    fn finish(&mut self, summary: &Summary, failures: &[String]) -> io::Result<()>;
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

/// Opens the output that the options name. A file is not changed before [`Output::finish`]; a directory must be
/// new or empty. `with_usage` adds how instances use IMDSv1; `policy` is shown in reports.
///
/// # Errors
/// Returns an error if the file or directory cannot be created or written.
pub(crate) fn open(
    options: &OutputOptions,
    with_usage: bool,
    policy: &Policy,
) -> anyhow::Result<Box<dyn Output>> {
    let OutputOptions { format, ref output, quiet } = *options;
    let file = output.as_deref();
    if let (Format::Asff, Some(path)) = (format, file.filter(|path| BatchDirectory::is_named_by(path))) {
        return Ok(Box::new(Asff::new(Target::Directory(BatchDirectory::create(path, quiet)?))));
    }
    let Destination { writer, is_terminal, replacement } = Destination::open(file)?;
    let output: Box<dyn Output> = match format {
        Format::Table => Box::new(table::Table::new(writer, is_terminal, with_usage)),
        Format::Json => Box::new(json::JsonList::new(writer, &json!({}), "evaluations")?),
        Format::Asff => Box::new(Asff::new(Target::Lines(writer))),
        Format::Csv => Box::new(csv::Csv::new(writer, with_usage)),
        Format::Html => Box::new(html::Html::begin(writer, policy).context("cannot write the output")?),
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

    fn finish(&mut self, summary: &Summary, failures: &[String]) -> io::Result<()> {
        self.output.finish(summary, failures)?;
        self.replacement.take().map_or(Ok(()), Replacement::commit)?;
        if let Some(file) = &self.reported_as {
            messages::note(&format!("{}: {}", file.display(), in_words(summary)));
        }
        Ok(())
    }
}
