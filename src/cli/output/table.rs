//! A table for people: sorted, with colours on a terminal, followed by a summary.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstream::ColorChoice;
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ContentArrangement};

use super::{Finding, Output, in_words};
use crate::cli::terminal::printable::printable;
use crate::rule::verdict::{Compliance, Summary};

/// A row. Rows are held back and sorted by their fields, in this order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    compliance: Compliance,
    account: String,
    region: String,
    resource_type: String,
    resource: String,
    finding: String,
    imdsv1_use: String,
}

/// The resources of a type that the rule does not evaluate.
struct OtherType {
    count: u64,
    /// The row of the last one.
    row: Row,
}

pub(crate) struct Table<W> {
    writer: W,
    terminal: bool,
    with_usage: bool,
    rows: Vec<Row>,
    /// The resources of types that the rule does not evaluate, by type. Snapshots contain many of them, so
    /// they share a row for each type.
    others: BTreeMap<String, OtherType>,
}

impl<W> Table<W> {
    pub(crate) fn new(writer: W, terminal: bool, with_usage: bool) -> Self {
        Self { writer, terminal, with_usage, rows: Vec::new(), others: BTreeMap::new() }
    }

    fn rows(&mut self) -> Vec<Row> {
        let mut rows = std::mem::take(&mut self.rows);
        for OtherType { count, row } in std::mem::take(&mut self.others).into_values() {
            rows.push(if count == 1 {
                row
            } else {
                Row {
                    account: String::new(),
                    region: String::new(),
                    resource: format!("({count} resources)"),
                    ..row
                }
            });
        }
        rows.sort_unstable();
        rows
    }
}

impl<W: Write> Output for Table<W> {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        let row = Row {
            compliance: finding.compliance,
            account: printable(finding.account_id.unwrap_or_default()).into_owned(),
            region: printable(finding.region.unwrap_or_default()).into_owned(),
            resource_type: printable(finding.resource_type).into_owned(),
            resource: printable(short_name(finding.resource_id)).into_owned(),
            finding: printable(finding.annotation).into_owned(),
            imdsv1_use: usage(finding),
        };
        if finding.is_judged_type {
            self.rows.push(row);
        } else {
            let count = self.others.get(&row.resource_type).map_or(0, |other| other.count);
            self.others.insert(row.resource_type.clone(), OtherType { count: count + 1, row });
        }
        Ok(())
    }

    fn finish(&mut self, summary: &Summary, _: &[String]) -> io::Result<()> {
        let rows = self.rows();
        if !rows.is_empty() {
            writeln!(self.writer, "{}\n", render(&rows, self.terminal, self.with_usage).trim_fmt())?;
        }
        writeln!(self.writer, "{}", in_words(summary))?;
        self.writer.flush()
    }
}

fn render(rows: &[Row], terminal: bool, with_usage: bool) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(NOTHING);
    if terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    }
    if terminal && anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let header = ["COMPLIANCE", "TYPE", "RESOURCE", "ACCOUNT", "REGION", "FINDING"];
    let usage = with_usage.then_some("IMDSV1");
    table.set_header(
        header.into_iter().chain(usage).map(|name| Cell::new(name).add_attribute(Attribute::Bold)),
    );
    for row in rows {
        let color = match row.compliance {
            Compliance::NonCompliant => Color::Red,
            Compliance::Compliant => Color::Green,
            Compliance::NotApplicable => Color::DarkGrey,
        };
        let cells = [
            Cell::new(row.compliance).fg(color),
            Cell::new(&row.resource_type),
            Cell::new(&row.resource),
            Cell::new(&row.account),
            Cell::new(&row.region),
            Cell::new(&row.finding),
        ];
        table.add_row(cells.into_iter().chain(with_usage.then(|| Cell::new(&row.imdsv1_use))));
    }
    table
}

/// Describes how an instance uses IMDSv1.
fn usage(finding: &Finding<'_>) -> String {
    match (finding.imdsv1_use, finding.imdsv1_calls) {
        (None, _) => String::new(),
        (Some(_), Some(1)) => "still in use (1 call)".to_owned(),
        (Some(_), Some(calls)) => format!("still in use ({calls} calls)"),
        (Some(word), None) => word.to_owned(),
    }
}

/// Returns the id that people use. The id of a launch configuration is an ARN that ends with its name.
fn short_name(resource_id: &str) -> &str {
    resource_id.split_once(":launchConfigurationName/").map_or(resource_id, |(_, name)| name)
}
