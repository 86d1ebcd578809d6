//! Recognizes calls that were recorded twice.
//!
//! Trails may overlap, a call between accounts is recorded in both, and CloudTrail may deliver an event again. A set of
//! all events would grow with the input, so only the most recent ones are remembered.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

/// The number of sets, so that workers seldom wait for each other.
const SHARDS: usize = 16;
/// The number of events in half of a full set, which then takes 2 x 576 KiB: 18 MiB in all.
const HALF: usize = 57_344;

/// The events that were seen recently, by all workers.
#[derive(Default)]
pub(crate) struct RecentEvents {
    shards: [Mutex<Shard>; SHARDS],
}

/// Hashes of event ids. When `newer` is full, it replaces `older`.
#[derive(Default)]
struct Shard {
    newer: HashSet<u64>,
    older: HashSet<u64>,
}

impl RecentEvents {
    /// Remembers an event. Returns whether it was seen before.
    pub(crate) fn is_duplicate(&self, event_id: &str) -> bool {
        let hash = hash(event_id);
        let shard = usize::try_from(hash % SHARDS as u64).unwrap_or_default();
        let Some(shard) = self.shards.get(shard) else { return false };
        shard.lock().unwrap_or_else(PoisonError::into_inner).contains_or_insert(hash)
    }
}

impl Shard {
    fn contains_or_insert(&mut self, hash: u64) -> bool {
        if self.newer.contains(&hash) || self.older.contains(&hash) {
            return true;
        }
        if self.newer.len() == HALF {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(hash);
        false
    }
}

/// Returns a hash that is the same in all threads. Of a million values, two have the same with a probability of 1 in
/// 30 million.
pub(super) fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least number of recent events among which duplicates are recognized.
    const REMEMBERED: usize = 900_000;

    #[test]
    fn the_most_recent_events_are_remembered() {
        let recent = RecentEvents::default();
        let id = |number: usize| format!("event-{number}");
        assert!(!recent.is_duplicate(&id(0)));
        assert!(recent.is_duplicate(&id(0)));
        let count = 2 * SHARDS * HALF;
        assert!((1..count).all(|number| !recent.is_duplicate(&id(number))));
        assert!((count - REMEMBERED..count).all(|number| recent.is_duplicate(&id(number))));
        let sizes = recent.shards.iter().map(|shard| shard.lock().expect("not poisoned"));
        assert!(sizes.map(|shard| shard.newer.len() + shard.older.len()).sum::<usize>() <= count);
    }
}
