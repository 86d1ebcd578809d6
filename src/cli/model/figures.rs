//! How much was tried.

use std::fmt;
use std::sync::Mutex;

/// What happened in a history.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) calls: u64,
    pub(super) faults: u64,
    pub(super) kills: u64,
    /// What others did.
    pub(super) happenings: u64,
    pub(super) changes: u64,
    pub(super) restorations: u64,
}

/// What happened in many histories.
#[derive(Debug, Default)]
pub(super) struct Figures(Mutex<(u64, Counts)>);

impl Figures {
    /// Adds a history.
    pub(super) fn add(&self, counts: Counts) {
        let mut figures = self.0.lock().expect("no thread panics with the figures");
        let (histories, sum) = &mut *figures;
        *histories += 1;
        sum.calls += counts.calls;
        sum.faults += counts.faults;
        sum.kills += counts.kills;
        sum.happenings += counts.happenings;
        sum.changes += counts.changes;
        sum.restorations += counts.restorations;
    }

    /// Checks that the histories are eventful: on average, every third one changes and restores something.
    pub(super) fn check(&self) {
        let (histories, sum) = *self.0.lock().expect("no thread panics with the figures");
        let eventful = sum.changes.min(sum.restorations) * 3 >= histories;
        assert!(eventful && sum.faults > 0 && sum.kills > 0 && sum.happenings > 0, "{self}");
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (histories, sum) = *self.0.lock().expect("no thread panics with the figures");
        write!(
            f,
            "{histories} histories: {} calls, {} faults, {} kills, {} changes by others, {} instances changed, {} restored",
            sum.calls, sum.faults, sum.kills, sum.happenings, sum.changes, sum.restorations
        )
    }
}
