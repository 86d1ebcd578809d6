//! Bytes as a log file of CloudTrail.

use std::io::Read;

use super::Pieces;
use crate::cli::calls::duplicates::RecentEvents;
use crate::cli::calls::groups::{CallerCalls, CallerKey, Callers, CallersSummary};
use crate::cli::calls::records::{self, Uncounted};
use crate::cli::output::callers::{CallersFormat, CallersFound};
use crate::rule::printable::is_invisible;

/// Counts calls in `input`, as if it were a log file of CloudTrail: nothing panics, counts agree with each other and do
/// not depend on how the input arrives, and no output contains what a terminal would obey.
pub fn cloudtrail(input: &[u8]) {
    let (counted, unreadable) = count(input);
    let (in_pieces, unreadable_in_pieces) = count(Pieces { rest: input, length: 1 });
    assert_eq!(counted, in_pieces);
    assert_eq!(unreadable, unreadable_in_pieces);
    let (callers, summary) = counted;

    let CallersSummary { records, imdsv1_calls, imdsv2_calls, instances, duplicates } = summary;
    assert!(records >= imdsv1_calls + imdsv2_calls + duplicates);
    assert!(imdsv1_calls >= u64::try_from(instances).unwrap_or(u64::MAX));
    assert_eq!(callers.iter().map(|(_, calls)| calls.calls).sum::<u64>(), imdsv1_calls);

    let found = CallersFound { group_by: None, callers, summary, unreadable };
    for format in [CallersFormat::Table, CallersFormat::Json, CallersFormat::Csv, CallersFormat::Html] {
        let mut output = Vec::new();
        assert!(found.write(format, &mut output, false).is_ok());
        let is_printable = |text: &str| !text.chars().any(|c| is_invisible(c) && c != '\n');
        assert!(std::str::from_utf8(&output).is_ok_and(is_printable), "{format:?}");
    }
}

/// The callers, sorted, and what was read.
type Counted = (Vec<(CallerKey<'static>, CallerCalls)>, CallersSummary);

/// Counts the calls in an input, and the records that cannot be read.
fn count(input: impl Read) -> (Counted, usize) {
    let (mut callers, mut unreadable) = (Callers::default(), 0);
    let counted = records::count(input, &mut callers, &RecentEvents::default(), &mut |uncounted| {
        unreadable += usize::from(matches!(uncounted, Uncounted::Unreadable(..)));
    });
    assert!(counted.is_ok());
    let (mut callers, summary) = callers.into_parts();
    callers.sort_by(|(a, _), (b, _)| a.cmp(b));
    ((callers, summary), unreadable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{JSON_LIKE, damaged};
    use super::*;

    const RECORDS: &str = include_str!(
        "../../../examples/cloudtrail/AWSLogs/123456789012/CloudTrail/eu-west-1/2026/11/20/\
         123456789012_CloudTrail_eu-west-1_20261121T0000Z_c8RtV1mZs4eJd6uK.json"
    );

    proptest! {
        #[test]
        fn any_text_is_counted(input in JSON_LIKE) {
            cloudtrail(input.as_bytes());
        }

        #[test]
        fn damaged_files_are_counted(input in damaged(RECORDS)) {
            cloudtrail(&input);
        }
    }
}
