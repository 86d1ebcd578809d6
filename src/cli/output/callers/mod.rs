//! Who uses IMDSv1: the callers, and the software behind them, in one file for each format.

mod columns;
mod csv;
mod html;
mod json;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::destination::{Destination, Replacement};
use crate::cli::calls::groups::{CallerCalls, CallerKey, CallersSummary, GroupBy};
use crate::cli::calls::role_name;
use crate::rule::software::{Advice, Software};

/// What the counts cannot contain.
const BLIND_SPOTS: [&str; 2] = [
    "Reading metadata other than credentials, such as the instance id or user data, is in no trail.",
    "Data events, such as reading objects in S3, are counted only if the trail records them.",
];

/// The formats of callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CallersFormat {
    /// Tables for people: the software behind most calls first, then the callers
    Table,
    /// One JSON object with the callers and a summary
    Json,
    /// One line for each caller, with a header
    Csv,
    /// A report in one file, for a browser
    Html,
}

/// A report that is about to be written.
pub(crate) struct CallersReport {
    format: CallersFormat,
    writer: Box<dyn Write + Send>,
    is_terminal: bool,
    replacement: Option<Replacement>,
}

/// What a report contains.
pub(crate) struct CallersFound {
    pub(crate) group_by: Option<GroupBy>,
    pub(crate) callers: Vec<(CallerKey<'static>, CallerCalls)>,
    pub(crate) summary: CallersSummary,
    /// The number of records or files that could not be read.
    pub(crate) unreadable: usize,
}

/// Opens a report, to `target` or to standard output. A file is not changed before [`CallersReport::write`].
///
/// # Errors
/// Returns an error if the file cannot be written.
pub(crate) fn open(format: CallersFormat, target: Option<&Path>) -> anyhow::Result<CallersReport> {
    let Destination { writer, is_terminal, replacement } = Destination::open(target)?;
    Ok(CallersReport { format, writer, is_terminal, replacement })
}

impl CallersReport {
    /// Writes the report.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub(crate) fn write(self, found: &CallersFound) -> io::Result<()> {
        let Self { format, mut writer, is_terminal, replacement } = self;
        found.write(format, &mut writer, is_terminal)?;
        replacement.map_or(Ok(()), Replacement::commit)
    }
}

/// A caller. This is the shape of the JSON output.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CallerRow<'a> {
    account_id: Option<&'a str>,
    role_arn: Option<&'a str>,
    instance_id: Option<&'a str>,
    user_agent: Option<&'a str>,
    sdk: Option<&'static str>,
    sdk_version: Option<&'a str>,
    sdk_supports_imdsv2: Option<bool>,
    calls: u64,
    first_seen: Option<String>,
    last_seen: Option<String>,
    services: Vec<&'a str>,
    /// What is known of the software, if callers are grouped by it, in a few words.
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<&'static str>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    /// What to do about the software, if callers are grouped by it.
    #[serde(skip)]
    software_advice: Option<Advice>,
    /// The name of the software; empty if callers are not grouped by it.
    #[serde(skip)]
    software_name: String,
}

/// The calls of one version of an SDK, or of other software.
struct SoftwareRow {
    name: String,
    advice: Advice,
    calls: u64,
    /// The number of instances, if callers are grouped by it.
    instances: Option<usize>,
    last_seen: Option<String>,
}

impl SoftwareRow {
    fn instances(&self) -> String {
        self.instances.map_or_else(String::new, |count| count.to_string())
    }
}

impl CallersFound {
    /// Writes everything in a format.
    pub(crate) fn write(
        &self,
        format: CallersFormat,
        writer: &mut impl Write,
        is_terminal: bool,
    ) -> io::Result<()> {
        let rows = self.rows();
        match format {
            CallersFormat::Table => table::write(writer, is_terminal, self, &rows),
            CallersFormat::Json => json::write(&mut *writer, &rows, self.summary),
            CallersFormat::Csv => csv::write(&mut *writer, &rows),
            CallersFormat::Html => html::write(writer, self, &rows),
        }?;
        writer.flush()
    }

    /// Returns whether callers are grouped by their software.
    fn names_software(&self) -> bool {
        matches!(self.group_by, None | Some(GroupBy::Agent))
    }

    /// Returns the callers: those with the software behind most calls first, then by their own calls.
    fn rows(&self) -> Vec<CallerRow<'_>> {
        let mut rows: Vec<_> = self
            .callers
            .iter()
            .map(|(key, calls)| CallerRow::new(key, calls, self.names_software()))
            .collect();
        let mut totals: BTreeMap<_, u64> = BTreeMap::new();
        for row in &rows {
            *totals.entry(row.software_name.clone()).or_default() += row.calls;
        }
        rows.sort_by_cached_key(|row| {
            let name = row.software_name.clone();
            let total = totals.get(&name).copied().unwrap_or_default();
            let places = [row.account_id, row.role_arn, row.instance_id, row.user_agent];
            (u64::MAX - total, name, u64::MAX - row.calls, places.map(|place| place.map(str::to_owned)))
        });
        rows
    }

    /// Describes what was read, as a sentence.
    fn in_words(&self) -> String {
        let CallersSummary { records, imdsv1_calls, imdsv2_calls, instances, duplicates } = self.summary;
        let plural = |count: u64, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        let instances = plural(instances.try_into().unwrap_or(u64::MAX), "instance");
        let duplicates = match duplicates {
            0 => String::new(),
            _ => format!(" ({})", plural(duplicates, "duplicate")),
        };
        format!(
            "{} with credentials from IMDSv1, by {instances}; {imdsv2_calls} with credentials from IMDSv2; \
             {}{duplicates}",
            plural(imdsv1_calls, "call"),
            plural(records, "record"),
        )
    }
}

impl<'a> CallerRow<'a> {
    fn new(key: &'a CallerKey<'_>, calls: &'a CallerCalls, names_software: bool) -> Self {
        let user_agent = key.user_agent.as_deref();
        let software = names_software.then(|| Software::of_user_agent(user_agent.unwrap_or_default()));
        let advice = software.map(|software| software.advice());
        Self {
            account_id: key.account_id.as_deref(),
            role_arn: key.role_arn.as_deref(),
            instance_id: key.instance_id.as_deref(),
            user_agent,
            sdk: software.and_then(|software| Some(software.sdk?.name)),
            sdk_version: software.and_then(|software| software.version),
            sdk_supports_imdsv2: software.and_then(|software| software.supports_imdsv2()),
            calls: calls.calls,
            first_seen: calls.first_seen.and_then(rfc3339),
            last_seen: calls.last_seen.and_then(rfc3339),
            services: calls.services.iter().map(|service| &**service).collect(),
            finding: advice.map(Advice::label),
            advice: advice.map(|advice| advice.to_string()),
            software_advice: advice,
            software_name: software.map_or_else(String::new, |software| software.to_string()),
        }
    }

    /// Returns the name of the role: the end of its ARN.
    fn role(&self) -> &'a str {
        role_name(self.role_arn.unwrap_or_default())
    }
}

/// Returns the software behind the callers. The callers with the same software follow each other.
fn software(rows: &[CallerRow<'_>]) -> Vec<SoftwareRow> {
    let same = |a: &CallerRow<'_>, b: &CallerRow<'_>| a.software_name == b.software_name;
    let summed = |rows: &[CallerRow<'_>]| {
        let first = rows.first()?;
        let instances: BTreeSet<_> =
            rows.iter().filter_map(|row| Some((row.account_id, row.instance_id?))).collect();
        Some(SoftwareRow {
            name: first.software_name.clone(),
            advice: first.software_advice?,
            calls: rows.iter().map(|row| row.calls).sum(),
            instances: Some(instances.len()).filter(|count| *count > 0),
            last_seen: rows.iter().filter_map(|row| row.last_seen.clone()).max(),
        })
    };
    rows.chunk_by(same).filter_map(summed).collect()
}

fn rfc3339(time: OffsetDateTime) -> Option<String> {
    time.replace_nanosecond(0).ok()?.format(&Rfc3339).ok()
}
