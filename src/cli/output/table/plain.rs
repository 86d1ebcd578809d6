//! A line for each resource, with everything, for pipes, pagers and files.

use super::Row;
use super::layout::{Column, ColumnKind, Style, fit, render as render_columns};

pub(super) fn render(rows: &[Row]) -> String {
    let column = |title, priority, cell: &dyn Fn(&Row) -> String| {
        Column::new(title, priority, ColumnKind::Whole, rows.iter().map(cell).collect())
    };
    let columns = vec![
        column("COMPLIANCE", 0, &|row| row.compliance.to_string()),
        column("TYPE", 0, &|row| row.resource_type.clone()),
        column("NAME", 0, &|row| row.name.clone()),
        column("RESOURCE", 0, &|row| row.resource.clone()),
        column("ACCOUNT", 0, &|row| row.account.clone()),
        column("ACCOUNT NAME", 0, &|row| row.account_name.clone()),
        column("REGION", 0, &|row| row.region.clone()),
        column("SINCE", 0, &|row| row.since.clone()),
        column("IMDSV1", 0, &|row| row.imdsv1_use.phrase.clone()),
        column("OWNER", 0, &|row| row.owner.clone()),
        column("LAUNCHED BY", 0, &|row| row.source.clone()),
        column("DECLARED IN", 0, &|row| row.declared.clone()),
        column("FINDING", 0, &|row| row.annotation()),
    ];
    let text = render_columns(&fit(columns, usize::MAX), usize::MAX, Style::Plain, &[]);
    text + "\n"
}
