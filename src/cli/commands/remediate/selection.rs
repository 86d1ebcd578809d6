//! The instances that `--instance-id` or `--from` select.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::bail;

use crate::cli::input::scan_output::{Evaluation, ScanOutput};
use crate::rule::instance::InstanceKey;
use crate::rule::resource::{Location, ResourceType};

/// The selected instances.
#[derive(Clone, Debug)]
pub(super) enum InstanceSelection {
    /// All instances.
    All,
    /// The instances with these ids.
    Ids(BTreeSet<String>),
    /// The instances that a scan found.
    Found(BTreeSet<InstanceKey>),
}

impl InstanceSelection {
    /// Selects the instances with these ids, or all if there are none.
    pub(super) fn ids(ids: &[String]) -> Self {
        if ids.is_empty() { Self::All } else { Self::Ids(ids.iter().cloned().collect()) }
    }

    /// Selects the non-compliant instances in the JSON output of a scan; `-` is standard input.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or is not the output of a scan.
    pub(super) fn found_in(scan: &Path) -> anyhow::Result<Self> {
        let mut found = BTreeSet::new();
        let is_instance = |each: &Evaluation| each.resource_type == ResourceType::Instance.name();
        for each in ScanOutput::read(scan)?.into_non_compliant().filter(is_instance) {
            let Some(location) = each.location() else {
                bail!("{}: {} has no accountId or region", scan.display(), each.resource_id);
            };
            found.insert(InstanceKey { location, instance_id: each.resource_id });
        }
        Ok(Self::Found(found))
    }

    /// Returns the Regions of the instances, if they are known.
    pub(super) fn regions(&self) -> Option<BTreeSet<String>> {
        match self {
            Self::All | Self::Ids(_) => None,
            Self::Found(found) => Some(found.iter().map(|key| key.location.region.clone()).collect()),
        }
    }

    /// Returns the accounts of the instances, if they are known.
    pub(super) fn accounts(&self) -> BTreeSet<String> {
        match self {
            Self::All | Self::Ids(_) => BTreeSet::new(),
            Self::Found(found) => found.iter().map(|key| key.location.account_id.clone()).collect(),
        }
    }

    /// Returns whether any of the instances may be in this account and Region.
    pub(super) fn may_be_in(&self, location: &Location) -> bool {
        match self {
            Self::All | Self::Ids(_) => true,
            Self::Found(found) => {
                let first = InstanceKey { location: location.clone(), instance_id: String::new() };
                found.range(first..).next().is_some_and(|key| key.location == *location)
            }
        }
    }

    /// Returns whether an instance is selected.
    pub(super) fn contains(&self, instance: &InstanceKey) -> bool {
        match self {
            Self::All => true,
            Self::Ids(ids) => ids.contains(&instance.instance_id),
            Self::Found(found) => found.contains(instance),
        }
    }
}
