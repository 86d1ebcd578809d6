//! The JSON that the AWS CLI prints.
//!
//! - [`instances`]: `aws ec2 describe-instances`.
//! - [`launches`]: what launches instances, and what applies where it leaves options unset.

pub mod instances;
pub mod launches;
