//! Resources: read, named, and copied.

use super::*;
use crate::rule::launch::LaunchSettings;
use crate::rule::launch_source::LaunchOrigin;

fn resource(resource_type: ResourceType<'static>, http_tokens: Option<&'static str>) -> Resource<'static> {
    let options = http_tokens.map(|tokens| {
        MetadataOptions::from_api(Some(tokens.into()), Some("enabled"), Some(2), Some("applied"))
    });
    Resource::existing(resource_type, "i-1".into(), options)
}

#[test]
fn existing_resources_of_the_rules_types_are_judged() {
    for (resource_type, expected) in [
        (ResourceType::Instance, true),
        (ResourceType::LaunchTemplate, true),
        (ResourceType::LaunchConfiguration, true),
        (ResourceType::AutoScalingGroup, true),
        (ResourceType::ACCOUNT, false),
    ] {
        let existing = resource(resource_type, None);
        assert_eq!(existing.is_judged(), expected, "{existing:?}");
        assert!(!Resource { lifecycle: Lifecycle::NotFound, ..existing }.is_judged());
    }
}

#[test]
fn only_a_resource_with_required_tokens_requires_them() {
    for (http_tokens, expected) in [(None, false), (Some("optional"), false), (Some("required"), true)] {
        assert_eq!(resource(ResourceType::Instance, http_tokens).requires_tokens(), expected);
    }
}

#[test]
fn a_tag_is_found_by_its_exact_key() {
    let tag = |key: &'static str, value: &'static str| Tag { key: key.into(), value: value.into() };
    let tags = vec![tag("Until", "a"), tag("until", "b")];
    let tagged = Resource { tags, ..resource(ResourceType::Instance, None) };
    assert_eq!(tagged.tag("until"), Some("b"));
    assert_eq!(tagged.tag("UNTIL"), None);
}

fn source(settings: SourceSettings<'static>) -> LaunchSource<'static> {
    LaunchSource { settings, ..LaunchSource::unread(LaunchOrigin::LaunchConfiguration("web".into())) }
}

#[test]
fn an_owned_resource_is_the_same() {
    for lifecycle in [
        Lifecycle::Exists,
        Lifecycle::NotRecorded("New".into()),
        Lifecycle::LeftScope,
        Lifecycle::Terminated("terminated".into()),
        Lifecycle::NotFound,
    ] {
        let original = Resource {
            account_id: Some("123456789012".into()),
            region: Some("eu-west-1".into()),
            lifecycle,
            tags: vec![Tag { key: "k".into(), value: "v".into() }],
            managed_by: Some("eks.amazonaws.com".into()),
            version_numbers: Some(VersionNumbers { default: 2, latest: 3 }),
            image: Image::RequiresTokens("ami-1".into()),
            launch_sources: vec![
                source(SourceSettings::Unknown),
                source(SourceSettings::NotFound),
                source(SourceSettings::Known(LaunchSettings::default())),
            ],
            account_defaults: Some(AccountDefaults::from_api(
                Some("odd".into()),
                Some("disabled"),
                Some(2),
                Some("enabled"),
                Some("declarative-policy"),
            )),
            gap: Some(Gap::UnknownVersion),
            ..resource(ResourceType::Other("AWS::S3::Bucket".into()), Some("Required"))
        };
        assert_eq!(original.clone().into_owned(), original);
    }
}

#[test]
fn a_location_names_account_and_region() {
    let location = Location { account_id: "123456789012".to_owned(), region: "eu-west-1".to_owned() };
    assert_eq!(location.to_string(), "account 123456789012, eu-west-1");
}

#[test]
fn types_have_the_names_of_cloudformation() {
    for (name, resource_type) in [
        ("AWS::EC2::Instance", ResourceType::Instance),
        ("AWS::EC2::LaunchTemplate", ResourceType::LaunchTemplate),
        ("AWS::AutoScaling::LaunchConfiguration", ResourceType::LaunchConfiguration),
        ("AWS::AutoScaling::AutoScalingGroup", ResourceType::AutoScalingGroup),
        ("AWS::::Account", ResourceType::ACCOUNT),
    ] {
        assert_eq!(resource_type.name(), name);
        assert_eq!(ResourceType::from_name(name.into()), resource_type);
        assert_eq!(resource_type.clone().into_owned(), resource_type);
    }
}

#[test]
fn the_status_of_an_item_shows_whether_the_resource_exists() {
    for status in ["OK", "ResourceDiscovered"] {
        assert_eq!(Lifecycle::from_item_status(status.into()), Lifecycle::Exists, "{status}");
    }
    for status in ["ResourceDeleted", "ok", ""] {
        assert_eq!(Lifecycle::from_item_status(status.into()), Lifecycle::NotRecorded(status.into()));
    }
}

#[test]
fn an_instance_exists_until_it_is_shut_down_for_good() {
    for state in ["pending", "running", "stopping", "stopped", "new"] {
        assert_eq!(Lifecycle::from_instance_state(state.into()), Lifecycle::Exists, "{state}");
    }
    for state in ["shutting-down", "terminated"] {
        assert_eq!(Lifecycle::from_instance_state(state.into()), Lifecycle::Terminated(state.into()));
    }
}

#[test]
fn options_have_the_values_of_the_api() {
    for (value, http_tokens) in [
        (Some("required"), HttpTokens::Required),
        (Some("optional"), HttpTokens::Optional),
        (Some("Required"), HttpTokens::Other("Required".into())),
        (None, HttpTokens::Unset),
    ] {
        assert_eq!(HttpTokens::from_api(value.map(Into::into)), http_tokens);
        assert_eq!(http_tokens.as_str(), value.unwrap_or_default());
    }
    for (value, http_endpoint) in [
        (Some("enabled"), HttpEndpoint::Enabled),
        (Some("disabled"), HttpEndpoint::Disabled),
        (None, HttpEndpoint::Unset),
    ] {
        assert_eq!(HttpEndpoint::from_api(value), http_endpoint);
        assert_eq!(http_endpoint.as_str(), value.unwrap_or_default());
    }
    assert_eq!(HttpEndpoint::from_api(Some("new")), HttpEndpoint::Unset);
    for (value, state) in [
        (Some("pending"), OptionsState::Pending),
        (Some("applied"), OptionsState::Applied),
        (None, OptionsState::Applied),
    ] {
        assert_eq!(MetadataOptions::from_api(None, None, None, value).state, state, "{value:?}");
    }
    assert_eq!(MetadataOptions::from_api(None, None, None, None), MetadataOptions::UNSET);
}
