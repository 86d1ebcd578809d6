//! GitHub Actions: an annotation for each non-compliant resource, and a summary of the step in Markdown
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use super::checks::{Check, shown};
use super::{Conclusion, Finding, Output, in_words};
use crate::rule::verdict::Compliance;

/// The most rows of the summary. GitHub takes summaries of up to 1 MiB.
const MAX_ROWS: usize = 1_000;

pub(super) struct GitHub<W> {
    writer: W,
    /// The file of the step's summary, to which every step appends.
    summary: Option<PathBuf>,
    rows: String,
    count: usize,
}

impl<W> GitHub<W> {
    pub(super) fn new(writer: W, summary: Option<PathBuf>) -> Self {
        Self { writer, summary, rows: String::new(), count: 0 }
    }

    fn add_row(&mut self, finding: &Finding<'_>) {
        self.count += 1;
        if self.summary.is_some() && self.count <= MAX_ROWS {
            let place =
                finding.declared_in().or_else(|| finding.location().map(|location| location.to_string()));
            let cells = [
                finding.resource_type.as_ref(),
                &finding.resource_id,
                &place.unwrap_or_default(),
                &finding.annotation,
            ];
            let cells = cells.map(cell);
            let _ = writeln!(self.rows, "| {} |", cells.join(" | ")); // a string can always be written
        }
    }

    /// Returns the summary of the step.
    fn summary_text(&self, conclusion: &Conclusion<'_>) -> String {
        let mut text = format!("## IMDSv2\n\n{}\n\n", in_words(&conclusion.summary));
        for failure in conclusion.failures {
            let _ = writeln!(text, "> [!WARNING]\n> {}\n", cell(failure));
        }
        if self.count > 0 {
            let _ = write!(text, "| type | resource | where | finding |\n|---|---|---|---|\n{}\n", self.rows);
        }
        if self.count > MAX_ROWS {
            let _ = writeln!(text, "and {} more\n", self.count - MAX_ROWS);
        }
        text
    }
}

impl<W: Write> Output for GitHub<W> {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        let Some((_, check)) = Check::of(&finding.resource_type) else { return Ok(()) };
        if finding.compliance != Compliance::NonCompliant {
            return Ok(());
        }
        self.add_row(finding);
        let mut properties = format!("title={}", property(check.title));
        if let Some(file) = finding.input.as_deref() {
            let _ = write!(properties, ",file={}", property(file.strip_prefix("./").unwrap_or(file)));
        }
        if let Some(line) = finding.line {
            let _ = write!(properties, ",line={line}");
        }
        let message = format!("{}: {}", finding.resource_id, finding.annotation);
        writeln!(self.writer, "::error {properties}::{}", data(&message))
    }

    fn finish(&mut self, conclusion: &Conclusion<'_>) -> io::Result<()> {
        for failure in conclusion.failures {
            writeln!(self.writer, "::warning title=IMDSv2::{}", data(failure))?;
        }
        writeln!(self.writer, "{}", in_words(&conclusion.summary))?;
        self.writer.flush()?;
        let Some(path) = &self.summary else { return Ok(()) };
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(self.summary_text(conclusion).as_bytes())
    }
}

/// Escapes the message of a workflow command.
fn data(text: &str) -> String {
    shown(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Returns text from outside as a cell of a table in Markdown, where it can neither be HTML nor a link.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for c in shown(text).chars() {
        if c.is_ascii_punctuation() && !"./:-,=_".contains(c) {
            let _ = write!(cell, "&#{};", u32::from(c));
        } else {
            cell.push(c);
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_does_not_end_a_command_or_a_cell() {
        assert_eq!(data("50%\n::error::x"), "50%25 ::error::x");
        assert_eq!(property("a:b,c%"), "a%3Ab%2Cc%25");
        assert_eq!(cell("a|b<c>[d](e)`f`"), "a&#124;b&#60;c&#62;&#91;d&#93;&#40;e&#41;&#96;f&#96;");
        assert_eq!(cell("AWS::EC2::Instance web-1.x_y"), "AWS::EC2::Instance web-1.x_y");
    }
}
