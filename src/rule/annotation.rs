//! The sentences of verdicts: what was found, and what to do about it.
//!
//! AWS Config shows them as annotations, which have 1 to 256 characters
//! (<https://docs.aws.amazon.com/config/latest/APIReference/API_Evaluation.html>).

use std::borrow::Cow;

use time::Date;

use super::resource::{
    AccountDefaults, DefaultsManager, HttpTokens, Lifecycle, OptionsState, Resource, ResourceType,
};

/// The longest annotation, in UTF-16 code units.
const MAX_UNITS: usize = 256;
/// The longest quotation of a value from outside, in characters.
const MAX_EXCERPT: usize = 40;

pub(super) const ENDPOINT_DISABLED: &str = "The IMDS endpoint is disabled, so no metadata is served.";
pub(super) const UNKNOWN_VERSION: &str =
    "The configuration item may describe a version other than the default version.";

/// Explains why a resource is not evaluated.
pub(super) fn not_applicable(resource: &Resource<'_>) -> Cow<'static, str> {
    match &resource.lifecycle {
        Lifecycle::Exists => {
            format!("This rule does not evaluate {}.", excerpt(resource.resource_type.name())).into()
        }
        Lifecycle::NotRecorded(status) => match status.as_ref() {
            "ResourceDeleted" | "ResourceDeletedNotRecorded" => "The resource was deleted.".into(),
            "ResourceNotRecorded" => "AWS Config does not record resources of this type.".into(),
            other => format!("AWS Config reports the status \"{}\".", excerpt(other)).into(),
        },
        Lifecycle::LeftScope => "The resource left the scope of this rule.".into(),
        Lifecycle::Terminated(state) => format!("The instance is {}.", excerpt(state)).into(),
        Lifecycle::NotFound if resource.resource_type == ResourceType::Instance => {
            "The instance is terminated or no longer exists.".into()
        }
        Lifecycle::NotFound => "The resource no longer exists.".into(),
    }
}

/// Explains that a resource is exempt through `last`.
pub(super) fn exempt(last: Date) -> Cow<'static, str> {
    format!("Exempt by tag through {last} (UTC).").into()
}

/// Explains that an exemption ended.
pub(super) fn expired_exemption(last: Date) -> String {
    format!("The exemption ended on {last}.")
}

/// Explains that the value of an exemption tag is not a date.
pub(super) fn invalid_exemption(value: &str) -> String {
    format!("The exemption tag value \"{}\" is not a YYYY-MM-DD date.", excerpt(value))
}

/// Explains that IMDSv1 is, or may be, accepted.
pub(super) fn tokens_not_required(
    http_tokens: &HttpTokens<'_>,
    resource_type: &ResourceType<'_>,
) -> Cow<'static, str> {
    let finding = match (http_tokens, resource_type) {
        (HttpTokens::Other(value), _) => {
            format!("HttpTokens is \"{}\" instead of \"required\".", excerpt(value))
        }
        (HttpTokens::Optional, ResourceType::Instance | ResourceType::Other(_)) => {
            "HttpTokens is optional: the instance accepts IMDSv1 requests.".to_owned()
        }
        (_, ResourceType::Instance | ResourceType::Other(_)) => {
            "HttpTokens is not recorded, so the instance may accept IMDSv1 requests.".to_owned()
        }
        (HttpTokens::Optional, source) => {
            format!(
                "HttpTokens is optional: instances launched from this {} accept IMDSv1 requests.",
                noun(source)
            )
        }
        (_, source) => format!(
            "HttpTokens is not set: instances launched from this {} may accept IMDSv1 requests.",
            noun(source)
        ),
    };
    format!("{finding} {}", remedy(resource_type)).into()
}

fn noun(launch_source: &ResourceType<'_>) -> &'static str {
    match launch_source {
        ResourceType::LaunchTemplate => "template",
        _ => "configuration",
    }
}

/// What to do about a resource that accepts IMDSv1.
fn remedy(resource_type: &ResourceType<'_>) -> &'static str {
    match resource_type {
        ResourceType::Instance | ResourceType::Other(_) => "Set HttpTokens=required.",
        ResourceType::LaunchTemplate => "Make a version with HttpTokens=required the default version.",
        ResourceType::LaunchConfiguration => {
            "Replace it with a launch template that sets HttpTokens=required."
        }
    }
}

/// Explains that the hop limit is higher than the policy allows.
pub(super) fn hop_limit_exceeded(limit: i64, max: u8) -> Cow<'static, str> {
    format!(
        "HttpTokens is required, but the hop limit {limit} exceeds the maximum of {max}. \
         Set HttpPutResponseHopLimit to {max} or less."
    )
    .into()
}

/// Explains that IMDSv1 is refused.
pub(super) fn tokens_required(state: OptionsState) -> Cow<'static, str> {
    match state {
        OptionsState::Applied => "HttpTokens is required: only IMDSv2 is accepted.".into(),
        OptionsState::Pending => "HttpTokens is required, and the change is pending: it takes effect within \
                                  seconds, or at the next start of a stopped instance."
            .into(),
    }
}

/// Explains that new instances require IMDSv2 by default.
pub(super) fn defaults_require_tokens(defaults: &AccountDefaults<'_>) -> String {
    format!("New instances in this Region require IMDSv2 by default{}.", set_by(defaults))
}

/// Explains that EC2 refuses launches that would allow IMDSv1.
pub(super) fn defaults_enforce_tokens(defaults: &AccountDefaults<'_>) -> String {
    format!(
        "HttpTokensEnforced is enabled{}: EC2 refuses launches that allow IMDSv1 in this Region.",
        set_by(defaults)
    )
}

/// Explains that new instances may accept IMDSv1.
pub(super) fn defaults_allow_imdsv1(defaults: &AccountDefaults<'_>) -> String {
    let found = match &defaults.http_tokens {
        HttpTokens::Other(value) => format!("\"{}\"", excerpt(value)),
        HttpTokens::Optional => "optional".to_owned(),
        HttpTokens::Required | HttpTokens::Unset => "not set".to_owned(),
    };
    let how = match defaults.managed_by {
        DefaultsManager::Account => "with ModifyInstanceMetadataDefaults",
        DefaultsManager::DeclarativePolicy => "in the organization's declarative policy",
    };
    format!(
        "New instances may accept IMDSv1 requests: the account-level default of HttpTokens is {found} in this \
         Region. Set it to required {how}."
    )
}

fn set_by(defaults: &AccountDefaults<'_>) -> &'static str {
    match defaults.managed_by {
        DefaultsManager::Account => "",
        DefaultsManager::DeclarativePolicy => " (set by a declarative policy)",
    }
}

/// Returns the start of a text from outside, fit for a sentence: short, and without control characters.
fn excerpt(text: &str) -> String {
    let mut characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut excerpt: String = characters.by_ref().take(MAX_EXCERPT).collect();
    if characters.next().is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// Shortens an annotation to what AWS Config accepts. The limit is counted in UTF-16 code units, as AWS
/// services count: that is never fewer than characters, so the limit holds however it is counted.
pub(super) fn fit(mut annotation: String) -> String {
    let mut units = 0;
    let cut = annotation.char_indices().find_map(|(start, c)| {
        units += c.len_utf16();
        (units > MAX_UNITS).then_some(start)
    });
    if let Some(mut cut) = cut {
        // The ellipsis takes one unit, and the last character that fitted takes at least one.
        cut = annotation.get(..cut).and_then(|kept| kept.char_indices().next_back()).map_or(0, |(at, _)| at);
        annotation.truncate(cut);
        annotation.push('…');
    }
    annotation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotation_is_cut_at_256_utf16_units() {
        assert_eq!(fit("a".repeat(256)), "a".repeat(256));
        assert_eq!(fit("a".repeat(257)), format!("{}…", "a".repeat(255)));
        // Each of these is one character and two units.
        assert_eq!(fit("🦀".repeat(200)), format!("{}…", "🦀".repeat(127)));
    }

    #[test]
    fn tokens_are_explained_for_each_resource_type() {
        for (http_tokens, resource_type, expected) in [
            (
                HttpTokens::Optional,
                ResourceType::Instance,
                "HttpTokens is optional: the instance accepts IMDSv1 requests. Set HttpTokens=required.",
            ),
            (
                HttpTokens::Unset,
                ResourceType::Instance,
                "HttpTokens is not recorded, so the instance may accept IMDSv1 requests. \
                 Set HttpTokens=required.",
            ),
            (
                HttpTokens::Optional,
                ResourceType::LaunchTemplate,
                "HttpTokens is optional: instances launched from this template accept IMDSv1 requests. \
                 Make a version with HttpTokens=required the default version.",
            ),
            (
                HttpTokens::Unset,
                ResourceType::LaunchConfiguration,
                "HttpTokens is not set: instances launched from this configuration may accept IMDSv1 \
                 requests. Replace it with a launch template that sets HttpTokens=required.",
            ),
            (
                HttpTokens::Other("Required".into()),
                ResourceType::Instance,
                "HttpTokens is \"Required\" instead of \"required\". Set HttpTokens=required.",
            ),
        ] {
            assert_eq!(tokens_not_required(&http_tokens, &resource_type), expected);
        }
    }

    #[test]
    fn the_reason_not_to_evaluate_is_named() {
        let not_recorded = |status: &'static str| Lifecycle::NotRecorded(status.into());
        for (resource_type, lifecycle, expected) in [
            (ResourceType::ACCOUNT, Lifecycle::Exists, "This rule does not evaluate AWS::::Account."),
            (ResourceType::Instance, not_recorded("ResourceDeleted"), "The resource was deleted."),
            (ResourceType::Instance, not_recorded("ResourceDeletedNotRecorded"), "The resource was deleted."),
            (
                ResourceType::Instance,
                not_recorded("ResourceNotRecorded"),
                "AWS Config does not record resources of this type.",
            ),
            (ResourceType::Instance, not_recorded("New"), "AWS Config reports the status \"New\"."),
            (ResourceType::Instance, Lifecycle::LeftScope, "The resource left the scope of this rule."),
            (
                ResourceType::Instance,
                Lifecycle::Terminated("terminated".into()),
                "The instance is terminated.",
            ),
            (ResourceType::Instance, Lifecycle::NotFound, "The instance is terminated or no longer exists."),
            (ResourceType::LaunchTemplate, Lifecycle::NotFound, "The resource no longer exists."),
        ] {
            let resource = Resource {
                name: None,
                resource_type,
                resource_id: "i-1".into(),
                account_id: None,
                region: None,
                lifecycle,
                tags: Vec::new(),
                metadata_options: None,
                gap: None,
            };
            assert_eq!(not_applicable(&resource), expected);
        }
    }

    #[test]
    fn a_finding_names_its_values() {
        let last = time::macros::date!(2027 - 01 - 31);
        for (sentence, expected) in [
            (exempt(last), "Exempt by tag through 2027-01-31 (UTC)."),
            (expired_exemption(last).into(), "The exemption ended on 2027-01-31."),
            (
                hop_limit_exceeded(3, 2),
                "HttpTokens is required, but the hop limit 3 exceeds the maximum of 2. \
                 Set HttpPutResponseHopLimit to 2 or less.",
            ),
            (tokens_required(OptionsState::Applied), "HttpTokens is required: only IMDSv2 is accepted."),
            (
                tokens_required(OptionsState::Pending),
                "HttpTokens is required, and the change is pending: it takes effect within seconds, or at the \
                 next start of a stopped instance.",
            ),
        ] {
            assert_eq!(sentence, expected);
        }
    }

    #[test]
    fn a_long_or_multi_line_value_is_quoted_on_one_line() {
        assert_eq!(excerpt("a\nb"), "a b");
        assert_eq!(excerpt(&"x".repeat(41)), format!("{}…", "x".repeat(40)));
    }
}
