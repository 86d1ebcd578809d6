//! What changed since an earlier scan: fixed, new, still open.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use anyhow::ensure;
use serde::Serialize;

use super::input::scan_output::ScanOutput;
use super::output::Finding;
use crate::rule::resource::Location;
use crate::rule::verdict::Compliance;

/// A resource, by its type and id: one in an account and Region, or one that a file declares. Several templates may have
/// a resource of the same logical id.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    location: Option<Location>,
    /// The file that declares it, if one does.
    file: Option<String>,
    resource_type: String,
    resource_id: String,
}

/// Returns the name of a file, whether `.` or its content was named.
fn normalized(file: &str) -> String {
    file.strip_prefix("./").unwrap_or(file).to_owned()
}

/// Whether a resource was non-compliant in the earlier scan, and is now.
struct Change {
    was_open: bool,
    /// `None` if the resource was not found again.
    is_open: Option<bool>,
}

/// The resources that are non-compliant in the earlier scan or now.
pub(crate) struct Comparison {
    /// The name of the earlier scan.
    earlier: String,
    changes: HashMap<Key, Change>,
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
    /// The number of resources that were non-compliant and were not looked at this time.
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

impl Comparison {
    /// Reads the JSON output of an earlier scan; `-` is standard input.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or does not contain all that a scan found.
    pub(crate) fn with(path: &Path) -> anyhow::Result<Self> {
        let (earlier, scanned) = (path.display().to_string(), ScanOutput::read(path)?);
        ensure!(
            !scanned.is_limited(),
            "{earlier} does not contain every non-compliant resource: write it without --limit and --only"
        );
        let changes = scanned.into_non_compliant().map(|each| {
            let location = each.location();
            let file = each.file.as_deref().map(normalized);
            let key =
                Key { location, file, resource_type: each.resource_type, resource_id: each.resource_id };
            (key, Change { was_open: true, is_open: None })
        });
        Ok(Self { earlier, changes: changes.collect() })
    }

    /// Returns what changed for a resource, if anything is to be said about it. Of several records of a resource, the
    /// last one counts.
    pub(crate) fn since(&mut self, finding: &Finding<'_>) -> Option<&'static str> {
        let key = Key {
            location: finding.location(),
            file: finding.file.as_deref().map(normalized),
            resource_type: finding.resource_type.clone().into_owned(),
            resource_id: finding.resource_id.clone().into_owned(),
        };
        let is_open = finding.compliance == Compliance::NonCompliant;
        let change = match self.changes.get_mut(&key) {
            Some(change) => change,
            None if is_open => self.changes.entry(key).or_insert(Change { was_open: false, is_open: None }),
            None => return None,
        };
        change.is_open = Some(is_open);
        match (change.was_open, is_open) {
            (true, true) => Some("still open"),
            (true, false) => Some("fixed"),
            (false, true) => Some("new"),
            (false, false) => None,
        }
    }

    /// Returns what changed. `is_listed` is whether all resources of a type in a place were listed: only then is one
    /// that was not found gone.
    pub(crate) fn conclude(self, is_listed: impl Fn(&Location, &str) -> bool) -> ComparisonSummary {
        let mut summary = ComparisonSummary { earlier: self.earlier, ..ComparisonSummary::default() };
        for (Key { location, resource_type, .. }, change) in &self.changes {
            let is_listed = || location.as_ref().is_some_and(|location| is_listed(location, resource_type));
            match (change.was_open, change.is_open) {
                (true, Some(true)) => summary.still_open += 1,
                (true, Some(false)) => summary.fixed += 1,
                (true, None) if is_listed() => {
                    summary.fixed += 1;
                    summary.gone += 1;
                }
                (true, None) => summary.not_scanned += 1,
                (false, Some(true)) => summary.new += 1,
                (false, _) => {}
            }
        }
        summary
    }
}
