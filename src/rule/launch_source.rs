//! What an Auto Scaling group launches instances from.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use super::launch::{Image, LaunchSettings};

/// What an Auto Scaling group launches instances from.
#[derive(Clone, Debug, PartialEq)]
pub struct LaunchSource<'a> {
    /// The launch template version or launch configuration.
    pub origin: LaunchOrigin<'a>,
    /// The AMI that an override of a mixed instances policy names in place of that of the launch template.
    pub image_override: Image<'a>,
    /// What it sets, if that is known.
    pub settings: SourceSettings<'a>,
}

/// The name of a launch template version or launch configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LaunchOrigin<'a> {
    /// A version of a launch template.
    TemplateVersion {
        /// The id of the launch template, or its name if the group only has that.
        template: Cow<'a, str>,
        /// The version as the group has it: a number, `$Default` or `$Latest`.
        version: Cow<'a, str>,
        /// The number of the version, once it is known.
        number: Option<i64>,
    },
    /// A launch configuration, by its name.
    LaunchConfiguration(Cow<'a, str>),
    /// Only the deployment of a template or plan knows it. It depends on this, such as `Fn::ImportValue`.
    Unresolved(Cow<'a, str>),
}

impl<'a> LaunchOrigin<'a> {
    /// Reads the launch template of an Auto Scaling group; `None` if it has neither id nor name. Without a version,
    /// it is the default version
    /// (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LaunchTemplateSpecification.html>).
    #[must_use]
    pub fn template_version(
        id: Option<Cow<'a, str>>,
        name: Option<Cow<'a, str>>,
        version: Option<Cow<'a, str>>,
    ) -> Option<Self> {
        let version = version.filter(|version| !version.is_empty()).unwrap_or("$Default".into());
        Some(Self::TemplateVersion { template: id.or(name)?, version, number: None })
    }
}

/// Returns whether a launch template is named by its id, and not by its name.
#[must_use]
pub fn is_template_id(template: &str) -> bool {
    template.strip_prefix("lt-").is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl fmt::Display for LaunchOrigin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TemplateVersion { template, version, number } => match number {
                Some(number) if version.starts_with('$') => {
                    write!(f, "launch template {template} version {number} ({version})")
                }
                _ => write!(f, "launch template {template} version {version}"),
            },
            Self::LaunchConfiguration(name) => write!(f, "launch configuration {name}"),
            Self::Unresolved(what) => write!(f, "a launch template or configuration that depends on {what}"),
        }
    }
}

/// What is known of what a [`LaunchOrigin`] sets.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceSettings<'a> {
    /// It was read.
    Known(LaunchSettings<'a>),
    /// It was not read, or the input does not contain it.
    Unknown,
    /// EC2 does not know it, so the group cannot launch instances from it.
    NotFound,
}

impl<'a> LaunchSource<'a> {
    /// Returns a source of which nothing else is known.
    #[must_use]
    pub fn unread(origin: LaunchOrigin<'a>) -> Self {
        Self { origin, image_override: Image::Unset, settings: SourceSettings::Unknown }
    }

    /// Returns what a mixed instances policy launches instances from, each once: its launch template, and what each
    /// override has in its place. `overrides` are the launch template, if it has one, and the AMI of each.
    #[must_use]
    pub fn of_policy(
        base: Option<&Self>,
        overrides: impl IntoIterator<Item = (Option<Self>, Image<'a>)>,
    ) -> Vec<Self> {
        let overridden = overrides.into_iter().filter_map(|(source, image_override)| {
            let source = source.or_else(|| base.cloned())?;
            let mut source = Self { image_override, ..source };
            source.override_image();
            Some(source)
        });
        let mut seen = HashSet::new();
        let is_new = |source: &Self| {
            // In a template or plan, one that is declared may have the name of another one in AWS.
            let is_known = source.settings != SourceSettings::Unknown;
            seen.insert((source.origin.clone(), source.image_override.clone(), is_known))
        };
        base.cloned().into_iter().chain(overridden).filter(is_new).collect()
    }

    /// Returns the AMI, if what it sets is known.
    pub(super) fn image_mut(&mut self) -> Option<&mut Image<'a>> {
        match &mut self.settings {
            SourceSettings::Known(settings) => Some(&mut settings.image),
            SourceSettings::Unknown | SourceSettings::NotFound => None,
        }
    }

    /// Adds what the launch template version or launch configuration sets.
    pub fn complete(&mut self, settings: SourceSettings<'a>) {
        self.settings = settings;
        self.override_image();
    }

    fn override_image(&mut self) {
        if let SourceSettings::Known(settings) = &mut self.settings
            && self.image_override != Image::Unset
        {
            settings.image = self.image_override.clone();
        }
    }
}

impl LaunchSource<'_> {
    /// Returns a source that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> LaunchSource<'static> {
        let settings = match self.settings {
            SourceSettings::Known(settings) => SourceSettings::Known(settings.into_owned()),
            SourceSettings::Unknown => SourceSettings::Unknown,
            SourceSettings::NotFound => SourceSettings::NotFound,
        };
        let image_override = self.image_override.into_owned();
        LaunchSource { origin: self.origin.into_owned(), image_override, settings }
    }
}

impl LaunchOrigin<'_> {
    /// Returns an origin that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> LaunchOrigin<'static> {
        match self {
            Self::TemplateVersion { template, version, number } => {
                LaunchOrigin::TemplateVersion { template: own(template), version: own(version), number }
            }
            Self::LaunchConfiguration(name) => LaunchOrigin::LaunchConfiguration(own(name)),
            Self::Unresolved(what) => LaunchOrigin::Unresolved(own(what)),
        }
    }
}

fn own(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE_V2: Image<'static> = Image::RequiresTokens(Cow::Borrowed("ami-1"));

    #[test]
    fn each_source_of_a_mixed_instances_policy_is_listed_once() {
        let source = |template: &'static str| {
            LaunchOrigin::template_version(Some(template.into()), None, Some("3".into()))
                .map(LaunchSource::unread)
        };
        let overrides = [
            (None, Image::Unset),
            (source("lt-1"), Image::Unset),
            (source("lt-2"), Image::Unset),
            (None, Image::Id("ami-2".into())),
            (source("lt-2"), Image::Unset),
        ];
        let mut sources = LaunchSource::of_policy(source("lt-1").as_ref(), overrides);
        let found: Vec<_> =
            sources.iter().map(|source| (source.origin.to_string(), source.image_override.id())).collect();
        let (first, second) =
            ("launch template lt-1 version 3".to_owned(), "launch template lt-2 version 3".to_owned());
        assert_eq!(found, [(first.clone(), None), (second, None), (first, Some("ami-2"))]);
        for source in &mut sources {
            source.complete(SourceSettings::Known(LaunchSettings { options: None, image: IMAGE_V2 }));
        }
        let image = |source: &LaunchSource<'static>| match &source.settings {
            SourceSettings::Known(settings) => settings.image.clone(),
            _ => Image::Unknown,
        };
        assert_eq!(
            sources.iter().map(image).collect::<Vec<_>>(),
            [IMAGE_V2, IMAGE_V2, Image::Id("ami-2".into())]
        );
    }

    #[test]
    fn an_origin_names_template_and_version() {
        let version = |version: &'static str, number| LaunchOrigin::TemplateVersion {
            template: "lt-1".into(),
            version: version.into(),
            number,
        };
        for (origin, expected) in [
            (version("3", None), "launch template lt-1 version 3"),
            (version("3", Some(3)), "launch template lt-1 version 3"),
            (version("$Latest", Some(7)), "launch template lt-1 version 7 ($Latest)"),
            (version("$Latest", None), "launch template lt-1 version $Latest"),
            (LaunchOrigin::LaunchConfiguration("web".into()), "launch configuration web"),
        ] {
            assert_eq!(origin.to_string(), expected);
            assert_eq!(origin.clone().into_owned(), origin);
        }
    }
}
