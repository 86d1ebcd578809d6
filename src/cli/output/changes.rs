//! The result of each instance that was to be changed: one line each, JSON or CSV.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use super::csv::cell;
use super::destination::{Destination, Replacement};
use super::json::JsonList;
use crate::rule::instance::InstanceKey;
use crate::rule::printable::printable;
use crate::rule::resource::Location;

/// The formats of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChangeFormat {
    /// One line for each instance, as soon as its result is known
    Table,
    /// One JSON object with the changes and a summary
    Json,
    /// One line for each instance, with a header
    Csv,
}

/// The result of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ChangeStatus {
    /// A dry run: EC2 would allow the change.
    Allowed,
    /// The instance was changed, and the change was verified.
    Changed,
    /// The instance was not changed, or the change was not verified.
    Failed,
    /// The change was not started.
    NotStarted,
    /// The instance has the options from before the change again.
    Restored,
    /// The instance was not changed, because it may still use IMDSv1.
    Skipped,
    /// The instance needs no change.
    Unchanged,
}

impl ChangeStatus {
    /// Returns the status as people read it.
    fn label(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Changed => "changed",
            Self::Failed => "failed",
            Self::NotStarted => "not started",
            Self::Restored => "restored",
            Self::Skipped => "skipped",
            Self::Unchanged => "unchanged",
        }
    }
}

impl ChangeStatus {
    /// Returns whether a table on a terminal only counts results with this status.
    fn is_only_counted(self) -> bool {
        match self {
            Self::NotStarted | Self::Skipped | Self::Unchanged => true,
            Self::Allowed | Self::Changed | Self::Failed | Self::Restored => false,
        }
    }
}

const STATUSES: [ChangeStatus; 7] = [
    ChangeStatus::Allowed,
    ChangeStatus::Changed,
    ChangeStatus::Failed,
    ChangeStatus::NotStarted,
    ChangeStatus::Restored,
    ChangeStatus::Skipped,
    ChangeStatus::Unchanged,
];

/// An instance and its result.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) instance: InstanceKey,
    /// The Name tag of the instance, if it is known.
    pub(crate) name: Option<String>,
    pub(crate) status: ChangeStatus,
    /// An explanation in plain English; empty if the status says it all.
    pub(crate) detail: String,
}

impl Change {
    /// Returns the change as a line.
    pub(crate) fn line(&self) -> String {
        let Self { instance, name, status, detail } = self;
        let InstanceKey { location: Location { account_id, region }, instance_id } = instance;
        let colon = if detail.is_empty() { "" } else { ": " };
        let name = name.as_deref().map_or_else(String::new, |name| format!("{name}  "));
        format!("{account_id}  {region}  {name}{instance_id}  {}{colon}{detail}", status.label())
    }

    /// Returns the change without an explanation.
    fn without_detail(&self) -> Self {
        Self { detail: String::new(), ..self.clone() }
    }

    /// Returns a change that was not started.
    pub(crate) fn not_started(instance: InstanceKey) -> Self {
        Self { instance, name: None, status: ChangeStatus::NotStarted, detail: String::new() }
    }
}

/// The shape of a change in JSON and CSV.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    account_id: Cow<'a, str>,
    region: Cow<'a, str>,
    instance_id: Cow<'a, str>,
    outcome: ChangeStatus,
    detail: Cow<'a, str>,
    name: Option<Cow<'a, str>>,
}

impl Row<'_> {
    /// Returns the row with fields that are safe in CSV.
    fn cells(&self) -> Row<'_> {
        Row {
            account_id: cell(&self.account_id),
            region: cell(&self.region),
            instance_id: cell(&self.instance_id),
            outcome: self.outcome,
            detail: cell(&self.detail),
            name: self.name.as_deref().map(cell),
        }
    }
}

/// Receives changes one by one, writes them in a format, and counts them.
pub(crate) struct ChangeReport {
    writer: Writer,
    /// What is left to do when the report is complete, if it goes to a file.
    replacement: Option<Replacement>,
    counts: BTreeMap<ChangeStatus, usize>,
    /// Whether the report is a table on a terminal: a person reads it, and what was not changed is counted only.
    is_brief: bool,
}

enum Writer {
    Table(Box<dyn Write + Send>),
    Json(JsonList<Box<dyn Write + Send>>),
    Csv(Box<csv::Writer<Box<dyn Write + Send>>>),
}

impl ChangeReport {
    /// Opens the report in `format`, to `file` or to standard output. The file is not changed before
    /// [`Self::finish`].
    ///
    /// # Errors
    /// Returns an error if the file cannot be created.
    pub(crate) fn open(format: ChangeFormat, file: Option<&Path>) -> anyhow::Result<Self> {
        let Destination { writer, replacement, is_terminal } = Destination::open(file)?;
        let is_brief = format == ChangeFormat::Table && is_terminal;
        let writer = match format {
            ChangeFormat::Table => Writer::Table(writer),
            ChangeFormat::Json => Writer::Json(JsonList::new(writer, &json!({}), "changes")?),
            ChangeFormat::Csv => Writer::Csv(Box::new(csv::Writer::from_writer(writer))),
        };
        Ok(Self { writer, replacement, counts: BTreeMap::new(), is_brief })
    }

    /// Writes the next change.
    pub(crate) fn add(&mut self, change: &Change) -> io::Result<()> {
        *self.counts.entry(change.status).or_default() += 1;
        let Change { instance, name, status, detail } = change;
        if self.is_brief && status.is_only_counted() {
            return Ok(());
        }
        let InstanceKey { location: Location { account_id, region }, instance_id } = instance;
        let row = Row {
            account_id: account_id.into(),
            region: region.into(),
            instance_id: instance_id.into(),
            outcome: *status,
            detail: detail.into(),
            name: name.as_deref().map(Cow::from),
        };
        match &mut self.writer {
            Writer::Table(writer) => {
                let is_expected = self.is_brief && *status != ChangeStatus::Failed;
                let shown = if is_expected { change.without_detail().line() } else { change.line() };
                writeln!(writer, "{}", printable(&shown))?;
                writer.flush()
            }
            Writer::Json(json) => json.element(&row),
            Writer::Csv(csv) => Ok(csv.serialize(row.cells())?),
        }
    }

    /// Returns whether a person sees failures in the report as they come, so that no message has to repeat them.
    pub(crate) fn shows_failures(&self) -> bool {
        self.is_brief
    }

    /// Returns the number of changes with this status.
    pub(crate) fn count(&self, status: ChangeStatus) -> usize {
        self.counts.get(&status).copied().unwrap_or_default()
    }

    /// Writes what was held back, and the summary if the format has one, with the journal that the changes
    /// can be undone from, if any. Then replaces the file, if the report goes to one.
    pub(crate) fn finish(&mut self, journal: Option<&Path>) -> io::Result<()> {
        let summary: BTreeMap<_, _> =
            STATUSES.into_iter().map(|status| (status, self.count(status))).collect();
        match &mut self.writer {
            Writer::Table(writer) => writer.flush(),
            Writer::Json(json) => json.end(&json!({"journal": journal, "summary": summary})),
            Writer::Csv(csv) => csv.flush(),
        }?;
        self.replacement.take().map_or(Ok(()), Replacement::commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_neutralised() {
        for (format, expected) in [
            (ChangeFormat::Table, "1  us-east-1  i-\\u{1b}[2J  failed: =\\u{202e}1\n"),
            (
                ChangeFormat::Csv,
                "accountId,region,instanceId,outcome,detail,name\n1,us-east-1,i-\\u{1b}[2J,failed,'=\\u{202e}1,\n",
            ),
        ] {
            let path = std::env::temp_dir().join(format!("imdsv2-changes-{}-{format:?}", std::process::id()));
            let location = Location { account_id: "1".to_owned(), region: "us-east-1".to_owned() };
            let instance = InstanceKey { location, instance_id: "i-\u{1b}[2J".to_owned() };
            let detail = "=\u{202e}1".to_owned();
            let mut report = ChangeReport::open(format, Some(&path)).expect("opened");
            report
                .add(&Change { instance, name: None, status: ChangeStatus::Failed, detail })
                .expect("added");
            report.finish(None).expect("finished");
            assert_eq!(std::fs::read_to_string(&path).expect("read"), expected);
            std::fs::remove_file(&path).expect("removed");
        }
    }
}
