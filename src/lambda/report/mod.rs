//! AWS Config's API: evaluations, results, history.
//!
//! - [`put`]: at most 100 evaluations, sent again until AWS Config accepts them.
//! - [`batches`]: any number of evaluations, in full batches, several at a time.
//! - [`results`]: the results that AWS Config has of the rule.
//! - [`history`]: the recorded configuration items of a resource.

pub mod batches;
pub mod history;
pub mod put;
pub mod results;

use aws_sdk_config::primitives::DateTime;
use time::OffsetDateTime;

/// Converts a time to the SDK's type; milliseconds are kept.
pub(crate) fn date_time(time: OffsetDateTime) -> DateTime {
    DateTime::from_secs_and_nanos(time.unix_timestamp(), time.nanosecond())
}
