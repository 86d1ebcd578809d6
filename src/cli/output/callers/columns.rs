//! The columns of the tables: the software, and the callers. Their texts are printable.

use super::{CallerRow, SoftwareRow};
use crate::cli::output::table::layout::{Column, ColumnKind};
use crate::rule::printable::printable;
use crate::rule::software::Advice;

/// Returns the software, with what is known of it and what to do about it.
pub(super) fn software_columns(software: &[SoftwareRow]) -> Vec<Column> {
    let mut columns = counts(software);
    let label = software.iter().map(|row| row.advice.label().to_owned()).collect();
    let advice = software.iter().map(|row| row.advice.to_string()).collect();
    columns.push(Column::new("IMDSV2", 0, ColumnKind::Whole, label));
    columns.push(Column::new("WHAT TO DO", 0, ColumnKind::Whole, advice));
    columns
}

/// Returns the software, with what is known of it. What to do about it is in [`legend_columns`], unless it differs from
/// software to software.
pub(super) fn brief_software_columns(software: &[SoftwareRow]) -> Vec<Column> {
    let brief = |SoftwareRow { advice, .. }: &SoftwareRow| match advice {
        Advice::TooOld(_) | Advice::UnknownVersion(_) => format!("{}: {advice}", advice.label()),
        Advice::FallsBack | Advice::GivenCredentials | Advice::NotAnSdk => advice.label().to_owned(),
    };
    let mut columns = counts(software);
    let cells = software.iter().map(brief).collect();
    columns.push(Column::new("IMDSV2", 0, ColumnKind::Wrapped, cells));
    columns
}

/// Returns what to do, once for all software with the same advice.
pub(super) fn legend_columns(software: &[SoftwareRow]) -> Vec<Column> {
    let is_shared = |advice: &Advice| software.iter().any(|row| row.advice == *advice);
    let shared = [Advice::FallsBack, Advice::GivenCredentials, Advice::NotAnSdk];
    let shared: Vec<_> = shared.into_iter().filter(is_shared).collect();
    let labels = shared.iter().map(|advice| advice.label().to_owned()).collect();
    let advice = shared.iter().map(Advice::to_string).collect();
    vec![
        Column::new("IMDSV2", 0, ColumnKind::Whole, labels),
        Column::new("WHAT TO DO", 0, ColumnKind::Wrapped, advice),
    ]
}

fn counts(software: &[SoftwareRow]) -> Vec<Column> {
    let column = |title, priority, kind, cell: &dyn Fn(&SoftwareRow) -> String| {
        Column::new(title, priority, kind, software.iter().map(cell).collect())
    };
    vec![
        column("SOFTWARE", 0, ColumnKind::Whole, &|row| printable(&row.name).into_owned()),
        column("CALLS", 0, ColumnKind::Number, &|row| row.calls.to_string()),
        column("INSTANCES", 2, ColumnKind::Number, &|row| row.instances()),
        column("LAST SEEN", 3, ColumnKind::Whole, &|row| row.last_seen.clone().unwrap_or_default()),
    ]
}

/// Returns the callers.
pub(super) fn caller_columns(rows: &[CallerRow<'_>]) -> Vec<Column> {
    let column = |title, priority, kind, cell: &dyn Fn(&CallerRow<'_>) -> String| {
        Column::new(title, priority, kind, rows.iter().map(cell).collect())
    };
    let text = |text: Option<&str>| printable(text.unwrap_or_default()).into_owned();
    vec![
        column("CALLS", 0, ColumnKind::Number, &|row| row.calls.to_string()),
        column("SOFTWARE", 0, ColumnKind::Cut, &|row| text(Some(&row.software_name))),
        column("ROLE", 0, ColumnKind::Cut, &|row| text(Some(row.role()))),
        column("INSTANCE", 0, ColumnKind::Whole, &|row| text(row.instance_id)),
        column("ACCOUNT", 2, ColumnKind::Whole, &|row| text(row.account_id)),
        column("FIRST SEEN", 5, ColumnKind::Whole, &|row| text(row.first_seen.as_deref())),
        column("LAST SEEN", 3, ColumnKind::Whole, &|row| text(row.last_seen.as_deref())),
        column("SERVICES", 4, ColumnKind::Cut, &|row| text(Some(&row.services.join(" ")))),
        column("USER AGENT", 6, ColumnKind::Cut, &|row| text(row.user_agent)),
    ]
}
