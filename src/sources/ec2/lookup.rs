//! EC2's own word, where a record leaves something open.
//!
//! Two things may be missing in a configuration item: the metadata options of an instance that was
//! recorded before AWS Config knew them, and the number of the version that a launch template's item
//! holds. [`fill_gap`] asks EC2 for just that.

use std::borrow::Cow;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{Instance, LaunchTemplateInstanceMetadataOptions};

use crate::aws::clients::explain;
use crate::rule::resource::{Gap, Lifecycle, MetadataOptions, Resource};

/// Asks EC2 for what the record of `resource` leaves open, if anything. An id that EC2 does not know
/// makes the resource [`Lifecycle::Vanished`].
///
/// # Errors
/// Where EC2 cannot be asked or refuses to answer.
pub async fn fill_gap<'a>(client: &Client, resource: Resource<'a>) -> Result<Resource<'a>, Ec2Error> {
    match resource.gap {
        None => Ok(resource),
        Some(Gap::NoMetadataOptions) => look_at_instance(client, resource).await,
        Some(Gap::WhichVersion) => look_at_default_version(client, resource).await,
    }
}

/// The live instance instead of its record
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>).
async fn look_at_instance<'a>(client: &Client, resource: Resource<'a>) -> Result<Resource<'a>, Ec2Error> {
    let answer = client
        .describe_instances()
        .instance_ids(resource.resource_id.as_ref())
        .include_managed_resources(true)
        .send()
        .await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.code() == Some("InvalidInstanceID.NotFound") => {
            return Ok(Resource { lifecycle: Lifecycle::Vanished, gap: None, ..resource });
        }
        Err(error) => return Err(Ec2Error::new("DescribeInstances", &resource, explain(&error))),
    };
    let instance = answer
        .reservations
        .into_iter()
        .flatten()
        .filter_map(|reservation| reservation.instances)
        .flatten()
        .next();
    Ok(match instance {
        Some(instance) => Resource {
            lifecycle: lifecycle(&instance),
            metadata_options: instance_options(&instance),
            tags: tags(instance),
            gap: None,
            ..resource
        },
        None => Resource { lifecycle: Lifecycle::Vanished, gap: None, ..resource },
    })
}

/// The default version of a launch template instead of the one that was recorded
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html>).
async fn look_at_default_version<'a>(
    client: &Client,
    resource: Resource<'a>,
) -> Result<Resource<'a>, Ec2Error> {
    let answer = client
        .describe_launch_template_versions()
        .launch_template_id(resource.resource_id.as_ref())
        .versions("$Default")
        .include_managed_resources(true)
        .send()
        .await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.code() == Some("InvalidLaunchTemplateId.NotFound") => {
            return Ok(Resource { lifecycle: Lifecycle::Vanished, gap: None, ..resource });
        }
        Err(error) => {
            return Err(Ec2Error::new("DescribeLaunchTemplateVersions", &resource, explain(&error)));
        }
    };
    let version = answer.launch_template_versions.into_iter().flatten().next().ok_or_else(|| {
        Ec2Error::new("DescribeLaunchTemplateVersions", &resource, "no default version in the answer".into())
    })?;
    let options = version.launch_template_data.and_then(|data| data.metadata_options);
    Ok(Resource { metadata_options: options.as_ref().map(template_options), gap: None, ..resource })
}

pub(crate) fn lifecycle(instance: &Instance) -> Lifecycle<'static> {
    let state = instance.state().and_then(|state| state.name());
    state.map_or(Lifecycle::Live, |name| Lifecycle::from_instance_state(name.as_str().to_owned().into()))
}

fn tags(instance: Instance) -> Vec<(Cow<'static, str>, Cow<'static, str>)> {
    let tags = instance.tags.into_iter().flatten();
    tags.filter_map(|tag| Some((tag.key?.into(), tag.value?.into()))).collect()
}

pub(crate) fn instance_options(instance: &Instance) -> Option<MetadataOptions<'static>> {
    let options = instance.metadata_options()?;
    Some(MetadataOptions::from_words(
        options.http_tokens().map(|word| word.as_str().to_owned().into()),
        options.http_endpoint().map(|word| word.as_str()),
        options.http_put_response_hop_limit().map(i64::from),
        options.state().map(|word| word.as_str()),
    ))
}

pub(crate) fn template_options(options: &LaunchTemplateInstanceMetadataOptions) -> MetadataOptions<'static> {
    MetadataOptions::from_words(
        options.http_tokens().map(|word| word.as_str().to_owned().into()),
        options.http_endpoint().map(|word| word.as_str()),
        options.http_put_response_hop_limit().map(i64::from),
        options.state().map(|word| word.as_str()),
    )
}

/// EC2, or EC2 Auto Scaling, was asked and gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Ec2Error {
    /// About a resource.
    #[error("could not ask EC2 about {resource_id} ({operation}): {reason}")]
    Resource {
        /// What was called.
        operation: &'static str,
        /// The resource.
        resource_id: String,
        /// What AWS says.
        reason: String,
    },
    /// About the Region.
    #[error("could not list the Region ({operation}): {reason}")]
    Region {
        /// What was called.
        operation: &'static str,
        /// What AWS says.
        reason: String,
    },
}

impl Ec2Error {
    fn new(operation: &'static str, resource: &Resource<'_>, reason: String) -> Self {
        Self::Resource { operation, resource_id: resource.resource_id.to_string(), reason }
    }

    pub(crate) fn listing(operation: &'static str, reason: String) -> Self {
        Self::Region { operation, reason }
    }
}
