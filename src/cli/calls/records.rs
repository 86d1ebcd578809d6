//! Counts the calls in CloudTrail's records, whatever they are wrapped in.

use std::io::{self, Read};

use super::duplicates::RecentEvents;
use super::groups::Callers;
use crate::cli::input::detect::{InputRecord, RecordKind};
use crate::cli::input::split::{self, Position};
use crate::sources::SourceError;
use crate::sources::cloudtrail::{Call, looked_up};

/// The largest record that is read, in bytes. CloudTrail's are at most 256 KiB
/// (<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>).
const MAX_RECORD: usize = 16 * 1024 * 1024;

/// What is not counted in an input.
pub(crate) enum Uncounted {
    /// A record that another command reads.
    Other,
    /// A record that cannot be read.
    Unreadable(Position, String),
}

/// Counts the calls in an input, and passes what is not counted to `report`.
///
/// # Errors
/// Returns an error if the input cannot be read further; calls before are counted.
pub(crate) fn count(
    input: impl Read,
    callers: &mut Callers,
    recent: &RecentEvents,
    report: &mut dyn FnMut(Uncounted),
) -> io::Result<()> {
    split::for_each(input, MAX_RECORD, &mut |position, record| {
        let counted = record.map_err(Problem::Unreadable);
        match counted.and_then(|record| count_record(&record, callers, recent)) {
            Ok(()) => {}
            Err(Problem::Other) => report(Uncounted::Other),
            Err(Problem::Unreadable(problem)) => report(Uncounted::Unreadable(position, problem)),
        }
        Ok(())
    })
}

/// Why a record is not counted.
enum Problem {
    Other,
    Unreadable(String),
}

impl From<SourceError> for Problem {
    fn from(error: SourceError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

fn count_record(
    record: &InputRecord<'_>,
    callers: &mut Callers,
    recent: &RecentEvents,
) -> Result<(), Problem> {
    let InputRecord::Other(kind, json) = record else { return Err(Problem::Other) };
    match kind {
        RecordKind::CloudTrailRecord => callers.count(Call::from_json(json)?, recent),
        RecordKind::LookedUpEvent => callers.count(Call::from_json(&looked_up(json)?)?, recent),
        RecordKind::CloudTrailDigest => {} // it contains no records
        RecordKind::Unknown => {
            return Err(Problem::Unreadable(
                "unknown record: expected CloudTrail's log files, or the output of `aws cloudtrail lookup-events`"
                    .to_owned(),
            ));
        }
        RecordKind::Event
        | RecordKind::Notification
        | RecordKind::Item
        | RecordKind::Instance
        | RecordKind::Reservation
        | RecordKind::LaunchTemplate
        | RecordKind::TemplateVersion
        | RecordKind::LaunchConfiguration
        | RecordKind::AutoScalingGroup
        | RecordKind::Image
        | RecordKind::QueryResult
        | RecordKind::AggregateItem
        | RecordKind::UnprocessedKey
        | RecordKind::Template
        | RecordKind::StackTemplate
        | RecordKind::Terraform
        | RecordKind::AccountDefaults => return Err(Problem::Other),
    }
    Ok(())
}
