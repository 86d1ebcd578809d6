//! What the rule decides, and nothing else: no SDK, no I/O, no clock.
//!
//! - [`policy`]: the rule parameters, parsed.
//! - [`controls`]: the controls of Security Hub that ask for the same, and their requirements.
//! - [`resource`]: what a verdict depends on, whatever it was read from.
//! - [`instance`]: an instance, as a decision on enforcement sees it.
//! - [`verdict`]: [`verdict::evaluate`], the one function that judges a resource.
//! - [`reason`]: the reason of a verdict, in a few words.
//! - [`if_enforced`]: what EC2 would do with the next launch if it enforced IMDSv2.
//! - [`launch`]: what the next launch would get, from its own options, the account-level defaults and the AMI.
//! - [`launch_source`]: what an Auto Scaling group launches instances from.
//! - [`unresolved`]: options whose values only a deployment knows.
//! - [`launched_by`]: what launched an instance, by its tags.
//! - [`remedy`]: the AWS CLI command that makes a resource compliant.
//! - [`usage`]: what CloudWatch's data proves about an instance's use of IMDSv1.
//! - [`sdk_versions`]: the first version of each AWS SDK that uses IMDSv2.
//! - [`software`]: the SDK that a user agent names, and whether it uses IMDSv2.
//! - `printable`: text from outside, made safe to show.
//! - [`enforcement`]: [`enforcement::decide`], the one function that decides whether to enforce IMDSv2.

mod annotation;
pub mod controls;
pub mod enforcement;
mod exemption;
pub mod if_enforced;
pub mod instance;
pub mod launch;
pub mod launch_source;
pub mod launched_by;
pub mod policy;
pub(crate) mod printable;
pub mod reason;
pub mod remedy;
pub mod resource;
pub mod sdk_versions;
pub mod software;
pub mod unresolved;
pub mod usage;
pub mod verdict;
