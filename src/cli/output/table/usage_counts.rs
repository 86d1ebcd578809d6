//! The number of instances by their use of IMDSv1, and the columns that show it.

use super::layout::{Column, ColumnKind};
use crate::rule::usage::UsageState;

/// The number of instances by their use of IMDSv1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UsageCounts {
    pub(crate) safe: u64,
    in_use: u64,
    at_boot: u64,
    pub(crate) unknown: u64,
}

impl UsageCounts {
    /// Counts an instance.
    pub(crate) fn add(&mut self, usage: UsageState) {
        *match usage {
            UsageState::NotInUse => &mut self.safe,
            UsageState::InUse(_) => &mut self.in_use,
            UsageState::BootCalls(_) => &mut self.at_boot,
            UsageState::Unknown(_) => &mut self.unknown,
        } += 1;
    }

    /// Returns the counts of both.
    #[cfg(feature = "live")]
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            safe: self.safe + other.safe,
            in_use: self.in_use + other.in_use,
            at_boot: self.at_boot + other.at_boot,
            unknown: self.unknown + other.unknown,
        }
    }

    /// Returns whether no instance was counted.
    pub(crate) fn is_empty(self) -> bool {
        self.safe + self.in_use + self.at_boot + self.unknown == 0
    }

    /// Returns the columns for rows of counts. They are empty if no instance was counted in any row.
    pub(crate) fn columns(rows: &[Self], priority: u8) -> [Column; 4] {
        let is_known = rows.iter().any(|counts| !counts.is_empty());
        let cell = |count: u64| if is_known { count.to_string() } else { String::new() };
        let column = |title, count: fn(&Self) -> u64| {
            let cells = rows.iter().map(|counts| cell(count(counts))).collect();
            Column::new(title, priority, ColumnKind::Number, cells)
        };
        [
            column("SAFE", |counts| counts.safe),
            column("IN USE", |counts| counts.in_use),
            column("BOOT-TIME", |counts| counts.at_boot),
            column("UNKNOWN", |counts| counts.unknown),
        ]
    }
}
