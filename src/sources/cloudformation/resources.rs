//! The resources of a template that the rule evaluates, with what launches them.

use std::borrow::Cow;

use super::TemplateError;
use super::conditions::Truth;
use super::functions::{Functions, Resolved, Text};
use super::launches;
use super::node::{Member, Node};
use crate::rule::launch::Image;
use crate::rule::launch_source::LaunchSource;
use crate::rule::resource::{Lifecycle, MetadataOptions, Resource, ResourceType, Tag};
use crate::rule::unresolved::Unresolved;
use crate::sources::Declared;
use crate::sources::declared_launches::DeclaredLaunches;

/// The key of a loop over resources
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-foreach.html>).
const LOOP: &str = "Fn::ForEach::";

/// Reads the resources that the rule evaluates.
pub(super) fn read(functions: &Functions<'_>) -> Vec<Result<Declared, TemplateError>> {
    let mut launches = DeclaredLaunches::default();
    let mut found = Vec::new();
    for member in functions.resources.members().unwrap_or_default() {
        read_member(functions, member, &mut launches, &mut found);
    }
    found.into_iter().map(|each| each.map(|declared| launches.complete(declared))).collect()
}

/// Reads a resource, or the resource that a loop declares: it is judged once, since its elements do not differ before the
/// deployment.
fn read_member(
    functions: &Functions<'_>,
    member: &Member,
    launches: &mut DeclaredLaunches,
    found: &mut Vec<Result<Declared, TemplateError>>,
) {
    if member.key.starts_with(LOOP) {
        let body = member.node.list().and_then(<[Node]>::last).and_then(Node::members);
        for inner in body.unwrap_or_default() {
            read_member(functions, inner, launches, found);
        }
        return;
    }
    let node = &member.node;
    let Some(resource_type) = node.member("Type").and_then(Node::text) else { return };
    let resource_type = ResourceType::from_name(resource_type.to_owned().into());
    if matches!(resource_type, ResourceType::Other(_)) {
        return;
    }
    let condition = node.member("Condition").and_then(Node::text);
    if condition.is_some_and(|condition| functions.condition(condition) == Truth::Is(false)) {
        return;
    }
    let properties = node.member("Properties").map_or(Resolved::Absent, |node| functions.resolve(node));
    let reader = ResourceReader { functions, id: &member.key };
    found.push(reader.read(resource_type, &properties).map(|resource| {
        launches.remember(&resource);
        if let Some(name) = reader.own_name(&resource.resource_type, &properties) {
            launches.add_name(name, &resource.resource_id);
        }
        Declared { resource, line: Some(member.line) }
    }));
}

struct ResourceReader<'t> {
    functions: &'t Functions<'t>,
    /// The logical id.
    id: &'t str,
}

impl ResourceReader<'_> {
    fn read(
        &self,
        resource_type: ResourceType<'static>,
        properties: &Resolved<'_>,
    ) -> Result<Resource<'static>, TemplateError> {
        let (functions, id) = (self.functions, self.id.to_owned().into());
        let tags = self.tags(&resource_type, properties);
        let mut resource =
            Resource { lifecycle: Lifecycle::Declared, tags, ..Resource::existing(resource_type, id, None) };
        match resource.resource_type {
            ResourceType::AutoScalingGroup => {
                let error = |(line, message): (usize, &str)| self.error(line, message);
                resource.launch_sources = launches::of_group(functions, properties).map_err(error)?;
                let policy = functions.member(properties, launches::POLICY);
                resource.has_mixed_instances = policy != Resolved::Absent;
            }
            ResourceType::LaunchTemplate => {
                self.add_settings(&mut resource, &functions.member(properties, "LaunchTemplateData"))?;
            }
            _ => self.add_settings(&mut resource, properties)?,
        }
        if resource.resource_type == ResourceType::Instance {
            let template = functions.member(properties, "LaunchTemplate");
            resource
                .launch_sources
                .extend(launches::template(functions, &template).map(LaunchSource::unread));
        }
        Ok(resource)
    }

    /// Returns the name under which other resources may refer to a launch template or launch configuration.
    fn own_name(&self, resource_type: &ResourceType<'_>, properties: &Resolved<'_>) -> Option<String> {
        let key = match resource_type {
            ResourceType::LaunchTemplate => "LaunchTemplateName",
            ResourceType::LaunchConfiguration => "LaunchConfigurationName",
            _ => return None,
        };
        self.functions.member(properties, key).known_text()
    }

    /// Adds what an instance is launched with.
    fn add_settings(
        &self,
        resource: &mut Resource<'static>,
        settings: &Resolved<'_>,
    ) -> Result<(), TemplateError> {
        let options = self.functions.member(settings, "MetadataOptions");
        resource.metadata_options = match &options {
            Resolved::Absent => None,
            Resolved::Value(node) if node.members().is_none() => {
                return Err(self.error(node.line, "MetadataOptions: expected an object"));
            }
            options => Some(self.options(options)?),
        };
        let image = self.functions.member(settings, "ImageId").known_text();
        resource.image = Image::from_id(image.map(Into::into));
        Ok(())
    }

    fn options(&self, options: &Resolved<'_>) -> Result<MetadataOptions<'static>, TemplateError> {
        let mut unknown = Unresolved::NONE;
        let tokens = self.option(options, "HttpTokens", &mut unknown.http_tokens)?;
        let endpoint = self.option(options, "HttpEndpoint", &mut unknown.http_endpoint)?;
        let limit = self.option(options, "HttpPutResponseHopLimit", &mut unknown.hop_limit)?;
        let invalid = |limit: &str| {
            let message = format!("HttpPutResponseHopLimit is {limit:?}; expected a number from 1 to 64");
            self.error(options.line(), &message)
        };
        let limit = limit.map(|limit| limit.trim().parse().map_err(|_| invalid(&limit))).transpose()?;
        Ok(MetadataOptions {
            unresolved: unknown,
            ..MetadataOptions::from_api(tokens.map(Into::into), endpoint.as_deref(), limit, None)
        })
    }

    /// Returns the value of an option. If it is not known, `depends_on` becomes what it depends on.
    fn option(
        &self,
        options: &Resolved<'_>,
        key: &str,
        depends_on: &mut Option<Cow<'static, str>>,
    ) -> Result<Option<String>, TemplateError> {
        match self.functions.member(options, key).text() {
            Text::Known(text) => return Ok(Some(text)),
            Text::Absent => {}
            Text::Unresolved(what) => *depends_on = Some(what.into()),
            Text::Other(line) => return Err(self.error(line, &format!("{key}: expected a string"))),
        }
        Ok(None)
    }

    /// Reads the tags of the resource itself, as far as they are known.
    fn tags(&self, resource_type: &ResourceType<'_>, properties: &Resolved<'_>) -> Vec<Tag<'static>> {
        let functions = self.functions;
        if *resource_type != ResourceType::LaunchTemplate {
            return self.tag_list(&functions.member(properties, "Tags"));
        }
        let specifications = functions.member(properties, "TagSpecifications");
        let own = specifications.elements().iter().flat_map(|node| {
            let each = functions.resolve(node);
            let kind = functions.member(&each, "ResourceType").known_text();
            let is_own = kind.as_deref() == Some("launch-template");
            if is_own { self.tag_list(&functions.member(&each, "Tags")) } else { Vec::new() }
        });
        own.collect()
    }

    fn tag_list(&self, tags: &Resolved<'_>) -> Vec<Tag<'static>> {
        let tags = tags.elements().iter().filter_map(|node| {
            let tag = self.functions.resolve(node);
            let text = |key| self.functions.member(&tag, key).known_text();
            Some(Tag { key: text("Key")?.into(), value: text("Value")?.into() })
        });
        tags.collect()
    }

    fn error(&self, line: usize, message: &str) -> TemplateError {
        TemplateError::new(line, format!("{}: {message}", self.id))
    }
}
