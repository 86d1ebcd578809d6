//! What EC2 and EC2 Auto Scaling return.
//!
//! - [`lookup`]: one resource, whose record does not hold all that a verdict depends on.
//! - [`launch_facts`]: what launches instances, each asked for at most once.
//! - [`region`]: every resource of a Region, page by page.

pub(crate) mod convert;
pub mod launch_facts;
pub mod lookup;
pub mod region;

use crate::aws::ApiError;

/// A call of EC2 or EC2 Auto Scaling that failed.
#[derive(Debug, thiserror::Error)]
pub enum Ec2Error {
    /// A resource could not be described.
    #[error("cannot describe {resource_id}: {error}")]
    Describe {
        /// The id of the resource.
        resource_id: String,
        /// The call that failed.
        error: ApiError,
    },
    /// The resources of a Region could not be listed.
    #[error("cannot list resources: {0}")]
    List(ApiError),
}
