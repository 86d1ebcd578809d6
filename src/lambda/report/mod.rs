//! AWS Config's API: reporting evaluations, and reading results.

pub mod batches;
pub mod put;
pub mod results;
