//! The resources of a plan or state that the rule evaluates, with what launches them.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::addresses::{ModuleInstance, segments};
use super::document::{Change, Document, Module, ModuleResource, is_managed};
use super::launches::{CONFIGURATION, Launches, TEMPLATE, image};
use super::references::{ConfiguredName, References, parsed};
use super::values::{Attributes, Part, metadata_options, options};
use super::versions;
use crate::rule::launch::{AccountDefaults, Image};
use crate::rule::resource::{Gap, Lifecycle, Resource, ResourceType};
use crate::sources::arn::Place;
use crate::sources::declared_launches::{DeclaredLaunches, read_all};
use crate::sources::fields::Text;
use crate::sources::{Declared, SourceError, read_object};

const SPOT_REQUEST: &str = "aws_spot_instance_request";

/// Returns the type of a resource that the rule evaluates, as AWS names it.
fn resource_type(kind: &str) -> Option<ResourceType<'static>> {
    match kind {
        "aws_instance" | SPOT_REQUEST => Some(ResourceType::Instance),
        TEMPLATE => Some(ResourceType::LaunchTemplate),
        CONFIGURATION => Some(ResourceType::LaunchConfiguration),
        "aws_autoscaling_group" => Some(ResourceType::AutoScalingGroup),
        "aws_ec2_instance_metadata_defaults" => Some(ResourceType::ACCOUNT),
        _ => None,
    }
}

/// Reads the resources that the rule evaluates.
pub(super) fn read(document: &Document<'_>) -> Vec<Result<Declared, SourceError>> {
    let values = document.planned_values.as_ref().or(document.values.as_ref());
    let mut planned = Vec::new();
    if let Some(root) = values.and_then(|values| values.root_module.as_ref()) {
        collect(root, &mut planned);
    }
    let changes = document.resource_changes.iter().flatten().filter(|each| each.deposed.is_none());
    let changes = changes.filter_map(|each| Some((each.address.0.as_ref(), each.change?))).collect();
    let configuration = document.configuration.as_ref();
    let references = References::new(configuration, &planned);
    let reader = Reader { references, changes };
    let without_line = |resource| Declared { resource, line: None };
    read_all(
        &planned,
        |planned| planned.resource_type.is_launch_source(),
        |planned, declared| reader.source(planned, declared).map(without_line),
        |planned, declared| reader.launched(planned, declared).map(without_line),
    )
}

/// A resource, and the module that it is in.
pub(super) struct Planned<'d, 'a> {
    pub(super) resource: &'d ModuleResource<'a>,
    resource_type: ResourceType<'static>,
    pub(super) module: ModuleInstance,
    /// The key of `count` or `for_each`, as references have it.
    pub(super) key: Option<String>,
}

impl<'a> Planned<'_, 'a> {
    /// Returns the resource of the configuration that it is of.
    pub(super) fn configured(&self) -> ConfiguredName {
        (self.module.path(), self.resource.kind.0.to_string(), self.resource.name.0.to_string())
    }

    pub(super) fn address(&self) -> Cow<'static, str> {
        Cow::Owned(self.resource.address.0.to_string())
    }

    /// Returns the values of its attributes, as JSON.
    fn values(&self) -> &'a str {
        self.resource.values.map_or("{}", RawValue::get)
    }
}

fn collect<'d, 'a>(module: &'d Module<'a>, planned: &mut Vec<Planned<'d, 'a>>) {
    let instance = ModuleInstance::from_address(module.address.as_ref().map_or("", |address| &address.0));
    for resource in module.resources.iter().flatten() {
        let is_managed = is_managed(resource.mode.as_ref());
        let Some(resource_type) = resource_type(&resource.kind.0).filter(|_| is_managed) else { continue };
        let key = segments(&resource.address.0).pop().and_then(|last| last.key);
        planned.push(Planned { resource, resource_type, module: instance.clone(), key });
    }
    for child in module.child_modules.iter().flatten() {
        collect(child, planned);
    }
}

struct Reader<'d, 'a> {
    references: References<'d, 'a>,
    /// By address.
    changes: HashMap<&'d str, Change<'a>>,
}

/// What a plan says about a resource.
struct Content<'a> {
    attributes: Attributes<'a>,
    /// `after_unknown`
    unknown: Value,
    change: Option<Change<'a>>,
}

impl<'d, 'a> Reader<'d, 'a> {
    fn content(&self, planned: &Planned<'d, 'a>) -> Result<Content<'a>, SourceError> {
        let address = planned.resource.address.0.as_ref();
        let change = self.changes.get(address).copied();
        let unknown = parsed(change.and_then(|change| change.after_unknown));
        Ok(Content { attributes: read_object(address, planned.values())?, unknown, change })
    }

    /// Reads a launch template or launch configuration, by whose name others are launched.
    fn source(
        &self,
        planned: &Planned<'d, 'a>,
        declared: &mut DeclaredLaunches,
    ) -> Result<Resource<'static>, SourceError> {
        let Content { attributes, unknown, change } = self.content(planned)?;
        let part = Part::new(&unknown, self.references.expressions(&planned.configured()));
        let mut resource = with_settings(planned, &attributes, part);
        let id = resource.resource_id.clone();
        let text = |name: &Option<Text<'_>>| name.as_ref().map(|name| name.0.to_string());
        let (id_in_aws, name) = (text(&attributes.id), text(&attributes.name));
        if resource.resource_type == ResourceType::LaunchTemplate {
            declared.name_template(id_in_aws.into_iter().chain(name), &id);
            versions::remember(&mut resource, &attributes, change, declared)?;
        } else {
            declared.name_configuration(name, &id);
            declared.remember_configuration(&resource);
        }
        Ok(resource)
    }

    /// Reads what is launched, or the account-level defaults.
    fn launched(
        &self,
        planned: &Planned<'d, 'a>,
        declared: &DeclaredLaunches,
    ) -> Result<Resource<'static>, SourceError> {
        let Content { attributes, unknown, .. } = self.content(planned)?;
        let part = Part::new(&unknown, self.references.expressions(&planned.configured()));
        let mut resource = with_settings(planned, &attributes, part);
        if resource.resource_type == ResourceType::ACCOUNT {
            let options = options(&read_object(&resource.resource_id, planned.values())?, part);
            resource.account_defaults = Some(AccountDefaults::declared(&options));
            resource.metadata_options = Some(options);
            return Ok(resource);
        }
        if planned.resource.kind.0 == SPOT_REQUEST {
            (resource.metadata_options, resource.gap) = (None, Some(Gap::SpotRequest));
            return Ok(resource);
        }
        let launches = Launches { references: &self.references, declared };
        resource.launch_sources = launches.of(planned, &attributes, part);
        resource.has_mixed_instances = attributes.mixed_instances_policy.is_some_and(|p| !p.is_empty());
        Ok(resource)
    }
}

/// Returns a resource with what an instance is launched with.
fn with_settings(
    planned: &Planned<'_, '_>,
    attributes: &Attributes<'_>,
    part: Part<'_>,
) -> Resource<'static> {
    let mut resource = Resource::existing(planned.resource_type.clone(), planned.address(), None);
    resource.lifecycle = Lifecycle::Declared;
    resource.tags = attributes.tags();
    add_place(&mut resource, attributes);
    resource.metadata_options =
        metadata_options(attributes.metadata_options.as_ref(), part.get("metadata_options"));
    resource.image = match image(attributes.ami.as_ref(), part.get("ami")) {
        Image::Unset => image(attributes.image_id.as_ref(), part.get("image_id")),
        ami => ami,
    };
    resource
}

/// Adds account and Region, if the attributes have them.
fn add_place(resource: &mut Resource<'static>, attributes: &Attributes<'_>) {
    let place = attributes.arn.as_ref().map(|arn| Place::of_arn(&arn.0));
    let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    if let Some(Place { account_id, region }) = place {
        (resource.account_id, resource.region) = (account_id.map(own), region.map(own));
    }
    let region = attributes.region.as_ref().map(|region| region.0.to_string().into());
    resource.region = resource.region.take().or(region);
}
