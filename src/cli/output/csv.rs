//! CSV (RFC 4180), with a header line.

use std::borrow::Cow;
use std::io::{self, Write};

use super::{Conclusion, Finding, Output};
use crate::cli::calls::known::InstanceCallers;
use crate::cli::terminal::printable::printable;

const HEADER: [&str; 6] = ["resourceType", "resourceId", "accountId", "region", "compliance", "annotation"];
const USAGE_HEADER: [&str; 2] = ["imdsv1Use", "imdsv1Calls"];
const LAST_HEADER: [&str; 7] =
    ["reason", "name", "owner", "launchedBy", "launchTemplate", "since", "managedBy"];
const CALLERS_HEADER: [&str; 1] = ["imdsv1Callers"];

pub(crate) struct Csv<W: Write> {
    writer: csv::Writer<W>,
    with_usage: bool,
    with_callers: bool,
    has_header: bool,
}

impl<W: Write> Csv<W> {
    pub(crate) fn new(writer: W, with_usage: bool, with_callers: bool) -> Self {
        Self { writer: csv::Writer::from_writer(writer), with_usage, with_callers, has_header: false }
    }

    fn header(&mut self) -> io::Result<()> {
        if !self.has_header {
            self.has_header = true;
            let usage = if self.with_usage { USAGE_HEADER.as_slice() } else { &[] };
            let callers = if self.with_callers { CALLERS_HEADER.as_slice() } else { &[] };
            self.writer.write_record(HEADER.iter().chain(usage).chain(&LAST_HEADER).chain(callers))?;
        }
        Ok(())
    }
}

impl<W: Write> Output for Csv<W> {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        self.header()?;
        let fields = [
            &finding.resource_type,
            &finding.resource_id,
            finding.account_id.as_deref().unwrap_or_default(),
            finding.region.as_deref().unwrap_or_default(),
            finding.compliance.as_str(),
            &finding.annotation,
        ];
        for field in fields {
            self.writer.write_field(&*cell(field))?;
        }
        if self.with_usage {
            self.writer.write_field(finding.imdsv1_use.unwrap_or_default())?;
            let calls = finding.imdsv1_calls.map(|calls| calls.to_string());
            self.writer.write_field(calls.unwrap_or_default())?;
        }
        let last = [
            finding.reason.as_str(),
            finding.name.as_deref().unwrap_or_default(),
            finding.owner.as_deref().unwrap_or_default(),
            finding.launched_by.as_ref().map_or("", |launcher| &launcher.id),
            finding.launch_template.as_ref().map_or("", |template| &template.id),
            finding.since.unwrap_or_default(),
            finding.managed_by.as_deref().unwrap_or_default(),
        ];
        for field in last {
            self.writer.write_field(&*cell(field))?;
        }
        if self.with_callers {
            let callers = finding.imdsv1_callers.as_ref().map(InstanceCallers::listed);
            self.writer.write_field(&*cell(&callers.unwrap_or_default()))?;
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
