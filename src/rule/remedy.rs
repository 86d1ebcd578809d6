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
    let region = region.map_or_else(String::new, |region| format!(" --region {}", shell_quoted(region)));
    let id = shell_quoted(&resource.resource_id);
    let options = resource.metadata_options.as_ref();
    let needs_tokens = verdict.reason != Reason::HopLimit;
    let hop_limit = policy.max_hop_limit.filter(|max| {
        options.and_then(|options| options.hop_limit).is_some_and(|limit| limit > i64::from(*max))
    });
    match &resource.resource_type {
        ResourceType::Instance => {
            let tokens = if needs_tokens { " --http-tokens required" } else { "" };
            let limit =
                hop_limit.map_or_else(String::new, |limit| format!(" --http-put-response-hop-limit {limit}"));
            Some(format!(
                "aws ec2 modify-instance-metadata-options{region} --instance-id {id}{tokens}{limit}"
            ))
        }
        ResourceType::LaunchTemplate => {
            let tokens = needs_tokens.then(|| "\"HttpTokens\":\"required\"".to_owned());
            let limit = hop_limit.map(|limit| format!("\"HttpPutResponseHopLimit\":{limit}"));
            let options = tokens.into_iter().chain(limit).collect::<Vec<_>>().join(",");
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
    use crate::rule::resource::MetadataOptions;
    use crate::rule::verdict::evaluate;

    fn command(
        resource_type: ResourceType<'static>,
        id: &'static str,
        tokens: &'static str,
    ) -> Option<String> {
        let limit = if id == "x-3" { 3 } else { 2 };
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
        for (id, tokens, options) in [
            ("x-2", "optional", "\"HttpTokens\":\"required\""),
            ("x-3", "required", "\"HttpPutResponseHopLimit\":2"),
            ("x-3", "optional", "\"HttpTokens\":\"required\",\"HttpPutResponseHopLimit\":2"),
        ] {
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
