//! What each record of an input contributes to an evaluation.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::declarations;
use super::recorded::{Failure, RecordError, Recorded, Visit};
use crate::cli::input::detect::{InputRecord, RecordKind};
use crate::rule::policy::Policy;
use crate::sources::aws_cli::instances::{Instance, Reservation};
use crate::sources::aws_cli::launches::{
    self, AutoScalingGroup, LaunchConfiguration, LaunchTemplate, RecordedDefaults, TemplateVersion,
};
use crate::sources::cloudformation::Encoding;
use crate::sources::cloudformation::parameters::TemplateParameters;
use crate::sources::config::configuration_item::ConfigurationItem;
use crate::sources::config::event::{ConfigEvent, Trigger};
use crate::sources::{SourceError, read as read_value, read_object};

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
    let is_source = resource.resource_type.is_launch_source();
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
