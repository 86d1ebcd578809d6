//! What `imdsv2 scan` reports, and what it reports in spite of failures.

use std::collections::BTreeSet;

use serde_json::Value;
use snapbox::cmd::OutputAssert;

use crate::cloud::{Cloud, OWN, denial, instances, refusal};
use crate::harness::{stderr, stdout};

fn scan(cloud: &Cloud, arguments: &[&str]) -> OutputAssert {
    cloud.imdsv2(&["scan", "--format", "json", "--region", "eu-west-1"]).args(arguments).assert()
}

/// The ids of the resources in the output.
fn ids(assert: &OutputAssert) -> BTreeSet<String> {
    let output: Value = serde_json::from_str(&stdout(assert)).unwrap();
    let evaluations = output["evaluations"].as_array().unwrap();
    evaluations.iter().map(|finding| finding["resourceId"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn account_defaults_are_judged_if_the_parameter_asks_for_them() {
    let cloud = Cloud::new(|_| None);
    assert!(ids(&scan(&cloud, &[]).code(0)).is_empty());
    assert!(cloud.called("GetInstanceMetadataDefaults").is_empty());
    let judged = scan(&cloud, &["--parameters", r#"{"accountDefaults":"true"}"#]).code(1);
    assert_eq!(ids(&judged), [OWN.to_owned()].into());
}

#[test]
fn a_later_page_that_fails_does_not_hide_earlier_ones() {
    for usage in [&[][..], &["--usage-days", "14"]] {
        let cloud = Cloud::new(|call| match call.operation.as_str() {
            "DescribeInstances" if call.body.contains("NextToken=2") => Some(refusal()),
            "DescribeInstances" => Some(instances(&["i-1", "i-2"], Some("2"))),
            "GetMetricData" => Some(denial()),
            _ => None,
        });
        let assert = scan(&cloud, usage).code(2);
        assert_eq!(ids(&assert), ["i-1".to_owned(), "i-2".to_owned()].into(), "{usage:?}");
        let message = format!(
            "error: account {OWN}, eu-west-1: cannot list instances: DescribeInstances: UnauthorizedOperation: no: \
             allow ec2:DescribeInstances; `imdsv2 permissions scan` prints a policy\n"
        );
        assert!(stderr(&assert).starts_with(&message), "{}", stderr(&assert));
        let failures = if usage.is_empty() { 1 } else { 2 };
        assert_eq!(stderr(&assert).lines().count(), failures, "{}", stderr(&assert));
    }
}

#[test]
fn a_failed_usage_query_does_not_hide_instances() {
    let cloud = Cloud::new(|call| match call.operation.as_str() {
        "DescribeInstances" => Some(instances(&["i-1"], None)),
        "GetMetricData" => Some(denial()),
        _ => None,
    });
    let assert = scan(&cloud, &["--usage-days", "14"]).code(2);
    assert_eq!(ids(&assert), ["i-1".to_owned()].into());
    assert_eq!(
        stderr(&assert),
        format!(
            "error: account {OWN}, eu-west-1: cannot query the IMDSv1 usage of instances: GetMetricData: \
             AccessDenied: no: allow cloudwatch:GetMetricData; `imdsv2 permissions scan` prints a policy\n"
        )
    );
}

#[test]
fn a_failure_names_the_list_the_account_and_the_region() {
    let all = r#"{"accountDefaults":"true"}"#;
    for (operation, list, others) in [
        ("DescribeLaunchTemplateVersions", "launch templates", vec!["i-1", OWN]),
        ("DescribeLaunchConfigurations", "launch configurations", vec!["i-1", OWN]),
        ("DescribeAutoScalingGroups", "Auto Scaling groups", vec!["i-1", OWN]),
        ("GetInstanceMetadataDefaults", "account-level defaults", vec!["i-1"]),
    ] {
        let cloud = Cloud::new(move |call| match call.operation.as_str() {
            refused if refused == operation => Some(refusal()),
            "DescribeInstances" => Some(instances(&["i-1"], None)),
            _ => None,
        });
        let assert = scan(&cloud, &["--parameters", all]).code(2);
        assert_eq!(ids(&assert), others.into_iter().map(str::to_owned).collect(), "{operation}");
        let start = format!("error: account {OWN}, eu-west-1: cannot list {list}: {operation}: ");
        assert!(stderr(&assert).starts_with(&start), "{}", stderr(&assert));
        assert_eq!(stderr(&assert).lines().count(), 1);
    }
}
