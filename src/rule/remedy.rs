//! The AWS CLI command that makes a resource compliant.

use std::borrow::Cow;

use super::launch_source::{LaunchOrigin, SourceSettings, is_template_id};
use super::policy::Policy;
use super::reason::Reason;
use super::resource::{HttpEndpoint, HttpTokens, MetadataOptions, Resource, ResourceType};
use super::verdict::{Compliance, Verdict};

/// Returns the AWS CLI command that makes a non-compliant resource compliant; `None` if there is none: a launch
/// configuration cannot be changed (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/launch-configurations.html>),
/// only replaced; a mixed instances policy has to be written as a whole; what an AWS service manages is changed through
/// that service; and what a template or plan declares is changed there. The command is one line for a POSIX shell.
#[must_use]
pub fn cli_command(resource: &Resource<'_>, verdict: &Verdict, policy: &Policy) -> Option<String> {
    if verdict.compliance != Compliance::NonCompliant
        || resource.managed_by.is_some()
        || resource.is_declared()
    {
        return None;
    }
    let region = resource.region.as_deref();
    let region = region.map_or_else(String::new, |region| format!(" --region {}", shell_quoted(region)));
    let change = Change::new(resource.metadata_options.as_ref(), verdict, policy);
    match &resource.resource_type {
        ResourceType::Instance => {
            let id = shell_quoted(&resource.resource_id);
            let tokens = if change.needs_tokens { " --http-tokens required" } else { "" };
            let limit = change.hop_limit;
            let limit =
                limit.map_or_else(String::new, |limit| format!(" --http-put-response-hop-limit {limit}"));
            Some(format!(
                "aws ec2 modify-instance-metadata-options{region} --instance-id {id}{tokens}{limit}"
            ))
        }
        ResourceType::LaunchTemplate => Some(change.default_version(&resource.resource_id, &region)),
        ResourceType::AutoScalingGroup => group_command(resource, verdict, policy, &region),
        ResourceType::LaunchConfiguration => None,
        other if *other == ResourceType::ACCOUNT => {
            Some(format!("aws ec2 modify-instance-metadata-defaults{region} --http-tokens required"))
        }
        ResourceType::Other(_) => None,
    }
}

/// Changes what an Auto Scaling group launches, where it launches everything from one launch template.
fn group_command(
    resource: &Resource<'_>,
    verdict: &Verdict,
    policy: &Policy,
    region: &str,
) -> Option<String> {
    let [source] = resource.launch_sources.as_slice() else { return None };
    let LaunchOrigin::TemplateVersion { template, version, .. } = &source.origin else { return None };
    let SourceSettings::Known(settings) = &source.settings else { return None };
    let change = Change::new(settings.options.as_ref(), verdict, policy);
    match version.as_ref() {
        "$Default" => Some(change.default_version(template, region)),
        "$Latest" => Some(change.new_version(template, version, region)),
        // It would have to be written as a whole.
        _ if resource.has_mixed_instances => None,
        number => {
            let group = shell_quoted(resource.name.as_deref()?);
            // The command substitution has to be expanded, so the name is outside of the double quotes.
            let (key, quoted) = (template_key(template), shell_quoted(template));
            let new_version = change.new_version(template, number, region);
            Some(format!(
                "aws autoscaling update-auto-scaling-group{region} --auto-scaling-group-name {group} \
                 --launch-template {key}={quoted},Version=\"$({new_version})\""
            ))
        }
    }
}

/// The metadata options that a command sets. A new version of a launch template has none of those of its source version
/// beside them (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html>).
struct Change<'a> {
    needs_tokens: bool,
    /// The hop limit, if it has to be changed.
    hop_limit: Option<u8>,
    options: Option<&'a MetadataOptions<'a>>,
}

impl<'a> Change<'a> {
    fn new(options: Option<&'a MetadataOptions<'a>>, verdict: &Verdict, policy: &Policy) -> Self {
        let limit = options.and_then(|options| options.hop_limit);
        let is_too_high = |max: &u8| {
            // By default, if the launch does not set it.
            verdict.reason == Reason::HopLimit || limit.is_some_and(|limit| limit > i64::from(*max))
        };
        let needs_tokens = verdict.reason != Reason::HopLimit;
        Self { needs_tokens, hop_limit: policy.max_hop_limit.filter(is_too_high), options }
    }

    /// Returns the metadata options of a new version, as JSON.
    fn version_options(&self) -> String {
        let known = self.options.unwrap_or(&MetadataOptions::UNSET);
        let keeps_tokens = known.http_tokens == HttpTokens::Required;
        let tokens = (self.needs_tokens || keeps_tokens).then(|| "\"HttpTokens\":\"required\"".to_owned());
        let limit = self.hop_limit.map(i64::from).or(known.hop_limit);
        let limit = limit.map(|limit| format!("\"HttpPutResponseHopLimit\":{limit}"));
        let endpoint = (known.http_endpoint != HttpEndpoint::Unset)
            .then(|| format!("\"HttpEndpoint\":\"{}\"", known.http_endpoint.as_str()));
        tokens.into_iter().chain(limit).chain(endpoint).collect::<Vec<_>>().join(",")
    }

    /// Makes a changed copy of the default version of a launch template the default version.
    fn default_version(&self, template: &str, region: &str) -> String {
        let (option, quoted) = (template_option(template), shell_quoted(template));
        let new_version = self.new_version(template, "$Default", region);
        format!(
            "aws ec2 modify-launch-template{region} {option} {quoted} --default-version \"$({new_version})\""
        )
    }

    /// Creates a changed copy of a version of a launch template, and prints its number.
    fn new_version(&self, template: &str, version: &str, region: &str) -> String {
        let options = self.version_options();
        let (option, quoted) = (template_option(template), shell_quoted(template));
        let version = shell_quoted(version);
        format!(
            "aws ec2 create-launch-template-version{region} {option} {quoted} --source-version {version} \
             --launch-template-data '{{\"MetadataOptions\":{{{options}}}}}' \
             --query LaunchTemplateVersion.VersionNumber --output text"
        )
    }
}

fn template_option(template: &str) -> &'static str {
    if is_template_id(template) { "--launch-template-id" } else { "--launch-template-name" }
}

fn template_key(template: &str) -> &'static str {
    if is_template_id(template) { "LaunchTemplateId" } else { "LaunchTemplateName" }
}

/// Quotes a text for a POSIX shell, unless it needs no quotes.
#[must_use]
pub fn shell_quoted(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', "'\\''")).into()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::rule::launch::{AccountDefaults, Image, LaunchSettings};
    use crate::rule::launch_source::LaunchSource;
    use crate::rule::verdict::evaluate;

    fn command(
        resource_type: ResourceType<'static>,
        id: &'static str,
        tokens: &'static str,
    ) -> Option<String> {
        let limit = if id.ends_with('3') { 3 } else { 2 };
        let options = MetadataOptions::from_api(Some(tokens.into()), Some("enabled"), Some(limit), None);
        let resource = Resource {
            region: Some("eu-west-1".into()),
            ..Resource::existing(resource_type, id.into(), Some(options))
        };
        let policy = Policy { max_hop_limit: Some(2), ..Policy::default() };
        cli_command(&resource, &evaluate(&resource, &policy, date!(2026 - 06 - 15)), &policy)
    }

    #[test]
    fn a_command_fixes_what_was_found() {
        let instance = "aws ec2 modify-instance-metadata-options --region eu-west-1 --instance-id";
        for (id, tokens, expected) in [
            ("x-2", "optional", format!("{instance} x-2 --http-tokens required")),
            ("x-3", "required", format!("{instance} x-3 --http-put-response-hop-limit 2")),
            (
                "x-3",
                "optional",
                format!("{instance} x-3 --http-tokens required --http-put-response-hop-limit 2"),
            ),
        ] {
            assert_eq!(command(ResourceType::Instance, id, tokens), Some(expected));
        }
        let endpoint = "\"HttpEndpoint\":\"enabled\"";
        for (id, tokens, limit) in [("lt-2", "optional", 2), ("lt-3", "required", 2), ("lt-3", "optional", 2)]
        {
            let options =
                format!("\"HttpTokens\":\"required\",\"HttpPutResponseHopLimit\":{limit},{endpoint}");
            let expected = format!(
                "aws ec2 modify-launch-template --region eu-west-1 --launch-template-id {id} --default-version \
                 \"$(aws ec2 create-launch-template-version --region eu-west-1 --launch-template-id {id} \
                 --source-version '$Default' --launch-template-data '{{\"MetadataOptions\":{{{options}}}}}' \
                 --query LaunchTemplateVersion.VersionNumber --output text)\""
            );
            assert_eq!(command(ResourceType::LaunchTemplate, id, tokens), Some(expected));
        }
        assert_eq!(command(ResourceType::LaunchConfiguration, "arn", "optional"), None);
        assert_eq!(command(ResourceType::Instance, "x-2", "required"), None);
        let managed = Resource {
            managed_by: Some("eks.amazonaws.com".into()),
            ..Resource::existing(ResourceType::Instance, "i-1".into(), None)
        };
        let policy = Policy::default();
        assert_eq!(cli_command(&managed, &evaluate(&managed, &policy, date!(2026 - 06 - 15)), &policy), None);
    }

    #[test]
    fn a_command_changes_what_a_group_launches() {
        let options = MetadataOptions::from_api(Some("optional".into()), None, Some(1), None);
        let origin = |template: &'static str, version: &'static str| LaunchOrigin::TemplateVersion {
            template: template.into(),
            version: version.into(),
            number: None,
        };
        let copy = |option: &str, version: &str| {
            format!(
                "aws ec2 create-launch-template-version {option} --source-version {version} --launch-template-data \
                 '{{\"MetadataOptions\":{{\"HttpTokens\":\"required\",\"HttpPutResponseHopLimit\":1}}}}' \
                 --query LaunchTemplateVersion.VersionNumber --output text"
            )
        };
        let update =
            "aws autoscaling update-auto-scaling-group --auto-scaling-group-name web --launch-template";
        let by_id = "--launch-template-id lt-1";
        for (origins, expected) in [
            (vec![origin("lt-1", "$Latest")], Some(copy(by_id, "'$Latest'"))),
            (
                vec![origin("lt-1", "$Default")],
                Some(format!(
                    "aws ec2 modify-launch-template {by_id} --default-version \"$({})\"",
                    copy(by_id, "'$Default'")
                )),
            ),
            (
                vec![origin("lt-1", "3")],
                Some(format!("{update} LaunchTemplateId=lt-1,Version=\"$({})\"", copy(by_id, "3"))),
            ),
            (
                vec![origin("a b", "3")],
                Some(format!(
                    "{update} LaunchTemplateName='a b',Version=\"$({})\"",
                    copy("--launch-template-name 'a b'", "3")
                )),
            ),
            (vec![LaunchOrigin::LaunchConfiguration("web".into())], None),
            (vec![origin("lt-1", "3"), origin("lt-2", "3")], None),
        ] {
            let settings = || {
                SourceSettings::Known(LaunchSettings {
                    options: Some(options.clone()),
                    image: Image::Unknown,
                })
            };
            let sources = origins
                .into_iter()
                .map(|origin| LaunchSource { settings: settings(), ..LaunchSource::unread(origin) });
            let group = Resource {
                name: Some("web".into()),
                launch_sources: sources.collect(),
                ..Resource::existing(ResourceType::AutoScalingGroup, "arn".into(), None)
            };
            let policy = Policy::default();
            let verdict = evaluate(&group, &policy, date!(2026 - 06 - 15));
            assert_eq!(cli_command(&group, &verdict, &policy), expected);
            // A mixed instances policy would be replaced by one launch template.
            let mixed = Resource { has_mixed_instances: true, ..group };
            let expected = expected.filter(|command| !command.contains("update-auto-scaling-group"));
            assert_eq!(cli_command(&mixed, &verdict, &policy), expected);
        }
    }

    #[test]
    fn a_hop_limit_that_applies_by_default_is_set() {
        let defaults = AccountDefaults::from_api(Some("required".into()), None, Some(3), None, None);
        let template = Resource::existing(ResourceType::LaunchTemplate, "lt-1".into(), None);
        let template = Resource { account_defaults: Some(defaults), ..template };
        let policy = Policy { defaults_compliant: true, max_hop_limit: Some(2), ..Policy::default() };
        let verdict = evaluate(&template, &policy, date!(2026 - 06 - 15));
        assert_eq!(
            verdict.annotation,
            "HttpTokens is required by default, but the hop limit 3 exceeds the maximum of 2. Set \
             HttpPutResponseHopLimit to 2 or less."
        );
        let command = cli_command(&template, &verdict, &policy).expect("a command");
        let options = "--launch-template-data '{\"MetadataOptions\":{\"HttpPutResponseHopLimit\":2}}'";
        assert!(command.contains(options), "{command}");
    }

    #[test]
    fn nothing_in_an_id_reaches_the_shell() {
        for (text, expected) in [
            ("i-1", "i-1"),
            ("", "''"),
            ("$(reboot)", "'$(reboot)'"),
            ("a'; reboot '", "'a'\\''; reboot '\\'''"),
            ("a\nb", "'a\nb'"),
        ] {
            assert_eq!(shell_quoted(text), expected);
        }
    }
}
