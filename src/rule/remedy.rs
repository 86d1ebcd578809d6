//! The AWS CLI command that makes a resource compliant.

use std::borrow::Cow;

use super::policy::Policy;
use super::reason::Reason;
use super::resource::{Resource, ResourceType};
use super::verdict::{Compliance, Verdict};

/// Returns the AWS CLI command that makes a non-compliant resource compliant; `None` if there is none: a launch
/// configuration cannot be changed (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/launch-configurations.html>),
/// only replaced. The command is one line for a POSIX shell.
#[must_use]
pub fn cli_command(resource: &Resource<'_>, verdict: &Verdict, policy: &Policy) -> Option<String> {
    if verdict.compliance != Compliance::NonCompliant {
        return None;
    }
    let region = resource.region.as_deref();
    let region = region.map_or_else(String::new, |region| format!(" --region {}", quoted(region)));
    let id = quoted(&resource.resource_id);
    match &resource.resource_type {
        ResourceType::Instance => {
            let option = match (verdict.reason, policy.max_hop_limit) {
                (Reason::HopLimit, Some(limit)) => format!("--http-put-response-hop-limit {limit}"),
                _ => "--http-tokens required".to_owned(),
            };
            Some(format!("aws ec2 modify-instance-metadata-options{region} --instance-id {id} {option}"))
        }
        ResourceType::LaunchTemplate => {
            let options = match (verdict.reason, policy.max_hop_limit) {
                (Reason::HopLimit, Some(limit)) => format!("\"HttpPutResponseHopLimit\":{limit}"),
                _ => "\"HttpTokens\":\"required\"".to_owned(),
            };
            Some(format!(
                "aws ec2 modify-launch-template{region} --launch-template-id {id} --default-version \
                 \"$(aws ec2 create-launch-template-version{region} --launch-template-id {id} \
                 --source-version '$Default' --launch-template-data '{{\"MetadataOptions\":{{{options}}}}}' \
                 --query LaunchTemplateVersion.VersionNumber --output text)\""
            ))
        }
        ResourceType::LaunchConfiguration => None,
        other if *other == ResourceType::ACCOUNT => {
            Some(format!("aws ec2 modify-instance-metadata-defaults{region} --http-tokens required"))
        }
        ResourceType::Other(_) => None,
    }
}

/// Quotes a text for a POSIX shell, unless it needs no quotes.
fn quoted(text: &str) -> Cow<'_, str> {
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
    use crate::rule::resource::MetadataOptions;
    use crate::rule::verdict::evaluate;

    fn command(
        resource_type: ResourceType<'static>,
        id: &'static str,
        tokens: &'static str,
    ) -> Option<String> {
        let options = MetadataOptions::from_api(Some(tokens.into()), Some("enabled"), Some(3), None);
        let resource = Resource {
            region: Some("eu-west-1".into()),
            ..Resource::existing(resource_type, id.into(), Some(options))
        };
        let policy = Policy { max_hop_limit: Some(2), ..Policy::default() };
        cli_command(&resource, &evaluate(&resource, &policy, date!(2026 - 06 - 15)), &policy)
    }

    #[test]
    fn a_command_fixes_what_was_found() {
        for (resource_type, tokens, expected) in [
            (
                ResourceType::Instance,
                "optional",
                "aws ec2 modify-instance-metadata-options --region eu-west-1 --instance-id x-1 --http-tokens required",
            ),
            (
                ResourceType::Instance,
                "required",
                "aws ec2 modify-instance-metadata-options --region eu-west-1 --instance-id x-1 \
                 --http-put-response-hop-limit 2",
            ),
            (
                ResourceType::LaunchTemplate,
                "optional",
                "aws ec2 modify-launch-template --region eu-west-1 --launch-template-id x-1 --default-version \
                 \"$(aws ec2 create-launch-template-version --region eu-west-1 --launch-template-id x-1 \
                 --source-version '$Default' --launch-template-data \
                 '{\"MetadataOptions\":{\"HttpTokens\":\"required\"}}' --query \
                 LaunchTemplateVersion.VersionNumber --output text)\"",
            ),
        ] {
            assert_eq!(command(resource_type, "x-1", tokens).as_deref(), Some(expected));
        }
        assert_eq!(command(ResourceType::LaunchConfiguration, "arn", "optional"), None);
        let limit = command(ResourceType::LaunchTemplate, "lt-1", "required").expect("a command");
        assert!(limit.contains(r#"'{"MetadataOptions":{"HttpPutResponseHopLimit":2}}'"#), "{limit}");
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
            assert_eq!(quoted(text), expected);
        }
    }
}
