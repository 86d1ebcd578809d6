//! What each record of an input contributes to an evaluation.

use std::borrow::Cow;
use std::io;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::declarations;
use crate::cli::input::detect::{InputRecord, RecordKind};
use crate::cli::input::guess;
use crate::cli::input::split::Position;
use crate::rule::launch::Image;
use crate::rule::policy::Policy;
use crate::rule::resource::{Resource, ResourceType, VersionNumbers};
use crate::sources::aws_cli::instances::{Instance, Reservation};
use crate::sources::aws_cli::launches::{
    self, AutoScalingGroup, LaunchConfiguration, LaunchTemplate, RecordedDefaults, TemplateVersion,
};
use crate::sources::cloudformation::parameters::TemplateParameters;
use crate::sources::cloudformation::{Encoding, TemplateError};
use crate::sources::config::configuration_item::ConfigurationItem;
use crate::sources::config::event::{ConfigEvent, EventError, Trigger};
use crate::sources::terraform::TerraformError;
use crate::sources::{SourceError, read as read_value, read_object};

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

/// Passes what `record` contributes to `visit`. `parameters` are those of templates.
///
/// # Errors
/// Returns an error if the record cannot be read, or if `visit` fails.
pub(crate) fn read(
    record: &InputRecord<'_>,
    parameters: &TemplateParameters,
    visit: &mut Visit<'_>,
) -> Result<(), Failure> {
    match record {
        InputRecord::Item(record) => item(record, false, None, visit),
        InputRecord::Reservation(record) => reservation(record, visit),
        InputRecord::Other(kind, json) => other(*kind, json, parameters, visit),
    }
}

fn other(
    kind: RecordKind,
    json: &str,
    parameters: &TemplateParameters,
    visit: &mut Visit<'_>,
) -> Result<(), Failure> {
    let mut pass = |recorded: Recorded<'_>| visit(recorded).map_err(Failure::Receiver);
    match kind {
        RecordKind::Event => event(json, visit),
        RecordKind::Notification => {
            trigger(&Trigger::from_notification("notification", json)?, false, None, visit)
        }
        RecordKind::Item => item(&ConfigurationItem::from_json("item", json)?, false, None, visit),
        RecordKind::Reservation => reservation(&Reservation::from_json(json)?, visit),
        RecordKind::Instance => {
            let instance = Instance::from_json(json)?;
            pass(Recorded::Resource { resource: instance.resource()?, policy: None })
        }
        RecordKind::TemplateVersion => {
            let version = TemplateVersion::from_json(json)?;
            let TemplateVersion { version_number: number, is_default, .. } = version;
            pass(Recorded::TemplateVersion { template: version.resource()?, number, is_default })
        }
        RecordKind::LaunchTemplate => {
            let template = LaunchTemplate::from_json(json)?;
            let (id, numbers) = template.numbers();
            pass(Recorded::TemplateNumbers { id: id.into(), numbers })
        }
        RecordKind::LaunchConfiguration => {
            let configuration = LaunchConfiguration::from_json(json)?;
            let resource = configuration.resource()?;
            pass(Recorded::LaunchSource { resource, policy: None, captured: None })
        }
        RecordKind::AutoScalingGroup => {
            let group = AutoScalingGroup::from_json(json)?;
            pass(Recorded::Resource { resource: group.resource()?, policy: None })
        }
        RecordKind::Image => pass(Recorded::Image(launches::image(json)?)),
        RecordKind::AccountDefaults => pass(Recorded::AccountDefaults(RecordedDefaults::from_json(json)?)),
        RecordKind::CloudTrailRecord | RecordKind::LookedUpEvent => pass(Recorded::CloudTrail),
        RecordKind::CloudTrailDigest => Ok(()),
        RecordKind::QueryResult => query_result(json, visit),
        RecordKind::AggregateItem => {
            let AggregateItem { item: json } = read_object("response", json)?;
            item(&ConfigurationItem::from_json("ConfigurationItem", json.get())?, false, None, visit)
        }
        RecordKind::UnprocessedKey => Err(RecordError::Unprocessed(unprocessed(json)).into()),
        RecordKind::Template if !declarations::is_template(json) => Err(RecordError::unknown(json).into()),
        RecordKind::Template => declarations::template(json, Encoding::Json, parameters, visit),
        RecordKind::StackTemplate => declarations::stack_template(json, parameters, visit),
        RecordKind::Terraform => declarations::plan(json, visit),
        RecordKind::Unknown => Err(RecordError::unknown(json).into()),
    }
}

fn item(
    item: &ConfigurationItem<'_>,
    left_scope: bool,
    policy: Option<Policy>,
    visit: &mut Visit<'_>,
) -> Result<(), Failure> {
    let resource = item.resource(left_scope)?;
    let is_source =
        matches!(resource.resource_type, ResourceType::LaunchTemplate | ResourceType::LaunchConfiguration);
    let recorded = if is_source {
        Recorded::LaunchSource { resource, policy, captured: item.capture_time().ok() }
    } else {
        Recorded::Resource { resource, policy }
    };
    visit(recorded).map_err(Failure::Receiver)
}

fn reservation(reservation: &Reservation<'_>, visit: &mut Visit<'_>) -> Result<(), Failure> {
    reservation.resources().try_for_each(|resource| {
        visit(Recorded::Resource { resource: resource?, policy: None }).map_err(Failure::Receiver)
    })
}

/// An event carries the parameters of its rule.
fn event(json: &str, visit: &mut Visit<'_>) -> Result<(), Failure> {
    let payload: Value = serde_json::from_str(json)
        .map_err(|error| SourceError::Shape { field: "event".to_owned(), error })?;
    let event = ConfigEvent::new(&payload)?;
    let policy = event.policy()?;
    trigger(&event.trigger()?, event.left_scope()?, Some(policy), visit)
}

fn trigger(
    trigger: &Trigger<'_>,
    left_scope: bool,
    policy: Option<Policy>,
    visit: &mut Visit<'_>,
) -> Result<(), Failure> {
    match trigger {
        Trigger::Change(change) => item(change, left_scope, policy, visit),
        Trigger::Oversized(summary) => {
            let resource = summary.resource(left_scope)?;
            if resource.is_judged() {
                return Err(RecordError::oversized(&resource).into());
            }
            visit(Recorded::Resource { resource, policy }).map_err(Failure::Receiver)
        }
        Trigger::Scheduled(_) => Err(RecordError::Scheduled.into()),
    }
}

/// A result of an advanced query is a string that contains an item.
fn query_result(json: &str, visit: &mut Visit<'_>) -> Result<(), Failure> {
    let json: String = read_value("result", json)?;
    let result = ConfigurationItem::from_query_result(&json).map_err(RecordError::QueryResult)?;
    item(&result, false, None, visit)
}

/// The response of `GetAggregateResourceConfig`
/// (<https://docs.aws.amazon.com/cli/latest/reference/configservice/get-aggregate-resource-config.html>).
#[derive(Deserialize)]
struct AggregateItem<'a> {
    #[serde(borrow, rename = "ConfigurationItem")]
    item: &'a RawValue,
}

/// Names a resource that AWS Config did not return.
fn unprocessed(json: &str) -> String {
    let key: Value = serde_json::from_str(json).unwrap_or_default();
    let text = |names: [&str; 2]| names.iter().find_map(|name| key.get(name)?.as_str());
    match (text(["resourceType", "ResourceType"]), text(["resourceId", "ResourceId"])) {
        (Some(resource_type), Some(id)) => format!("{resource_type} {id}"),
        _ => "a resource of the batch".to_owned(),
    }
}

impl RecordError {
    fn unknown(json: &str) -> Self {
        let like = guess::looks_like(json);
        Self::Unknown(like.map_or_else(String::new, |like| format!("this looks like {like}; ")))
    }

    fn oversized(resource: &Resource<'_>) -> Self {
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
