//! Everything in a Region that launches, or was launched: streamed from AWS page by page.

use std::borrow::Cow;
use std::collections::HashMap;

use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types::{Filter, Instance};

use super::ec2::{Ec2Error, instance_options, lifecycle, template_options};
use crate::aws::{Clients, explain};
use crate::resource::{AccountDefaults, Lifecycle, MetadataOptions, Resource, ResourceType};

/// The largest pages that the APIs give
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>,
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html>,
/// <https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeLaunchConfigurations.html>).
const INSTANCES: i32 = 1_000;
const LAUNCH_TEMPLATES: i32 = 200;
const LAUNCH_CONFIGURATIONS: i32 = 100;

/// Calls `visit` for every instance, except those that never run again. The next page is on its way
/// while `visit` works on one.
///
/// # Errors
/// Where EC2 refuses a page, or `visit` fails.
pub async fn each_instance<E: From<Ec2Error>>(
    clients: &Clients,
    mut visit: impl AsyncFnMut(Resource<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut pages = clients.ec2.describe_instances().max_results(INSTANCES).into_paginator().send();
    let mut page = pages.next().await;
    while let Some(answer) = page {
        let answer = answer.map_err(|error| Ec2Error::listing("DescribeInstances", explain(&error)))?;
        let (visited, next) = tokio::join!(visit_page(answer, &mut visit), pages.next());
        visited?;
        page = next;
    }
    Ok(())
}

/// Takes the page, so that it is gone before the next one is decoded.
async fn visit_page<E: From<Ec2Error>>(
    page: DescribeInstancesOutput,
    visit: &mut impl AsyncFnMut(Resource<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let reservations = page.reservations.into_iter().flatten();
    for instance in reservations.filter_map(|reservation| reservation.instances).flatten() {
        let resource = live_instance(&instance)
            .ok_or_else(|| Ec2Error::listing("DescribeInstances", "an instance has no id".to_owned()))?;
        if resource.lifecycle == Lifecycle::Live {
            visit(resource).await?;
        }
    }
    Ok(())
}

fn live_instance(instance: &Instance) -> Option<Resource<'_>> {
    let tags = instance.tags().iter().filter_map(|tag| Some((tag.key()?.into(), tag.value()?.into())));
    Some(Resource {
        lifecycle: lifecycle(instance),
        tags: tags.collect(),
        ..live(ResourceType::Instance, instance.instance_id()?, instance_options(instance))
    })
}

/// Calls `visit` for every launch template, by its default version. `exemption_tag_key` is the tag that
/// is looked up for them, if any: the versions themselves do not carry the template's tags.
///
/// # Errors
/// Where EC2 refuses a page, or `visit` fails.
pub async fn each_launch_template<E: From<Ec2Error>>(
    clients: &Clients,
    exemption_tag_key: Option<&str>,
    mut visit: impl AsyncFnMut(Resource<'_>) -> Result<(), E>,
) -> Result<(), E> {
    const OPERATION: &str = "DescribeLaunchTemplateVersions";
    let exemptions = match exemption_tag_key {
        Some(key) => template_tags(clients, key).await?,
        None => HashMap::new(),
    };
    let mut pages = clients
        .ec2
        .describe_launch_template_versions()
        .versions("$Default")
        .max_results(LAUNCH_TEMPLATES)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Ec2Error::listing(OPERATION, explain(&error)))?;
        for version in page.launch_template_versions() {
            let id = version
                .launch_template_id()
                .ok_or_else(|| Ec2Error::listing(OPERATION, "a launch template has no id".to_owned()))?;
            let options = version.launch_template_data().and_then(|data| data.metadata_options());
            let tag = exemption_tag_key.zip(exemptions.get(id));
            visit(Resource {
                tags: tag.map(|(key, value)| (key.into(), Cow::from(value))).into_iter().collect(),
                ..live(ResourceType::LaunchTemplate, id, options.map(template_options))
            })
            .await?;
        }
    }
    Ok(())
}

/// The value of the tag `key` of each launch template that has it.
async fn template_tags(clients: &Clients, key: &str) -> Result<HashMap<String, String>, Ec2Error> {
    let mut pages = clients
        .ec2
        .describe_launch_templates()
        .filters(Filter::builder().name("tag-key").values(key).build())
        .max_results(LAUNCH_TEMPLATES)
        .into_paginator()
        .send();
    let mut tags = HashMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Ec2Error::listing("DescribeLaunchTemplates", explain(&error)))?;
        for template in page.launch_templates.into_iter().flatten() {
            let tag = template.tags.into_iter().flatten().find(|tag| tag.key() == Some(key));
            tags.extend(template.launch_template_id.zip(tag.and_then(|tag| tag.value)));
        }
    }
    Ok(tags)
}

/// Calls `visit` for every launch configuration. AWS Config knows them by their ARN.
///
/// # Errors
/// Where EC2 Auto Scaling refuses a page, or `visit` fails.
pub async fn each_launch_configuration<E: From<Ec2Error>>(
    clients: &Clients,
    mut visit: impl AsyncFnMut(Resource<'_>) -> Result<(), E>,
) -> Result<(), E> {
    const OPERATION: &str = "DescribeLaunchConfigurations";
    let mut pages = clients
        .autoscaling
        .describe_launch_configurations()
        .max_records(LAUNCH_CONFIGURATIONS)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Ec2Error::listing(OPERATION, explain(&error)))?;
        for configuration in page.launch_configurations() {
            let arn = configuration.launch_configuration_arn().ok_or_else(|| {
                Ec2Error::listing(OPERATION, "a launch configuration has no ARN".to_owned())
            })?;
            let options = configuration.metadata_options().map(|options| {
                MetadataOptions::from_words(
                    options.http_tokens().map(|word| word.as_str().into()),
                    options.http_endpoint().map(|word| word.as_str()),
                    options.http_put_response_hop_limit().map(i64::from),
                    None,
                )
            });
            visit(live(ResourceType::LaunchConfiguration, arn, options)).await?;
        }
    }
    Ok(())
}

fn live<'a>(
    resource_type: ResourceType<'a>,
    resource_id: &'a str,
    metadata_options: Option<MetadataOptions<'a>>,
) -> Resource<'a> {
    Resource {
        resource_type,
        resource_id: resource_id.into(),
        account_id: None,
        region: None,
        lifecycle: Lifecycle::Live,
        tags: Vec::new(),
        metadata_options,
        gap: None,
    }
}

/// The account-level defaults of the Region
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetInstanceMetadataDefaults.html>).
///
/// # Errors
/// Where EC2 does not answer.
pub async fn account_defaults(clients: &Clients) -> Result<AccountDefaults<'static>, Ec2Error> {
    let answer = clients.ec2.get_instance_metadata_defaults().send().await;
    let answer = answer.map_err(|error| Ec2Error::listing("GetInstanceMetadataDefaults", explain(&error)))?;
    let level = answer.account_level();
    Ok(AccountDefaults::from_words(
        level.and_then(|level| level.http_tokens()).map(|word| word.as_str().to_owned().into()),
        level.and_then(|level| level.http_tokens_enforced()).map(|word| word.as_str()),
        level.and_then(|level| level.managed_by()).map(|word| word.as_str()),
    ))
}
