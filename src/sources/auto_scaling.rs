//! What an Auto Scaling group launches instances from, as AWS Config records it and as the AWS CLI prints it
//! (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AutoScalingGroup.html>).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::Text;
use super::{SourceError, read, read_object};
use crate::rule::launch::Image;
use crate::rule::launch_source::{LaunchOrigin, LaunchSource};

/// The parts of an Auto Scaling group that name what it launches. Each is parsed on its own, so that an error names
/// its field.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GroupFields<'a> {
    pub(super) launch_configuration_name: Option<&'a RawValue>,
    pub(super) launch_template: Option<&'a RawValue>,
    pub(super) mixed_instances_policy: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MixedInstancesPolicy<'a> {
    #[serde(borrow, alias = "LaunchTemplate")]
    launch_template: Option<PolicyTemplate<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PolicyTemplate<'a> {
    #[serde(borrow, alias = "LaunchTemplateSpecification")]
    launch_template_specification: Option<Specification<'a>>,
    #[serde(borrow, alias = "Overrides")]
    overrides: Option<Vec<Override<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Override<'a> {
    #[serde(borrow, alias = "LaunchTemplateSpecification")]
    launch_template_specification: Option<Specification<'a>>,
    #[serde(borrow, alias = "ImageId")]
    image_id: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Specification<'a> {
    #[serde(borrow, alias = "LaunchTemplateId")]
    launch_template_id: Option<Text<'a>>,
    #[serde(borrow, alias = "LaunchTemplateName")]
    launch_template_name: Option<Text<'a>>,
    #[serde(borrow, alias = "Version")]
    version: Option<Text<'a>>,
}

impl<'a> Specification<'a> {
    fn source(self) -> Option<LaunchSource<'a>> {
        let text = |field: Option<Text<'a>>| field.map(|text| text.0);
        let origin = LaunchOrigin::template_version(
            text(self.launch_template_id),
            text(self.launch_template_name),
            text(self.version),
        );
        origin.map(LaunchSource::unread)
    }
}

impl<'a> GroupFields<'a> {
    /// Returns what the group launches instances from, each once. `path` is the place of the group in the record, for
    /// errors.
    pub(super) fn launch_sources(&self, path: &str) -> Result<Vec<LaunchSource<'a>>, SourceError> {
        let mut sources = Vec::new();
        if let Some(json) = self.launch_configuration_name {
            let name: Option<Text<'a>> = read(&format!("{path}launchConfigurationName"), json.get())?;
            let name = name.map(|name| name.0).filter(|name| !name.is_empty());
            sources.extend(name.map(LaunchOrigin::LaunchConfiguration).map(LaunchSource::unread));
        }
        if let Some(json) = self.launch_template {
            let template: Specification<'a> = read_object(&format!("{path}launchTemplate"), json.get())?;
            sources.extend(template.source());
        }
        if let Some(json) = self.mixed_instances_policy {
            let policy: MixedInstancesPolicy<'a> =
                read_object(&format!("{path}mixedInstancesPolicy"), json.get())?;
            if let Some(template) = policy.launch_template {
                let overrides = template.overrides.into_iter().flatten().map(|each| {
                    let source = each.launch_template_specification.and_then(Specification::source);
                    (source, Image::from_id(each.image_id.map(|id| id.0)))
                });
                let base = template.launch_template_specification.and_then(Specification::source);
                sources.extend(LaunchSource::of_policy(base.as_ref(), overrides));
            }
        }
        Ok(sources)
    }

    /// Returns whether the group has a mixed instances policy.
    pub(super) fn has_mixed_instances(&self) -> bool {
        self.mixed_instances_policy.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn every_source_is_found_once_in_both_spellings() {
        let lower = r#"{"launchTemplate":{"launchTemplateSpecification":
            {"launchTemplateId":"lt-1","launchTemplateName":"web","version":"3"},
            "overrides":[{"instanceType":"m7g.large","launchTemplateSpecification":{"launchTemplateName":"arm"}},
                {"instanceType":"m7i.large"},
                {"launchTemplateSpecification":{"launchTemplateId":"lt-1","version":"3"}},
                {"launchTemplateSpecification":{"launchTemplateId":"lt-1","version":"$Latest"}}]}}"#;
        let upper = lower
            .replace("\"launchT", "\"LaunchT")
            .replace("overrides", "Overrides")
            .replace("version", "Version");
        for policy in [lower, &upper] {
            let fields = GroupFields { mixed_instances_policy: Some(raw(policy)), ..GroupFields::default() };
            let sources = fields.launch_sources("").expect("sources");
            let names: Vec<_> = sources.iter().map(|source| source.origin.to_string()).collect();
            let expected = [
                "launch template lt-1 version 3",
                "launch template arm version $Default",
                "launch template lt-1 version $Latest",
            ];
            assert_eq!(names, expected);
        }
        let fields =
            GroupFields { launch_configuration_name: Some(raw("\"web\"")), ..GroupFields::default() };
        let sources = fields.launch_sources("").expect("sources");
        assert_eq!(sources[0].origin, LaunchOrigin::LaunchConfiguration("web".into()));
        assert_eq!(GroupFields::default().launch_sources("").expect("none"), []);
    }

    #[test]
    fn a_malformed_part_is_named() {
        for (template, policy, message) in [
            (Some("[]"), None, "configuration.launchTemplate: expected an object"),
            (Some(r#"{"version":3}"#), None, "configuration.launchTemplate.version: "),
            (
                None,
                Some(r#"{"launchTemplate":{"overrides":[7]}}"#),
                "configuration.mixedInstancesPolicy.launchTemplate.overrides[0]: ",
            ),
        ] {
            let (launch_template, mixed_instances_policy) = (template.map(raw), policy.map(raw));
            let fields =
                GroupFields { launch_configuration_name: None, launch_template, mixed_instances_policy };
            let error = fields.launch_sources("configuration.").expect_err("malformed").to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
