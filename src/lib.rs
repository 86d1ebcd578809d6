//! Finds EC2 resources that still answer Instance Metadata Service version 1 (IMDSv1), as an AWS Config
//! rule and from the command line.
//!
//! ```text
//! AWS Config ─ event ─▶ sources ─▶ resource ─▶ verdict ─▶ config_service ─▶ PutEvaluations
//! files, EC2 ───────────▶ sources ─▶ resource ─▶ verdict ─▶ cli::output   ─▶ table, JSON, CSV, HTML, ASFF
//! ```
//!
//! # Layout
//!
//! - [`rule`]: what is decided.
//! - [`sources`]: where resources come from.
//! - [`aws`]: access to AWS.
//! - [`lambda`]: the function.
//! - [`cli`]: the command line (feature `cli`).

pub mod aws;
#[cfg(feature = "cli")]
pub mod cli;
pub mod lambda;
pub mod rule;
pub mod sources;
