//! The sentences of verdicts: what was found, and what to do about it.
//!
//! AWS Config shows them as annotations, which have 1 to 256 characters
//! (<https://docs.aws.amazon.com/config/latest/APIReference/API_Evaluation.html>).

use std::borrow::Cow;

use time::Date;

use super::launch::{AccountDefaults, DefaultsManager, Effective, EffectiveOptions, Image, SetBy};
use super::launch_source::LaunchOrigin;
use super::launched_by::{LaunchedBy, TemplateVersion};
use super::printable::printable;
use super::reason::Reason;
use super::resource::{HttpTokens, Lifecycle, OptionsState, Resource, ResourceType};

/// The longest annotation, in UTF-16 code units.
const MAX_UNITS: usize = 256;
/// The longest quotation of a value from outside, in characters.
const MAX_EXCERPT: usize = 40;
/// The longest name of what launches instances: a name in a plan has those of the modules around it.
const MAX_ORIGIN: usize = 60;
/// The longest phrase with such a quotation, in characters.
const MAX_PHRASE: usize = 120;

pub(super) const NO_SOURCE: &str =
    "The record does not contain the launch template or launch configuration of this group.";
pub(super) const NO_DECLARED_SOURCE: &str =
    "This group names no launch template or launch configuration: it may take the settings of an instance.";
pub(super) const UNKNOWN_VERSION: &str =
    "The configuration item may describe a version other than the default version.";

/// Explains why a resource is not evaluated.
pub(super) fn not_applicable(resource: &Resource<'_>) -> Cow<'static, str> {
    match &resource.lifecycle {
        Lifecycle::Exists | Lifecycle::Declared => {
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

/// What a sentence is about.
pub(super) enum Subject<'a> {
    Instance,
    /// An instance that a template or plan declares.
    DeclaredInstance,
    /// A Spot instance request that a plan declares.
    DeclaredSpotRequest,
    Template,
    /// A launch template that a template or plan declares.
    DeclaredTemplate,
    Configuration,
    /// A launch configuration that a template or plan declares.
    DeclaredConfiguration,
    /// An Auto Scaling group, and what it launches instances from.
    Group(&'a LaunchOrigin<'a>),
}

impl Subject<'_> {
    fn noun(&self) -> &'static str {
        match self {
            Self::Instance | Self::DeclaredInstance | Self::DeclaredSpotRequest => "instance",
            Self::Template | Self::DeclaredTemplate => "template",
            Self::Configuration | Self::DeclaredConfiguration => "configuration",
            Self::Group(_) => "group",
        }
    }

    /// What to do if it accepts IMDSv1.
    fn remedy(&self) -> &'static str {
        match self {
            Self::Instance => "Set HttpTokens=required.",
            Self::DeclaredInstance | Self::DeclaredTemplate | Self::DeclaredConfiguration => {
                "Set HttpTokens=required in its metadata options."
            }
            Self::DeclaredSpotRequest => {
                "A Spot request cannot set it: declare an instance with instance_market_options."
            }
            Self::Template => "Make a version with HttpTokens=required the default version.",
            Self::Configuration => "Replace it with a launch template that sets HttpTokens=required.",
            Self::Group(LaunchOrigin::TemplateVersion { .. }) => "Use a version with HttpTokens=required.",
            Self::Group(LaunchOrigin::LaunchConfiguration(_) | LaunchOrigin::Unresolved(_)) => {
                "Use a launch template that sets HttpTokens=required."
            }
        }
    }
}

/// Begins a sentence on what an Auto Scaling group launches instances from.
fn launched_from(origin: &LaunchOrigin<'_>) -> String {
    format!("Instances are launched from {}, ", origin_excerpt(origin))
}

fn origin_excerpt(origin: &LaunchOrigin<'_>) -> String {
    let short = |text: &str| Cow::Owned(start(text, MAX_ORIGIN));
    match origin {
        LaunchOrigin::TemplateVersion { template, version, number } => LaunchOrigin::TemplateVersion {
            template: short(template),
            version: short(version),
            number: *number,
        },
        LaunchOrigin::LaunchConfiguration(name) => LaunchOrigin::LaunchConfiguration(short(name)),
        LaunchOrigin::Unresolved(what) => LaunchOrigin::Unresolved(long_excerpt(what).into()),
    }
    .to_string()
}

/// Explains that no metadata is served.
pub(super) fn endpoint_disabled(subject: &Subject<'_>) -> Cow<'static, str> {
    match subject {
        Subject::Group(origin) => {
            format!("{}where the IMDS endpoint is disabled.", launched_from(origin)).into()
        }
        _ => "The IMDS endpoint is disabled, so no metadata is served.".into(),
    }
}

/// Explains that new instances serve no metadata.
pub(super) fn endpoint_disabled_by_default(subject: &Subject<'_>) -> Cow<'static, str> {
    let found = "the account-level default disables the IMDS endpoint";
    match subject {
        Subject::Group(origin) => format!("{}and {found}.", launched_from(origin)).into(),
        _ => format!("HttpEndpoint is not set, and {found}.").into(),
    }
}

/// Explains that new instances require tokens although what launches them does not say so.
pub(super) fn required_by_default(
    subject: &Subject<'_>,
    effective: EffectiveOptions,
    image: &Image<'_>,
) -> Cow<'static, str> {
    let found = match effective.requires_tokens {
        Effective::Set(_, SetBy::Image) => format!("{} requires tokens", image_name(image)),
        _ => "the account-level default requires tokens".to_owned(),
    };
    match subject {
        Subject::Group(origin) => {
            format!("{}where HttpTokens is not set, and {found}.", launched_from(origin)).into()
        }
        _ => format!("HttpTokens is not set in this {}, and {found}.", subject.noun()).into(),
    }
}

fn image_name(image: &Image<'_>) -> String {
    image.id().map_or_else(|| "the AMI".to_owned(), |id| format!("the AMI {}", excerpt(id)))
}

/// Explains what EC2 would do with a launch; `finding` says why.
pub(super) fn launch(reason: Reason, finding: Cow<'static, str>) -> Cow<'static, str> {
    match reason {
        Reason::LaunchRefused => format!("EC2 would refuse the launch. {finding}").into(),
        Reason::LaunchMayBeRefused => format!("EC2 may refuse the launch. {finding}").into(),
        _ => finding,
    }
}

/// What decides on tokens where what launches instances does not set them.
pub(super) struct DefaultTokens<'a> {
    pub(super) requires_tokens: Effective<bool>,
    /// Whether the account-level defaults are known, so that only the AMI can be unknown.
    pub(super) are_defaults_known: bool,
    pub(super) image: &'a Image<'a>,
    /// EC2 refuses launches that allow IMDSv1.
    pub(super) is_enforced: bool,
}

impl DefaultTokens<'_> {
    /// Returns the rest of a sentence that begins with "`HttpTokens` is not set"; `None` if it is not known what an
    /// instance would get.
    fn clause(&self) -> Option<String> {
        let clause = match self.requires_tokens {
            Effective::Unknown if !self.are_defaults_known => return None,
            Effective::Unknown => {
                "; the AMI, which is not known, decides whether tokens are required.".to_owned()
            }
            Effective::Set(true, SetBy::Image) => {
                format!("; today {} requires tokens.", image_name(self.image))
            }
            Effective::Set(true, _) => "; today the account-level default requires tokens.".to_owned(),
            Effective::Set(false, SetBy::AccountDefaults) => {
                ", and the account-level default allows IMDSv1.".to_owned()
            }
            Effective::Set(false, SetBy::Launch) => {
                ", and its other metadata options make tokens optional.".to_owned()
            }
            Effective::Set(false, _) => ", and no default requires tokens.".to_owned(),
        };
        let is_refused = self.is_enforced && self.requires_tokens.is(&false);
        Some(if is_refused {
            format!("{clause} EC2 refuses the launch (HttpTokensEnforced).")
        } else {
            clause
        })
    }
}

/// Explains that IMDSv1 is, or may be, accepted. `default` is what decides if `HttpTokens` is not set.
pub(super) fn tokens_not_required(
    http_tokens: &HttpTokens<'_>,
    subject: &Subject<'_>,
    default: Option<&DefaultTokens<'_>>,
) -> Cow<'static, str> {
    let default = default.and_then(DefaultTokens::clause);
    let noun = subject.noun();
    let finding = match (http_tokens, subject) {
        (HttpTokens::Other(value), Subject::Group(origin)) => format!(
            "{}where HttpTokens is \"{}\" instead of \"required\".",
            launched_from(origin),
            excerpt(value)
        ),
        (HttpTokens::Other(value), _) => {
            format!("HttpTokens is \"{}\" instead of \"required\".", excerpt(value))
        }
        (HttpTokens::Optional, Subject::Instance) => {
            "HttpTokens is optional: the instance accepts IMDSv1 requests.".to_owned()
        }
        (HttpTokens::Optional, Subject::DeclaredInstance) => {
            "HttpTokens is optional: the instance will accept IMDSv1 requests.".to_owned()
        }
        (HttpTokens::Optional, Subject::Group(origin)) => {
            format!("{}where HttpTokens is optional: they accept IMDSv1 requests.", launched_from(origin))
        }
        (HttpTokens::Optional, _) => {
            format!("HttpTokens is optional: instances launched from this {noun} accept IMDSv1 requests.")
        }
        (_, Subject::Instance) => {
            "HttpTokens is not recorded, so the instance may accept IMDSv1 requests.".to_owned()
        }
        (_, Subject::Group(origin)) => {
            let rest = default.unwrap_or_else(|| ": they may accept IMDSv1 requests.".to_owned());
            format!("{}where HttpTokens is not set{rest}", launched_from(origin))
        }
        (_, Subject::DeclaredInstance | Subject::DeclaredSpotRequest) if default.is_none() => {
            "HttpTokens is not set, so the instance may accept IMDSv1 requests.".to_owned()
        }
        (_, _) => match default {
            Some(rest) => format!("HttpTokens is not set in this {noun}{rest}"),
            None => format!(
                "HttpTokens is not set: instances launched from this {noun} may accept IMDSv1 requests."
            ),
        },
    };
    format!("{finding} {}", subject.remedy()).into()
}

/// Explains that the hop limit is higher than the policy allows. `tokens` says that tokens are required.
pub(super) fn hop_limit_exceeded(
    limit: i64,
    max: u8,
    tokens: &str,
    subject: &Subject<'_>,
) -> Cow<'static, str> {
    let finding = match subject {
        Subject::Group(origin) => format!("{}where ", launched_from(origin)),
        _ => format!("HttpTokens is {tokens}, but "),
    };
    format!(
        "{finding}the hop limit {limit} exceeds the maximum of {max}. \
         Set HttpPutResponseHopLimit to {max} or less."
    )
    .into()
}

/// Explains that IMDSv1 is refused.
pub(super) fn tokens_required(state: OptionsState, subject: &Subject<'_>) -> Cow<'static, str> {
    match (state, subject) {
        (_, Subject::Group(origin)) => {
            format!("{}where HttpTokens is required.", launched_from(origin)).into()
        }
        (OptionsState::Applied, _) => "HttpTokens is required: only IMDSv2 is accepted.".into(),
        (OptionsState::Pending, _) => {
            "HttpTokens is required, and the change is pending: it takes effect within \
             seconds, or at the next start of a stopped instance."
                .into()
        }
    }
}

/// Explains that it is not known what an Auto Scaling group launches.
pub(super) fn source_unknown(origin: &LaunchOrigin<'_>) -> Cow<'static, str> {
    match origin {
        LaunchOrigin::Unresolved(what) => {
            let what = long_excerpt(what);
            format!("What launches the instances is known only at deployment: it depends on {what}.").into()
        }
        _ => format!("{}which the input does not contain.", launched_from(origin)).into(),
    }
}

/// Names what an option depends on that a launch template sets, which is not known.
pub(super) fn absent_source(origin: &LaunchOrigin<'_>) -> Cow<'static, str> {
    match origin {
        LaunchOrigin::Unresolved(what) => what.clone().into_owned().into(),
        _ => format!("{}, which the input does not contain", origin_excerpt(origin)).into(),
    }
}

/// Explains that an option depends on `what`, which is known only at deployment.
pub(super) fn unresolved(option: &str, what: &str, subject: &Subject<'_>) -> Cow<'static, str> {
    let what = long_excerpt(what);
    let sentence = format!("{option} is known only at deployment: it depends on {what}.");
    match subject {
        Subject::Group(origin) => format!("{}where {sentence}", launched_from(origin)).into(),
        _ => sentence.into(),
    }
}

/// Explains that an Auto Scaling group cannot launch instances.
pub(super) fn source_gone(origin: &LaunchOrigin<'_>) -> Cow<'static, str> {
    format!("This group launches nothing: {} does not exist.", origin_excerpt(origin)).into()
}

/// Names what launched an instance, since that also launches the next one, and the AWS service that manages a resource;
/// `None` if neither is known.
pub(super) fn origin(resource: &Resource<'_>) -> Option<String> {
    let launched = launched(resource).filter(|_| resource.resource_type == ResourceType::Instance);
    let managed = resource.managed_by.as_deref().map(|by| format!("Managed by {}.", excerpt(by)));
    let sentences: Vec<_> = launched.into_iter().chain(managed).collect();
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

fn launched(resource: &Resource<'_>) -> Option<String> {
    let launcher = LaunchedBy::of(resource).map(|by| format!("by {} {}", by.noun(), excerpt(&by.id)));
    let template = TemplateVersion::of(resource).map(|template| {
        let version =
            template.version.map_or_else(String::new, |version| format!(" version {}", excerpt(&version)));
        format!("from {}{version}", excerpt(&template.id))
    });
    let parts: Vec<_> = launcher.into_iter().chain(template).collect();
    (!parts.is_empty()).then(|| format!("Launched {}.", parts.join(" ")))
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
        DefaultsManager::Declaration => "where it is declared",
    };
    format!(
        "New instances may accept IMDSv1 requests: the account-level default of HttpTokens is {found} in this \
         Region. Set it to required {how}."
    )
}

fn set_by(defaults: &AccountDefaults<'_>) -> &'static str {
    match defaults.managed_by {
        DefaultsManager::Account | DefaultsManager::Declaration => "",
        DefaultsManager::DeclarativePolicy => " (set by a declarative policy)",
    }
}

/// Returns the start of a text from outside, fit for a sentence: short, and printable.
fn excerpt(text: &str) -> String {
    start(text, MAX_EXCERPT)
}

/// Returns the start of a phrase that this program made from a text from outside.
fn long_excerpt(text: &str) -> String {
    start(text, MAX_PHRASE)
}

fn start(text: &str, length: usize) -> String {
    let text = printable(text);
    let mut characters = text.chars();
    let mut excerpt: String = characters.by_ref().take(length).collect();
    if characters.next().is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// Appends what launched an instance to an annotation. Returns the annotation, shortened to what AWS Config accepts, and
/// its length without what launched the instance.
pub(super) fn with_origin(annotation: String, origin: Option<String>) -> (String, usize) {
    let meaning = fit(annotation);
    let length = meaning.len();
    match origin {
        None => (meaning, length),
        Some(origin) => (fit(format!("{meaning} {origin}")), length),
    }
}

/// Shortens an annotation to what AWS Config accepts. The limit is counted in UTF-16 code units, as AWS
/// services count: that is never fewer than characters, so the limit holds however it is counted.
fn fit(mut annotation: String) -> String {
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
    use crate::rule::resource::Tag;

    #[test]
    fn annotation_is_cut_at_256_utf16_units() {
        assert_eq!(fit("a".repeat(256)), "a".repeat(256));
        assert_eq!(fit("a".repeat(257)), format!("{}…", "a".repeat(255)));
        // Each of these is one character and two units.
        assert_eq!(fit("🦀".repeat(200)), format!("{}…", "🦀".repeat(127)));
    }

    const VERSION: LaunchOrigin<'static> = LaunchOrigin::TemplateVersion {
        template: Cow::Borrowed("lt-0123456789abcdef0"),
        version: Cow::Borrowed("$Latest"),
        number: Some(12),
    };

    #[test]
    fn tokens_are_explained_for_each_subject() {
        let configuration = LaunchOrigin::LaunchConfiguration("web".into());
        for (http_tokens, subject, expected) in [
            (
                HttpTokens::Optional,
                Subject::Instance,
                "HttpTokens is optional: the instance accepts IMDSv1 requests. Set HttpTokens=required.",
            ),
            (
                HttpTokens::Unset,
                Subject::Instance,
                "HttpTokens is not recorded, so the instance may accept IMDSv1 requests. \
                 Set HttpTokens=required.",
            ),
            (
                HttpTokens::Optional,
                Subject::Template,
                "HttpTokens is optional: instances launched from this template accept IMDSv1 requests. \
                 Make a version with HttpTokens=required the default version.",
            ),
            (
                HttpTokens::Unset,
                Subject::Configuration,
                "HttpTokens is not set: instances launched from this configuration may accept IMDSv1 \
                 requests. Replace it with a launch template that sets HttpTokens=required.",
            ),
            (
                HttpTokens::Other("Required".into()),
                Subject::Instance,
                "HttpTokens is \"Required\" instead of \"required\". Set HttpTokens=required.",
            ),
            (
                HttpTokens::Optional,
                Subject::Group(&VERSION),
                "Instances are launched from launch template lt-0123456789abcdef0 version 12 ($Latest), where \
                 HttpTokens is optional: they accept IMDSv1 requests. Use a version with HttpTokens=required.",
            ),
            (
                HttpTokens::Unset,
                Subject::Group(&configuration),
                "Instances are launched from launch configuration web, where HttpTokens is not set: they may \
                 accept IMDSv1 requests. Use a launch template that sets HttpTokens=required.",
            ),
            (
                HttpTokens::Other("odd".into()),
                Subject::Group(&configuration),
                "Instances are launched from launch configuration web, where HttpTokens is \"odd\" instead of \
                 \"required\". Use a launch template that sets HttpTokens=required.",
            ),
        ] {
            assert_eq!(tokens_not_required(&http_tokens, &subject, None), expected);
        }
    }

    #[test]
    fn what_an_instance_would_get_today_is_explained() {
        let image = Image::RequiresTokens("ami-1".into());
        let default = |requires_tokens, is_enforced| DefaultTokens {
            requires_tokens,
            are_defaults_known: requires_tokens != Effective::Unknown,
            image: &image,
            is_enforced,
        };
        let set = |value, by| Effective::Set(value, by);
        for (default, expected) in [
            (
                default(Effective::Unknown, true),
                ": instances launched from this template may accept IMDSv1 requests.",
            ),
            (
                default(set(true, SetBy::Image), false),
                " in this template; today the AMI ami-1 requires tokens.",
            ),
            (
                default(set(true, SetBy::AccountDefaults), true),
                " in this template; today the account-level default requires tokens.",
            ),
            (
                default(set(false, SetBy::AccountDefaults), false),
                " in this template, and the account-level default allows IMDSv1.",
            ),
            (
                default(set(false, SetBy::Nothing), true),
                " in this template, and no default requires tokens. EC2 refuses the launch (HttpTokensEnforced).",
            ),
        ] {
            let sentence = tokens_not_required(&HttpTokens::Unset, &Subject::Template, Some(&default));
            let remedy = "Make a version with HttpTokens=required the default version.";
            assert_eq!(sentence, format!("HttpTokens is not set{expected} {remedy}"));
        }
        // The longest sentence fits with real ids.
        let default = default(set(false, SetBy::Nothing), true);
        let longest = tokens_not_required(&HttpTokens::Unset, &Subject::Group(&VERSION), Some(&default));
        assert!(longest.len() <= MAX_UNITS, "{}: {longest}", longest.len());
    }

    #[test]
    fn a_compliant_launch_is_explained() {
        let image = Image::RequiresTokens("ami-1".into());
        let effective = |by| EffectiveOptions {
            requires_tokens: Effective::Set(true, by),
            endpoint_enabled: Effective::Unknown,
            hop_limit: Effective::Unknown,
        };
        let from = "Instances are launched from launch template lt-0123456789abcdef0 version 12 ($Latest), ";
        let group = Subject::Group(&VERSION);
        for (sentence, expected) in [
            (
                required_by_default(&Subject::Template, effective(SetBy::AccountDefaults), &image),
                "HttpTokens is not set in this template, and the account-level default requires tokens."
                    .to_owned(),
            ),
            (
                required_by_default(&group, effective(SetBy::Image), &image),
                format!("{from}where HttpTokens is not set, and the AMI ami-1 requires tokens."),
            ),
            (tokens_required(OptionsState::Applied, &group), format!("{from}where HttpTokens is required.")),
            (endpoint_disabled(&group), format!("{from}where the IMDS endpoint is disabled.")),
            (
                endpoint_disabled_by_default(&group),
                format!("{from}and the account-level default disables the IMDS endpoint."),
            ),
            (
                endpoint_disabled_by_default(&Subject::Configuration),
                "HttpEndpoint is not set, and the account-level default disables the IMDS endpoint."
                    .to_owned(),
            ),
            (source_unknown(&VERSION), format!("{from}which the input does not contain.")),
            (
                source_gone(&LaunchOrigin::LaunchConfiguration("x".repeat(70).into())),
                format!(
                    "This group launches nothing: launch configuration {}… does not exist.",
                    "x".repeat(60)
                ),
            ),
        ] {
            assert_eq!(sentence, expected);
        }
    }

    #[test]
    fn what_launched_an_instance_follows_the_finding() {
        let tag = |key: &'static str, value: &'static str| Tag { key: key.into(), value: value.into() };
        let with = |tags: Vec<Tag<'static>>| Resource {
            tags,
            ..Resource::existing(ResourceType::Instance, "i-1".into(), None)
        };
        let group = tag("aws:autoscaling:groupName", "web");
        let template = tag("aws:ec2launchtemplate:id", "lt-1");
        let version = tag("aws:ec2launchtemplate:version", "3");
        for (tags, expected) in [
            (vec![], None),
            (vec![group.clone()], Some("Launched by Auto Scaling group web.")),
            (vec![template.clone()], Some("Launched from lt-1.")),
            (vec![group, template, version], Some("Launched by Auto Scaling group web from lt-1 version 3.")),
        ] {
            assert_eq!(origin(&with(tags)).as_deref(), expected);
        }
        let managed = Some("eks.amazonaws.com".into());
        let managed = Resource { managed_by: managed, ..with(vec![tag("eks:nodegroup-name", "workers")]) };
        let expected = "Launched by EKS node group workers. Managed by eks.amazonaws.com.";
        assert_eq!(origin(&managed).as_deref(), Some(expected));
        let template = Resource { resource_type: ResourceType::LaunchTemplate, ..managed };
        assert_eq!(origin(&template).as_deref(), Some("Managed by eks.amazonaws.com."));
        let (annotation, meaning) = with_origin("Found.".to_owned(), Some("Launched.".to_owned()));
        assert_eq!((annotation.as_str(), meaning), ("Found. Launched.", 6));
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
            let resource = Resource { lifecycle, ..Resource::existing(resource_type, "i-1".into(), None) };
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
                hop_limit_exceeded(3, 2, "required", &Subject::Instance),
                "HttpTokens is required, but the hop limit 3 exceeds the maximum of 2. \
                 Set HttpPutResponseHopLimit to 2 or less.",
            ),
            (
                tokens_required(OptionsState::Applied, &Subject::Instance),
                "HttpTokens is required: only IMDSv2 is accepted.",
            ),
            (
                tokens_required(OptionsState::Pending, &Subject::Instance),
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
        assert_eq!(excerpt("web\u{202e}"), "web\\u{202e}");
        assert_eq!(excerpt(&"x".repeat(41)), format!("{}…", "x".repeat(40)));
    }
}
