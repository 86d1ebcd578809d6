//! One resource, whose record does not hold all that a verdict depends on.
//!
//! A configuration item may lack the metadata options of an instance that AWS Config recorded before it knew them, the
//! number of the version that a launch template's item describes, and what an Auto Scaling group's launch template
//! sets. [`fill_gap`] asks EC2 for just that.

use aws_sdk_ec2::Client;

use super::Ec2Error;
use super::convert::{instance_options, into_tags, lifecycle, template_settings};
use super::launch_facts::LaunchFacts;
use crate::aws::ApiError;
use crate::rule::launch::LaunchSettings;
use crate::rule::resource::{Gap, Lifecycle, Resource};

/// Returns whether the record of `resource` has all that a verdict depends on, so that [`fill_gap`] would ask nothing.
#[must_use]
pub fn is_complete(resource: &Resource<'_>) -> bool {
    resource.gap.is_none() && !resource.depends_on_other_records()
}

/// Asks EC2 for what the record of `resource` lacks, if anything. If EC2 does not know the id, the resource
/// is [`Lifecycle::NotFound`]. If what it launches leaves tokens unset, the defaults that apply are looked up, too.
///
/// # Errors
/// Returns an error if EC2 does not respond, or denies access.
pub async fn fill_gap<'a>(facts: &mut LaunchFacts, resource: Resource<'a>) -> Result<Resource<'a>, Ec2Error> {
    let client = facts.clients().ec2;
    let mut resource = match resource.gap {
        // A request that is not made yet cannot be looked up.
        None | Some(Gap::SpotRequest) => resource,
        Some(Gap::NoMetadataOptions) => describe_instance(&client, resource).await?,
        Some(Gap::UnknownVersion) => describe_default_version(&client, resource).await?,
        Some(Gap::LaunchSourcesNotRead) => {
            let mut group = [resource];
            facts.complete_groups(&mut group).await?;
            let [group] = group;
            group
        }
    };
    if resource.is_judged() {
        facts.complete_defaults(std::slice::from_mut(&mut resource)).await?;
    }
    Ok(resource)
}

/// Describes the instance as it is now
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>).
async fn describe_instance<'a>(client: &Client, resource: Resource<'a>) -> Result<Resource<'a>, Ec2Error> {
    let response = client
        .describe_instances()
        .instance_ids(resource.resource_id.as_ref())
        .include_managed_resources(true)
        .send()
        .await
        .map_err(|error| ApiError::new("DescribeInstances", &error));
    let response = match response {
        Ok(response) => response,
        Err(error) if error.has_code("InvalidInstanceID.NotFound") => return Ok(not_found(resource)),
        Err(error) => return Err(failed(&resource, error)),
    };
    let reservations = response.reservations.into_iter().flatten();
    let instance = reservations.filter_map(|reservation| reservation.instances).flatten().next();
    Ok(match instance {
        Some(instance) => Resource {
            lifecycle: lifecycle(&instance),
            metadata_options: instance_options(&instance),
            tags: into_tags(instance),
            gap: None,
            ..resource
        },
        None => not_found(resource),
    })
}

/// Describes the default version of the launch template
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html>).
async fn describe_default_version<'a>(
    client: &Client,
    resource: Resource<'a>,
) -> Result<Resource<'a>, Ec2Error> {
    const OPERATION: &str = "DescribeLaunchTemplateVersions";
    let response = client
        .describe_launch_template_versions()
        .launch_template_id(resource.resource_id.as_ref())
        .versions("$Default")
        .include_managed_resources(true)
        .send()
        .await
        .map_err(|error| ApiError::new(OPERATION, &error));
    let response = match response {
        Ok(response) => response,
        Err(error) if error.has_code("InvalidLaunchTemplateId.NotFound") => return Ok(not_found(resource)),
        Err(error) => return Err(failed(&resource, error)),
    };
    let version = response.launch_template_versions.into_iter().flatten().next().ok_or_else(|| {
        let message = "the response has no default version";
        failed(&resource, ApiError::unexpected_response(OPERATION, message))
    })?;
    let LaunchSettings { options, image } = template_settings(version.launch_template_data()).into_owned();
    Ok(Resource { metadata_options: options, image, gap: None, ..resource })
}

fn not_found(resource: Resource<'_>) -> Resource<'_> {
    Resource { lifecycle: Lifecycle::NotFound, gap: None, ..resource }
}

fn failed(resource: &Resource<'_>, error: ApiError) -> Ec2Error {
    Ec2Error::Describe { resource_id: resource.resource_id.to_string(), error }
}
