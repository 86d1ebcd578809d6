//! CSV (RFC 4180), with a header line.

use std::borrow::Cow;
use std::io::{self, Write};

use super::{Basis, Conclusion, Finding, Output};
use crate::cli::calls::known::InstanceCallers;
use crate::rule::printable::printable;

/// A column: its name, and the text for a finding.
type Column = (&'static str, for<'f> fn(&'f Finding<'_>) -> Cow<'f, str>);

const FIRST: [Column; 6] = [
    ("resourceType", |finding| text(Some(&finding.resource_type))),
    ("resourceId", |finding| text(Some(&finding.resource_id))),
    ("accountId", |finding| text(finding.account_id.as_deref())),
    ("region", |finding| text(finding.region.as_deref())),
    ("compliance", |finding| finding.compliance.as_str().into()),
    ("annotation", |finding| text(Some(&finding.annotation))),
];
const USAGE: [Column; 2] = [
    ("imdsv1Use", |finding| text(finding.imdsv1_use)),
    ("imdsv1Calls", |finding| finding.imdsv1_calls.map(|calls| calls.to_string()).unwrap_or_default().into()),
];
const LAST: [Column; 7] = [
    ("reason", |finding| finding.reason.as_str().into()),
    ("name", |finding| text(finding.name.as_deref())),
    ("owner", |finding| text(finding.owner.as_deref())),
    ("launchedBy", |finding| text(finding.launched_by.as_ref().map(|launcher| launcher.id.as_ref()))),
    ("launchTemplate", |finding| text(finding.launch_template.as_ref().map(|template| template.id.as_ref()))),
    ("since", |finding| text(finding.since)),
    ("managedBy", |finding| text(finding.managed_by.as_deref())),
];
const FILES: [Column; 2] = [
    ("file", |finding| text(finding.file.as_deref())),
    ("line", |finding| finding.line.map(|line| line.to_string()).unwrap_or_default().into()),
];
const CALLERS: [Column; 1] = [("imdsv1Callers", |finding| {
    finding.imdsv1_callers.as_ref().map(InstanceCallers::listed).unwrap_or_default().into()
})];
const ACCOUNT: [Column; 1] = [("accountName", |finding| text(finding.account_name.as_deref()))];

fn text(text: Option<&str>) -> Cow<'_, str> {
    text.unwrap_or_default().into()
}

pub(crate) struct Csv<W: Write> {
    writer: csv::Writer<W>,
    columns: Vec<Column>,
    has_header: bool,
}

impl<W: Write> Csv<W> {
    /// Returns a table with the columns for what is known.
    pub(crate) fn new(writer: W, basis: Basis<'_>) -> Self {
        let Basis { usage_days, with_callers, with_account_names, with_files, .. } = basis;
        let mut columns = FIRST.to_vec();
        columns.extend(USAGE.iter().filter(|_| usage_days.is_some()));
        columns.extend(LAST);
        columns.extend(FILES.iter().filter(|_| with_files));
        columns.extend(CALLERS.iter().filter(|_| with_callers));
        columns.extend(ACCOUNT.iter().filter(|_| with_account_names));
        Self { writer: csv::Writer::from_writer(writer), columns, has_header: false }
    }

    fn header(&mut self) -> io::Result<()> {
        if !self.has_header {
            self.has_header = true;
            self.writer.write_record(self.columns.iter().map(|(name, _)| name))?;
        }
        Ok(())
    }
}

impl<W: Write> Output for Csv<W> {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        self.header()?;
        for (_, text) in &self.columns {
            self.writer.write_field(&*cell(&text(finding)))?;
        }
        self.writer.write_record(None::<&[u8]>)?;
        Ok(())
    }

    fn finish(&mut self, _: &Conclusion<'_>) -> io::Result<()> {
        self.header()?;
        self.writer.flush()
    }
}

/// Returns the text of a field. Spreadsheets run a field that begins with one of some characters as a formula;
/// after an apostrophe it is text (<https://owasp.org/www-community/attacks/CSV_Injection>). The HTML report
/// does the same.
pub(super) fn cell(text: &str) -> Cow<'_, str> {
    let printable = printable(text);
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{printable}").into()
    } else {
        printable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_is_a_formula() {
        for (text, expected) in [
            ("", ""),
            ("i-0123", "i-0123"),
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "' =1"),
            ("\r=1", "' =1"),
            ("\u{1b}=1", "\\u{1b}=1"),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}
