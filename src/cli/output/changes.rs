//! What came of each instance that was to be changed: a line each, JSON or CSV.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

use super::json::Json;

/// The formats that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChangeFormat {
    /// For people: a line for each instance, as it is done
    Table,
    /// One object, with the changes and a summary
    Json,
    /// A line for each instance, with a header
    Csv,
}

/// What came of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// EC2 would allow the change; nothing was changed.
    Allowed,
    /// It was changed, and verified.
    Changed,
    /// It was not changed, or not verified.
    Failed,
    /// It is left as it is, on purpose.
    Left,
    /// It was not begun.
    NotBegun,
    /// It is as it was before the change that was undone.
    Restored,
    /// There was nothing to do.
    Unneeded,
}

/// An instance, and what came of it; this is the shape of the JSON output.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    pub(crate) account_id: String,
    pub(crate) region: String,
    pub(crate) instance_id: String,
    pub(crate) outcome: Outcome,
    /// In words.
    pub(crate) detail: String,
}

/// Takes changes one by one, writes them in a format, and counts them.
pub(crate) struct Changes {
    writer: Writer,
    counts: BTreeMap<Outcome, usize>,
}

enum Writer {
    Table(Box<dyn Write + Send>),
    Json(Json<Box<dyn Write + Send>>),
    Csv(Box<csv::Writer<Box<dyn Write + Send>>>),
}

impl Changes {
    /// Changes in `format`, to `file` or else to standard output.
    ///
    /// # Errors
    /// Where the file cannot be created.
    pub(crate) fn open(format: ChangeFormat, file: Option<&Path>) -> anyhow::Result<Self> {
        let (out, _) = super::writer(file)?;
        let writer = match format {
            ChangeFormat::Table => Writer::Table(out),
            ChangeFormat::Json => Writer::Json(Json::new(out, &json!({}), "changes")?),
            ChangeFormat::Csv => Writer::Csv(Box::new(csv::Writer::from_writer(out))),
        };
        Ok(Self { writer, counts: BTreeMap::new() })
    }

    /// Takes what came of an instance.
    pub(crate) fn add(&mut self, change: &Change) -> io::Result<()> {
        *self.counts.entry(change.outcome).or_default() += 1;
        match &mut self.writer {
            Writer::Table(out) => {
                let Change { account_id, region, instance_id, detail, .. } = change;
                let failed = if change.outcome == Outcome::Failed { "failed: " } else { "" };
                writeln!(out, "{account_id}  {region}  {instance_id}  {failed}{detail}")?;
                out.flush()
            }
            Writer::Json(json) => json.element(change),
            Writer::Csv(csv) => Ok(csv.serialize(change)?),
        }
    }

    /// How many there are of an outcome.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.counts.get(&outcome).copied().unwrap_or_default()
    }

    /// Writes what is held back, and the summary where the format has one, with the journal that can undo
    /// the changes, if any.
    pub(crate) fn finish(&mut self, journal: Option<&Path>) -> io::Result<()> {
        let summary: BTreeMap<_, _> = ALL.iter().map(|outcome| (*outcome, self.count(*outcome))).collect();
        match &mut self.writer {
            Writer::Table(out) => out.flush(),
            Writer::Json(json) => {
                let rest: Value = json!({"journal": journal, "summary": summary});
                json.end(&rest)
            }
            Writer::Csv(csv) => csv.flush(),
        }
    }
}

const ALL: [Outcome; 7] = [
    Outcome::Allowed,
    Outcome::Changed,
    Outcome::Failed,
    Outcome::Left,
    Outcome::NotBegun,
    Outcome::Restored,
    Outcome::Unneeded,
];
