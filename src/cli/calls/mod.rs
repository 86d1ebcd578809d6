//! Calls with credentials that came by IMDSv1, counted by who made them.
//!
//! - `groups`: calls, counted by account, role, instance and user agent.
//! - `records`: counts the calls in records.
//! - `duplicates`: recognizes calls that were recorded twice.
//! - `known`: callers that were found earlier, by instance.
//! - `sql`: the same question to Athena and CloudTrail Lake.

pub(crate) mod duplicates;
pub(crate) mod groups;
pub(crate) mod known;
pub(crate) mod records;
pub(crate) mod sql;

/// Returns the name of a role: the end of its ARN.
pub(crate) fn role_name(arn: &str) -> &str {
    arn.rsplit_once('/').map_or(arn, |(_, name)| name)
}
