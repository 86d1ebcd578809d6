//! Tables for people: the software, the callers, and what the counts cannot contain.

use std::io::{self, Write};

use super::{BLIND_SPOTS, CallerRow, CallersFound, SoftwareRow, software};
use crate::cli::output::table::layout::{self, Column, ColumnKind, Style};
use crate::cli::terminal::printable::printable;

/// The most callers that a terminal lists.
const MAX_LISTED: usize = 50;

pub(super) fn write(
    writer: &mut impl Write,
    is_terminal: bool,
    found: &CallersFound,
    rows: &[CallerRow<'_>],
) -> io::Result<()> {
    let width = if is_terminal { layout::terminal_width() } else { usize::MAX };
    let style = if is_terminal { Style::of_terminal() } else { Style::Plain };
    let table = |columns| layout::render(&layout::fit(columns, width), width, style, &[]);
    if found.names_software() && !rows.is_empty() {
        writeln!(writer, "{}\n", table(software_columns(&software(rows))))?;
    }
    let listed = rows.get(..MAX_LISTED).filter(|_| is_terminal).unwrap_or(rows);
    if !rows.is_empty() {
        writeln!(writer, "{}\n", table(caller_columns(listed)))?;
    }
    if listed.len() < rows.len() {
        writeln!(writer, "{} more callers: --format csv, or --group-by\n", rows.len() - listed.len())?;
    }
    writeln!(writer, "{}", found.in_words())?;
    BLIND_SPOTS.iter().try_for_each(|spot| writeln!(writer, "{spot}"))
}

fn software_columns(software: &[SoftwareRow]) -> Vec<Column> {
    let column = |title, priority, kind, cell: &dyn Fn(&SoftwareRow) -> String| {
        Column::new(title, priority, kind, software.iter().map(cell).collect())
    };
    vec![
        column("SOFTWARE", 0, ColumnKind::Cut, &|row| printable(&row.name).into_owned()),
        column("CALLS", 0, ColumnKind::Number, &|row| row.calls.to_string()),
        column("INSTANCES", 2, ColumnKind::Number, &|row| row.instances()),
        column("LAST SEEN", 3, ColumnKind::Whole, &|row| row.last_seen.clone().unwrap_or_default()),
        column("IMDSV2", 1, ColumnKind::Whole, &|row| row.advice.label().to_owned()),
        column("WHAT TO DO", 0, ColumnKind::Wrapped, &|row| row.advice.to_string()),
    ]
}

fn caller_columns(rows: &[CallerRow<'_>]) -> Vec<Column> {
    let column = |title, priority, kind, cell: &dyn Fn(&CallerRow<'_>) -> String| {
        Column::new(title, priority, kind, rows.iter().map(cell).collect())
    };
    let text = |text: Option<&str>| printable(text.unwrap_or_default()).into_owned();
    vec![
        column("CALLS", 0, ColumnKind::Number, &|row| row.calls.to_string()),
        column("SOFTWARE", 0, ColumnKind::Cut, &|row| printable(&row.software_name()).into_owned()),
        column("ROLE", 0, ColumnKind::Cut, &|row| text(Some(row.role()))),
        column("INSTANCE", 0, ColumnKind::Whole, &|row| text(row.instance_id)),
        column("ACCOUNT", 2, ColumnKind::Whole, &|row| text(row.account_id)),
        column("FIRST SEEN", 5, ColumnKind::Whole, &|row| text(row.first_seen.as_deref())),
        column("LAST SEEN", 3, ColumnKind::Whole, &|row| text(row.last_seen.as_deref())),
        column("SERVICES", 4, ColumnKind::Cut, &|row| text(Some(&row.services.join(" ")))),
        column("USER AGENT", 6, ColumnKind::Cut, &|row| text(row.user_agent)),
    ]
}
