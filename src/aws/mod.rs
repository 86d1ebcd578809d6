//! Access to AWS.

pub mod clients;
