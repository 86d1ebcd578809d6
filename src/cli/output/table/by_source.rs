//! A row for each source: what launches instances, and what to do about it first.

use std::fmt::Write;

use super::layout::{Column, ColumnKind, Style, fit, render as render_columns};
use super::usage_counts::UsageCounts;
use crate::cli::output::sources::{Source, Sources};
use crate::rule::printable::printable;

/// The most sources that are shown.
const MAX_SOURCES: usize = 40;

pub(super) fn render(sources: Sources, width: usize, style: Style) -> String {
    let (mut open, closed) = sources.into_open();
    let hidden = open.len().saturating_sub(MAX_SOURCES);
    open.truncate(MAX_SOURCES);
    let mut text = String::new();
    // A string can always be written.
    if !open.is_empty() {
        let _ = writeln!(text, "{}", render_columns(&fit(columns(&open), width), width, style, &[]));
    }
    if hidden > 0 {
        let _ = writeln!(text, "and {hidden} more");
    }
    if closed > 0 {
        let sources = if closed == 1 { "source" } else { "sources" };
        let _ = writeln!(text, "Nothing to do for {closed} other {sources}");
    }
    let _ = writeln!(text, "\nTo list every resource: --group-by none, or --format csv --output FILE");
    text
}

fn columns(sources: &[Source]) -> Vec<Column> {
    let text = |title, priority, kind, cell: &dyn Fn(&Source) -> String| {
        Column::new(title, priority, kind, sources.iter().map(cell).collect())
    };
    let usage: Vec<_> = sources.iter().map(|source| source.usage).collect();
    let is_used = sources.iter().any(|source| source.imdsv1_calls > 0 || !source.usage.is_empty());
    let calls = |source: &Source| if is_used { source.imdsv1_calls.to_string() } else { String::new() };
    let next = |source: &Source| source.next_launch.map_or("", |reason| reason.as_str()).to_owned();
    let mut columns = vec![
        text("LAUNCHED BY", 0, ColumnKind::Cut, &|source| printable(&source.source).into_owned()),
        text("ACCOUNT", 3, ColumnKind::Whole, &|source| printable(&source.account_id).into_owned()),
        text("REGION", 2, ColumnKind::Whole, &|source| printable(&source.region).into_owned()),
        text("OPEN", 0, ColumnKind::Number, &|source| source.open.to_string()),
        text("ALL", 0, ColumnKind::Number, &|source| source.instances.to_string()),
        text("CALLS", 1, ColumnKind::Number, &calls),
    ];
    columns.extend(UsageCounts::columns(&usage, 4));
    columns.push(text("NEXT LAUNCH", 1, ColumnKind::Whole, &next));
    columns.push(text("DO FIRST", 0, ColumnKind::Whole, &|source| source.first.to_owned()));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::reason::Reason;

    fn source(name: &str, open: u64, calls: u64) -> Source {
        Source {
            source: name.to_owned(),
            account_id: "123456789012".to_owned(),
            region: "eu-central-1".to_owned(),
            open,
            instances: 12,
            imdsv1_calls: calls,
            next_launch: Some(Reason::TokensOptional),
            first: "require tokens at launch",
            ..Source::default()
        }
    }

    #[test]
    fn the_columns_that_matter_most_fit_into_80() {
        let rows =
            [source("a-very-long-name-of-a-service (Auto Scaling group)", 3, 120), source("web", 1, 0)];
        let text = render_columns(&fit(columns(&rows), 80), 80, Style::Plain, &[]);
        let expected = "\
LAUNCHED BY          OPEN  ALL  CALLS  NEXT LAUNCH      DO FIRST
a-very-long-name-o…     3   12    120  tokens optional  require tokens at launch
web                     1   12      0  tokens optional  require tokens at launch";
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(lines.join("\n"), expected);
    }
}
