//! The verdict: one pure function that judges a resource, for every caller.
//!
//! [`evaluate`] does no I/O, reads no clock and cannot fail. `decide`, below, is the verdict table of the
//! README, one line for each row.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use time::Date;

use super::annotation;
use super::annotation::Subject;
use super::exemption::Exemption;
use super::launch::{AccountDefaults, Effective, EffectiveOptions, Image, LaunchSettings, SetBy};
use super::launch_source::{LaunchOrigin, LaunchSource, SourceSettings};
use super::policy::Policy;
use super::reason::Reason;
use super::resource::{
    Gap, HttpEndpoint, HttpTokens, Lifecycle, MetadataOptions, OptionsState, Resource, ResourceType,
};
use super::unresolved::Unresolved;

/// The result for one resource, as reported to AWS Config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The compliance type.
    pub compliance: Compliance,
    /// Why, in a few words.
    pub reason: Reason,
    /// What was found and what to do about it: 1 to 256 characters of plain English.
    pub annotation: String,
    /// The length of the annotation without what launched or manages the resource, in bytes.
    meaning: usize,
}

impl Verdict {
    /// Returns the verdict for a reason. `origin` is what launched or manages the resource, if the annotation is to say it.
    pub(crate) fn new(reason: Reason, annotation: String, origin: Option<String>) -> Self {
        let (annotation, meaning) = annotation::with_origin(annotation, origin);
        Self { compliance: reason.compliance(), reason, annotation, meaning }
    }

    /// Returns the annotation without what launched or manages the resource: the same words for the same finding.
    #[must_use]
    pub fn meaning(&self) -> &str {
        self.annotation.get(..self.meaning).unwrap_or(&self.annotation)
    }
}

/// The compliance types that a rule may report
/// (<https://docs.aws.amazon.com/config/latest/APIReference/API_Evaluation.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Compliance {
    /// IMDSv1 is accepted, or may be.
    NonCompliant,
    /// IMDSv1 is refused, as the policy requires.
    Compliant,
    /// There is nothing to evaluate.
    NotApplicable,
}

impl Compliance {
    /// Returns the value that AWS Config's API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
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

/// The number of verdicts of each compliance type. An invocation of the function returns it.
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
    /// Returns the summary of one verdict.
    #[must_use]
    pub fn of(compliance: Compliance) -> Self {
        let mut summary = Self::default();
        summary.count(compliance);
        summary
    }

    /// Returns whether there was no verdict.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
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
    if let Some(defaults) = &resource.account_defaults
        && resource.is_declared()
        && resource.resource_type == ResourceType::ACCOUNT
    {
        return evaluate_declared_defaults(resource, defaults);
    }
    let exemption = Exemption::of(resource, policy, today);
    let (reason, sentence) = decide(resource, policy, &exemption);
    let mut annotation = sentence.into_owned();
    if reason.compliance() != Compliance::NotApplicable {
        if let Exemption::Ignored(note) = &exemption {
            annotation.push(' ');
            annotation.push_str(note);
        }
        if resource.gap == Some(Gap::UnknownVersion) {
            annotation.push(' ');
            annotation.push_str(annotation::UNKNOWN_VERSION);
        }
    }
    let comes_back = reason.compliance() == Compliance::NonCompliant;
    let origin = if comes_back { annotation::origin(resource) } else { None };
    Verdict::new(reason, annotation, origin)
}

/// Judges the account-level defaults of a Region, which apply to launches that do not set an option.
#[must_use]
pub fn evaluate_account_defaults(defaults: &AccountDefaults<'_>) -> Verdict {
    let (reason, annotation) = if defaults.http_tokens == HttpTokens::Required {
        (Reason::TokensRequired, annotation::defaults_require_tokens(defaults))
    } else if defaults.http_tokens_enforced {
        (Reason::TokensEnforced, annotation::defaults_enforce_tokens(defaults))
    } else {
        (tokens_reason(&defaults.http_tokens), annotation::defaults_allow_imdsv1(defaults))
    };
    Verdict::new(reason, annotation, None)
}

fn evaluate_declared_defaults(resource: &Resource<'_>, defaults: &AccountDefaults<'_>) -> Verdict {
    let options = resource.metadata_options.as_ref();
    match options.and_then(|options| options.unresolved.http_tokens.as_deref()) {
        Some(what) => {
            let sentence = annotation::unresolved("HttpTokens", what, &Subject::Instance);
            Verdict::new(Reason::Unresolved, sentence.into_owned(), None)
        }
        None => evaluate_account_defaults(defaults),
    }
}

/// The verdict table: the first line that applies wins.
fn decide(resource: &Resource<'_>, policy: &Policy, exemption: &Exemption) -> (Reason, Cow<'static, str>) {
    if !resource.lifecycle.has_configuration() || !policy.judges(&resource.resource_type) {
        return (lifecycle_reason(&resource.lifecycle), annotation::not_applicable(resource));
    }
    if let Exemption::Until(last) = exemption {
        return (Reason::Exempt, annotation::exempt(*last));
    }
    let (defaults, sources) = (resource.account_defaults.as_ref(), &resource.launch_sources);
    let subject = match (&resource.resource_type, resource.is_declared()) {
        (ResourceType::AutoScalingGroup, true) if sources.is_empty() => {
            return (Reason::SourceUnknown, annotation::NO_DECLARED_SOURCE.into());
        }
        (ResourceType::AutoScalingGroup, _) => {
            return decide_group(sources, defaults, |settings| settings.decide(policy));
        }
        (ResourceType::Instance, true) => {
            let LaunchSettings { options, image } = declared_settings(resource);
            let is_spot_request = resource.gap == Some(Gap::SpotRequest);
            let subject =
                if is_spot_request { Subject::DeclaredSpotRequest } else { Subject::DeclaredInstance };
            return Settings { subject, options: options.as_ref(), image: &image, defaults }.decide(policy);
        }
        (ResourceType::LaunchTemplate, true) if !keeps_default(resource) => Subject::DeclaredTemplate,
        (ResourceType::LaunchTemplate, _) => Subject::Template,
        (ResourceType::LaunchConfiguration, false) => Subject::Configuration,
        (ResourceType::LaunchConfiguration, true) => Subject::DeclaredConfiguration,
        (ResourceType::Instance | ResourceType::Other(_), _) => Subject::Instance,
    };
    let options = resource.metadata_options.as_ref();
    Settings { subject, options, image: &resource.image, defaults }.decide(policy)
}

/// Returns whether the default version of a launch template is an earlier one than what is declared.
fn keeps_default(template: &Resource<'_>) -> bool {
    template.version_numbers.is_some_and(|numbers| numbers.default != numbers.latest)
}

/// Returns what an instance that is only declared will be launched with: its own settings, over those of the launch
/// template that it names.
fn declared_settings<'a>(resource: &Resource<'a>) -> LaunchSettings<'a> {
    let own = resource.launch_settings();
    let Some(source) = resource.launch_sources.first() else { return own };
    own.over(match &source.settings {
        SourceSettings::Known(settings) => settings.clone(),
        SourceSettings::Unknown | SourceSettings::NotFound => {
            LaunchSettings::unresolved(&annotation::absent_source(&source.origin))
        }
    })
}

/// An Auto Scaling group is as open as the most open of what it launches instances from. What no longer exists launches
/// nothing. `judge` judges what is known of one.
pub(super) fn decide_group(
    sources: &[LaunchSource<'_>],
    defaults: Option<&AccountDefaults<'_>>,
    judge: impl Fn(&Settings<'_>) -> (Reason, Cow<'static, str>),
) -> (Reason, Cow<'static, str>) {
    let judged = sources.iter().map(|source| match &source.settings {
        SourceSettings::Known(settings) => {
            let subject = Subject::Group(&source.origin);
            let (options, image) = (settings.options.as_ref(), &settings.image);
            judge(&Settings { subject, options, image, defaults })
        }
        SourceSettings::Unknown => (Reason::SourceUnknown, annotation::source_unknown(&source.origin)),
        SourceSettings::NotFound => (Reason::SourceGone, annotation::source_gone(&source.origin)),
    });
    let worst_first = |reason: Reason| match (reason, reason.compliance()) {
        (Reason::HopLimit | Reason::LaunchMayBeRefused, _) => 1,
        (_, Compliance::NonCompliant) => 0,
        (Reason::SourceUnknown | Reason::Unresolved, _) => 2,
        (_, Compliance::Compliant) => 3,
        (_, Compliance::NotApplicable) => 4,
    };
    let worst = judged.min_by_key(|(reason, _)| worst_first(*reason));
    worst.unwrap_or((Reason::SourceUnknown, annotation::NO_SOURCE.into()))
}

/// Metadata options, and what applies where they are not set.
pub(super) struct Settings<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) options: Option<&'a MetadataOptions<'a>>,
    pub(super) image: &'a Image<'a>,
    pub(super) defaults: Option<&'a AccountDefaults<'a>>,
}

impl Settings<'_> {
    /// Returns the options that the next launch would get.
    pub(super) fn effective(&self) -> EffectiveOptions {
        let effective = EffectiveOptions::of(self.options, self.defaults, self.image);
        let is_configuration = match &self.subject {
            Subject::Configuration
            | Subject::DeclaredConfiguration
            | Subject::Group(LaunchOrigin::LaunchConfiguration(_)) => true,
            Subject::Instance
            | Subject::DeclaredInstance
            | Subject::DeclaredSpotRequest
            | Subject::Template
            | Subject::DeclaredTemplate
            | Subject::Group(LaunchOrigin::TemplateVersion { .. } | LaunchOrigin::Unresolved(_)) => false,
        };
        // A launch configuration that sets any metadata option makes tokens optional unless it requires them
        // (https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceMetadataOptions.html).
        match self.options {
            Some(options) if is_configuration && options.leaves_tokens_unset() => {
                EffectiveOptions { requires_tokens: Effective::Set(false, SetBy::Launch), ..effective }
            }
            _ => effective,
        }
    }

    /// The lines of the verdict table that depend on metadata options.
    pub(super) fn decide(&self, policy: &Policy) -> (Reason, Cow<'static, str>) {
        let Self { subject, defaults, .. } = self;
        let options = self.options.unwrap_or(&MetadataOptions::UNSET);
        if options.http_endpoint == HttpEndpoint::Disabled && policy.disabled_endpoint_compliant {
            return (Reason::EndpointDisabled, annotation::endpoint_disabled(subject));
        }
        if options.http_tokens == HttpTokens::Required {
            // EC2 also returns a state for launch templates, where it means nothing.
            let (state, required) = match (options.state, subject) {
                (OptionsState::Pending, Subject::Instance) => (options.state, Reason::ChangePending),
                _ => (OptionsState::Applied, Reason::TokensRequired),
            };
            let hop_limit = match subject {
                // What the launch leaves unset, something else sets.
                Subject::DeclaredInstance => self.effective().hop_limit.value(),
                _ => options.hop_limit,
            };
            return Self::hop_limit(subject, hop_limit, "required", policy)
                .or_else(|| self.unresolved_hop_limit(policy))
                .unwrap_or_else(|| (required, annotation::tokens_required(state, subject)));
        }
        if let Some(unresolved) = self.unresolved_tokens(policy) {
            return unresolved;
        }
        let effective = match subject {
            Subject::Instance => None,
            _ if options.http_tokens != HttpTokens::Unset => None,
            _ => Some(self.effective()),
        };
        if let Some(effective) = effective.filter(|_| policy.defaults_compliant) {
            if effective.endpoint_enabled.is(&false) && policy.disabled_endpoint_compliant {
                return (Reason::EndpointDisabled, annotation::endpoint_disabled_by_default(subject));
            }
            if effective.requires_tokens.is(&true) {
                return Self::hop_limit(subject, effective.hop_limit.value(), "required by default", policy)
                    .or_else(|| self.unresolved_hop_limit(policy))
                    .unwrap_or_else(|| {
                        (
                            Reason::RequiredByDefault,
                            annotation::required_by_default(subject, effective, self.image),
                        )
                    });
            }
        }
        let default = effective.map(|effective| annotation::DefaultTokens {
            requires_tokens: effective.requires_tokens,
            are_defaults_known: defaults.is_some(),
            image: self.image,
            is_enforced: defaults.is_some_and(|defaults| defaults.http_tokens_enforced),
        });
        let sentence = annotation::tokens_not_required(&options.http_tokens, subject, default.as_ref());
        (tokens_reason(&options.http_tokens), sentence)
    }

    /// Returns the verdict if only the deployment knows whether tokens are required.
    fn unresolved_tokens(&self, policy: &Policy) -> Option<(Reason, Cow<'static, str>)> {
        let Unresolved { http_tokens, http_endpoint, .. } = &self.options?.unresolved;
        if http_tokens.is_some() {
            return self.unresolved("HttpTokens", http_tokens.as_deref());
        }
        // If it were disabled, tokens would not matter.
        let endpoint = http_endpoint.as_deref().filter(|_| policy.disabled_endpoint_compliant);
        self.unresolved("HttpEndpoint", endpoint)
    }

    /// Returns the verdict on what requires tokens, if only the deployment knows the hop limit, which has a maximum.
    fn unresolved_hop_limit(&self, policy: &Policy) -> Option<(Reason, Cow<'static, str>)> {
        policy.max_hop_limit?;
        self.unresolved("HttpPutResponseHopLimit", self.options?.unresolved.hop_limit.as_deref())
    }

    fn unresolved(&self, option: &str, what: Option<&str>) -> Option<(Reason, Cow<'static, str>)> {
        Some((Reason::Unresolved, annotation::unresolved(option, what?, &self.subject)))
    }

    /// Returns the verdict on a hop limit that exceeds the maximum. `tokens` says that tokens are required.
    fn hop_limit(
        subject: &Subject<'_>,
        limit: Option<i64>,
        tokens: &str,
        policy: &Policy,
    ) -> Option<(Reason, Cow<'static, str>)> {
        let (limit, max) = (limit?, policy.max_hop_limit?);
        (limit > i64::from(max))
            .then(|| (Reason::HopLimit, annotation::hop_limit_exceeded(limit, max, tokens, subject)))
    }
}

/// Returns the reason for what is not evaluated; of an existing resource, it is its type.
fn lifecycle_reason(lifecycle: &Lifecycle<'_>) -> Reason {
    match lifecycle {
        Lifecycle::Exists | Lifecycle::Declared => Reason::TypeNotEvaluated,
        Lifecycle::NotRecorded(status) if status.starts_with("ResourceDeleted") => Reason::Gone,
        Lifecycle::NotRecorded(_) => Reason::NotRecorded,
        Lifecycle::LeftScope => Reason::LeftScope,
        Lifecycle::Terminated(_) => Reason::Terminated,
        Lifecycle::NotFound => Reason::Gone,
    }
}

/// Returns the reason for `HttpTokens` that are not `required`.
fn tokens_reason(http_tokens: &HttpTokens<'_>) -> Reason {
    match http_tokens {
        HttpTokens::Optional => Reason::TokensOptional,
        HttpTokens::Other(_) => Reason::TokensUnknown,
        HttpTokens::Unset | HttpTokens::Required => Reason::TokensNotSet,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::date;

    use super::*;
    use crate::rule::policy::AccountDefaultsScope;
    use crate::rule::resource::Tag;

    const TODAY: Date = date!(2026 - 06 - 15);

    fn options(tokens: &'static str) -> MetadataOptions<'static> {
        MetadataOptions::from_api(Some(tokens.into()), Some("enabled"), Some(1), Some("applied"))
    }

    fn instance(options: Option<MetadataOptions<'static>>) -> Resource<'static> {
        Resource::existing(ResourceType::Instance, "i-0123456789abcdef0".into(), options)
    }

    fn tagged(value: &'static str) -> Resource<'static> {
        Resource {
            tags: vec![Tag { key: "until".into(), value: value.into() }],
            ..instance(Some(options("optional")))
        }
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
                "New instances in this Region require IMDSv2 by default.",
            ),
            (
                Some("required"),
                Some("disabled"),
                Some("declarative-policy"),
                Compliance::Compliant,
                "New instances in this Region require IMDSv2 by default (set by a declarative policy).",
            ),
            (
                None,
                Some("enabled"),
                Some("account"),
                Compliance::Compliant,
                "HttpTokensEnforced is enabled: EC2 refuses launches that allow IMDSv1 in this Region.",
            ),
            (Some("optional"), Some("enabled"), None, Compliance::Compliant, "HttpTokensEnforced is enabled"),
            (
                None,
                None,
                Some("account"),
                Compliance::NonCompliant,
                "default of HttpTokens is not set in this Region",
            ),
            (Some("optional"), None, None, Compliance::NonCompliant, "with ModifyInstanceMetadataDefaults."),
            (
                Some("Required"),
                Some("on"),
                None,
                Compliance::NonCompliant,
                "default of HttpTokens is \"Required\" in",
            ),
            (
                Some("optional"),
                Some("disabled"),
                Some("declarative-policy"),
                Compliance::NonCompliant,
                "Set it to required in the organization's declarative policy.",
            ),
        ] {
            let tokens = tokens.map(Into::into);
            let defaults = AccountDefaults::from_api(tokens, None, None, enforced, managed_by);
            let verdict = evaluate_account_defaults(&defaults);
            assert_eq!(verdict.compliance, expected, "{defaults:?}");
            assert!(verdict.annotation.contains(annotation), "{}", verdict.annotation);
        }
    }

    #[test]
    fn the_reason_is_the_line_of_the_table_that_applied() {
        let with = |options| instance(Some(options));
        let disabled = MetadataOptions::from_api(None, Some("disabled"), None, None);
        let pending = MetadataOptions::from_api(Some("required".into()), None, None, Some("pending"));
        let far = MetadataOptions::from_api(Some("required".into()), None, Some(3), None);
        let exists = instance(None);
        let gone = |lifecycle| Resource { lifecycle, ..exists.clone() };
        let policy = Policy { max_hop_limit: Some(2), ..with_exemptions() };
        for (resource, expected) in [
            (exists.clone(), Reason::TokensNotSet),
            (with(options("optional")), Reason::TokensOptional),
            (with(options("Required")), Reason::TokensUnknown),
            (with(options("required")), Reason::TokensRequired),
            (with(MetadataOptions::UNSET), Reason::TokensNotSet),
            (with(disabled), Reason::EndpointDisabled),
            (with(pending.clone()), Reason::ChangePending),
            (
                Resource { resource_type: ResourceType::LaunchTemplate, ..with(pending) },
                Reason::TokensRequired,
            ),
            (with(far), Reason::HopLimit),
            (tagged("9999-12-31"), Reason::Exempt),
            (gone(Lifecycle::NotFound), Reason::Gone),
            (gone(Lifecycle::NotRecorded("ResourceDeleted".into())), Reason::Gone),
            (gone(Lifecycle::NotRecorded("ResourceNotRecorded".into())), Reason::NotRecorded),
            (gone(Lifecycle::LeftScope), Reason::LeftScope),
            (gone(Lifecycle::Terminated("terminated".into())), Reason::Terminated),
            (
                Resource { resource_type: ResourceType::Other("AWS::S3::Bucket".into()), ..exists.clone() },
                Reason::TypeNotEvaluated,
            ),
        ] {
            assert_eq!(evaluate(&resource, &policy, TODAY).reason, expected, "{resource:?}");
        }
    }

    #[test]
    fn verdicts_are_counted_by_compliance_type() {
        for (compliance, name, expected) in [
            (Compliance::Compliant, "COMPLIANT", [1, 0, 0]),
            (Compliance::NonCompliant, "NON_COMPLIANT", [0, 1, 0]),
            (Compliance::NotApplicable, "NOT_APPLICABLE", [0, 0, 1]),
        ] {
            assert_eq!((compliance.as_str(), compliance.to_string().as_str()), (name, name));
            let mut summary = Summary::of(compliance);
            assert_eq!([summary.compliant, summary.non_compliant, summary.not_applicable], expected);
            summary.count(compliance);
            let doubled = expected.map(|count| count * 2);
            assert_eq!([summary.compliant, summary.non_compliant, summary.not_applicable], doubled);
        }
    }

    #[test]
    fn a_type_that_the_policy_excludes_is_not_applicable() {
        let policy = Policy { resource_types: vec![ResourceType::LaunchTemplate], ..Policy::default() };
        let verdict = evaluate(&instance(Some(options("optional"))), &policy, TODAY);
        assert_eq!(verdict.compliance, Compliance::NotApplicable);
        assert_eq!(verdict.annotation, "This rule does not evaluate AWS::EC2::Instance.");
    }

    #[test]
    fn exemption_lasts_through_its_day_in_utc() {
        for (value, expected) in [
            ("2026-06-14", Compliance::NonCompliant),
            ("2026-06-15", Compliance::NotApplicable),
            ("2026-06-16", Compliance::NotApplicable),
            ("9999-12-31", Compliance::NotApplicable),
            ("2027-02-29", Compliance::NonCompliant), // not a leap year
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
    fn exemption_tag_has_no_effect_unless_the_policy_names_it() {
        assert_eq!(compliance(&tagged("9999-12-31"), &Policy::default()), Compliance::NonCompliant);
        let other = Policy { exemption_tag_key: Some("Until".into()), ..Policy::default() };
        assert_eq!(compliance(&tagged("9999-12-31"), &other), Compliance::NonCompliant);
    }

    #[test]
    fn an_ignored_exemption_is_mentioned_on_a_compliant_resource_too() {
        let resource = Resource { metadata_options: Some(options("required")), ..tagged("soon") };
        let verdict = evaluate(&resource, &with_exemptions(), TODAY);
        assert_eq!(verdict.compliance, Compliance::Compliant);
        assert!(verdict.annotation.ends_with("The exemption tag value \"soon\" is not a YYYY-MM-DD date."));
    }

    #[test]
    fn only_the_exact_value_required_complies() {
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
    fn a_strict_policy_judges_tokens_of_a_disabled_endpoint() {
        let strict = Policy { disabled_endpoint_compliant: false, ..Policy::default() };
        for (tokens, expected) in
            [("optional", Compliance::NonCompliant), ("required", Compliance::Compliant)]
        {
            let disabled = MetadataOptions { http_endpoint: HttpEndpoint::Disabled, ..options(tokens) };
            assert_eq!(compliance(&instance(Some(disabled)), &strict), expected);
        }
    }

    #[test]
    fn hop_limit_is_judged_only_when_it_is_known_and_limited() {
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

    fn source(template: &'static str, settings: SourceSettings<'static>) -> LaunchSource<'static> {
        let (template, version) = (template.into(), "3".into());
        LaunchSource {
            image_override: Image::Unset,
            origin: LaunchOrigin::TemplateVersion { template, version, number: Some(3) },
            settings,
        }
    }

    fn known(tokens: Option<&'static str>, image: Image<'static>) -> SourceSettings<'static> {
        SourceSettings::Known(LaunchSettings { options: tokens.map(options), image })
    }

    #[test]
    fn a_group_is_as_open_as_the_most_open_of_what_it_launches() {
        let required = || source("lt-required", known(Some("required"), Image::Unknown));
        let open = || source("lt-open", known(Some("optional"), Image::Unknown));
        let unset = || source("lt-unset", known(None, Image::Unknown));
        let unknown = || source("lt-unknown", SourceSettings::Unknown);
        let gone = || source("lt-gone", SourceSettings::NotFound);
        let far = || {
            let options = Some(MetadataOptions { hop_limit: Some(3), ..options("required") });
            source("lt-far", SourceSettings::Known(LaunchSettings { options, image: Image::Unknown }))
        };
        let policy = Policy { max_hop_limit: Some(2), ..Policy::default() };
        for (launch_sources, expected, named) in [
            (vec![], Reason::SourceUnknown, "does not contain the launch template"),
            (vec![required()], Reason::TokensRequired, "lt-required version 3"),
            (vec![required(), open()], Reason::TokensOptional, "lt-open version 3"),
            (vec![unset(), open()], Reason::TokensNotSet, "lt-unset version 3"),
            (vec![required(), unknown()], Reason::SourceUnknown, "lt-unknown version 3"),
            (vec![unknown(), open()], Reason::TokensOptional, "lt-open version 3"),
            (vec![gone()], Reason::SourceGone, "lt-gone version 3"),
            (vec![gone(), required()], Reason::TokensRequired, "lt-required version 3"),
            (vec![far()], Reason::HopLimit, "lt-far version 3"),
            (vec![far(), open()], Reason::TokensOptional, "lt-open version 3"),
        ] {
            let group = Resource::existing(ResourceType::AutoScalingGroup, "arn".into(), None);
            let group = Resource { launch_sources, ..group };
            let verdict = evaluate(&group, &policy, TODAY);
            assert_eq!(verdict.reason, expected, "{group:?}");
            assert!(verdict.annotation.contains(named), "{}", verdict.annotation);
        }
    }

    #[test]
    fn defaults_make_an_unset_template_comply_only_if_the_policy_says_so() {
        let lenient = Policy { defaults_compliant: true, max_hop_limit: Some(2), ..Policy::default() };
        let strict = Policy { max_hop_limit: Some(2), ..Policy::default() };
        let account = |tokens: Option<&'static str>, endpoint, hops| {
            Some(AccountDefaults::from_api(tokens.map(Into::into), endpoint, hops, None, None))
        };
        let v2 = || Image::RequiresTokens("ami-1".into());
        for (defaults, image, expected) in [
            (None, v2(), Reason::TokensNotSet),
            // An unknown hop limit is not judged.
            (account(Some("required"), None, None), Image::Unknown, Reason::RequiredByDefault),
            (account(Some("required"), None, Some(1)), Image::Unknown, Reason::RequiredByDefault),
            (account(Some("required"), None, Some(3)), Image::Unknown, Reason::HopLimit),
            (account(Some("optional"), None, None), v2(), Reason::TokensNotSet),
            (account(None, None, None), v2(), Reason::RequiredByDefault),
            (account(None, None, None), Image::Unknown, Reason::TokensNotSet),
            (account(None, Some("disabled"), None), Image::Unknown, Reason::EndpointDisabled),
        ] {
            let template = Resource::existing(ResourceType::LaunchTemplate, "lt-1".into(), None);
            let template = Resource { image, account_defaults: defaults, ..template };
            assert_eq!(evaluate(&template, &lenient, TODAY).reason, expected, "{template:?}");
            assert_eq!(evaluate(&template, &strict, TODAY).reason, Reason::TokensNotSet, "{template:?}");
            let instance = Resource { resource_type: ResourceType::Instance, ..template };
            assert_eq!(evaluate(&instance, &lenient, TODAY).reason, Reason::TokensNotSet);
        }
    }

    #[test]
    fn a_launch_configuration_with_other_options_makes_tokens_optional() {
        let lenient = Policy { defaults_compliant: true, ..Policy::default() };
        let other = MetadataOptions { hop_limit: Some(2), ..MetadataOptions::UNSET };
        for (options, expected) in [(None, Reason::RequiredByDefault), (Some(other), Reason::TokensNotSet)] {
            let defaults = AccountDefaults::from_api(Some("required".into()), None, None, None, None);
            let resource = Resource {
                account_defaults: Some(defaults),
                ..Resource::existing(ResourceType::LaunchConfiguration, "arn".into(), options)
            };
            assert_eq!(evaluate(&resource, &lenient, TODAY).reason, expected, "{resource:?}");
        }
    }

    #[test]
    fn what_launched_an_open_instance_is_not_part_of_the_meaning() {
        let tag = Tag { key: "aws:autoscaling:groupName".into(), value: "web".into() };
        let of = |tokens| Resource { tags: vec![tag.clone()], ..instance(Some(options(tokens))) };
        let verdict = evaluate(&of("optional"), &Policy::default(), TODAY);
        assert!(verdict.annotation.ends_with("Set HttpTokens=required. Launched by Auto Scaling group web."));
        assert!(verdict.meaning().ends_with("Set HttpTokens=required."), "{}", verdict.meaning());
        let verdict = evaluate(&of("required"), &Policy::default(), TODAY);
        assert_eq!(verdict.annotation, "HttpTokens is required: only IMDSv2 is accepted.");
        assert_eq!(verdict.meaning(), verdict.annotation);
    }

    #[test]
    fn an_item_of_an_unknown_version_is_mentioned() {
        let resource = Resource {
            resource_type: ResourceType::LaunchTemplate,
            gap: Some(Gap::UnknownVersion),
            ..instance(Some(options("required")))
        };
        let verdict = evaluate(&resource, &Policy::default(), TODAY);
        assert!(verdict.annotation.contains("a version other than the default"), "{}", verdict.annotation);
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
            Just(ResourceType::AutoScalingGroup),
            any_text().prop_map(ResourceType::Other),
        ]
    }

    fn any_lifecycle() -> impl Strategy<Value = Lifecycle<'static>> {
        prop_oneof![
            8 => Just(Lifecycle::Exists),
            4 => Just(Lifecycle::Declared),
            1 => any_text().prop_map(Lifecycle::from_item_status),
            1 => any_text().prop_map(Lifecycle::from_instance_state),
            1 => Just(Lifecycle::LeftScope),
            1 => Just(Lifecycle::NotFound),
        ]
    }

    prop_compose! {
        fn any_tag()(key in any_text(), value in any_text()) -> Tag<'static> {
            Tag { key, value }
        }
    }

    prop_compose! {
        fn any_unresolved()(
            http_tokens in proptest::option::weighted(0.1, any_text()),
            http_endpoint in proptest::option::weighted(0.1, any_text()),
            hop_limit in proptest::option::weighted(0.1, any_text()),
        ) -> Unresolved<'static> {
            Unresolved { http_tokens, http_endpoint, hop_limit }
        }
    }

    prop_compose! {
        fn any_options()(
            tokens in proptest::option::of(any_text()),
            endpoint in prop_oneof![Just(None), Just(Some("enabled")), Just(Some("disabled")), Just(Some("?"))],
            hops in proptest::option::of(any::<i64>()),
            state in prop_oneof![Just(None), Just(Some("pending")), Just(Some("applied"))],
            unresolved in any_unresolved(),
        ) -> MetadataOptions<'static> {
            MetadataOptions { unresolved, ..MetadataOptions::from_api(tokens, endpoint, hops, state) }
        }
    }

    fn any_image() -> impl Strategy<Value = Image<'static>> {
        prop_oneof![
            Just(Image::Unset),
            Just(Image::Unknown),
            any_text().prop_map(Image::Id),
            any_text().prop_map(Image::RequiresTokens),
            any_text().prop_map(Image::NoPreference),
        ]
    }

    prop_compose! {
        fn any_defaults()(
            tokens in proptest::option::of(any_text()),
            endpoint in prop_oneof![Just(None), Just(Some("enabled")), Just(Some("disabled"))],
            hops in proptest::option::of(any::<i64>()),
            enforced in prop_oneof![Just(None), Just(Some("enabled"))],
        ) -> AccountDefaults<'static> {
            AccountDefaults::from_api(tokens, endpoint, hops, enforced, None)
        }
    }

    fn any_source() -> impl Strategy<Value = LaunchSource<'static>> {
        let origin = prop_oneof![
            any_text().prop_map(LaunchOrigin::LaunchConfiguration),
            (any_text(), any_text(), proptest::option::of(any::<i64>())).prop_map(
                |(template, version, number)| LaunchOrigin::TemplateVersion { template, version, number }
            ),
        ];
        let settings = prop_oneof![
            4 => (proptest::option::of(any_options().boxed()), any_image())
                .prop_map(|(options, image)| SourceSettings::Known(LaunchSettings { options, image })),
            1 => Just(SourceSettings::Unknown),
            1 => Just(SourceSettings::NotFound),
        ];
        (origin, settings).prop_map(|(origin, settings)| LaunchSource {
            origin,
            image_override: Image::Unset,
            settings,
        })
    }

    /// Returns whether EC2 refuses IMDSv1 on every instance with these options, or launched with them.
    fn is_closed(
        options: Option<&MetadataOptions<'_>>,
        image: &Image<'_>,
        defaults: Option<&AccountDefaults<'_>>,
    ) -> bool {
        let own = options.is_some_and(|options| {
            options.http_endpoint == HttpEndpoint::Disabled || options.http_tokens == HttpTokens::Required
        });
        let effective = EffectiveOptions::of(options, defaults, image);
        own || effective.requires_tokens.is(&true) || effective.endpoint_enabled.is(&false)
    }

    prop_compose! {
        fn any_resource()(
            resource_type in any_type(),
            resource_id in any_text(),
            lifecycle in any_lifecycle(),
            tags in proptest::collection::vec(any_tag(), 0..3),
            metadata_options in proptest::option::of(any_options().boxed()),
            image in any_image(),
            launch_sources in proptest::collection::vec(any_source().boxed(), 0..3),
            account_defaults in proptest::option::of(any_defaults()),
            gap in prop_oneof![Just(None), Just(Some(Gap::NoMetadataOptions)), Just(Some(Gap::UnknownVersion))],
        ) -> Resource<'static> {
            let resource = Resource::existing(resource_type, resource_id, metadata_options);
            Resource { lifecycle, tags, image, launch_sources, account_defaults, gap, ..resource }
        }
    }

    prop_compose! {
        fn any_policy()(
            max_hop_limit in proptest::option::of(1..=64u8),
            disabled_endpoint_compliant in any::<bool>(),
            exemption_tag_key in proptest::option::of(any_text().prop_map(Cow::into_owned)),
            defaults_compliant in any::<bool>(),
            resource_types in proptest::sample::subsequence(Policy::default().resource_types, 1..=4),
        ) -> Policy {
            let account_defaults = AccountDefaultsScope::Excluded;
            Policy {
                max_hop_limit,
                disabled_endpoint_compliant,
                exemption_tag_key,
                account_defaults,
                defaults_compliant,
                resource_types,
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_resource_that_may_accept_imdsv1_never_complies(resource in any_resource(), policy in any_policy()) {
            let defaults = resource.account_defaults.as_ref().filter(|_| policy.defaults_compliant);
            let closed = match resource.resource_type {
                ResourceType::AutoScalingGroup => resource.launch_sources.iter().all(|source| match &source.settings {
                    SourceSettings::Known(settings) => {
                        is_closed(settings.options.as_ref(), &settings.image, defaults)
                    }
                    SourceSettings::Unknown => false,
                    SourceSettings::NotFound => true,
                }) && !resource.launch_sources.is_empty(),
                ResourceType::Instance if resource.is_declared() => {
                    let LaunchSettings { options, image } = declared_settings(&resource);
                    is_closed(options.as_ref(), &image, defaults)
                }
                ResourceType::Instance => is_closed(resource.metadata_options.as_ref(), &Image::Unknown, None),
                _ => is_closed(resource.metadata_options.as_ref(), &resource.image, defaults),
            };
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
        fn a_resource_that_does_not_exist_is_never_judged(resource in any_resource(), policy in any_policy()) {
            if !resource.lifecycle.has_configuration() {
                prop_assert_eq!(evaluate(&resource, &policy, TODAY).compliance, Compliance::NotApplicable);
            }
        }
    }
}
