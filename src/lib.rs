//! Finds EC2 resources that accept Instance Metadata Service version 1 (IMDSv1), as an AWS Config rule and
//! from the command line, and requires version 2 on them.
//!
//! One function judges a resource, whatever it was read from:
//!
//! ```
//! use imdsv2_config_rule::rule::policy::Policy;
//! use imdsv2_config_rule::rule::verdict::{Compliance, evaluate};
//! use imdsv2_config_rule::sources::aws_cli::instances::Instance;
//!
//! let instance = Instance::from_json(
//!     r#"{
//!         "InstanceId": "i-0123456789abcdef0",
//!         "State": {"Name": "running"},
//!         "MetadataOptions": {"HttpTokens": "optional", "HttpEndpoint": "enabled"}
//!     }"#,
//! )?;
//! let today = time::macros::date!(2026 - 11 - 24);
//! let verdict = evaluate(&instance.resource()?, &Policy::default(), today);
//!
//! assert_eq!(verdict.compliance, Compliance::NonCompliant);
//! assert_eq!(
//!     verdict.annotation,
//!     "HttpTokens is optional: the instance accepts IMDSv1 requests. Set HttpTokens=required."
//! );
//! # Ok::<(), imdsv2_config_rule::sources::SourceError>(())
//! ```
//!
//! # Layout
//!
//! Four floors; imports run down only, and [`lambda`] and [`cli`] do not know each other:
//!
//! ```text
//! bin ─▶ lambda ─┬─▶ sources ─▶ rule
//!     └▶ cli ────┘          └─▶ aws
//! ```
//!
//! - [`rule`]: what is decided, without I/O: policy, resource, verdict, enforcement.
//! - [`sources`]: where resources come from: configuration items, EC2, output of the AWS CLI.
//! - [`aws`]: access to AWS: clients, assumed roles, errors (feature `live` or `lambda`).
//! - [`lambda`]: the function behind the AWS Config rule (feature `lambda`).
//! - [`cli`]: the command line (feature `offline`; with `live`, its commands that call AWS).

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "offline")]
pub mod cli;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod rule;
pub mod sources;
