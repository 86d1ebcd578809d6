//! What instances and Auto Scaling groups are launched from.

use std::borrow::Cow;

use super::references::{Attribute, References, Target};
use super::resources::Planned;
use super::values::{Attributes, Part, PolicyTemplateBlock, TemplateBlock};
use crate::rule::launch::Image;
use crate::rule::launch_source::{LaunchOrigin, LaunchSource};
use crate::sources::declared_launches::{DeclaredLaunches, Name};
use crate::sources::fields::Text;

pub(super) const TEMPLATE: &str = "aws_launch_template";
pub(super) const CONFIGURATION: &str = "aws_launch_configuration";
const SPECIFICATION: &str = "launch_template_specification";
/// The attributes that name a launch template.
const NAMES: [&str; 4] = ["id", "name", "launch_template_id", "launch_template_name"];

/// Finds what is launched from what.
#[derive(Clone, Copy)]
pub(super) struct Launches<'s, 'd, 'a> {
    pub(super) references: &'s References<'d, 'a>,
    pub(super) declared: &'s DeclaredLaunches,
}

impl<'d, 'a> Launches<'_, 'd, 'a> {
    /// Returns what an instance or an Auto Scaling group is launched from.
    pub(super) fn of(
        self,
        planned: &Planned<'_, '_>,
        attributes: &Attributes<'_>,
        part: Part<'_>,
    ) -> Vec<LaunchSource<'static>> {
        let configuration = self.configuration(planned, attributes, part.get("launch_configuration"));
        let template = part.get("launch_template");
        let template = self.template(planned, attributes.launch_template.as_ref(), template);
        let policy = attributes.mixed_instances_policy.as_ref().and_then(|policy| policy.first());
        let policy = policy.and_then(|policy| policy.launch_template.as_ref()?.first());
        let part = part.get("mixed_instances_policy").block(0, 1).get("launch_template").block(0, 1);
        let policy = policy.map(|policy| self.of_policy(planned, policy, part));
        configuration.into_iter().chain(template).chain(policy.into_iter().flatten()).collect()
    }

    fn of_policy(
        self,
        planned: &Planned<'_, '_>,
        policy: &PolicyTemplateBlock<'_>,
        part: Part<'_>,
    ) -> Vec<LaunchSource<'static>> {
        let base = policy.launch_template_specification.as_ref();
        let base = self.template(planned, base, part.get(SPECIFICATION));
        let blocks = policy.overrides.as_deref().unwrap_or_default();
        let part = part.get("override");
        if part.is_unknown() {
            let unknown = unresolved("the overrides of the policy");
            return LaunchSource::of_policy(base.as_ref(), [(Some(unknown), Image::Unset)]);
        }
        let overrides = blocks.iter().enumerate().map(|(index, block)| {
            let part = part.block(index, blocks.len());
            let specification = block.launch_template_specification.as_ref();
            let source = self.template(planned, specification, part.get(SPECIFICATION));
            (source, image(block.image_id.as_ref(), part.get("image_id")))
        });
        LaunchSource::of_policy(base.as_ref(), overrides)
    }

    fn configuration(
        self,
        planned: &Planned<'_, '_>,
        attributes: &Attributes<'_>,
        part: Part<'_>,
    ) -> Option<LaunchSource<'static>> {
        let known = attributes.launch_configuration.as_ref();
        let name = self.name(planned, known, &[part], CONFIGURATION)?;
        Some(name.map_or_else(unresolved, |name| self.declared.configuration(&name)))
    }

    /// Returns the launch template that a block names, and the version.
    fn template(
        self,
        planned: &Planned<'_, '_>,
        blocks: Option<&Vec<TemplateBlock<'_>>>,
        part: Part<'_>,
    ) -> Option<LaunchSource<'static>> {
        let (block, part) = (blocks?.first()?, part.block(0, 1));
        let parts = NAMES.map(|key| part.get(key));
        let known = [&block.id, &block.name].into_iter().flatten().find(|text| !text.0.is_empty());
        let name = match self.name(planned, known, &parts, TEMPLATE)? {
            Ok(name) => name,
            Err(what) => return Some(unresolved(what)),
        };
        let part = part.get("version");
        let version = match (&block.version, part.depends_on()) {
            (Some(version), _) => Some(version.0.to_string()),
            (None, Some(what)) => match self.version(planned, part, &name) {
                Some(version) => Some(version.to_owned()),
                None => return Some(unresolved(what)),
            },
            (None, None) => None,
        };
        self.declared.template(&name, version)
    }

    /// Returns how a launch template or launch configuration is named: by its name in AWS if that is `known`, or else as the
    /// resource that one of the `parts` refers to. `None` if nothing names one; an error is what the name depends on.
    fn name<'n>(
        self,
        planned: &Planned<'_, '_>,
        known: Option<&'n Text<'_>>,
        parts: &[Part<'_>],
        kind: &str,
    ) -> Option<Result<Name<'n>, String>> {
        let target = || parts.iter().find_map(|part| self.referred(planned, *part, kind));
        let address = || target().map(|target| target.resource.address());
        let Some(name) = known.map(|name| name.0.as_ref()).filter(|name| !name.is_empty()) else {
            let what = parts.iter().find_map(|part| part.depends_on())?;
            return Some(address().map(Name::Declared).ok_or(what));
        };
        let named = match kind {
            TEMPLATE => self.declared.templates_named(name),
            _ => self.declared.configurations_named(name),
        };
        if named.len() < 2 {
            return Some(Ok(Name::InAws(name.into())));
        }
        // Several resources have the name, in several modules or Regions.
        let address = address().filter(|address| named.iter().any(|each| each == address));
        Some(
            address
                .map(Name::Declared)
                .ok_or_else(|| format!("the name {name}, which several resources have")),
        )
    }

    /// Returns the version of a launch template that an expression is, if it is an attribute of this template.
    fn version(self, planned: &Planned<'_, '_>, part: Part<'_>, name: &Name<'_>) -> Option<&'static str> {
        let Target { resource, attribute } = self.referred(planned, part, TEMPLATE)?;
        let (id, versions) = self.declared.versions(name)?;
        match attribute.filter(|_| id == resource.address()) {
            Some(Attribute::DefaultVersion) => Some("$Default"),
            Some(Attribute::LatestVersion) => Some("$Latest"),
            None if id == resource.address() && versions.default_is_latest() => Some("$Latest"),
            None | Some(Attribute::Other) => None,
        }
    }

    /// Returns the one resource of a type that an expression refers to.
    fn referred(self, planned: &Planned<'_, '_>, part: Part<'_>, kind: &str) -> Option<Target<'d, 'a>> {
        self.references.target(planned, part.expression(), kind)
    }
}

/// Reads the AMI of a launch.
pub(super) fn image(id: Option<&Text<'_>>, part: Part<'_>) -> Image<'static> {
    match id {
        None if part.depends_on().is_some() => Image::Unknown,
        id => Image::from_id(id.map(|id| id.0.to_string().into())),
    }
}

fn unresolved(what: impl Into<Cow<'static, str>>) -> LaunchSource<'static> {
    LaunchSource::unread(LaunchOrigin::Unresolved(what.into()))
}
