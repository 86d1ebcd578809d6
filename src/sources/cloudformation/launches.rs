//! What instances and Auto Scaling groups are launched from.

use super::functions::{Functions, Resolved, Text};
use crate::rule::launch::Image;
use crate::rule::launch_source::{LaunchOrigin, LaunchSource};
use crate::sources::declared_launches::{DeclaredLaunches, Name};

pub(super) const POLICY: &str = "MixedInstancesPolicy";

/// Finds what is launched from what.
#[derive(Clone, Copy)]
pub(super) struct Launches<'t> {
    pub(super) functions: &'t Functions<'t>,
    pub(super) declared: &'t DeclaredLaunches,
}

impl Launches<'_> {
    /// Returns what an Auto Scaling group launches instances from
    /// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-autoscaling-autoscalinggroup.html>).
    ///
    /// # Errors
    /// Returns line and message, if a part is malformed.
    pub(super) fn of_group(
        self,
        properties: &Resolved<'_>,
    ) -> Result<Vec<LaunchSource<'static>>, (usize, &'static str)> {
        let member = |object, key| self.functions.member(object, key);
        let configuration = self.configuration(&member(properties, "LaunchConfigurationName"))?;
        let template = self.template(&member(properties, "LaunchTemplate"));
        let policy = self.of_policy(&member(&member(properties, POLICY), "LaunchTemplate"));
        Ok(configuration.into_iter().chain(template).chain(policy).collect())
    }

    fn configuration(
        self,
        name: &Resolved<'_>,
    ) -> Result<Option<LaunchSource<'static>>, (usize, &'static str)> {
        Ok(match self.named(name) {
            Ok(name) => name.map(|name| self.declared.configuration(&name)),
            Err(Text::Unresolved(what)) => Some(unresolved(what)),
            Err(Text::Other(line)) => return Err((line, "LaunchConfigurationName: expected a string")),
            Err(Text::Absent | Text::Known(_)) => None,
        })
    }

    /// Reads the launch template of a mixed instances policy, and its overrides.
    fn of_policy(self, launches: &Resolved<'_>) -> Vec<LaunchSource<'static>> {
        const SPECIFICATION: &str = "LaunchTemplateSpecification";
        let functions = self.functions;
        let base = self.template(&functions.member(launches, SPECIFICATION));
        let overrides = functions.member(launches, "Overrides");
        if let Resolved::Unresolved(what) | Resolved::Either(_, what) = overrides {
            return LaunchSource::of_policy(base.as_ref(), [(Some(unresolved(what)), Image::Unset)]);
        }
        let overrides = overrides.elements().iter().map(|node| {
            let each = functions.resolve(node);
            (self.template(&functions.member(&each, SPECIFICATION)), image(functions, &each))
        });
        LaunchSource::of_policy(base.as_ref(), overrides)
    }

    /// Reads the launch template that an instance or a group names, and its version.
    pub(super) fn template(self, specification: &Resolved<'_>) -> Option<LaunchSource<'static>> {
        let member = |key| self.functions.member(specification, key);
        let template = match member("LaunchTemplateId") {
            Resolved::Absent => member("LaunchTemplateName"),
            id => id,
        };
        let name = match self.named(&template) {
            Ok(name) => name?,
            Err(Text::Unresolved(what)) => return Some(unresolved(what)),
            Err(_) => return None,
        };
        let version = match member("Version") {
            // https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-ec2-launchtemplate.html
            Resolved::Attribute(_, attribute) if attribute == "LatestVersionNumber" => {
                Some("$Latest".to_owned())
            }
            Resolved::Attribute(_, attribute) if attribute == "DefaultVersionNumber" => None,
            other => match other.text() {
                Text::Known(text) => Some(text),
                Text::Unresolved(what) => return Some(unresolved(what)),
                Text::Absent | Text::Other(_) => None,
            },
        };
        self.declared.template(&name, version)
    }

    /// Returns how a value names a launch template or launch configuration, or else the text that it is.
    fn named<'n>(self, value: &'n Resolved<'_>) -> Result<Option<Name<'n>>, Text> {
        if let Resolved::Resource(id) | Resolved::Attribute(id, _) = value
            && self.declared.contains(id)
        {
            return Ok(Some(Name::Declared(id.as_ref().into())));
        }
        match value.text() {
            Text::Known(name) => Ok(Some(Name::InAws(name.into()))),
            Text::Absent => Ok(None),
            other => Err(other),
        }
    }
}

/// Reads the AMI of a launch.
pub(super) fn image(functions: &Functions<'_>, settings: &Resolved<'_>) -> Image<'static> {
    match functions.member(settings, "ImageId").text() {
        Text::Known(id) => Image::from_id(Some(id.into())),
        Text::Absent => Image::Unset,
        Text::Unresolved(_) | Text::Other(_) => Image::Unknown,
    }
}

fn unresolved(what: String) -> LaunchSource<'static> {
    LaunchSource::unread(LaunchOrigin::Unresolved(what.into()))
}
