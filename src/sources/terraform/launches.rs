//! What instances and Auto Scaling groups are launched from.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;

use super::document::Configuration;
use super::references::{ConfiguredName, References};
use super::resources::Planned;
use super::values::{Attributes, Part, PolicyTemplateBlock, TemplateBlock};
use crate::rule::launch_source::{LaunchOrigin, LaunchSource};

pub(super) const TEMPLATE: &str = "aws_launch_template";
pub(super) const CONFIGURATION: &str = "aws_launch_configuration";
const SPECIFICATION: &str = "launch_template_specification";
/// The attributes that name a launch template.
const NAMES: [&str; 4] = ["id", "name", "launch_template_id", "launch_template_name"];

/// What launches instances in a plan.
pub(super) struct Sources<'d, 'a> {
    pub(super) references: References<'d, 'a>,
    /// The resources that each resource of the configuration stands for.
    instances: HashMap<ConfiguredName, Vec<&'d Planned<'d, 'a>>>,
}

impl<'d, 'a> Sources<'d, 'a> {
    pub(super) fn new(configuration: Option<&'d Configuration<'a>>, planned: &'d [Planned<'d, 'a>]) -> Self {
        let mut instances: HashMap<_, Vec<_>> = HashMap::new();
        for resource in planned {
            instances.entry(resource.configured()).or_default().push(resource);
        }
        Self { references: References::new(configuration), instances }
    }

    /// Returns what an instance or an Auto Scaling group is launched from.
    pub(super) fn of(
        &self,
        planned: &Planned<'_, '_>,
        attributes: &Attributes<'_>,
        part: Part<'_>,
    ) -> Vec<LaunchSource<'static>> {
        let configuration = self.configuration(planned, attributes, part.get("launch_configuration"));
        let template = part.get("launch_template");
        let template = self.template(planned, attributes.launch_template.as_ref(), template);
        let single = configuration.into_iter().chain(template).map(LaunchSource::unread);
        let policy = attributes.mixed_instances_policy.as_ref().and_then(|policy| policy.first());
        let policy = policy.and_then(|policy| policy.launch_template.as_ref()?.first());
        let part = part.get("mixed_instances_policy").get(0).get("launch_template").get(0);
        let policy = policy.map(|policy| self.of_policy(planned, policy, part));
        single.chain(policy.into_iter().flatten()).collect()
    }

    fn of_policy(
        &self,
        planned: &Planned<'_, '_>,
        policy: &PolicyTemplateBlock<'_>,
        part: Part<'_>,
    ) -> Vec<LaunchSource<'static>> {
        let base = policy.launch_template_specification.as_ref();
        let base = self.template(planned, base, part.get(SPECIFICATION));
        if part.get("override").is_unknown() {
            let unknown = LaunchOrigin::Unresolved("the overrides of the policy".into());
            return LaunchSource::of_policy(base.as_ref(), [(Some(unknown), None)]);
        }
        let overrides = policy.overrides.iter().flatten().enumerate().map(|(index, each)| {
            let part = part.get("override").get(index).get(SPECIFICATION);
            let origin = self.template(planned, each.launch_template_specification.as_ref(), part);
            (origin, each.image_id.as_ref().map(|id| Cow::Owned(id.0.to_string())))
        });
        LaunchSource::of_policy(base.as_ref(), overrides)
    }

    fn configuration(
        &self,
        planned: &Planned<'_, '_>,
        attributes: &Attributes<'_>,
        part: Part<'_>,
    ) -> Option<LaunchOrigin<'static>> {
        let name = attributes.launch_configuration.as_ref().map(|name| name.0.as_ref());
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            return Some(LaunchOrigin::LaunchConfiguration(name.to_owned().into()));
        }
        let what = part.depends_on()?;
        Some(match self.referred(planned, part.expressions, CONFIGURATION) {
            Some(address) => LaunchOrigin::LaunchConfiguration(address),
            None => LaunchOrigin::Unresolved(what.into()),
        })
    }

    /// Returns the launch template that a block names, and the version.
    fn template(
        &self,
        planned: &Planned<'_, '_>,
        blocks: Option<&Vec<TemplateBlock<'_>>>,
        part: Part<'_>,
    ) -> Option<LaunchOrigin<'static>> {
        let (block, part) = (blocks?.first()?, part.get(0));
        let known = [&block.id, &block.name].into_iter().flatten().find(|text| !text.0.is_empty());
        let template = if let Some(text) = known {
            Cow::Owned(text.0.to_string())
        } else {
            let parts = NAMES.map(|key| part.get(key));
            // A dynamic block has no expressions.
            let is_unknown = parts.iter().any(|part| part.is_unknown());
            let unknown = || is_unknown.then(|| "a value of the plan".to_owned());
            let what = parts.iter().find_map(|part| part.depends_on()).or_else(unknown)?;
            match parts.iter().find_map(|part| self.referred(planned, part.expressions, TEMPLATE)) {
                Some(address) => address,
                None => return Some(LaunchOrigin::Unresolved(what.into())),
            }
        };
        let version = block.version.as_ref().map(|version| version.0.to_string());
        let version = match (version, part.get("version").depends_on()) {
            (Some(version), _) => Some(version),
            (None, Some(what)) if what.ends_with(".default_version") => None,
            (None, Some(what)) if what.ends_with(".latest_version") => Some("$Latest".to_owned()),
            (None, Some(what)) => return Some(LaunchOrigin::Unresolved(what.into())),
            (None, None) => None,
        };
        LaunchOrigin::template_version(Some(template), None, version.map(Into::into))
    }

    /// Returns the address of the one resource of a kind that an expression refers to. Of several with keys, it is the one
    /// with the key in the reference, or else the one in the same module instance with the same key.
    fn referred(
        &self,
        planned: &Planned<'_, '_>,
        expression: &Value,
        kind: &str,
    ) -> Option<Cow<'static, str>> {
        let index = |planned: &Planned<'_, '_>| planned.resource.index.map(|key| key.get().to_owned());
        let references = self.references.resources(&planned.module, expression, kind);
        // A condition may choose between several resources.
        if references.iter().any(|(name, _)| references.first().is_some_and(|(first, _)| name != first)) {
            return None;
        }
        let named = references.iter().flat_map(|(name, key)| {
            let instances = self.instances.get(name).into_iter().flatten();
            instances.filter(move |instance| key.is_none() || index(instance) == *key)
        });
        let all: Vec<_> = named.collect();
        let same_module = |other: &&&&Planned<'_, '_>| other.module_address == planned.module_address;
        let near: Vec<_> = all.iter().filter(same_module).collect();
        let near = if near.is_empty() { all.iter().collect() } else { near };
        match near.as_slice() {
            [only] => Some(only.address()),
            several => {
                let mut same_key = several.iter().filter(|other| index(other) == index(planned));
                let one = same_key.next()?;
                same_key.next().is_none().then(|| one.address())
            }
        }
    }
}
