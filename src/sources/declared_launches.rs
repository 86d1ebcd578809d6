//! What the resources of one template or plan say about launches, under the names that they have there.

use std::collections::{HashMap, HashSet};

use super::Declared;
use super::recorded_launches::RecordedLaunches;
use crate::rule::launch_source::LaunchOrigin;
use crate::rule::resource::{Resource, ResourceType, VersionNumbers};

/// What was read about launches in one document.
#[derive(Debug, Default)]
pub(super) struct DeclaredLaunches {
    launches: RecordedLaunches,
    /// The ids of launch templates and launch configurations in the document, by the names that they have in AWS; `None` if
    /// several have the name.
    ids: HashMap<String, Option<String>>,
    /// The ids of the resources of the document that launch instances.
    declared: HashSet<String>,
}

impl DeclaredLaunches {
    /// Remembers a launch template, as its only version, or a launch configuration.
    pub(super) fn remember(&mut self, resource: &Resource<'_>) {
        match resource.resource_type {
            ResourceType::LaunchTemplate => {
                self.remember_version(resource, 1);
                self.remember_numbers(&resource.resource_id, VersionNumbers { default: 1, latest: 1 });
            }
            ResourceType::LaunchConfiguration => {
                self.declared.insert(resource.resource_id.to_string());
                let name = Some(resource.resource_id.clone());
                self.launches.remember(&Resource { name, ..resource.clone() }, None);
            }
            ResourceType::Instance | ResourceType::AutoScalingGroup | ResourceType::Other(_) => {}
        }
    }

    /// Remembers the name or id in AWS of a resource of the document.
    pub(super) fn add_name(&mut self, name: String, id: &str) {
        let known = self.ids.entry(name).or_insert_with(|| Some(id.to_owned()));
        if known.as_deref() != Some(id) {
            *known = None;
        }
    }

    /// Remembers a version of a launch template.
    pub(super) fn remember_version(&mut self, template: &Resource<'_>, number: i64) {
        self.declared.insert(template.resource_id.to_string());
        self.launches.remember_version(template, number, false);
    }

    /// Remembers which versions of a launch template are the default and the latest one.
    pub(super) fn remember_numbers(&mut self, id: &str, numbers: VersionNumbers) {
        self.launches.remember_numbers(id, numbers, None);
    }

    /// Adds what the document says about what a resource launches.
    pub(super) fn complete(&self, mut declared: Declared) -> Declared {
        for source in &mut declared.resource.launch_sources {
            let name = match &mut source.origin {
                LaunchOrigin::TemplateVersion { template, .. } => template,
                LaunchOrigin::LaunchConfiguration(name) => name,
                LaunchOrigin::Unresolved(_) => continue,
            };
            // A reference to a resource of the document is no name in AWS.
            if self.declared.contains(name.as_ref()) {
                continue;
            }
            if let Some(Some(id)) = self.ids.get(name.as_ref()) {
                *name = id.clone().into();
            }
        }
        self.launches.complete(&mut declared.resource);
        declared
    }
}
