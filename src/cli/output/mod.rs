//! How verdicts are shown: one file a format.

mod asff;
pub(crate) mod changes;
mod csv;
mod html;
mod json;
mod table;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use crate::rule::policy::Policy;
use crate::rule::resource::{Resource, ResourceType};
use crate::rule::verdict::{Compliance, Summary, Verdict};

/// The formats that there are.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// For people: sorted, what is non-compliant first
    Table,
    /// One object, with the evaluations and a summary
    Json,
    /// A line for each evaluation
    Csv,
    /// A report in one file, for people and their browsers
    Html,
    /// Findings for Security Hub, a batch for `BatchImportFindings` on each line
    Asff,
}

/// One verdict, in the words of AWS Config; this is the shape of the JSON output.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Evaluation<'a> {
    pub(crate) resource_type: &'a str,
    pub(crate) resource_id: &'a str,
    pub(crate) account_id: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
    pub(crate) compliance: Compliance,
    pub(crate) annotation: &'a str,
    /// Whether software on it uses IMDSv1, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) imdsv1_use: Option<&'static str>,
    /// How many IMDSv1 calls it made, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) imdsv1_calls: Option<u64>,
    /// Whether the rule judges resources of this type at all.
    #[serde(skip)]
    pub(crate) is_judged_type: bool,
}

impl<'a> Evaluation<'a> {
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
            is_judged_type: !matches!(resource.resource_type, ResourceType::Other(_)),
        }
    }
}

/// Takes verdicts one by one, and writes them in a format.
pub(crate) trait Output {
    /// Takes the next verdict.
    fn evaluation(&mut self, evaluation: &Evaluation<'_>) -> io::Result<()>;

    /// Writes what is still held back, and the summary where the format has one.
    /// `failures` is what could not be looked at.
    fn finish(&mut self, summary: &Summary, failures: &[String]) -> io::Result<()>;
}

/// The output in `format`, to `file` or else to standard output, `with_usage` of IMDSv1 or without. The
/// verdicts are by `policy`.
///
/// # Errors
/// Where the file cannot be created, or the output cannot be begun.
pub(crate) fn open(
    format: Format,
    file: Option<&Path>,
    with_usage: bool,
    policy: &Policy,
) -> anyhow::Result<Box<dyn Output>> {
    let (writer, terminal) = writer(file)?;
    Ok(match format {
        Format::Table => Box::new(table::Table::new(writer, terminal, with_usage)),
        Format::Json => Box::new(json::Json::new(writer, &json!({}), "evaluations")?),
        Format::Asff => Box::new(asff::Asff::new(writer)),
        Format::Csv => Box::new(csv::Csv::new(writer, with_usage)),
        Format::Html => Box::new(html::Html::begin(writer, policy).context("cannot write the output")?),
    })
}

/// Where output goes, and whether that is a terminal.
fn writer(file: Option<&Path>) -> anyhow::Result<(Box<dyn Write + Send>, bool)> {
    let (writer, terminal): (Box<dyn Write + Send>, bool) = match file {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            (Box::new(file), false)
        }
        None => (Box::new(io::stdout()), io::stdout().is_terminal()),
    };
    Ok((Box::new(BufWriter::with_capacity(64 * 1024, writer)), terminal))
}
