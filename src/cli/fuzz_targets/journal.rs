//! Bytes as a journal of changes.

use crate::cli::journal::{Step, encode_step, scan, unrestored};
use crate::rule::instance::InstanceKey;
use crate::rule::resource::Location;

/// Reads `input` as a journal: nothing panics, a line is a step, is something else or is reported, and no damage hides a
/// line that is appended.
pub fn journal(input: &[u8]) {
    let entries = scan(input).map(|scan| scan.entries).unwrap_or_default();
    let steps = entries.len();
    assert!(unrestored(entries).len() <= steps);

    let location = Location { account_id: "123456789012".to_owned(), region: "eu-west-1".to_owned() };
    let key = InstanceKey { location, instance_id: "i-0123456789abcdef0".to_owned() };
    let line = encode_step(7, "2026-11-27T00:00:00Z".to_owned(), &key, Step::Changed);
    let longer = [input, b"\n", &line.unwrap_or_default()].concat();
    let entries = scan(&longer).map(|scan| scan.entries).unwrap_or_default();
    assert_eq!(entries.last(), Some(&(key, Step::Changed)));
    assert!(entries.len() > steps);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{JSON_LIKE, damaged};
    use super::*;

    const JOURNAL: &str = include_str!("../../../tests/fixtures/journal-0.1.jsonl");

    proptest! {
        #[test]
        fn any_text_is_read(input in JSON_LIKE) {
            journal(input.as_bytes());
        }

        #[test]
        fn damaged_journals_are_read(input in damaged(JOURNAL)) {
            journal(&input);
        }
    }
}
