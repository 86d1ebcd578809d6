//! The resources of a template that the rule evaluates, with what launches them.

use std::borrow::Cow;

use super::TemplateError;
use super::conditions::Truth;
use super::functions::{Functions, Resolved, Text};
use super::launches::{Launches, POLICY, image};
use super::loops::LOOP;
use super::node::{Member, Node};
use crate::rule::resource::{Lifecycle, MetadataOptions, Resource, ResourceType, Tag};
use crate::rule::unresolved::Unresolved;
use crate::sources::Declared;
use crate::sources::declared_launches::{DeclaredLaunches, read_all};

const HOP_LIMIT: &str = "HttpPutResponseHopLimit";

/// A resource of the template that the rule evaluates.
struct Declaration<'t> {
    member: &'t Member,
    resource_type: ResourceType<'static>,
}

/// Reads the resources that the rule evaluates.
pub(super) fn read(functions: &Functions<'_>) -> Vec<Result<Declared, TemplateError>> {
    let mut declarations = Vec::new();
    for member in functions.resources.members().unwrap_or_default() {
        collect(functions, member, &mut declarations);
    }
    read_all(
        &declarations,
        |declaration| declaration.resource_type.is_launch_source(),
        |declaration, declared| read_source(functions, declaration, declared),
        |declaration, declared| read_launched(Launches { functions, declared }, declaration),
    )
}

/// Collects a resource, or the resources in the body of a loop.
fn collect<'t>(functions: &Functions<'t>, member: &'t Member, declarations: &mut Vec<Declaration<'t>>) {
    if member.key.starts_with(LOOP) {
        let body = member.node.list().and_then(<[Node]>::last).and_then(Node::members);
        for inner in body.unwrap_or_default() {
            collect(functions, inner, declarations);
        }
        return;
    }
    let Some(resource_type) = member.node.member("Type").and_then(Node::text) else { return };
    let resource_type = ResourceType::from_name(resource_type.to_owned().into());
    if matches!(resource_type, ResourceType::Other(_)) {
        return;
    }
    let condition = member.node.member("Condition").and_then(Node::text);
    if condition.is_none_or(|condition| functions.condition(condition) != Truth::Is(false)) {
        declarations.push(Declaration { member, resource_type });
    }
}

/// Reads a launch template or launch configuration, by whose name others are launched.
fn read_source(
    functions: &Functions<'_>,
    declaration: &Declaration<'_>,
    launches: &mut DeclaredLaunches,
) -> Result<Declared, TemplateError> {
    let Declaration { member: Member { key: id, line, node }, resource_type } = declaration;
    let properties = functions.properties(node);
    let reader = ResourceReader { functions, id };
    let mut resource = reader.begin(resource_type, &properties);
    let name = |key| functions.member(&properties, key).known_text();
    if *resource_type == ResourceType::LaunchTemplate {
        reader.add_settings(&mut resource, &functions.member(&properties, "LaunchTemplateData"))?;
        launches.remember_template(&resource);
        launches.name_template(name("LaunchTemplateName"), id);
    } else {
        reader.add_settings(&mut resource, &properties)?;
        launches.remember_configuration(&resource);
        launches.name_configuration(name("LaunchConfigurationName"), id);
    }
    Ok(Declared { resource, line: Some(*line) })
}

/// Reads an instance or an Auto Scaling group, with what it is launched from.
fn read_launched(launches: Launches<'_>, declaration: &Declaration<'_>) -> Result<Declared, TemplateError> {
    let functions = launches.functions;
    let Declaration { member: Member { key: id, line, node }, resource_type } = declaration;
    let properties = functions.properties(node);
    let reader = ResourceReader { functions, id };
    let mut resource = reader.begin(resource_type, &properties);
    if *resource_type == ResourceType::AutoScalingGroup {
        let error = |(line, message): (usize, &str)| reader.error(line, message);
        resource.launch_sources = launches.of_group(&properties).map_err(error)?;
        resource.has_mixed_instances = functions.member(&properties, POLICY) != Resolved::Absent;
    } else {
        reader.add_settings(&mut resource, &properties)?;
        let template = functions.member(&properties, "LaunchTemplate");
        resource.launch_sources = launches.template(&template).into_iter().collect();
    }
    Ok(Declared { resource, line: Some(*line) })
}

struct ResourceReader<'t> {
    functions: &'t Functions<'t>,
    /// The logical id.
    id: &'t str,
}

impl ResourceReader<'_> {
    /// Returns the resource without what only some types have.
    fn begin(&self, resource_type: &ResourceType<'static>, properties: &Resolved<'_>) -> Resource<'static> {
        let tags = self.tags(resource_type, properties);
        let resource = Resource::existing(resource_type.clone(), self.id.to_owned().into(), None);
        Resource { lifecycle: Lifecycle::Declared, tags, ..resource }
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
        resource.image = image(self.functions, settings);
        Ok(())
    }

    fn options(&self, options: &Resolved<'_>) -> Result<MetadataOptions<'static>, TemplateError> {
        let mut unknown = Unresolved::NONE;
        let tokens = self.option(options, "HttpTokens", &mut unknown.http_tokens)?;
        let endpoint = self.option(options, "HttpEndpoint", &mut unknown.http_endpoint)?;
        let limit = self.option(options, HOP_LIMIT, &mut unknown.hop_limit)?;
        let limit = limit.map(|limit| self.hop_limit(options, &limit)).transpose()?;
        Ok(MetadataOptions {
            unresolved: unknown,
            ..MetadataOptions::from_api(tokens.map(Into::into), endpoint.as_deref(), limit, None)
        })
    }

    fn hop_limit(&self, options: &Resolved<'_>, limit: &str) -> Result<i64, TemplateError> {
        let number = limit.trim().parse().ok().filter(|number| (1..=64).contains(number));
        number.ok_or_else(|| {
            let line = self.functions.member(options, HOP_LIMIT).line();
            self.error(line, &format!("{HOP_LIMIT} is {limit:?}; expected a number from 1 to 64"))
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
