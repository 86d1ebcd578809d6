//! Everything in a Region that launches, or was launched: streamed from AWS page by page.
//!
//! Resources that a service manages are in the lists too, where the account hides them otherwise. A page
//! that names itself as the next is not taken for the end of its list, as the SDK would: what then looks
//! complete is not.

use std::borrow::Cow;
use std::collections::HashMap;

use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types::{Filter, Instance, InstanceStateName};

use super::lookup::{Ec2Error, instance_options, lifecycle, template_options};
use crate::aws::clients::{Clients, explain};
use crate::rule::resource::{AccountDefaults, Lifecycle, MetadataOptions, Resource, ResourceType};

/// The largest pages that the APIs give
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>,
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html>,
/// <https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeLaunchConfigurations.html>).
const INSTANCES: i32 = 1_000;
const LAUNCH_TEMPLATES: i32 = 200;
const LAUNCH_CONFIGURATIONS: i32 = 100;

/// Takes resources as they are listed.
pub trait Visitor: Send {
    /// What ends the listing.
    type Error: From<Ec2Error> + Send;

    /// Takes a resource. `may_call` tells whether software on it may be running, and so using metadata.
    ///
    /// # Errors
    /// As the visitor says; nothing more is listed then.
    fn visit(
        &mut self,
        resource: Resource<'_>,
        may_call: bool,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Shows every instance to `visitor`, except those that never run again. The next page is on its way while
/// it works on one.
///
/// # Errors
/// Where EC2 refuses a page, or the visitor fails.
pub async fn each_instance<V: Visitor>(clients: &Clients, visitor: &mut V) -> Result<(), V::Error> {
    let mut pages = clients
        .ec2
        .describe_instances()
        .include_managed_resources(true)
        .max_results(INSTANCES)
        .into_paginator()
        .stop_on_duplicate_token(false)
        .send();
    let mut page = pages.next().await;
    while let Some(answer) = page {
        let answer = answer.map_err(|error| Ec2Error::listing("DescribeInstances", explain(&error)))?;
        let (visited, next) = tokio::join!(visit_page(answer, visitor), pages.next());
        visited?;
        page = next;
    }
    Ok(())
}

/// Takes the page, so that it is given back as soon as it is worked through.
async fn visit_page<V: Visitor>(page: DescribeInstancesOutput, visitor: &mut V) -> Result<(), V::Error> {
    let reservations = page.reservations.into_iter().flatten();
    for instance in reservations.filter_map(|reservation| reservation.instances).flatten() {
        let resource = live_instance(&instance)
            .ok_or_else(|| Ec2Error::listing("DescribeInstances", "an instance has no id".to_owned()))?;
        if resource.lifecycle == Lifecycle::Live {
            let state = instance.state().and_then(|state| state.name());
            visitor.visit(resource, state != Some(&InstanceStateName::Stopped)).await?;
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

/// Shows every launch template to `visitor`, by its default version. `exemption_tag_key` is the tag that
/// is looked up for them, if any: the versions themselves do not carry the template's tags.
///
/// # Errors
/// Where EC2 refuses a page, or the visitor fails.
pub async fn each_launch_template<V: Visitor>(
    clients: &Clients,
    exemption_tag_key: Option<&str>,
    visitor: &mut V,
) -> Result<(), V::Error> {
    const OPERATION: &str = "DescribeLaunchTemplateVersions";
    let exemptions = match exemption_tag_key {
        Some(key) => template_tags(clients, key).await?,
        None => HashMap::new(),
    };
    let mut pages = clients
        .ec2
        .describe_launch_template_versions()
        .versions("$Default")
        .include_managed_resources(true)
        .max_results(LAUNCH_TEMPLATES)
        .into_paginator()
        .stop_on_duplicate_token(false)
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Ec2Error::listing(OPERATION, explain(&error)))?;
        for version in page.launch_template_versions() {
            let id = version
                .launch_template_id()
                .ok_or_else(|| Ec2Error::listing(OPERATION, "a launch template has no id".to_owned()))?;
            let options = version.launch_template_data().and_then(|data| data.metadata_options());
            let tag = exemption_tag_key.zip(exemptions.get(id));
            let resource = Resource {
                tags: tag.map(|(key, value)| (key.into(), Cow::from(value))).into_iter().collect(),
                ..live(ResourceType::LaunchTemplate, id, options.map(template_options))
            };
            visitor.visit(resource, false).await?;
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
        .include_managed_resources(true)
        .max_results(LAUNCH_TEMPLATES)
        .into_paginator()
        .stop_on_duplicate_token(false)
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

/// Shows every launch configuration to `visitor`. AWS Config knows them by their ARN.
///
/// # Errors
/// Where EC2 Auto Scaling refuses a page, or the visitor fails.
pub async fn each_launch_configuration<V: Visitor>(
    clients: &Clients,
    visitor: &mut V,
) -> Result<(), V::Error> {
    const OPERATION: &str = "DescribeLaunchConfigurations";
    let mut pages = clients
        .autoscaling
        .describe_launch_configurations()
        .max_records(LAUNCH_CONFIGURATIONS)
        .into_paginator()
        .stop_on_duplicate_token(false)
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
            visitor.visit(live(ResourceType::LaunchConfiguration, arn, options), false).await?;
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
