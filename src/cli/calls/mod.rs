//! Calls with credentials that came by IMDSv1, counted by who made them.
//!
//! - `groups`: calls, counted by account, role, instance and user agent.
//! - `duplicates`: recognizes calls that were recorded twice.

pub(crate) mod duplicates;
pub(crate) mod groups;
