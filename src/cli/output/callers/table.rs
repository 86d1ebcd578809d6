//! Tables for people: the software, the callers, and what the counts cannot contain.

use std::io::{self, Write};

use super::columns::{brief_software_columns, caller_columns, legend_columns, software_columns};
use super::{BLIND_SPOTS, CallerRow, CallersFound, software};
use crate::cli::output::table::layout::{self, Column, Style};

/// The most rows of a table on a terminal.
const MAX_LISTED: usize = 50;

pub(super) fn write(
    writer: &mut impl Write,
    is_terminal: bool,
    found: &CallersFound,
    rows: &[CallerRow<'_>],
) -> io::Result<()> {
    let width = if is_terminal { layout::terminal_width() } else { usize::MAX };
    let style = if is_terminal { Style::of_terminal() } else { Style::Plain };
    let mut table = |columns: Vec<Column>| {
        let columns = layout::fit(columns, width);
        if columns.is_empty() {
            return Ok(());
        }
        writeln!(writer, "{}\n", layout::render(&columns, width, style, &[]))
    };
    let software = if found.names_software() { software(rows) } else { Vec::new() };
    let listed_software = listed(&software, is_terminal);
    if is_terminal {
        table(brief_software_columns(listed_software))?;
        table(legend_columns(listed_software))?;
    } else {
        table(software_columns(listed_software))?;
    }
    let listed_callers = listed(rows, is_terminal);
    table(caller_columns(listed_callers))?;

    let not_shown = [
        (software.len() - listed_software.len(), "versions of software"),
        (rows.len() - listed_callers.len(), "callers"),
    ];
    for (count, what) in not_shown.into_iter().filter(|(count, _)| *count > 0) {
        writeln!(
            writer,
            "{count} more {what} are not shown: pass --group-by, or --format csv --output FILE"
        )?;
    }
    writeln!(writer, "{}", found.in_words())?;
    BLIND_SPOTS.iter().try_for_each(|spot| writeln!(writer, "{spot}"))
}

fn listed<T>(rows: &[T], is_terminal: bool) -> &[T] {
    rows.get(..MAX_LISTED).filter(|_| is_terminal).unwrap_or(rows)
}
