//! Every resource of a Region that launches instances or is one, page by page.
//!
//! Resources that an AWS service manages are included, even if the account hides them. A page that names
//! itself as the next page is not taken for the end of its list, as the SDK would: an incomplete list must
//! not look complete.

use std::collections::HashMap;

use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types::Filter;

use super::Ec2Error;
use super::convert;
use super::launch_facts::LaunchFacts;
use crate::aws::ApiError;
use crate::aws::clients::ResourceClients;
use crate::rule::instance::InstanceFacts;
use crate::rule::launch::LaunchSettings;
use crate::rule::resource::{Lifecycle, Resource, ResourceType, Tag};

/// The largest page of instances
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>).
const INSTANCES_PAGE: i32 = 1_000;
/// The largest page of launch templates, and of their versions
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html>).
const TEMPLATES_PAGE: i32 = 200;
/// The largest page of launch configurations
/// (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeLaunchConfigurations.html>).
const CONFIGURATIONS_PAGE: i32 = 100;
/// The largest page of Auto Scaling groups
/// (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html>).
const GROUPS_PAGE: i32 = 100;

/// Receives resources while they are listed. Its first error ends the listing.
pub trait Visitor: Send {
    /// What ends the listing.
    type Error: From<Ec2Error> + Send;

    /// Receives an instance.
    ///
    /// # Errors
    /// As the visitor defines.
    fn instance(
        &mut self,
        instance: InstanceFacts<'_>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Receives a launch template, a launch configuration or an Auto Scaling group.
    ///
    /// # Errors
    /// As the visitor defines.
    fn launch_source(
        &mut self,
        resource: Resource<'_>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Passes every instance to `visitor`, except terminated ones. The next page is requested while the visitor
/// works on the current one.
///
/// # Errors
/// Returns an error if EC2 does not return a page, or the visitor fails.
pub async fn each_instance<V: Visitor>(clients: &ResourceClients, visitor: &mut V) -> Result<(), V::Error> {
    let mut pages = clients
        .ec2
        .describe_instances()
        .include_managed_resources(true)
        .max_results(INSTANCES_PAGE)
        .into_paginator()
        .stop_on_duplicate_token(false)
        .send();
    let mut page = pages.next().await;
    while let Some(response) = page {
        let response =
            response.map_err(|error| Ec2Error::List(ApiError::new("DescribeInstances", &error)))?;
        let (visited, next) = tokio::join!(visit_page(response, visitor), pages.next());
        visited?;
        page = next;
    }
    Ok(())
}

/// Takes the page by value, so that its memory is released as soon as it is processed.
async fn visit_page<V: Visitor>(page: DescribeInstancesOutput, visitor: &mut V) -> Result<(), V::Error> {
    let reservations = page.reservations.into_iter().flatten();
    for instance in reservations.filter_map(|reservation| reservation.instances).flatten() {
        let facts = convert::instance(&instance)
            .ok_or_else(|| unexpected("DescribeInstances", "an instance has no id"))?;
        if facts.resource.lifecycle == Lifecycle::Exists {
            visitor.instance(facts).await?;
        }
    }
    Ok(())
}

/// Passes every launch template to `visitor`, as its default version. `tag_keys` are the tags to look up for them:
/// versions do not carry the tags of their template.
///
/// # Errors
/// Returns an error if EC2 does not return a page, or the visitor fails.
pub async fn each_launch_template<V: Visitor>(
    facts: &mut LaunchFacts,
    tag_keys: &[&str],
    visitor: &mut V,
) -> Result<(), V::Error> {
    const OPERATION: &str = "DescribeLaunchTemplateVersions";
    let clients = facts.clients();
    let tags = if tag_keys.is_empty() { HashMap::new() } else { template_tags(&clients, tag_keys).await? };
    let mut pages = clients
        .ec2
        .describe_launch_template_versions()
        .versions("$Default")
        .include_managed_resources(true)
        .max_results(TEMPLATES_PAGE)
        .into_paginator()
        .stop_on_duplicate_token(false)
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Ec2Error::List(ApiError::new(OPERATION, &error)))?;
        let mut templates = Vec::with_capacity(page.launch_template_versions().len());
        for version in page.launch_template_versions() {
            facts.remember_default_version(version);
            let template = convert::launch_template(version)
                .ok_or_else(|| unexpected(OPERATION, "a launch template has no id"))?;
            let tags = tags.get(template.resource_id.as_ref()).cloned().unwrap_or_default();
            templates.push(Resource { tags, ..template });
        }
        visit_launch_sources(facts, templates, visitor).await?;
    }
    Ok(())
}

/// Passes what launches instances to `visitor`, after looking up what applies to options that it leaves unset.
async fn visit_launch_sources<V: Visitor>(
    facts: &mut LaunchFacts,
    mut resources: Vec<Resource<'_>>,
    visitor: &mut V,
) -> Result<(), V::Error> {
    facts.complete_defaults(&mut resources).await?;
    for resource in resources {
        visitor.launch_source(resource).await?;
    }
    Ok(())
}

/// Returns the tags with these keys of each launch template that has one, by the id of the template.
async fn template_tags(
    clients: &ResourceClients,
    keys: &[&str],
) -> Result<HashMap<String, Vec<Tag<'static>>>, Ec2Error> {
    let keys_wanted = keys.iter().map(|key| (*key).to_owned()).collect();
    let mut pages = clients
        .ec2
        .describe_launch_templates()
        .filters(Filter::builder().name("tag-key").set_values(Some(keys_wanted)).build())
        .include_managed_resources(true)
        .max_results(TEMPLATES_PAGE)
        .into_paginator()
        .stop_on_duplicate_token(false)
        .send();
    let mut found = HashMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Ec2Error::List(ApiError::new("DescribeLaunchTemplates", &error)))?;
        for template in page.launch_templates.into_iter().flatten() {
            let tags = template.tags.into_iter().flatten();
            let tags = tags.filter(|tag| tag.key().is_some_and(|key| keys.contains(&key)));
            let tags = tags.filter_map(|tag| Some(Tag { key: tag.key?.into(), value: tag.value?.into() }));
            found.extend(template.launch_template_id.map(|id| (id, tags.collect())));
        }
    }
    Ok(found)
}

/// Passes every launch configuration to `visitor`. AWS Config records them by their ARN.
///
/// # Errors
/// Returns an error if EC2 Auto Scaling does not return a page, or the visitor fails.
pub async fn each_launch_configuration<V: Visitor>(
    facts: &mut LaunchFacts,
    visitor: &mut V,
) -> Result<(), V::Error> {
    const OPERATION: &str = "DescribeLaunchConfigurations";
    let mut pages = facts
        .clients()
        .autoscaling
        .describe_launch_configurations()
        .max_records(CONFIGURATIONS_PAGE)
        .into_paginator()
        .stop_on_duplicate_token(false)
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Ec2Error::List(ApiError::new(OPERATION, &error)))?;
        let mut configurations = Vec::with_capacity(page.launch_configurations().len());
        for configuration in page.launch_configurations() {
            let arn = configuration
                .launch_configuration_arn()
                .ok_or_else(|| unexpected(OPERATION, "a launch configuration has no ARN"))?;
            let settings = convert::configuration_settings(configuration);
            if let Some(name) = configuration.launch_configuration_name() {
                facts.remember_configuration(name, settings.clone());
            }
            let LaunchSettings { options, image } = settings;
            let resource = Resource::existing(ResourceType::LaunchConfiguration, arn.into(), options);
            let name = configuration.launch_configuration_name().map(Into::into);
            configurations.push(Resource { name, image, ..resource });
        }
        visit_launch_sources(facts, configurations, visitor).await?;
    }
    Ok(())
}

/// Passes every Auto Scaling group to `visitor`, with what it launches instances from. AWS Config records groups by
/// their ARN.
///
/// # Errors
/// Returns an error if EC2 Auto Scaling does not return a page, EC2 does not return a launch template version, or the
/// visitor fails.
pub async fn each_auto_scaling_group<V: Visitor>(
    facts: &mut LaunchFacts,
    visitor: &mut V,
) -> Result<(), V::Error> {
    const OPERATION: &str = "DescribeAutoScalingGroups";
    let mut pages = facts
        .clients()
        .autoscaling
        .describe_auto_scaling_groups()
        .include_instances(false)
        .include_managed_resources(true)
        .max_records(GROUPS_PAGE)
        .into_paginator()
        .stop_on_duplicate_token(false)
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Ec2Error::List(ApiError::new(OPERATION, &error)))?;
        let mut groups = Vec::with_capacity(page.auto_scaling_groups().len());
        for group in page.auto_scaling_groups() {
            let group = convert::auto_scaling_group(group)
                .ok_or_else(|| unexpected(OPERATION, "an Auto Scaling group has no ARN"))?;
            groups.push(group);
        }
        facts.complete_groups(&mut groups).await?;
        visit_launch_sources(facts, groups, visitor).await?;
    }
    Ok(())
}

fn unexpected(operation: &'static str, message: &str) -> Ec2Error {
    Ec2Error::List(ApiError::unexpected_response(operation, message))
}
