//! A row for each group of resources: an account, a Region, or their owner.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::Row;
use super::layout::{Column, ColumnKind, Style, fit, render as render_columns};
use super::usage_counts::UsageCounts;
use crate::rule::verdict::Compliance;

/// The most groups that are shown.
const MAX_GROUPS: usize = 40;
/// The name of what has no owner.
const NONE: &str = "(none)";

/// What resources are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupKey {
    Account,
    Region,
    Owner,
}

impl GroupKey {
    /// Returns the first key by which the rows are in more than one group, of account and Region.
    pub(super) fn that_divides(rows: &[Row]) -> Option<Self> {
        let keys = [Self::Account, Self::Region];
        let divides = |key: &Self| rows.iter().map(|row| key.of(row)).collect::<BTreeSet<_>>().len() > 1;
        keys.into_iter().find(divides)
    }

    /// Returns the group of a row.
    fn of(self, row: &Row) -> [&str; 2] {
        match self {
            Self::Account => [&row.account, ""],
            Self::Region => [&row.account, &row.region],
            Self::Owner => [&row.owner, ""],
        }
    }

    fn titles(self) -> [&'static str; 2] {
        match self {
            Self::Account => ["ACCOUNT", ""],
            Self::Region => ["ACCOUNT", "REGION"],
            Self::Owner => ["OWNER", ""],
        }
    }
}

/// The number of resources of a group.
#[derive(Default)]
struct Counts {
    non_compliant: u64,
    compliant: u64,
    not_applicable: u64,
    usage: UsageCounts,
}

impl Counts {
    fn add(&mut self, row: &Row) {
        match row.compliance {
            Compliance::NonCompliant => self.non_compliant += row.count,
            Compliance::Compliant => self.compliant += row.count,
            Compliance::NotApplicable => self.not_applicable += row.count,
        }
        if let Some(usage) = row.imdsv1_use.state {
            self.usage.add(usage);
        }
    }
}

pub(super) fn render(rows: &[Row], key: GroupKey, width: usize, style: Style) -> String {
    let (mut groups, mut all) = (BTreeMap::<[&str; 2], Counts>::new(), Counts::default());
    for row in rows {
        groups.entry(key.of(row)).or_default().add(row);
        all.add(row);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by(|(a, x), (b, y)| y.non_compliant.cmp(&x.non_compliant).then_with(|| a.cmp(b)));
    let hidden = groups.len().saturating_sub(MAX_GROUPS);
    groups.truncate(MAX_GROUPS);
    groups.push((["all", ""], all));
    let table = render_columns(&fit(columns(&groups, key), width), width, style, &[]);
    let mut text = table + "\n";
    if hidden > 0 {
        let _ = writeln!(text, "and {hidden} more"); // a string can always be written
    }
    let _ = writeln!(text, "\nTo list every resource: --group-by none, or --format csv --output FILE");
    text
}

fn columns(groups: &[([&str; 2], Counts)], key: GroupKey) -> Vec<Column> {
    let [title, second] = key.titles();
    let named = |name: &str| if name.is_empty() { NONE.to_owned() } else { name.to_owned() };
    let number = |title, priority, count: fn(&Counts) -> u64| {
        let cells = groups.iter().map(|(_, counts)| count(counts).to_string()).collect();
        Column::new(title, priority, ColumnKind::Number, cells)
    };
    let first_kind =
        if matches!(key, GroupKey::Account | GroupKey::Region) { ColumnKind::Whole } else { ColumnKind::Cut };
    let second_cells = groups.iter().map(|([_, name], _)| (*name).to_owned()).collect();
    let usage: Vec<_> = groups.iter().map(|(_, counts)| counts.usage).collect();
    let mut columns = vec![
        Column::new(title, 0, first_kind, groups.iter().map(|([name, _], _)| named(name)).collect()),
        Column::new(second, 0, ColumnKind::Whole, second_cells),
        number("NON_COMPLIANT", 0, |counts| counts.non_compliant),
    ];
    columns.extend(UsageCounts::columns(&usage, 1));
    columns.push(number("COMPLIANT", 2, |counts| counts.compliant));
    columns.push(number("NOT_APPLICABLE", 3, |counts| counts.not_applicable));
    columns
}
