//! The resources of a plan or state that the rule evaluates, with what launches them.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use super::document::{Change, Document, Module, ModuleResource};
use super::launches::{CONFIGURATION, Sources, TEMPLATE};
use super::references::{ConfiguredName, ModulePath, module_path, parsed};
use super::values::{Attributes, Part, metadata_options, options};
use super::versions;
use crate::rule::launch::{AccountDefaults, Image};
use crate::rule::resource::{Lifecycle, Resource, ResourceType};
use crate::sources::arn::Place;
use crate::sources::declared_launches::DeclaredLaunches;
use crate::sources::{Declared, SourceError, read_object};

/// Returns the type of a resource that the rule evaluates, as AWS names it.
fn resource_type(kind: &str) -> Option<ResourceType<'static>> {
    match kind {
        "aws_instance" | "aws_spot_instance_request" => Some(ResourceType::Instance),
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
    let mut reader = Reader {
        sources: Sources::new(document.configuration.as_ref(), &planned),
        changes,
        launches: DeclaredLaunches::default(),
    };
    let found: Vec<_> = planned.iter().map(|resource| reader.read(resource)).collect();
    let complete = |resource| reader.launches.complete(Declared { resource, line: None });
    found.into_iter().map(|each| each.map(complete)).collect()
}

/// A resource, and the module that it is in.
pub(super) struct Planned<'d, 'a> {
    pub(super) resource: &'d ModuleResource<'a>,
    resource_type: ResourceType<'static>,
    /// The address of the module; empty of the root module.
    pub(super) module_address: &'d str,
    pub(super) module: ModulePath,
}

impl Planned<'_, '_> {
    /// Returns the resource of the configuration that it is of.
    pub(super) fn configured(&self) -> ConfiguredName {
        ConfiguredName {
            module: self.module.clone(),
            kind: self.resource.kind.0.to_string(),
            name: self.resource.name.0.to_string(),
        }
    }

    pub(super) fn address(&self) -> Cow<'static, str> {
        Cow::Owned(self.resource.address.0.to_string())
    }
}

fn collect<'d, 'a>(module: &'d Module<'a>, planned: &mut Vec<Planned<'d, 'a>>) {
    let module_address = module.address.as_ref().map_or("", |address| address.0.as_ref());
    for resource in module.resources.iter().flatten() {
        let is_managed = resource.mode.as_ref().is_none_or(|mode| mode.0 == "managed");
        let Some(resource_type) = resource_type(&resource.kind.0).filter(|_| is_managed) else { continue };
        planned.push(Planned {
            resource,
            resource_type,
            module_address,
            module: module_path(module_address),
        });
    }
    for child in module.child_modules.iter().flatten() {
        collect(child, planned);
    }
}

struct Reader<'d, 'a> {
    sources: Sources<'d, 'a>,
    /// By address.
    changes: HashMap<&'d str, Change<'a>>,
    launches: DeclaredLaunches,
}

impl<'d, 'a> Reader<'d, 'a> {
    fn read(&mut self, planned: &Planned<'d, 'a>) -> Result<Resource<'static>, SourceError> {
        let address = planned.resource.address.0.as_ref();
        let json = planned.resource.values.map_or("{}", RawValue::get);
        let attributes: Attributes<'_> = read_object(address, json)?;
        let change = self.changes.get(address).copied();
        let unknown = parsed(change.and_then(|change| change.after_unknown));
        let expressions = self.sources.references.expressions(&planned.configured());
        let part = Part { unknown: &unknown, expressions: &expressions };
        let mut resource = Resource::existing(planned.resource_type.clone(), planned.address(), None);
        resource.lifecycle = Lifecycle::Declared;
        resource.tags = attributes.tags();
        add_place(&mut resource, &attributes);
        if resource.resource_type == ResourceType::ACCOUNT {
            let options = options(&read_object(address, json)?, part);
            resource.account_defaults = Some(AccountDefaults::declared(&options));
            resource.metadata_options = Some(options);
            return Ok(resource);
        }
        resource.metadata_options =
            metadata_options(attributes.metadata_options.as_ref(), part.get("metadata_options"));
        let image = attributes.ami.as_ref().or(attributes.image_id.as_ref());
        resource.image = Image::from_id(image.map(|id| id.0.to_string().into()));
        match resource.resource_type {
            ResourceType::LaunchTemplate => {
                self.add_names(&resource, &attributes);
                versions::remember(&mut resource, &attributes, change, &mut self.launches)?;
            }
            ResourceType::LaunchConfiguration => {
                self.add_names(&resource, &attributes);
                self.launches.remember(&resource);
            }
            _ => {
                resource.launch_sources = self.sources.of(planned, &attributes, part);
                resource.has_mixed_instances =
                    attributes.mixed_instances_policy.is_some_and(|p| !p.is_empty());
            }
        }
        Ok(resource)
    }

    /// Remembers the id and the name by which other resources may refer to a launch template or launch configuration.
    fn add_names(&mut self, resource: &Resource<'_>, attributes: &Attributes<'_>) {
        for name in [&attributes.id, &attributes.name].into_iter().flatten() {
            self.launches.add_name(name.0.to_string(), &resource.resource_id);
        }
    }
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
