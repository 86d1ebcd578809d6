//! Auto Scaling groups, and what decides where nothing sets metadata options.

use serde_json::json;

use crate::aws::Aws;
use crate::events::{fixture, scheduled_event};
use crate::function::Function;
use crate::region::{AUTO_SCALING_GROUP, LAUNCH_TEMPLATE, Region, Version};
use crate::scheduled_runs::{reported, start_in};

const REQUIRED: &str = "<metadataOptions><httpTokens>required</httpTokens></metadataOptions>";
const OPTIONAL: &str = "<metadataOptions><httpTokens>optional</httpTokens></metadataOptions>";
const UNSET: &str = "<imageId>ami-1</imageId>";

fn version(template: &str, number: i64, is_default: bool, data: &'static str) -> Version {
    Version { template: template.to_owned(), number, is_default, data }
}

/// Returns the element with the launch template of a group.
fn template(id: &str, version: &str) -> String {
    format!(
        "<LaunchTemplate><LaunchTemplateId>{id}</LaunchTemplateId><Version>{version}</Version></LaunchTemplate>"
    )
}

/// Returns the element with a mixed instances policy.
fn mixed(base: &str, overrides: &[&str]) -> String {
    let specification = |id: &str| {
        format!(
            "<LaunchTemplateSpecification><LaunchTemplateId>{id}</LaunchTemplateId><Version>$Default</Version>\
             </LaunchTemplateSpecification>"
        )
    };
    let overrides = overrides.iter().map(|id| format!("<member>{}</member>", specification(id)));
    format!(
        "<MixedInstancesPolicy><LaunchTemplate>{}<Overrides>{}</Overrides></LaunchTemplate></MixedInstancesPolicy>",
        specification(base),
        overrides.collect::<String>()
    )
}

/// Returns a Region with templates in every state: `lt-a` was closed by version 2, the default and latest one, `lt-b`
/// has a closed default version and an open latest one.
fn region() -> Region {
    Region {
        versions: vec![
            version("lt-a", 1, false, OPTIONAL),
            version("lt-a", 2, true, REQUIRED),
            version("lt-b", 4, true, REQUIRED),
            version("lt-b", 5, false, OPTIONAL),
            version("lt-c", 1, true, UNSET),
        ],
        launch_configurations: vec![(
            "arn:aws:autoscaling:us-east-1:123456789012:launchConfiguration:u1:launchConfigurationName/old",
            "<HttpTokens>optional</HttpTokens>",
        )],
        images: vec![("ami-1", "v2.0")],
        ..Region::with_instances(0)
    }
}

#[tokio::test]
async fn a_group_is_evaluated_by_what_it_launches_next() {
    let configuration = |name: &str| format!("<LaunchConfigurationName>{name}</LaunchConfigurationName>");
    let groups = [
        ("pinned", template("lt-a", "1"), "NON_COMPLIANT", "lt-a version 1, where HttpTokens is optional"),
        (
            "default",
            template("lt-a", "$Default"),
            "COMPLIANT",
            "lt-a version 2 ($Default), where HttpTokens is",
        ),
        (
            "latest",
            template("lt-b", "$Latest"),
            "NON_COMPLIANT",
            "lt-b version 5 ($Latest), where HttpTokens is",
        ),
        ("closed", template("lt-b", "4"), "COMPLIANT", "lt-b version 4, where HttpTokens is required"),
        (
            "old",
            configuration("old"),
            "NON_COMPLIANT",
            "launch configuration old, where HttpTokens is optional",
        ),
        ("gone", configuration("gone"), "NOT_APPLICABLE", "launch configuration gone does not exist"),
        (
            "override",
            mixed("lt-a", &["lt-b", "lt-c"]),
            "NON_COMPLIANT",
            "lt-c version 1 ($Default), where HttpTok",
        ),
        (
            "mixed",
            mixed("lt-a", &["lt-b", "lt-b"]),
            "COMPLIANT",
            "lt-a version 2 ($Default), where HttpTokens is",
        ),
        ("deleted", template("lt-d", "1"), "NOT_APPLICABLE", "launch template lt-d version 1 does not exist"),
        ("removed", template("lt-a", "9"), "NOT_APPLICABLE", "launch template lt-a version 9 does not exist"),
        (
            "none",
            String::new(),
            "NOT_APPLICABLE",
            "does not contain the launch template or launch configuration",
        ),
    ];
    let of_region = groups.iter().map(|(name, launches, ..)| ((*name).to_owned(), launches.clone()));
    let function = start_in(Region { groups: of_region.collect(), ..region() }).await;
    let event = scheduled_event(&json!({"resourceTypes": AUTO_SCALING_GROUP}));
    function.invoke(&event).await.unwrap();
    let accepted = function.accepted();
    assert_eq!(accepted.len(), groups.len());
    for (name, _, compliance, annotation) in groups {
        let arn = Region::group_arn(name);
        let found = accepted.iter().find(|evaluation| evaluation["ComplianceResourceId"] == arn).unwrap();
        assert_eq!(found["ComplianceResourceType"], AUTO_SCALING_GROUP);
        assert_eq!(found["ComplianceType"], compliance, "{name}");
        let words = found["Annotation"].as_str().unwrap();
        assert!(words.contains(annotation), "{name}: {words}");
    }
}

#[tokio::test]
async fn each_version_is_requested_at_most_once() {
    let templates = 60;
    let versions = (0..templates).flat_map(|number| {
        let id = format!("lt-{number:08x}");
        [version(&id, 1, false, OPTIONAL), version(&id, 2, true, REQUIRED)]
    });
    let groups = (0..2_000).map(|number| {
        let version = ["1", "$Default", "$Latest"][number % 3];
        (format!("group-{number}"), template(&format!("lt-{:08x}", number % templates), version))
    });
    let region =
        Region { versions: versions.collect(), groups: groups.collect(), ..Region::with_instances(0) };
    let function = start_in(region).await;
    let event = scheduled_event(&json!({"resourceTypes": AUTO_SCALING_GROUP}));
    let summary = function.invoke(&event).await.unwrap();
    assert_eq!(summary, json!({"compliant": 1_333, "nonCompliant": 667, "notApplicable": 0}));
    let mut requested = Vec::new();
    for request in function.requests("DescribeLaunchTemplateVersions").await {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let id = body.split('&').find(|field| field.starts_with("LaunchTemplateId=")).unwrap().to_owned();
        let versions = body.split('&').filter_map(|field| field.strip_prefix("LaunchTemplateVersion."));
        requested.extend(versions.map(|field| format!("{id} {}", field.split_once('=').unwrap().1)));
    }
    let count = requested.len();
    requested.sort_unstable();
    requested.dedup();
    assert_eq!(requested.len(), count, "no version is requested twice");
    assert_eq!(function.requests("GetInstanceMetadataDefaults").await.len(), 0, "nothing is left unset");
}

/// Returns a Region with a template and a group that leave tokens unset.
fn unset(account_defaults: &'static str) -> Region {
    Region {
        launch_templates: vec![("lt-c", "", "")],
        groups: vec![("unset".to_owned(), template("lt-c", "$Default"))],
        account_defaults,
        ..region()
    }
}

#[tokio::test]
async fn defaults_decide_if_the_parameter_says_so_and_explain_otherwise() {
    for (defaults, compliance, hint) in [
        (
            "<httpTokens>required</httpTokens>",
            "COMPLIANT",
            "HttpTokens is not set in this template; today the account-level default requires tokens. Make a",
        ),
        (
            "<httpTokens>optional</httpTokens>",
            "NON_COMPLIANT",
            "HttpTokens is not set in this template, and the account-level default allows IMDSv1. Make a",
        ),
        (
            "",
            "COMPLIANT",
            "HttpTokens is not set in this template; today the AMI ami-1 requires tokens. Make a",
        ),
    ] {
        for (parameter, expected) in [("true", compliance), ("false", "NON_COMPLIANT")] {
            let function = start_in(unset(defaults)).await;
            let event = scheduled_event(&json!({"defaultsCompliant": parameter}));
            function.invoke(&event).await.unwrap();
            let template = (LAUNCH_TEMPLATE.to_owned(), "lt-c".to_owned());
            let group = (AUTO_SCALING_GROUP.to_owned(), Region::group_arn("unset"));
            let reported = reported(&function);
            assert_eq!(reported[&template], [expected], "{defaults} {parameter}");
            assert_eq!(reported[&group], [expected], "{defaults} {parameter}");
            if parameter == "false" {
                let accepted = function.accepted();
                let found = accepted.iter().find(|found| found["ComplianceResourceId"] == "lt-c").unwrap();
                let annotation = found["Annotation"].as_str().unwrap();
                assert!(annotation.starts_with(hint), "{annotation}");
            }
            assert_eq!(function.requests("GetInstanceMetadataDefaults").await.len(), 1);
            let images = function.requests("DescribeImages").await.len();
            assert_eq!(images, usize::from(defaults.is_empty()), "an AMI is asked for once, if it decides");
        }
    }
}

#[tokio::test]
async fn defaults_that_cannot_be_read_matter_only_if_verdicts_depend_on_them() {
    for operation in ["GetInstanceMetadataDefaults", "DescribeImages"] {
        let denied = || Region { denied_operation: Some(operation), ..unset("") };
        let function = start_in(denied()).await;
        let summary = function.invoke(&scheduled_event(&json!({}))).await.unwrap();
        assert_eq!(summary["nonCompliant"], 3, "a hint is missing from two annotations");

        let function = start_in(denied()).await;
        let event = scheduled_event(&json!({"defaultsCompliant": "true"}));
        let failure = function.invoke(&event).await.expect_err("denied");
        assert_eq!(failure.kind, "Ec2NotReadable");
        assert!(failure.message.contains(&format!("{operation}: UnauthorizedOperation")), "{failure:?}");
    }
}

#[tokio::test]
async fn a_group_that_changed_is_completed_from_ec2() {
    let event = fixture("auto-scaling-group-event.json");
    for (data, compliance, annotation) in [
        (OPTIONAL, "NON_COMPLIANT", "lt-0a1b2c3d4e5f60718 version 3, where HttpTokens is optional"),
        (REQUIRED, "COMPLIANT", "lt-0a1b2c3d4e5f60718 version 3, where HttpTokens is required"),
    ] {
        let region = Region {
            versions: vec![version("lt-0a1b2c3d4e5f60718", 3, true, data)],
            ..Region::with_instances(0)
        };
        let function = Function::start(Aws { region: Some(region), ..Aws::default() }).await;
        function.invoke(&event).await.unwrap();
        let evaluation = function.last_evaluation().await;
        assert_eq!(evaluation["ComplianceResourceType"], AUTO_SCALING_GROUP);
        assert_eq!(evaluation["ComplianceType"], compliance);
        let words = evaluation["Annotation"].as_str().unwrap();
        assert!(words.contains(annotation), "{words}");
    }
}
