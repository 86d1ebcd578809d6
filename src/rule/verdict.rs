//! The verdict: one pure function that decides, for every way in.
//!
//! [`evaluate`] does no I/O, reads no clock and cannot fail. What it weighs, and in which order, is the
//! verdict table of the README; each row is a line of `decide`, below.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use time::Date;
use time::macros::format_description;

use crate::rule::policy::Policy;
use crate::rule::resource::{
    AccountDefaults, Gap, HttpTokens, Lifecycle, MetadataOptions, Resource, ResourceType,
};

/// An annotation has 1 to 256 characters
/// (<https://docs.aws.amazon.com/config/latest/APIReference/API_Evaluation.html>).
const MAX_ANNOTATION: usize = 256;

/// What AWS Config is told about one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The compliance type.
    pub compliance: Compliance,
    /// What was found, and what to do: 1 to 256 characters of plain English.
    pub annotation: String,
}

/// The compliance types that a rule may report
/// (<https://docs.aws.amazon.com/config/latest/APIReference/API_Evaluation.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Compliance {
    /// IMDSv1 is answered, or may be.
    NonCompliant,
    /// IMDSv1 is closed, as the policy asks.
    Compliant,
    /// There is nothing to judge.
    NotApplicable,
}

impl Compliance {
    /// The word that AWS Config's API uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NonCompliant => "NON_COMPLIANT",
            Self::Compliant => "COMPLIANT",
            Self::NotApplicable => "NOT_APPLICABLE",
        }
    }
}

impl fmt::Display for Compliance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How many verdicts there were of each kind: what an invocation of the function returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// `COMPLIANT`
    pub compliant: u64,
    /// `NON_COMPLIANT`
    pub non_compliant: u64,
    /// `NOT_APPLICABLE`
    pub not_applicable: u64,
}

impl Summary {
    /// The summary of one verdict.
    #[must_use]
    pub fn of(compliance: Compliance) -> Self {
        let mut summary = Self::default();
        summary.count(compliance);
        summary
    }

    /// Counts one more verdict.
    pub fn count(&mut self, compliance: Compliance) {
        match compliance {
            Compliance::Compliant => self.compliant += 1,
            Compliance::NonCompliant => self.non_compliant += 1,
            Compliance::NotApplicable => self.not_applicable += 1,
        }
    }
}

/// Judges one resource. `today` is the date in UTC, on which exemptions depend.
#[must_use]
pub fn evaluate(resource: &Resource<'_>, policy: &Policy, today: Date) -> Verdict {
    let exemption = Exemption::of(resource, policy, today);
    let (compliance, finding) = decide(resource, policy, &exemption);
    let mut annotation = finding.into_owned();
    if compliance != Compliance::NotApplicable {
        if let Exemption::Ignored(note) = &exemption {
            annotation.push(' ');
            annotation.push_str(note);
        }
        if resource.gap == Some(Gap::WhichVersion) {
            annotation.push_str(" The record may hold another version than the default.");
        }
    }
    Verdict { compliance, annotation: fit(annotation) }
}

/// Judges the account-level defaults of a Region, which decide for instances whose launch does not.
#[must_use]
pub fn evaluate_account(defaults: &AccountDefaults<'_>) -> Verdict {
    let by = if defaults.managed_by_policy { ", by a declarative policy" } else { "" };
    let (compliance, annotation) = match &defaults.http_tokens {
        HttpTokens::Required => {
            (Compliance::Compliant, format!("New instances require IMDSv2 by default here{by}."))
        }
        _ if defaults.enforced => (
            Compliance::Compliant,
            format!("EC2 refuses launches that leave IMDSv1 open here{by} (HttpTokensEnforced)."),
        ),
        found => {
            let found = match found {
                HttpTokens::Other(word) => format!("\"{}\"", excerpt(word)),
                HttpTokens::Optional => "optional".to_owned(),
                HttpTokens::Required | HttpTokens::Unset => "not set".to_owned(),
            };
            let place = if defaults.managed_by_policy {
                "in the organization's declarative policy"
            } else {
                "with ModifyInstanceMetadataDefaults"
            };
            let annotation = format!(
                "New instances may answer IMDSv1: the default of HttpTokens is {found} in this account and Region. \
                 Set it to required {place}."
            );
            (Compliance::NonCompliant, annotation)
        }
    };
    Verdict { compliance, annotation: fit(annotation) }
}

/// The verdict table: the first line that applies wins.
fn decide(
    resource: &Resource<'_>,
    policy: &Policy,
    exemption: &Exemption,
) -> (Compliance, Cow<'static, str>) {
    if let Some(reason) = nothing_to_judge(resource, policy) {
        return (Compliance::NotApplicable, reason);
    }
    if let Exemption::Until(date) = exemption {
        return (Compliance::NotApplicable, format!("Exempt by tag through {date} (UTC).").into());
    }
    let Some(options) = &resource.metadata_options else {
        return (Compliance::NonCompliant, not_set(&resource.resource_type));
    };
    if options.endpoint_disabled && policy.disabled_endpoint_compliant {
        return (
            Compliance::Compliant,
            "The IMDS endpoint is disabled: no metadata is served at all.".into(),
        );
    }
    match &options.http_tokens {
        HttpTokens::Required => {}
        HttpTokens::Optional => return (Compliance::NonCompliant, optional(&resource.resource_type)),
        HttpTokens::Unset => return (Compliance::NonCompliant, not_set(&resource.resource_type)),
        HttpTokens::Other(word) => {
            let finding =
                format!("HttpTokens is \"{}\", not \"required\". Set HttpTokens=required.", excerpt(word));
            return (Compliance::NonCompliant, finding.into());
        }
    }
    match (options.hop_limit, policy.max_hop_limit) {
        (Some(limit), Some(max)) if limit > i64::from(max) => (
            Compliance::NonCompliant,
            format!(
                "HttpTokens is required, but the hop limit {limit} is above {max}. \
                 Set HttpPutResponseHopLimit to {max} or less."
            )
            .into(),
        ),
        _ => (Compliance::Compliant, required(options)),
    }
}

/// Why there is nothing to judge, if so.
fn nothing_to_judge(resource: &Resource<'_>, policy: &Policy) -> Option<Cow<'static, str>> {
    let reason = match &resource.lifecycle {
        Lifecycle::Live if policy.judges(&resource.resource_type) => return None,
        Lifecycle::Live => format!("This rule does not judge {}.", excerpt(resource.resource_type.name())),
        Lifecycle::NotRecorded(status) => match status.as_ref() {
            "ResourceDeleted" | "ResourceDeletedNotRecorded" => "The resource is deleted.".to_owned(),
            "ResourceNotRecorded" => "AWS Config does not record resources of this type.".to_owned(),
            other => format!("AWS Config gives the resource the status \"{}\".", excerpt(other)),
        },
        Lifecycle::LeftScope => "The resource left the scope of this rule.".to_owned(),
        Lifecycle::Ending(state) => format!("The instance is {}.", excerpt(state)),
        Lifecycle::Vanished if resource.resource_type == ResourceType::Instance => {
            "The instance is terminated, or no longer exists.".to_owned()
        }
        Lifecycle::Vanished => "The resource no longer exists.".to_owned(),
    };
    Some(reason.into())
}

fn optional(resource_type: &ResourceType<'_>) -> Cow<'static, str> {
    match resource_type {
        ResourceType::Instance | ResourceType::Other(_) => {
            "HttpTokens is optional: the instance still answers IMDSv1. Set HttpTokens=required."
        }
        ResourceType::LaunchTemplate => {
            "HttpTokens is optional: instances launched from this template answer IMDSv1. \
             Make a version with HttpTokens=required the default."
        }
        ResourceType::LaunchConfiguration => {
            "HttpTokens is optional: instances launched from this configuration answer IMDSv1. \
             Replace it by a launch template with HttpTokens=required."
        }
    }
    .into()
}

fn not_set(resource_type: &ResourceType<'_>) -> Cow<'static, str> {
    match resource_type {
        ResourceType::Instance | ResourceType::Other(_) => {
            "HttpTokens is not recorded: nothing shows that the instance refuses IMDSv1. \
             Set HttpTokens=required."
        }
        ResourceType::LaunchTemplate => {
            "HttpTokens is not set: instances launched from this template may answer IMDSv1. \
             Make a version with HttpTokens=required the default."
        }
        ResourceType::LaunchConfiguration => {
            "HttpTokens is not set: instances launched from this configuration may answer IMDSv1. \
             Replace it by a launch template with HttpTokens=required."
        }
    }
    .into()
}

fn required(options: &MetadataOptions<'_>) -> Cow<'static, str> {
    if options.pending {
        "HttpTokens is required: IMDSv1 will be closed. The change is pending: it applies within \
         seconds, on a stopped instance at its next start."
    } else {
        "HttpTokens is required: IMDSv1 is closed."
    }
    .into()
}

/// What the exemption tag says.
enum Exemption {
    /// There is no such tag, or the policy knows no exemptions.
    None,
    /// Exempt through this day.
    Until(Date),
    /// The tag is there and exempts nothing; the sentence says why.
    Ignored(String),
}

impl Exemption {
    fn of(resource: &Resource<'_>, policy: &Policy, today: Date) -> Self {
        let Some(key) = policy.exemption_tag_key.as_deref() else { return Self::None };
        let Some(value) = resource.tag(key) else { return Self::None };
        match Date::parse(value, format_description!("[year]-[month]-[day]")) {
            Ok(last) if today <= last => Self::Until(last),
            Ok(last) => Self::Ignored(format!("Its exemption ended on {last}.")),
            Err(_) => {
                Self::Ignored(format!("Its exemption tag \"{}\" is no date YYYY-MM-DD.", excerpt(value)))
            }
        }
    }
}

/// The start of a text that somebody else wrote, fit for a sentence: short, and on one line.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut excerpt: String = characters.by_ref().take(LONGEST).collect();
    if characters.next().is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// Cuts an annotation to what AWS Config takes. Counted in UTF-16 units, as AWS's services count: that
/// is never less than the number of characters, so the limit holds however it is counted.
fn fit(mut annotation: String) -> String {
    let mut units = 0;
    let cut = annotation.char_indices().find_map(|(start, c)| {
        units += c.len_utf16();
        (units > MAX_ANNOTATION).then_some(start)
    });
    if let Some(mut cut) = cut {
        // Room for the ellipsis: it is one unit, and the last character that fitted is at least one.
        cut = annotation.get(..cut).and_then(|kept| kept.char_indices().next_back()).map_or(0, |(at, _)| at);
        annotation.truncate(cut);
        annotation.push('…');
    }
    annotation
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::date;

    use super::*;

    const TODAY: Date = date!(2026 - 06 - 15);

    fn options(tokens: &'static str) -> MetadataOptions<'static> {
        MetadataOptions::from_words(Some(tokens.into()), Some("enabled"), Some(1), Some("applied"))
    }

    fn instance(options: Option<MetadataOptions<'static>>) -> Resource<'static> {
        Resource {
            resource_type: ResourceType::Instance,
            resource_id: "i-0123456789abcdef0".into(),
            account_id: None,
            region: None,
            lifecycle: Lifecycle::Live,
            tags: Vec::new(),
            metadata_options: options,
            gap: None,
        }
    }

    fn tagged(value: &'static str) -> Resource<'static> {
        Resource { tags: vec![("until".into(), value.into())], ..instance(Some(options("optional"))) }
    }

    fn with_exemptions() -> Policy {
        Policy { exemption_tag_key: Some("until".into()), ..Policy::default() }
    }

    fn compliance(resource: &Resource<'_>, policy: &Policy) -> Compliance {
        evaluate(resource, policy, TODAY).compliance
    }

    #[test]
    fn account_defaults_comply_when_ec2_requires_or_enforces_tokens() {
        for (tokens, enforced, managed_by, expected, annotation) in [
            (
                Some("required"),
                None,
                None,
                Compliance::Compliant,
                "New instances require IMDSv2 by default here.",
            ),
            (
                Some("required"),
                Some("disabled"),
                Some("declarative-policy"),
                Compliance::Compliant,
                "New instances require IMDSv2 by default here, by a declarative policy.",
            ),
            (
                None,
                Some("enabled"),
                Some("account"),
                Compliance::Compliant,
                "EC2 refuses launches that leave IMDSv1 open here (HttpTokensEnforced).",
            ),
            (Some("optional"), Some("enabled"), None, Compliance::Compliant, "(HttpTokensEnforced)."),
            (None, None, Some("account"), Compliance::NonCompliant, "HttpTokens is not set in this account"),
            (Some("optional"), None, None, Compliance::NonCompliant, "with ModifyInstanceMetadataDefaults."),
            (Some("Required"), Some("on"), None, Compliance::NonCompliant, "HttpTokens is \"Required\" in"),
            (
                Some("optional"),
                Some("disabled"),
                Some("declarative-policy"),
                Compliance::NonCompliant,
                "Set it to required in the organization's declarative policy.",
            ),
        ] {
            let defaults = AccountDefaults::from_words(tokens.map(Into::into), enforced, managed_by);
            let verdict = evaluate_account(&defaults);
            assert_eq!(verdict.compliance, expected, "{defaults:?}");
            assert!(verdict.annotation.contains(annotation), "{}", verdict.annotation);
        }
    }

    #[test]
    fn a_type_that_the_policy_leaves_out_is_not_judged() {
        let policy = Policy { resource_types: vec![ResourceType::LaunchTemplate], ..Policy::default() };
        let verdict = evaluate(&instance(Some(options("optional"))), &policy, TODAY);
        assert_eq!(verdict.compliance, Compliance::NotApplicable);
        assert_eq!(verdict.annotation, "This rule does not judge AWS::EC2::Instance.");
    }

    #[test]
    fn exemption_lasts_through_its_day_in_utc() {
        for (value, expected) in [
            ("2026-06-14", Compliance::NonCompliant),
            ("2026-06-15", Compliance::NotApplicable),
            ("2026-06-16", Compliance::NotApplicable),
            ("9999-12-31", Compliance::NotApplicable),
            ("2027-02-29", Compliance::NonCompliant), // there is no such day
            ("2027-1-1", Compliance::NonCompliant),
            ("2027-01-01T00:00:00Z", Compliance::NonCompliant),
            (" 2027-01-01", Compliance::NonCompliant),
            ("true", Compliance::NonCompliant),
            ("", Compliance::NonCompliant),
        ] {
            assert_eq!(compliance(&tagged(value), &with_exemptions()), expected, "{value:?}");
        }
    }

    #[test]
    fn exemption_tag_means_nothing_unless_the_policy_names_it() {
        assert_eq!(compliance(&tagged("9999-12-31"), &Policy::default()), Compliance::NonCompliant);
        let other = Policy { exemption_tag_key: Some("Until".into()), ..Policy::default() };
        assert_eq!(compliance(&tagged("9999-12-31"), &other), Compliance::NonCompliant);
    }

    #[test]
    fn an_ignored_exemption_is_told_on_a_compliant_resource_too() {
        let resource = Resource { metadata_options: Some(options("required")), ..tagged("soon") };
        let verdict = evaluate(&resource, &with_exemptions(), TODAY);
        assert_eq!(verdict.compliance, Compliance::Compliant);
        assert!(verdict.annotation.ends_with("Its exemption tag \"soon\" is no date YYYY-MM-DD."));
    }

    #[test]
    fn only_the_exact_word_closes_imdsv1() {
        for word in ["optional", "Required", "REQUIRED", " required", "required ", "require", "true", ""] {
            assert_eq!(
                compliance(&instance(Some(options(word))), &Policy::default()),
                Compliance::NonCompliant,
                "{word:?}"
            );
        }
        assert_eq!(
            compliance(&instance(Some(options("required"))), &Policy::default()),
            Compliance::Compliant
        );
    }

    #[test]
    fn a_strict_policy_judges_the_tokens_behind_a_disabled_endpoint() {
        let strict = Policy { disabled_endpoint_compliant: false, ..Policy::default() };
        for (tokens, expected) in
            [("optional", Compliance::NonCompliant), ("required", Compliance::Compliant)]
        {
            let disabled = MetadataOptions { endpoint_disabled: true, ..options(tokens) };
            assert_eq!(compliance(&instance(Some(disabled)), &strict), expected);
        }
    }

    #[test]
    fn hop_limit_is_judged_only_where_it_is_known_and_asked_for() {
        let limited = Policy { max_hop_limit: Some(2), ..Policy::default() };
        for (hops, policy, expected) in [
            (Some(2), &limited, Compliance::Compliant),
            (Some(3), &limited, Compliance::NonCompliant),
            (None, &limited, Compliance::Compliant),
            (Some(64), &Policy::default(), Compliance::Compliant),
        ] {
            let resource = instance(Some(MetadataOptions { hop_limit: hops, ..options("required") }));
            assert_eq!(compliance(&resource, policy), expected, "{hops:?}");
        }
    }

    #[test]
    fn a_record_that_may_be_of_another_version_says_so() {
        let resource = Resource {
            resource_type: ResourceType::LaunchTemplate,
            gap: Some(Gap::WhichVersion),
            ..instance(Some(options("required")))
        };
        let verdict = evaluate(&resource, &Policy::default(), TODAY);
        assert!(verdict.annotation.contains("another version than the default"), "{}", verdict.annotation);
    }

    #[test]
    fn annotation_is_cut_at_256_utf16_units() {
        assert_eq!(fit("a".repeat(256)), "a".repeat(256));
        assert_eq!(fit("a".repeat(257)), format!("{}…", "a".repeat(255)));
        // Each of these is one character and two units.
        let cut = fit("🦀".repeat(200));
        assert_eq!(cut, format!("{}…", "🦀".repeat(127)));
    }

    fn any_text() -> impl Strategy<Value = Cow<'static, str>> {
        prop_oneof![
            "\\PC{0,60}".prop_map(Cow::Owned),
            "[\\x00-\\x1f🦀é ]{0,200}".prop_map(Cow::Owned),
            Just(Cow::Borrowed("required")),
            Just(Cow::Borrowed("optional")),
            Just(Cow::Borrowed("2026-06-15")),
        ]
    }

    fn any_type() -> impl Strategy<Value = ResourceType<'static>> {
        prop_oneof![
            Just(ResourceType::Instance),
            Just(ResourceType::LaunchTemplate),
            Just(ResourceType::LaunchConfiguration),
            any_text().prop_map(ResourceType::Other),
        ]
    }

    fn any_lifecycle() -> impl Strategy<Value = Lifecycle<'static>> {
        prop_oneof![
            8 => Just(Lifecycle::Live),
            1 => any_text().prop_map(Lifecycle::from_item_status),
            1 => any_text().prop_map(Lifecycle::from_instance_state),
            1 => Just(Lifecycle::LeftScope),
            1 => Just(Lifecycle::Vanished),
        ]
    }

    prop_compose! {
        fn any_options()(
            tokens in proptest::option::of(any_text()),
            endpoint in prop_oneof![Just(None), Just(Some("enabled")), Just(Some("disabled")), Just(Some("?"))],
            hops in proptest::option::of(any::<i64>()),
            state in prop_oneof![Just(None), Just(Some("pending")), Just(Some("applied"))],
        ) -> MetadataOptions<'static> {
            MetadataOptions::from_words(tokens, endpoint, hops, state)
        }
    }

    prop_compose! {
        fn any_resource()(
            resource_type in any_type(),
            resource_id in any_text(),
            lifecycle in any_lifecycle(),
            tags in proptest::collection::vec((any_text(), any_text()), 0..3),
            metadata_options in proptest::option::of(any_options()),
            gap in prop_oneof![Just(None), Just(Some(Gap::NoMetadataOptions)), Just(Some(Gap::WhichVersion))],
        ) -> Resource<'static> {
            let (account_id, region) = (None, None);
            Resource { resource_type, resource_id, account_id, region, lifecycle, tags, metadata_options, gap }
        }
    }

    prop_compose! {
        fn any_policy()(
            max_hop_limit in proptest::option::of(1..=64u8),
            disabled_endpoint_compliant in any::<bool>(),
            exemption_tag_key in proptest::option::of(any_text().prop_map(Cow::into_owned)),
            resource_types in proptest::sample::subsequence(Policy::default().resource_types, 1..=3),
        ) -> Policy {
            let account_defaults = false;
            Policy { max_hop_limit, disabled_endpoint_compliant, exemption_tag_key, account_defaults, resource_types }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_may_answer_imdsv1_never_complies(resource in any_resource(), policy in any_policy()) {
            let closed = resource.metadata_options.as_ref().is_some_and(|options| {
                options.endpoint_disabled || options.http_tokens == HttpTokens::Required
            });
            let verdict = evaluate(&resource, &policy, TODAY);
            prop_assert!(closed || verdict.compliance != Compliance::Compliant);
        }

        #[test]
        fn annotation_always_fits(resource in any_resource(), policy in any_policy()) {
            let annotation = evaluate(&resource, &policy, TODAY).annotation;
            let units = annotation.encode_utf16().count();
            prop_assert!((1..=256).contains(&units), "{units}: {annotation}");
            prop_assert!(!annotation.chars().any(char::is_control), "{annotation:?}");
        }

        #[test]
        fn what_is_gone_is_never_judged(resource in any_resource(), policy in any_policy()) {
            if resource.lifecycle != Lifecycle::Live {
                prop_assert_eq!(evaluate(&resource, &policy, TODAY).compliance, Compliance::NotApplicable);
            }
        }
    }
}
