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
//! What decides, and knows nothing of AWS's SDK:
//! - [`policy`]: the rule's parameters, parsed.
//! - [`resource`]: what a verdict looks at, whatever it came from.
//! - [`verdict`]: [`verdict::evaluate`], the one function that decides.
//!
//! What finds resources:
//! - [`sources`]: configuration items, EC2's answers, command-line output; each becomes a resource.
//! - [`event`]: AWS Config's Lambda event, checked.
//!
//! What talks to AWS:
//! - [`aws`]: clients, credentials, roles in member accounts.
//! - [`config_service`]: `PutEvaluations`, the rule's results, and the history of a resource.
//!
//! What wires it together:
//! - [`rule`]: the Lambda function's whole work, one event in, one summary out.
//! - [`scheduled`]: the part of it that looks at a whole Region.
//! - [`metrics`]: what an invocation tells CloudWatch of itself.
//! - [`cli`]: the command line (feature `cli`).

pub mod aws;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config_service;
pub mod event;
pub mod metrics;
pub mod policy;
pub mod resource;
pub mod rule;
pub mod scheduled;
pub mod sources;
pub mod verdict;
