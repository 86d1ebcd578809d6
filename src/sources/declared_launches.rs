//! The launch templates and launch configurations of one template or plan, for the instances and Auto Scaling groups that
//! name them there.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Declared;
use super::template_versions::TemplateVersions;
use crate::rule::launch::LaunchSettings;
use crate::rule::launch_source::{LaunchOrigin, LaunchSource, SourceSettings};
use crate::rule::resource::{Resource, VersionNumbers};

/// Reads the declarations of a document, in their order: those that `is_source` tells with `read_source`, and then, when all
/// of these are known, the others with `read_other`.
pub(super) fn read_all<D, E>(
    declarations: &[D],
    is_source: impl Fn(&D) -> bool,
    read_source: impl Fn(&D, &mut DeclaredLaunches) -> Result<Declared, E>,
    read_other: impl Fn(&D, &DeclaredLaunches) -> Result<Declared, E>,
) -> Vec<Result<Declared, E>> {
    let mut launches = DeclaredLaunches::default();
    let mut sources = Vec::new();
    for declaration in declarations {
        sources.push(is_source(declaration).then(|| read_source(declaration, &mut launches)));
    }
    let all = declarations.iter().zip(sources);
    all.map(|(declaration, source)| source.unwrap_or_else(|| read_other(declaration, &launches))).collect()
}

/// How a launch template or launch configuration is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name<'n> {
    /// It is a resource of the document, with this logical id or address.
    Declared(Cow<'n, str>),
    /// It has this name or id in AWS. It may be a resource of the document nevertheless.
    InAws(Cow<'n, str>),
}

impl Name<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Declared(text) | Self::InAws(text) => text,
        }
    }
}

/// What one document declares about launches. A logical id, an address and a name in AWS may be the same text and mean
/// different things, and so may the names of a launch template and of a launch configuration.
#[derive(Debug, Default)]
pub(super) struct DeclaredLaunches {
    templates: HashMap<String, TemplateVersions>,
    template_names: NamesInAws,
    configurations: HashMap<String, LaunchSettings<'static>>,
    configuration_names: NamesInAws,
}

impl DeclaredLaunches {
    /// Remembers the only version of a launch template.
    pub(super) fn remember_template(&mut self, template: &Resource<'_>) {
        self.remember_version(template, 1);
        self.remember_numbers(&template.resource_id, VersionNumbers { default: 1, latest: 1 });
    }

    /// Remembers a version of a launch template.
    pub(super) fn remember_version(&mut self, template: &Resource<'_>, number: i64) {
        let versions = self.templates.entry(template.resource_id.to_string()).or_default();
        versions.remember(number, template.launch_settings().into_owned());
    }

    /// Remembers which versions of a launch template are the default and the latest one.
    pub(super) fn remember_numbers(&mut self, id: &str, numbers: VersionNumbers) {
        self.templates.entry(id.to_owned()).or_default().remember_numbers(numbers, None);
    }

    /// Remembers the name and the id of a launch template in AWS.
    pub(super) fn name_template(&mut self, names: impl IntoIterator<Item = String>, id: &str) {
        names.into_iter().for_each(|name| self.template_names.add(name, id));
    }

    /// Remembers a launch configuration.
    pub(super) fn remember_configuration(&mut self, configuration: &Resource<'_>) {
        self.configurations
            .insert(configuration.resource_id.to_string(), configuration.launch_settings().into_owned());
    }

    /// Remembers the name of a launch configuration in AWS.
    pub(super) fn name_configuration(&mut self, name: Option<String>, id: &str) {
        if let Some(name) = name {
            self.configuration_names.add(name, id);
        }
    }

    /// Returns the ids of the launch templates that have this name or id in AWS.
    pub(super) fn templates_named(&self, name: &str) -> &[String] {
        self.template_names.all(name)
    }

    /// Returns the ids of the launch configurations that have this name in AWS.
    pub(super) fn configurations_named(&self, name: &str) -> &[String] {
        self.configuration_names.all(name)
    }

    /// Returns whether a resource of the document is a launch template or launch configuration.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.templates.contains_key(id) || self.configurations.contains_key(id)
    }

    /// Returns the id of a launch template in the document, and its versions.
    pub(super) fn versions(&self, name: &Name<'_>) -> Option<(&str, &TemplateVersions)> {
        let id = self.template_names.id(name)?;
        let (id, versions) = self.templates.get_key_value(id)?;
        Some((id, versions))
    }

    /// Returns a version of a launch template as what something is launched from. Without `version`, it is the default
    /// version.
    pub(super) fn template(&self, name: &Name<'_>, version: Option<String>) -> Option<LaunchSource<'static>> {
        let known = self.versions(name);
        let label = known.map_or(name.text(), |(id, _)| id).to_owned();
        let mut origin = LaunchOrigin::template_version(Some(label.into()), None, version.map(Into::into))?;
        let mut settings = SourceSettings::Unknown;
        if let LaunchOrigin::TemplateVersion { version, number, .. } = &mut origin
            && let Some((known, of_version)) = known.and_then(|(_, versions)| versions.get(version))
        {
            *number = Some(known);
            settings = SourceSettings::Known(of_version.clone());
        }
        Some(LaunchSource { settings, ..LaunchSource::unread(origin) })
    }

    /// Returns a launch configuration as what something is launched from.
    pub(super) fn configuration(&self, name: &Name<'_>) -> LaunchSource<'static> {
        let id = self.configuration_names.id(name);
        let settings = id.and_then(|id| self.configurations.get(id)).cloned();
        let label = id.unwrap_or(name.text()).to_owned();
        LaunchSource {
            settings: settings.map_or(SourceSettings::Unknown, SourceSettings::Known),
            ..LaunchSource::unread(LaunchOrigin::LaunchConfiguration(label.into()))
        }
    }
}

/// The resources of a document, by their names or ids in AWS, which several may have.
#[derive(Debug, Default)]
struct NamesInAws(HashMap<String, Vec<String>>);

impl NamesInAws {
    fn add(&mut self, name: String, id: &str) {
        let ids = self.0.entry(name).or_default();
        // The id and the name of a resource may be the same.
        if ids.last().is_none_or(|last| last != id) {
            ids.push(id.to_owned());
        }
    }

    fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the logical id or address that a name means, if it is known.
    fn id<'n>(&'n self, name: &'n Name<'_>) -> Option<&'n str> {
        match name {
            Name::Declared(id) => Some(id),
            Name::InAws(name) => match self.all(name) {
                [only] => Some(only),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::resource::ResourceType;

    fn is_known(source: &LaunchSource<'_>) -> bool {
        matches!(source.settings, SourceSettings::Known(_))
    }

    #[test]
    fn a_name_in_aws_is_neither_an_id_nor_the_name_of_another_kind() {
        let mut launches = DeclaredLaunches::default();
        launches.remember_template(&Resource::existing(ResourceType::LaunchTemplate, "Web".into(), None));
        launches.name_template(["web".to_owned()], "Web");
        let configuration = Resource::existing(ResourceType::LaunchConfiguration, "Old".into(), None);
        launches.remember_configuration(&configuration);
        launches.name_configuration(Some("web".to_owned()), "Old");
        let template = |name: Name<'_>| launches.template(&name, None).expect("a name");
        for (source, label, expected) in [
            (template(Name::Declared("Web".into())), "launch template Web version 1 ($Default)", true),
            (template(Name::InAws("web".into())), "launch template Web version 1 ($Default)", true),
            (template(Name::InAws("Web".into())), "launch template Web version $Default", false),
            (template(Name::Declared("web".into())), "launch template web version $Default", false),
            (launches.configuration(&Name::InAws("web".into())), "launch configuration Old", true),
            (launches.configuration(&Name::Declared("Old".into())), "launch configuration Old", true),
            (launches.configuration(&Name::InAws("Old".into())), "launch configuration Old", false),
        ] {
            assert_eq!((source.origin.to_string().as_str(), is_known(&source)), (label, expected));
        }
    }

    #[test]
    fn a_name_that_several_resources_have_tells_none_of_them() {
        let mut launches = DeclaredLaunches::default();
        for id in ["a", "b"] {
            launches.remember_template(&Resource::existing(ResourceType::LaunchTemplate, id.into(), None));
            launches.name_template(["web".to_owned()], id);
        }
        let source = launches.template(&Name::InAws("web".into()), None).expect("a name");
        assert!(!is_known(&source));
    }
}
