//! The versions of one launch template, as far as they were read.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::rule::launch::LaunchSettings;
use crate::rule::resource::VersionNumbers;

/// The versions of a launch template that were read.
#[derive(Debug, Default)]
pub(super) struct TemplateVersions {
    settings: BTreeMap<i64, LaunchSettings<'static>>,
    default: Option<i64>,
    /// The highest number that any record names as that of the latest version.
    latest: Option<i64>,
    /// When AWS Config captured the record that names the default version.
    captured: Option<OffsetDateTime>,
}

impl TemplateVersions {
    /// Remembers what a version sets.
    pub(super) fn remember(&mut self, number: i64, settings: LaunchSettings<'static>) {
        self.settings.insert(number, settings);
    }

    /// Remembers which version is the default one.
    pub(super) fn remember_default(&mut self, number: i64) {
        self.default = Some(number);
    }

    /// Remembers which versions are the default and the latest one, from a record that AWS Config `captured` then. Of
    /// several records, the newest says which is the default one.
    pub(super) fn remember_numbers(&mut self, numbers: VersionNumbers, captured: Option<OffsetDateTime>) {
        self.latest = self.latest.max(Some(numbers.latest));
        if self.captured <= captured {
            (self.default, self.captured) = (Some(numbers.default), captured);
        }
    }

    /// Returns whether the default version is known to be the latest one.
    #[cfg(feature = "offline")]
    pub(super) fn default_is_latest(&self) -> bool {
        self.default.is_some() && self.default == self.latest()
    }

    /// Returns the number of a version, and what it sets. `version` is a number, `$Default` or `$Latest`.
    pub(super) fn get(&self, version: &str) -> Option<(i64, &LaunchSettings<'static>)> {
        let number = match version {
            "$Default" => self.default?,
            "$Latest" => self.latest()?,
            other => other.parse().ok()?,
        };
        Some((number, self.settings.get(&number)?))
    }

    /// Returns the number of the latest version: as a record names it, or the highest one, if that is not just the
    /// default version. The AWS CLI prints the default version alone on request, and then there may be later ones.
    fn latest(&self) -> Option<i64> {
        let highest = self.settings.keys().next_back().copied();
        let highest = highest.filter(|highest| self.default.is_some_and(|default| *highest > default));
        self.latest.max(highest)
    }
}
