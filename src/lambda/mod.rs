//! The Lambda function behind the AWS Config rule (feature `lambda`).
//!
//! - [`handler`]: one event in, one summary out.
//! - [`scheduled`]: the evaluation of a whole Region.
//! - `threads`: the threads of a scheduled run.
//! - [`report`]: AWS Config's API: evaluations, results, history.
//! - [`accounts`]: the accounts that the function works in.
//! - [`metrics`]: the metrics of an invocation.

pub mod accounts;
pub mod handler;
pub mod metrics;
pub mod report;
pub mod scheduled;
mod stale;
mod threads;
