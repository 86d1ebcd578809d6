//! What changed since an earlier scan: fixed, new, still open.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::input::text;
use super::output::Finding;
use crate::rule::resource::Location;
use crate::rule::verdict::Compliance;

/// A resource in an account and Region, by its type and id.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    location: Option<Location>,
    resource_type: String,
    resource_id: String,
}

/// The resources that an earlier scan found non-compliant, and what became of them so far.
pub(crate) struct Comparison {
    /// Each with whether it was found again.
    open: HashMap<Key, bool>,
    summary: ComparisonSummary,
}

/// What changed since an earlier scan.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ComparisonSummary {
    /// The name of the earlier scan.
    earlier: String,
    /// The number of resources that were non-compliant and are not any more, or are gone.
    fixed: u64,
    /// The number of those that are gone.
    gone: u64,
    /// The number of resources that are non-compliant now and were not before.
    new: u64,
    /// The number of resources that are still non-compliant.
    still_open: u64,
    /// The number of resources that were non-compliant and were not scanned this time.
    not_scanned: u64,
}

impl fmt::Display for ComparisonSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { earlier, fixed, gone, new, still_open, not_scanned } = self;
        let of_them = if *gone > 0 { format!(" ({gone} of them no longer exist)") } else { String::new() };
        write!(f, "Compared with {earlier}: {fixed} fixed{of_them}, {new} new, {still_open} still open")?;
        if *not_scanned > 0 { write!(f, ", {not_scanned} not scanned this time") } else { Ok(()) }
    }
}

/// The JSON output of a scan, as far as it is read.
#[derive(Deserialize)]
struct ScanOutput {
    evaluations: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    resource_type: String,
    resource_id: String,
    account_id: Option<String>,
    region: Option<String>,
    compliance: String,
}

impl Comparison {
    /// Reads the JSON output of an earlier scan; `-` is standard input.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or is not the output of a scan.
    pub(crate) fn with(path: &Path) -> anyhow::Result<Self> {
        let json = text::read(path)?;
        let earlier = path.display().to_string();
        let scanned: ScanOutput = serde_json::from_str(&json)
            .with_context(|| format!("{earlier}: not the output of `imdsv2 scan --format json`"))?;
        let rows = scanned.evaluations.into_iter();
        let open = rows.filter(|row| row.compliance == Compliance::NonCompliant.as_str()).map(|row| {
            let location = row.account_id.zip(row.region);
            let location = location.map(|(account_id, region)| Location { account_id, region });
            (Key { location, resource_type: row.resource_type, resource_id: row.resource_id }, false)
        });
        Ok(Self {
            open: open.collect(),
            summary: ComparisonSummary { earlier, ..ComparisonSummary::default() },
        })
    }

    /// Returns what changed for a resource, if anything is to be said about it.
    pub(crate) fn since(&mut self, finding: &Finding<'_>) -> Option<&'static str> {
        let key = Key {
            location: finding.location(),
            resource_type: finding.resource_type.clone().into_owned(),
            resource_id: finding.resource_id.clone().into_owned(),
        };
        let was_open = self.open.get_mut(&key).map(|found| *found = true).is_some();
        let (since, count) = match (was_open, finding.compliance == Compliance::NonCompliant) {
            (false, false) => return None,
            (false, true) => ("new", &mut self.summary.new),
            (true, true) => ("still open", &mut self.summary.still_open),
            (true, false) => ("fixed", &mut self.summary.fixed),
        };
        *count += 1;
        Some(since)
    }

    /// Counts what was not found again. `is_complete` is whether a place was scanned completely: only then is a
    /// resource that was not found gone.
    pub(crate) fn conclude(mut self, is_complete: impl Fn(&Location) -> bool) -> ComparisonSummary {
        for (key, _) in self.open.iter().filter(|(_, found)| !**found) {
            if key.location.as_ref().is_some_and(&is_complete) {
                self.summary.fixed += 1;
                self.summary.gone += 1;
            } else {
                self.summary.not_scanned += 1;
            }
        }
        self.summary
    }
}
