//! The Lambda function.

pub mod handler;
pub mod metrics;
pub mod report;
pub mod scheduled;
