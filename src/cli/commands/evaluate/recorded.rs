//! What is read of a record, and why a record cannot be read.

use std::borrow::Cow;
use std::io;

use time::OffsetDateTime;

use crate::cli::input::guess;
use crate::cli::input::split::Position;
use crate::rule::launch::Image;
use crate::rule::policy::Policy;
use crate::rule::resource::{Resource, VersionNumbers};
use crate::sources::SourceError;
use crate::sources::aws_cli::launches::RecordedDefaults;
use crate::sources::cloudformation::TemplateError;
use crate::sources::config::event::EventError;
use crate::sources::terraform::TerraformError;

/// What a record contributes.
#[allow(clippy::large_enum_variant)] // most are of the largest variant
pub(crate) enum Recorded<'a> {
    /// A resource to judge.
    Resource {
        resource: Resource<'a>,
        /// The policy of the event, if it is from one.
        policy: Option<Policy>,
    },
    /// A launch template or launch configuration to judge, and to complete groups with.
    LaunchSource {
        resource: Resource<'a>,
        policy: Option<Policy>,
        /// When AWS Config recorded it, if it did.
        captured: Option<OffsetDateTime>,
    },
    /// A version of a launch template. The default version is judged; groups may use others.
    TemplateVersion { template: Resource<'a>, number: i64, is_default: bool },
    /// Which versions of a launch template are the default and the latest one.
    TemplateNumbers { id: Cow<'a, str>, numbers: VersionNumbers },
    /// An AMI.
    Image(Image<'a>),
    /// Account-level defaults.
    AccountDefaults(RecordedDefaults<'a>),
    /// A resource that a template or plan declares, and its line in the record.
    Declared { resource: Resource<'a>, line: Option<usize> },
    /// A template, plan or state was read: the names of its parameters.
    Document { parameters: Vec<String> },
    /// A record of CloudTrail, which another command reads.
    CloudTrail,
    /// A part of the record that cannot be read.
    Unreadable(String),
}

/// Receives what a record contributes.
pub(crate) type Visit<'v> = dyn FnMut(Recorded<'_>) -> io::Result<()> + 'v;

/// What ends the work on a record.
pub(crate) enum Failure {
    /// The record has no verdict; the next one may have one.
    Record(RecordError),
    /// The receiver failed.
    Receiver(io::Error),
}

impl<E: Into<RecordError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Record(error.into())
    }
}

/// Why a record has no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("unknown record: {0}expected {EXPECTED}")]
    Unknown(String),
    #[error(
        "an oversized notification does not contain the configuration item: evaluate the output of `aws \
         configservice get-resource-config-history --resource-type {resource_type} --resource-id {resource_id}` \
         instead"
    )]
    Oversized { resource_type: String, resource_id: String },
    #[error(
        "a scheduled notification does not contain a resource: evaluate the output of `aws ec2 \
         describe-instances` instead"
    )]
    Scheduled,
    #[error(
        "{0} in a query result: select at least resourceType, resourceId and configuration, and accountId, awsRegion and \
         tags for complete findings"
    )]
    QueryResult(SourceError),
    #[error("AWS Config did not return {0}: request it again, or check that it is recorded and not deleted")]
    Unprocessed(String),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Terraform(#[from] TerraformError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Event(#[from] EventError),
}

/// What is read.
pub(crate) const EXPECTED: &str = "an AWS Config event, a configuration item, a snapshot or history file, the output of an AWS \
    CLI command that describes instances or what launches them, a CloudFormation template, or the output of `terraform show \
    -json`";

impl RecordError {
    /// Returns that an object is of no known kind.
    pub(super) fn unknown(json: &str) -> Self {
        let like = guess::looks_like(json);
        Self::Unknown(like.map_or_else(String::new, |like| format!("this looks like {like}; ")))
    }

    /// Returns that the configuration item of a resource is not in its notification.
    pub(super) fn oversized(resource: &Resource<'_>) -> Self {
        Self::Oversized {
            resource_type: resource.resource_type.name().to_owned(),
            resource_id: resource.resource_id.to_string(),
        }
    }
}

impl Recorded<'_> {
    /// Returns what a record at `position` contributes. Only in the first one, lines are those of the input.
    pub(crate) fn at(self, position: Position) -> Self {
        match self {
            Self::Declared { resource, .. } if position.record > 1 => Self::Declared { resource, line: None },
            recorded => recorded,
        }
    }

    /// Returns the same without borrowing from the input.
    pub(crate) fn into_owned(self) -> Recorded<'static> {
        match self {
            Self::Resource { resource, policy } => {
                Recorded::Resource { resource: resource.into_owned(), policy }
            }
            Self::LaunchSource { resource, policy, captured } => {
                Recorded::LaunchSource { resource: resource.into_owned(), policy, captured }
            }
            Self::TemplateVersion { template, number, is_default } => {
                Recorded::TemplateVersion { template: template.into_owned(), number, is_default }
            }
            Self::TemplateNumbers { id, numbers } => {
                Recorded::TemplateNumbers { id: id.into_owned().into(), numbers }
            }
            Self::Image(image) => Recorded::Image(image.into_owned()),
            Self::AccountDefaults(defaults) => Recorded::AccountDefaults(defaults.into_owned()),
            Self::Declared { resource, line } => Recorded::Declared { resource: resource.into_owned(), line },
            Self::Document { parameters } => Recorded::Document { parameters },
            Self::CloudTrail => Recorded::CloudTrail,
            Self::Unreadable(problem) => Recorded::Unreadable(problem),
        }
    }
}
