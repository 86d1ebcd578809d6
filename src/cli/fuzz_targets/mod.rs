//! What must hold for any input. The fuzzer calls these functions with bytes that reach new code, the property tests
//! with random ones and with damaged examples.
//!
//! - `cloudtrail`: log files of CloudTrail.
//! - `events`: events and configuration items of AWS Config.
//! - `recorded`: files of recorded resources; `declared`: templates and plans.
//! - `parameters`: rule parameters, and the dates of exemption tags.
//! - `journal`: journals of changes.

// A failed assertion is how a finding is reported.
#![allow(clippy::missing_panics_doc)]

mod cloudtrail;
mod declared;
mod events;
mod journal;
mod parameters;
mod recorded;

use std::io::{self, Read};

use time::Date;
use time::macros::date;

pub use self::cloudtrail::cloudtrail;
pub use self::declared::{plan, template};
pub use self::events::{event, item};
pub use self::journal::journal;
pub use self::parameters::{rule_parameters, tag_date};
pub use self::recorded::recorded;
use crate::rule::printable::is_invisible;
use crate::rule::verdict::Verdict;

/// The date on which resources are judged.
const TODAY: Date = date!(2026 - 11 - 27);

/// Checks what holds for every verdict: AWS Config takes annotations of at most 256 characters, which nothing in the
/// input can make unreadable.
fn check(verdict: &Verdict) {
    assert!((1..=256).contains(&verdict.annotation.encode_utf16().count()), "{}", verdict.annotation);
    assert!(!verdict.annotation.chars().any(is_invisible), "{:?}", verdict.annotation);
}

/// An input that arrives in pieces, each longer than the one before.
struct Pieces<'a> {
    rest: &'a [u8],
    length: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.length.min(buffer.len());
        self.length += 1;
        self.rest.by_ref().take(u64::try_from(length).unwrap_or(u64::MAX)).read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Any text of the characters that JSON consists of.
    pub(super) const JSON_LIKE: &str = "[{}\\[\\]\",:a-z0-9\\\\\n ]{0,80}";

    /// Returns `example` with a few bytes removed and others inserted.
    pub(super) fn damaged(example: &'static str) -> impl Strategy<Value = Vec<u8>> {
        (0..example.len(), 0_usize..40, proptest::collection::vec(any::<u8>(), 0..4)).prop_map(
            move |(at, removed, inserted)| {
                let mut input = example.as_bytes().to_vec();
                let end = (at + removed).min(input.len());
                input.splice(at..end, inserted);
                input
            },
        )
    }
}
