//! Stale results: those of resources that no longer exist.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::report::results::RuleResult;
use crate::rule::resource::ResourceType;

/// A resource that AWS Config has a result for, but that was not listed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StaleResult {
    pub(super) resource_type: ResourceType<'static>,
    pub(super) resource_id: Box<str>,
}

/// Finds the results whose resource does not exist, while both are still being listed.
///
/// An existing resource is kept as a 64-bit hash. If the hashes of two resources collide, which happens to
/// one fleet of 100,000 in billions, a stale result may remain until the next run; none is withdrawn by
/// mistake.
#[derive(Debug, Default)]
pub(super) struct StaleResults {
    hasher: RandomState,
    existing: HashSet<u64>,
    /// The results whose resource has not been listed yet.
    unmatched: HashMap<u64, StaleResult>,
}

impl StaleResults {
    /// Records that a resource exists.
    pub(super) fn resource_exists(&mut self, resource_type: &str, resource_id: &str) {
        let key = self.hasher.hash_one((resource_type, resource_id));
        self.existing.insert(key);
        self.unmatched.remove(&key);
    }

    /// Records that AWS Config has a result for a resource.
    pub(super) fn result_exists(&mut self, result: &RuleResult<'_>) {
        let key = self.hasher.hash_one((result.resource_type, result.resource_id));
        if !self.existing.contains(&key) {
            let resource_type = ResourceType::from_name(result.resource_type.to_owned().into());
            self.unmatched.insert(key, StaleResult { resource_type, resource_id: result.resource_id.into() });
        }
    }

    /// Returns whether any result has no resource.
    pub(super) fn is_empty(&self) -> bool {
        self.unmatched.is_empty()
    }

    /// Returns every result whose resource was not listed. Call it once all are listed.
    pub(super) fn into_results(self) -> impl Iterator<Item = StaleResult> {
        self.unmatched.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result<'a>(resource_type: &'a str, resource_id: &'a str) -> RuleResult<'a> {
        RuleResult { resource_type, resource_id, ordering_timestamp: None }
    }

    #[test]
    fn a_result_is_stale_if_no_resource_of_its_type_and_id_exists() {
        let mut stale = StaleResults::default();
        stale.resource_exists("AWS::EC2::Instance", "i-before");
        stale.result_exists(&result("AWS::EC2::Instance", "i-before"));
        stale.result_exists(&result("AWS::EC2::Instance", "i-after"));
        stale.result_exists(&result("AWS::EC2::Instance", "i-after")); // listed twice
        stale.result_exists(&result("AWS::EC2::Instance", "i-gone"));
        stale.result_exists(&result("AWS::EC2::LaunchTemplate", "i-before")); // same id, another type
        stale.resource_exists("AWS::EC2::Instance", "i-after");
        stale.resource_exists("AWS::EC2::Instance", "i-new");
        stale.result_exists(&result("AWS::EC2::Instance", "i-after"));
        let mut found: Vec<_> = stale.into_results().collect();
        found.sort_by(|a, b| a.resource_id.cmp(&b.resource_id));
        let expected = [
            StaleResult { resource_type: ResourceType::LaunchTemplate, resource_id: "i-before".into() },
            StaleResult { resource_type: ResourceType::Instance, resource_id: "i-gone".into() },
        ];
        assert_eq!(found, expected);
    }
}
