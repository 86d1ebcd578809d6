//! Types of the SDK, converted to those of the rule.

use std::borrow::Cow;

use aws_sdk_autoscaling::types::LaunchConfiguration;
use aws_sdk_ec2::operation::get_instance_metadata_defaults::GetInstanceMetadataDefaultsOutput;
use aws_sdk_ec2::types::{Instance, LaunchTemplateInstanceMetadataOptions};

use time::OffsetDateTime;

use crate::rule::resource::{
    AccountDefaults, InstanceFacts, InstanceState, Lifecycle, MetadataOptions, Resource, ResourceType, Tag,
};

/// Converts an instance; `None` if it has no id.
pub(crate) fn instance(instance: &Instance) -> Option<InstanceFacts<'_>> {
    let tags = instance
        .tags()
        .iter()
        .filter_map(|tag| Some(Tag { key: tag.key()?.into(), value: tag.value()?.into() }));
    let (id, options) = (instance.instance_id()?.into(), instance_options(instance));
    let operator = instance.operator().filter(|operator| operator.managed() == Some(true));
    Some(InstanceFacts {
        resource: Resource {
            lifecycle: lifecycle(instance),
            tags: tags.collect(),
            ..Resource::existing(ResourceType::Instance, id, options)
        },
        state: InstanceState::from_api(
            instance.state().and_then(|state| state.name()).map(|name| name.as_str()),
        ),
        launched_at: instance
            .launch_time()
            .and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok()),
        managed_by: operator.map(|operator| operator.principal().unwrap_or("an AWS service").into()),
    })
}

/// Converts the state of an instance.
pub(super) fn lifecycle(instance: &Instance) -> Lifecycle<'static> {
    let state = instance.state().and_then(|state| state.name());
    state.map_or(Lifecycle::Exists, |name| Lifecycle::from_instance_state(name.as_str().to_owned().into()))
}

/// Takes the tags of an instance.
pub(super) fn into_tags(instance: Instance) -> Vec<Tag<'static>> {
    let tags = instance.tags.into_iter().flatten();
    tags.filter_map(|tag| Some(Tag { key: tag.key?.into(), value: tag.value?.into() })).collect()
}

/// Converts the metadata options of an instance.
pub(super) fn instance_options(instance: &Instance) -> Option<MetadataOptions<'static>> {
    let options = instance.metadata_options()?;
    Some(MetadataOptions::from_api(
        options.http_tokens().map(|value| value.as_str().to_owned().into()),
        options.http_endpoint().map(|value| value.as_str()),
        options.http_put_response_hop_limit().map(i64::from),
        options.state().map(|value| value.as_str()),
    ))
}

/// Converts the metadata options of a launch template version.
pub(super) fn template_options(options: &LaunchTemplateInstanceMetadataOptions) -> MetadataOptions<'static> {
    MetadataOptions::from_api(
        options.http_tokens().map(|value| value.as_str().to_owned().into()),
        options.http_endpoint().map(|value| value.as_str()),
        options.http_put_response_hop_limit().map(i64::from),
        options.state().map(|value| value.as_str()),
    )
}

/// Converts the metadata options of a launch configuration.
pub(super) fn configuration_options(configuration: &LaunchConfiguration) -> Option<MetadataOptions<'_>> {
    let options = configuration.metadata_options()?;
    Some(MetadataOptions::from_api(
        options.http_tokens().map(|value| value.as_str().into()),
        options.http_endpoint().map(|value| value.as_str()),
        options.http_put_response_hop_limit().map(i64::from),
        None,
    ))
}

/// Converts the account-level defaults of a Region.
pub(super) fn account_defaults(response: &GetInstanceMetadataDefaultsOutput) -> AccountDefaults<'static> {
    let level = response.account_level();
    AccountDefaults::from_api(
        level.and_then(|level| level.http_tokens()).map(|value| Cow::Owned(value.as_str().to_owned())),
        level.and_then(|level| level.http_tokens_enforced()).map(|value| value.as_str()),
        level.and_then(|level| level.managed_by()).map(|value| value.as_str()),
    )
}
