//! What instances and Auto Scaling groups are launched from.

use std::borrow::Cow;

use super::functions::{Functions, Resolved, Text};
use crate::rule::launch_source::{LaunchOrigin, LaunchSource};

pub(super) const POLICY: &str = "MixedInstancesPolicy";

/// Returns what an Auto Scaling group launches instances from
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-autoscaling-autoscalinggroup.html>).
///
/// # Errors
/// Returns line and message, if a part is malformed.
pub(super) fn of_group(
    functions: &Functions<'_>,
    properties: &Resolved<'_>,
) -> Result<Vec<LaunchSource<'static>>, (usize, &'static str)> {
    let configuration = configuration(&functions.member(properties, "LaunchConfigurationName"))?;
    let template = template(functions, &functions.member(properties, "LaunchTemplate"));
    let single = configuration.into_iter().chain(template).map(LaunchSource::unread);
    let policy = functions.member(properties, POLICY);
    Ok(single.chain(of_policy(functions, &functions.member(&policy, "LaunchTemplate"))).collect())
}

fn configuration(name: &Resolved<'_>) -> Result<Option<LaunchOrigin<'static>>, (usize, &'static str)> {
    if let Resolved::Resource(id) | Resolved::Attribute(id, _) = name {
        return Ok(Some(LaunchOrigin::LaunchConfiguration(id.to_string().into())));
    }
    match name.text() {
        Text::Known(name) => Ok(Some(LaunchOrigin::LaunchConfiguration(name.into()))),
        Text::Unresolved(what) => Ok(Some(LaunchOrigin::Unresolved(what.into()))),
        Text::Absent => Ok(None),
        Text::Other(line) => Err((line, "LaunchConfigurationName: expected a string")),
    }
}

/// Reads the launch template of a mixed instances policy, and its overrides.
fn of_policy(functions: &Functions<'_>, launches: &Resolved<'_>) -> Vec<LaunchSource<'static>> {
    const SPECIFICATION: &str = "LaunchTemplateSpecification";
    let base = template(functions, &functions.member(launches, SPECIFICATION));
    let overrides = functions.member(launches, "Overrides");
    if let Resolved::Unresolved(what) = overrides {
        let unknown = (Some(LaunchOrigin::Unresolved(what.into())), None);
        return LaunchSource::of_policy(base.as_ref(), [unknown]);
    }
    let overrides = overrides.elements().iter().map(|node| {
        let each = functions.resolve(node);
        let origin = template(functions, &functions.member(&each, SPECIFICATION));
        (origin, functions.member(&each, "ImageId").known_text().map(Cow::from))
    });
    LaunchSource::of_policy(base.as_ref(), overrides)
}

/// Reads the launch template that an instance or a group names, and its version.
pub(super) fn template(
    functions: &Functions<'_>,
    specification: &Resolved<'_>,
) -> Option<LaunchOrigin<'static>> {
    let template = match functions.member(specification, "LaunchTemplateId") {
        Resolved::Absent => functions.member(specification, "LaunchTemplateName"),
        id => id,
    };
    let template = match &template {
        Resolved::Resource(id) | Resolved::Attribute(id, _) => id.to_string(),
        other => match other.text() {
            Text::Known(text) => text,
            Text::Unresolved(what) => return Some(LaunchOrigin::Unresolved(what.into())),
            Text::Absent | Text::Other(_) => return None,
        },
    };
    let version = match functions.member(specification, "Version") {
        // https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-ec2-launchtemplate.html
        Resolved::Attribute(_, attribute) if attribute == "LatestVersionNumber" => Some("$Latest".to_owned()),
        Resolved::Attribute(_, attribute) if attribute == "DefaultVersionNumber" => None,
        other => match other.text() {
            Text::Known(text) => Some(text),
            Text::Unresolved(what) => return Some(LaunchOrigin::Unresolved(what.into())),
            Text::Absent | Text::Other(_) => None,
        },
    };
    LaunchOrigin::template_version(Some(template.into()), None, version.map(Into::into))
}
