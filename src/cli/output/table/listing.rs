//! A row for each resource on a terminal: a table for each compliance type, and what the reasons mean.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::Color;

use super::layout::{Column, ColumnKind, Style, fit, render as render_columns};
use super::{Row, type_noun};
use crate::rule::reason::Reason;
use crate::rule::verdict::Compliance;

/// The most sentences that explain a reason.
const SENTENCES: usize = 3;

pub(super) fn render(rows: &[Row], width: usize, wide: bool, style: Style) -> String {
    let mut text = String::new();
    if !wide && let Some(place) = shared_place(rows) {
        let _ = writeln!(text, "{place}\n"); // a string can always be written
    }
    for section in rows.chunk_by(|a, b| a.compliance == b.compliance) {
        let Some(first) = section.first() else { continue };
        let count: u64 = section.iter().map(|row| row.count).sum();
        let _ = writeln!(text, "{} ({count})", first.compliance);
        let columns = columns(section, rows, wide);
        let width = if wide { usize::MAX } else { width };
        let colors = vec![Some(color(first.compliance)); section.len()];
        let table = render_columns(&fit(columns, width), width, style, &colors);
        let _ = writeln!(text, "{table}\n");
    }
    if !wide {
        let _ = writeln!(text, "{}\n", legend(rows, width, style));
    }
    text.pop();
    text
}

/// Describes the account and the Region if all rows have the same.
fn shared_place(rows: &[Row]) -> Option<String> {
    let first = rows.first()?;
    let account = (is_shared(rows, |row| &row.account) && !first.account.is_empty())
        .then(|| format!("Account {}", first.account));
    let region = (is_shared(rows, |row| &row.region) && !first.region.is_empty())
        .then(|| format!("Region {}", first.region));
    let parts: Vec<_> = account.into_iter().chain(region).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn is_shared(rows: &[Row], field: impl Fn(&Row) -> &String) -> bool {
    rows.first().is_some_and(|first| rows.iter().all(|row| field(row) == field(first)))
}

/// Returns the columns of a section. What all rows of the table share is said above it.
fn columns(section: &[Row], all: &[Row], wide: bool) -> Vec<Column> {
    let column = |title, priority, kind, cell: &dyn Fn(&Row) -> String| {
        Column::new(title, priority, kind, section.iter().map(cell).collect())
    };
    let unless_shared = |field: fn(&Row) -> &String| {
        let is_hidden = !wide && is_shared(all, field);
        move |row: &Row| if is_hidden { String::new() } else { field(row).clone() }
    };
    let is_type_shared = !wide && is_shared(all, |row| &row.resource_type);
    let mut columns = vec![
        column("NAME", 3, ColumnKind::Cut, &|row| row.name.clone()),
        column("RESOURCE", 0, ColumnKind::Whole, &|row| row.resource.clone()),
        column("TYPE", 6, ColumnKind::Whole, &|row| {
            if is_type_shared { String::new() } else { type_noun(&row.resource_type).to_owned() }
        }),
        column("ACCOUNT", 2, ColumnKind::Whole, &unless_shared(|row| &row.account)),
        column("ACCOUNT NAME", 4, ColumnKind::Cut, &unless_shared(|row| &row.account_name)),
        column("REGION", 2, ColumnKind::Whole, &unless_shared(|row| &row.region)),
        column("SINCE", 1, ColumnKind::Whole, &|row| row.since.clone()),
        column("IMDSV1", 1, ColumnKind::Whole, &|row| row.imdsv1_use.short()),
        column("CALLED BY", 2, ColumnKind::Cut, &|row| row.callers.clone()),
        column("DECLARED IN", 1, ColumnKind::Whole, &|row| row.declared.clone()),
        column("OWNER", 3, ColumnKind::Cut, &|row| row.owner.clone()),
        column("LAUNCHED BY", 5, ColumnKind::Cut, &|row| row.source.clone()),
    ];
    if wide {
        columns.push(column("FINDING", 0, ColumnKind::Whole, &|row| row.annotation()));
    } else {
        columns.push(column("REASON", 0, ColumnKind::Whole, &|row| row.reason.to_string()));
    }
    columns
}

fn color(compliance: Compliance) -> Color {
    match compliance {
        Compliance::NonCompliant => Color::Red,
        Compliance::Compliant => Color::Green,
        Compliance::NotApplicable => Color::DarkGrey,
    }
}

/// Says once what each reason means.
fn legend(rows: &[Row], width: usize, style: Style) -> String {
    let mut sentences: BTreeMap<Reason, Vec<&str>> = BTreeMap::new();
    for row in rows {
        let known = sentences.entry(row.reason).or_default();
        if !known.contains(&row.meaning.as_str()) {
            known.push(&row.meaning);
        }
    }
    let (mut reasons, mut meanings) = (Vec::new(), Vec::new());
    for (reason, known) in sentences {
        for (number, sentence) in known.iter().take(SENTENCES).enumerate() {
            reasons.push(if number == 0 { reason.to_string() } else { String::new() });
            meanings.push((*sentence).to_owned());
        }
        if known.len() > SENTENCES {
            reasons.push(String::new());
            meanings.push(format!("and {} others: --wide", known.len() - SENTENCES));
        }
    }
    let columns = [
        Column::new("REASON", 0, ColumnKind::Whole, reasons),
        Column::new("MEANING", 0, ColumnKind::Wrapped, meanings),
    ];
    render_columns(&columns, width, style, &[])
}
