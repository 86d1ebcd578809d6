//! Types of the SDK, converted to those of the rule.

use std::borrow::Cow;

use aws_sdk_autoscaling::types::{AutoScalingGroup, LaunchConfiguration, LaunchTemplateSpecification};
use aws_sdk_ec2::operation::get_instance_metadata_defaults::GetInstanceMetadataDefaultsOutput;
use aws_sdk_ec2::types::{Instance, LaunchTemplateVersion, OperatorResponse, ResponseLaunchTemplateData};

use time::OffsetDateTime;

use crate::rule::instance::{InstanceFacts, InstanceState};
use crate::rule::launch::{AccountDefaults, Image, LaunchSettings};
use crate::rule::launch_source::{LaunchOrigin, LaunchSource};
use crate::rule::resource::{Gap, Lifecycle, MetadataOptions, Resource, ResourceType, Tag, UNNAMED_OPERATOR};

/// Converts an instance; `None` if it has no id.
pub(crate) fn instance(instance: &Instance) -> Option<InstanceFacts<'_>> {
    let tags = instance
        .tags()
        .iter()
        .filter_map(|tag| Some(Tag { key: tag.key()?.into(), value: tag.value()?.into() }));
    let (id, options) = (instance.instance_id()?.into(), instance_options(instance));
    Some(InstanceFacts {
        resource: Resource {
            lifecycle: lifecycle(instance),
            tags: tags.collect(),
            managed_by: managed_by(instance.operator()),
            ..Resource::existing(ResourceType::Instance, id, options)
        },
        state: InstanceState::from_api(
            instance.state().and_then(|state| state.name()).map(|name| name.as_str()),
        ),
        launched_at: instance
            .launch_time()
            .and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok()),
    })
}

/// Returns the principal of the AWS service that manages a resource, if one does.
fn managed_by(operator: Option<&OperatorResponse>) -> Option<Cow<'_, str>> {
    let operator = operator.filter(|operator| operator.managed() == Some(true))?;
    Some(operator.principal().unwrap_or(UNNAMED_OPERATOR).into())
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

/// Converts a version of a launch template, without the tags of the template; `None` if it has no id.
pub(super) fn launch_template(version: &LaunchTemplateVersion) -> Option<Resource<'_>> {
    let LaunchSettings { options, image } = template_settings(version.launch_template_data());
    let id = version.launch_template_id()?.into();
    Some(Resource {
        name: version.launch_template_name().map(Cow::from),
        managed_by: managed_by(version.operator()),
        image,
        ..Resource::existing(ResourceType::LaunchTemplate, id, options)
    })
}

/// Converts what a launch template version sets.
pub(super) fn template_settings(data: Option<&ResponseLaunchTemplateData>) -> LaunchSettings<'_> {
    let options = data.and_then(|data| data.metadata_options()).map(|options| {
        MetadataOptions::from_api(
            options.http_tokens().map(|value| value.as_str().into()),
            options.http_endpoint().map(|value| value.as_str()),
            options.http_put_response_hop_limit().map(i64::from),
            options.state().map(|value| value.as_str()),
        )
    });
    LaunchSettings { options, image: Image::from_id(data.and_then(|data| data.image_id()).map(Into::into)) }
}

/// Converts what a launch configuration sets.
pub(super) fn configuration_settings(configuration: &LaunchConfiguration) -> LaunchSettings<'_> {
    let options = configuration.metadata_options().map(|options| {
        MetadataOptions::from_api(
            options.http_tokens().map(|value| value.as_str().into()),
            options.http_endpoint().map(|value| value.as_str()),
            options.http_put_response_hop_limit().map(i64::from),
            None,
        )
    });
    LaunchSettings { options, image: Image::from_id(configuration.image_id().map(Into::into)) }
}

/// Converts an Auto Scaling group, without what it launches instances from; `None` if it has no ARN.
pub(super) fn auto_scaling_group(group: &AutoScalingGroup) -> Option<Resource<'_>> {
    let tags = group
        .tags()
        .iter()
        .filter_map(|tag| Some(Tag { key: tag.key()?.into(), value: tag.value()?.into() }));
    let configuration =
        group.launch_configuration_name().map(Cow::from).map(LaunchOrigin::LaunchConfiguration);
    let plain =
        configuration.map(LaunchSource::unread).into_iter().chain(group.launch_template().and_then(source));
    let policy = group.mixed_instances_policy().and_then(|policy| policy.launch_template());
    let overrides = policy.into_iter().flat_map(|policy| policy.overrides()).map(|each| {
        let image = Image::from_id(each.image_id().map(Into::into));
        (each.launch_template_specification().and_then(source), image)
    });
    let base = policy.and_then(|policy| policy.launch_template_specification()).and_then(source);
    let mixed = LaunchSource::of_policy(base.as_ref(), overrides);
    let id = group.auto_scaling_group_arn()?.into();
    Some(Resource {
        name: group.auto_scaling_group_name().map(Cow::from),
        tags: tags.collect(),
        managed_by: group.operator().map(|operator| operator.principal().unwrap_or(UNNAMED_OPERATOR).into()),
        launch_sources: plain.chain(mixed).collect(),
        has_mixed_instances: group.mixed_instances_policy().is_some(),
        gap: Some(Gap::LaunchSourcesNotRead),
        ..Resource::existing(ResourceType::AutoScalingGroup, id, None)
    })
}

/// Converts the launch template of a group.
fn source(specification: &LaunchTemplateSpecification) -> Option<LaunchSource<'_>> {
    let origin = LaunchOrigin::template_version(
        specification.launch_template_id().map(Into::into),
        specification.launch_template_name().map(Into::into),
        specification.version().map(Into::into),
    );
    origin.map(LaunchSource::unread)
}

/// Converts what an AMI says about IMDS, by its id.
pub(super) fn image(image: &aws_sdk_ec2::types::Image) -> Option<(String, Image<'static>)> {
    let id = image.image_id()?.to_owned();
    let support = image.imds_support().map(|support| support.as_str());
    Some((id.clone(), Image::described(id.into(), support)))
}

/// Converts the account-level defaults of a Region.
pub(super) fn account_defaults(response: &GetInstanceMetadataDefaultsOutput) -> AccountDefaults<'static> {
    let level = response.account_level();
    AccountDefaults::from_api(
        level.and_then(|level| level.http_tokens()).map(|value| Cow::Owned(value.as_str().to_owned())),
        level.and_then(|level| level.http_endpoint()).map(|value| value.as_str()),
        level.and_then(|level| level.http_put_response_hop_limit()).map(i64::from),
        level.and_then(|level| level.http_tokens_enforced()).map(|value| value.as_str()),
        level.and_then(|level| level.managed_by()).map(|value| value.as_str()),
    )
}
