//! The built `bootstrap` as a process: events from Lambda's Runtime API in, requests to AWS out.
//!
//! The tests, by subject:
//! - [`start`]: how the process starts.
//! - [`verdict_table`]: each row of the verdict table, as AWS Config receives it.
//! - [`change_events`]: the evaluation, log and metrics of a configuration change.
//! - [`incomplete_items`]: configuration items that are completed from their history or from EC2.
//! - [`launch_sources`]: Auto Scaling groups, and what decides where nothing sets metadata options.
//! - [`member_accounts`]: events of accounts other than the function's own.
//! - [`invalid_events`]: events that the function rejects.
//! - [`hostile_events`]: events as large and as deep as Lambda accepts.
//! - [`retries`]: errors of `PutEvaluations`, retried or not.
//! - [`fault_matrix`]: each call of the function against each fault.
//! - [`scheduled_runs`], [`scheduled_failures`]: all resources of a Region.
//! - [`stale_results`]: results that a scheduled run withdraws.
//!
//! What they share:
//! - [`events`]: the events that AWS Config sends.
//! - [`function`]: the process and the Runtime API.
//! - [`aws`], [`region`], [`responses`]: the simulated AWS, the resources in it, and its wire formats.
//! - [`faults`], [`connections`]: what goes wrong in AWS, and on the way to it.
//! - [`calls`]: a record of the operations that the function calls.

// Tests may panic.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod aws;
mod calls;
mod change_events;
mod connections;
mod events;
mod fault_matrix;
mod faults;
mod function;
mod hostile_events;
mod incomplete_items;
mod invalid_events;
mod launch_sources;
mod member_accounts;
mod region;
mod responses;
mod retries;
mod scheduled_failures;
mod scheduled_runs;
mod stale_results;
mod start;
mod verdict_table;
