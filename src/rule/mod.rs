//! What the rule decides, and nothing else: no SDK, no I/O, no clock.
//!
//! - [`policy`]: the rule parameters, parsed.
//! - [`resource`]: what a verdict depends on, whatever it was read from.
//! - [`verdict`]: [`verdict::evaluate`], the one function that judges a resource.
//! - [`usage`]: what CloudWatch's data proves about an instance's use of IMDSv1.
//! - [`enforcement`]: [`enforcement::decide`], the one function that decides whether to enforce IMDSv2.

mod annotation;
pub mod enforcement;
mod exemption;
pub mod policy;
pub mod resource;
pub mod usage;
pub mod verdict;
