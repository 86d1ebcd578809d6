//! What EC2 would do with the next launch if `HttpTokensEnforced` were enabled.

use super::annotation::{self, Subject};
use super::launch::AccountDefaults;
use super::policy::Policy;
use super::reason::Reason;
use super::resource::{Resource, ResourceType};
use super::verdict::{Settings, Verdict, decide_group};

/// Judges the next launch from a launch template, launch configuration or Auto Scaling group: non-compliant if EC2 would
/// refuse it once `HttpTokensEnforced` is enabled, or may refuse it because its AMI is not known
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-IMDS-new-instances.html#enforce-imdsv2-at-the-account-level>).
/// Of what a group launches instances from, what is refused decides. Exemptions and disabled endpoints make no
/// difference to EC2.
#[must_use]
pub fn evaluate_if_enforced(resource: &Resource<'_>) -> Verdict {
    let policy = Policy { defaults_compliant: true, disabled_endpoint_compliant: false, ..Policy::default() };
    let judge = |settings: &Settings<'_>| {
        let reason = match settings.effective().is_refused_if_enforced() {
            Some(true) => Reason::LaunchRefused,
            None => Reason::LaunchMayBeRefused,
            Some(false) => Reason::LaunchAllowed,
        };
        let (_, sentence) = settings.decide(&policy);
        (reason, annotation::launch(reason, sentence))
    };
    let (options, image) = (resource.metadata_options.as_ref(), &resource.image);
    // What EC2 refuses already does not have to be said twice.
    let defaults = resource.account_defaults.clone();
    let defaults = defaults.map(|defaults| AccountDefaults { http_tokens_enforced: false, ..defaults });
    let defaults = defaults.as_ref();
    let single = |subject| judge(&Settings { subject, options, image, defaults });
    let (reason, sentence) = match resource.resource_type {
        ResourceType::LaunchTemplate => single(Subject::Template),
        ResourceType::LaunchConfiguration => single(Subject::Configuration),
        ResourceType::AutoScalingGroup => decide_group(&resource.launch_sources, defaults, judge),
        ResourceType::Instance | ResourceType::Other(_) => {
            (Reason::TypeNotEvaluated, annotation::not_applicable(resource))
        }
    };
    Verdict::new(reason, sentence.into_owned(), annotation::origin(resource))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::launch::{Image, LaunchSettings};
    use crate::rule::launch_source::{LaunchOrigin, LaunchSource, SourceSettings};
    use crate::rule::resource::MetadataOptions;

    fn options(tokens: Option<&'static str>, endpoint: &str) -> MetadataOptions<'static> {
        MetadataOptions::from_api(tokens.map(Into::into), Some(endpoint), None, None)
    }

    #[test]
    fn a_launch_that_would_come_out_open_is_refused() {
        let v2 = || Image::RequiresTokens("ami-1".into());
        for (tokens, account, image, expected) in [
            (Some("required"), None, Image::Unknown, Reason::LaunchAllowed),
            (Some("optional"), Some(Some("required")), v2(), Reason::LaunchRefused),
            (None, Some(Some("required")), Image::Unknown, Reason::LaunchAllowed),
            (None, Some(Some("optional")), v2(), Reason::LaunchRefused),
            (None, Some(None), v2(), Reason::LaunchAllowed),
            (None, Some(None), Image::NoPreference("ami-1".into()), Reason::LaunchRefused),
            (None, Some(None), Image::Unknown, Reason::LaunchMayBeRefused),
        ] {
            let account: Option<Option<&'static str>> = account;
            let account = account
                .map(|tokens| AccountDefaults::from_api(tokens.map(Into::into), None, None, None, None));
            // A disabled endpoint makes no difference.
            for endpoint in ["enabled", "disabled"] {
                let options = Some(options(tokens, endpoint));
                let template = Resource::existing(ResourceType::LaunchTemplate, "lt-1".into(), options);
                let (image, account_defaults) = (image.clone(), account.clone());
                let verdict = evaluate_if_enforced(&Resource { image, account_defaults, ..template });
                assert_eq!(verdict.reason, expected, "{tokens:?} {account:?}");
                let words = match expected {
                    Reason::LaunchRefused => "EC2 would refuse the launch. HttpTokens is ",
                    Reason::LaunchMayBeRefused => "EC2 may refuse the launch. HttpTokens is not set in ",
                    _ => "HttpTokens is ",
                };
                assert!(verdict.annotation.starts_with(words), "{}", verdict.annotation);
            }
        }
        let instance = Resource::existing(ResourceType::Instance, "i-1".into(), None);
        assert_eq!(evaluate_if_enforced(&instance).reason, Reason::TypeNotEvaluated);
    }

    #[test]
    fn what_is_refused_decides_for_a_group() {
        let source = |settings| LaunchSource {
            image_override: Image::Unset,
            origin: LaunchOrigin::TemplateVersion {
                template: "lt-1".into(),
                version: "3".into(),
                number: Some(3),
            },
            settings,
        };
        let known = |tokens| {
            let options = Some(options(tokens, "enabled"));
            source(SourceSettings::Known(LaunchSettings { options, image: Image::Unknown }))
        };
        let (allowed, refused, may_be) =
            (|| known(Some("required")), || known(Some("optional")), || known(None));
        for (launch_sources, expected) in [
            (vec![], Reason::SourceUnknown),
            (vec![allowed()], Reason::LaunchAllowed),
            (vec![may_be(), refused()], Reason::LaunchRefused),
            (vec![allowed(), may_be()], Reason::LaunchMayBeRefused),
            (vec![allowed(), source(SourceSettings::Unknown)], Reason::SourceUnknown),
            (vec![source(SourceSettings::NotFound), allowed()], Reason::LaunchAllowed),
            (vec![source(SourceSettings::NotFound)], Reason::SourceGone),
        ] {
            let group = Resource::existing(ResourceType::AutoScalingGroup, "arn".into(), None);
            let group = Resource { launch_sources, ..group };
            assert_eq!(evaluate_if_enforced(&group).reason, expected, "{group:?}");
        }
    }
}
