//! The table for people: sorted, coloured on a terminal, closed by a summary.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstream::ColorChoice;
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ContentArrangement};

use super::{Evaluation, Output};
use crate::rule::verdict::{Compliance, Summary};

/// The rows, held back to be sorted; in the order of its fields, with what matters most first.
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

pub(crate) struct Table<W> {
    writer: W,
    terminal: bool,
    with_usage: bool,
    rows: Vec<Row>,
    /// Resources of types that the rule does not judge: how many, and the last one's row. A snapshot
    /// is full of them, so they share a row for each type.
    others: BTreeMap<String, (u64, Row)>,
}

impl<W> Table<W> {
    pub(crate) fn new(writer: W, terminal: bool, with_usage: bool) -> Self {
        Self { writer, terminal, with_usage, rows: Vec::new(), others: BTreeMap::new() }
    }

    fn rows(&mut self) -> Vec<Row> {
        let mut rows = std::mem::take(&mut self.rows);
        for (count, row) in std::mem::take(&mut self.others).into_values() {
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
    fn evaluation(&mut self, evaluation: &Evaluation<'_>) -> io::Result<()> {
        let row = Row {
            compliance: evaluation.compliance,
            account: printable(evaluation.account_id.unwrap_or_default()),
            region: printable(evaluation.region.unwrap_or_default()),
            resource_type: printable(evaluation.resource_type),
            resource: printable(short_name(evaluation.resource_id)),
            finding: printable(evaluation.annotation),
            imdsv1_use: usage(evaluation),
        };
        if evaluation.is_judged_type {
            self.rows.push(row);
        } else {
            let count = self.others.get(&row.resource_type).map_or(0, |(count, _)| *count);
            self.others.insert(row.resource_type.clone(), (count + 1, row));
        }
        Ok(())
    }

    fn finish(&mut self, summary: &Summary, _: &[String]) -> io::Result<()> {
        let rows = self.rows();
        if !rows.is_empty() {
            writeln!(self.writer, "{}\n", render(&rows, self.terminal, self.with_usage).trim_fmt())?;
        }
        let Summary { compliant, non_compliant, not_applicable } = summary;
        let total = compliant + non_compliant + not_applicable;
        let resources = if total == 1 { "resource" } else { "resources" };
        writeln!(
            self.writer,
            "{total} {resources}: {non_compliant} non-compliant, {compliant} compliant, {not_applicable} not applicable"
        )?;
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

/// What is known of its use of IMDSv1, in words.
fn usage(evaluation: &Evaluation<'_>) -> String {
    match (evaluation.imdsv1_use, evaluation.imdsv1_calls) {
        (None, _) => String::new(),
        (Some(_), Some(1)) => "still in use (1 call)".to_owned(),
        (Some(_), Some(calls)) => format!("still in use ({calls} calls)"),
        (Some(word), None) => word.to_owned(),
    }
}

/// The id that a person would use. A launch configuration's id is an ARN that ends in its name.
fn short_name(resource_id: &str) -> &str {
    resource_id.split_once(":launchConfigurationName/").map_or(resource_id, |(_, name)| name)
}

/// Without control characters: what a file says must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
