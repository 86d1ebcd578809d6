//! Scheduled runs: all resources of a Region are evaluated and reported.

use std::collections::BTreeMap;

use serde_json::json;

use crate::aws::{Aws, PutResponse};
use crate::events::{EVENT_TIME, scheduled_event, scheduled_event_for_instances};
use crate::function::{Function, OWN_ACCOUNT};
use crate::region::{ACCOUNT, INSTANCE, LAUNCH_CONFIGURATION, LAUNCH_TEMPLATE, Region};

const REQUIRED: &str = "<httpTokens>required</httpTokens>";

/// The compliance types that AWS Config accepted for each resource, in order, by type and id.
pub(crate) type Reported = BTreeMap<(String, String), Vec<String>>;

/// Starts the function in a Region.
pub(crate) async fn start_in(region: Region) -> Function {
    start_with_put_responses(region, &[]).await
}

/// Starts the function in a Region with these first responses to `PutEvaluations`.
pub(crate) async fn start_with_put_responses(region: Region, responses: &[PutResponse]) -> Function {
    let first_put_responses = responses.to_vec().into();
    Function::start(Aws { region: Some(region), first_put_responses, ..Aws::default() }).await
}

/// Returns what the function reported.
pub(crate) fn reported(function: &Function) -> Reported {
    let mut all = Reported::new();
    for evaluation in function.accepted() {
        let text = |field: &str| evaluation[field].as_str().unwrap().to_owned();
        let key = (text("ComplianceResourceType"), text("ComplianceResourceId"));
        all.entry(key).or_default().push(text("ComplianceType"));
    }
    all
}

/// Returns the expected report of a Region with this number of instances.
pub(crate) fn each_instance_once(instances: usize) -> Reported {
    (0..instances)
        .map(|number| {
            let compliance = if number % 2 == 0 { "NON_COMPLIANT" } else { "COMPLIANT" };
            ((INSTANCE.to_owned(), Region::instance_id(number)), vec![compliance.to_owned()])
        })
        .collect()
}

#[tokio::test]
async fn every_instance_is_reported_once_in_full_batches() {
    let function = start_in(Region::with_instances(1_234)).await;
    let summary = function.invoke(&scheduled_event_for_instances()).await.unwrap();
    assert_eq!(summary, json!({"compliant": 617, "nonCompliant": 617, "notApplicable": 0}));
    assert_eq!(reported(&function), each_instance_once(1_234));

    let batches = function.put_requests().await;
    let mut sizes: Vec<_> =
        batches.iter().map(|batch| batch["Evaluations"].as_array().unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [vec![34], vec![100; 12]].concat());
    for batch in &batches {
        assert_eq!(batch["ResultToken"], "token");
        assert_eq!(batch["Evaluations"][0]["OrderingTimestamp"], json!(EVENT_TIME));
    }
}

#[tokio::test]
async fn only_the_resource_types_of_the_policy_are_listed() {
    let function = start_in(Region::with_instances(1_234)).await;
    function.invoke(&scheduled_event_for_instances()).await.unwrap();
    let pages = function.requests("DescribeInstances").await;
    assert_eq!(pages.len(), 5);
    assert!(String::from_utf8_lossy(&pages[0].body).contains("MaxResults=1000"));
    for operation in
        ["DescribeLaunchTemplateVersions", "DescribeLaunchConfigurations", "GetInstanceMetadataDefaults"]
    {
        assert_eq!(function.requests(operation).await.len(), 0, "{operation}");
    }
}

#[tokio::test]
async fn launch_sources_and_account_defaults_are_evaluated() {
    let region = Region {
        launch_templates: vec![
            ("lt-00000000000000001", REQUIRED, ""),
            ("lt-00000000000000002", "", ""),
            ("lt-00000000000000003", "", "2999-12-31"),
            ("lt-00000000000000004", "", "2020-01-01"),
        ],
        launch_configurations: vec![
            (
                "arn:aws:autoscaling:us-east-1:123456789012:launchConfiguration:u1:launchConfigurationName/old",
                "",
            ),
            (
                "arn:aws:autoscaling:us-east-1:123456789012:launchConfiguration:u2:launchConfigurationName/new",
                "<HttpTokens>required</HttpTokens>",
            ),
        ],
        account_defaults: "<httpTokens>optional</httpTokens><managedBy>account</managedBy>",
        ..Region::with_instances(1)
    };
    let function = start_in(region).await;
    let event = scheduled_event(&json!({"accountDefaults": "true", "exemptionTagKey": "until"}));
    let summary = function.invoke(&event).await.unwrap();
    assert_eq!(summary, json!({"compliant": 2, "nonCompliant": 5, "notApplicable": 1}));

    let found: Vec<_> = reported(&function)
        .into_iter()
        .map(|((resource_type, id), compliance)| {
            (resource_type, id.rsplit('/').next().unwrap().to_owned(), compliance.concat())
        })
        .collect();
    let expected = [
        (ACCOUNT, OWN_ACCOUNT, "NON_COMPLIANT"),
        (LAUNCH_CONFIGURATION, "old", "NON_COMPLIANT"),
        (LAUNCH_CONFIGURATION, "new", "COMPLIANT"),
        (INSTANCE, "i-00000000000000000", "NON_COMPLIANT"),
        (LAUNCH_TEMPLATE, "lt-00000000000000001", "COMPLIANT"),
        (LAUNCH_TEMPLATE, "lt-00000000000000002", "NON_COMPLIANT"),
        (LAUNCH_TEMPLATE, "lt-00000000000000003", "NOT_APPLICABLE"),
        (LAUNCH_TEMPLATE, "lt-00000000000000004", "NON_COMPLIANT"),
    ];
    assert_eq!(found, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));

    let evaluations = function.accepted();
    let defaults = evaluations.iter().find(|each| each["ComplianceResourceType"] == ACCOUNT).unwrap();
    assert_eq!(
        defaults["Annotation"],
        "New instances may accept IMDSv1 requests: the account-level default of HttpTokens is optional in this \
         Region. Set it to required with ModifyInstanceMetadataDefaults."
    );
    let request = &function.requests("DescribeLaunchTemplateVersions").await[0];
    assert!(String::from_utf8_lossy(&request.body).contains("LaunchTemplateVersion.1=%24Default"));
}

#[tokio::test]
async fn a_rule_for_the_account_alone_lists_no_resources() {
    let region = Region {
        account_defaults: "<httpTokens>required</httpTokens><managedBy>account</managedBy>",
        ..Region::with_instances(1)
    };
    let function = start_in(region).await;
    let summary = function.invoke(&scheduled_event(&json!({"accountDefaults": "only"}))).await.unwrap();
    assert_eq!(summary, json!({"compliant": 1, "nonCompliant": 0, "notApplicable": 0}));
    assert_eq!(reported(&function).keys().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), [ACCOUNT]);
    for operation in ["DescribeInstances", "DescribeLaunchTemplateVersions", "DescribeLaunchConfigurations"] {
        assert!(function.requests(operation).await.is_empty(), "{operation}");
    }
}

#[tokio::test]
async fn all_pages_of_launch_sources_are_read() {
    let names = |prefix: &str, count: usize| -> Vec<&'static str> {
        (0..count).map(|number| &*format!("{prefix}{number:017x}").leak()).collect()
    };
    let region = Region {
        launch_templates: names("lt-", 450).into_iter().map(|id| (id, REQUIRED, "2999-12-31")).collect(),
        launch_configurations: names("arn:", 250).into_iter().map(|arn| (arn, "")).collect(),
        ..Region::with_instances(1)
    };
    let function = start_in(region).await;
    let summary = function.invoke(&scheduled_event(&json!({"exemptionTagKey": "until"}))).await.unwrap();
    assert_eq!(summary, json!({"compliant": 0, "nonCompliant": 251, "notApplicable": 450}));
    for operation in
        ["DescribeLaunchTemplateVersions", "DescribeLaunchTemplates", "DescribeLaunchConfigurations"]
    {
        assert_eq!(function.requests(operation).await.len(), 3, "{operation}");
    }
}

#[tokio::test]
async fn throttled_list_is_retried() {
    let function = start_in(Region { throttled: 4, ..Region::with_instances(300) }).await;
    function.invoke(&scheduled_event_for_instances()).await.unwrap();
    assert_eq!(reported(&function), each_instance_once(300));
    assert_eq!(function.requests("DescribeInstances").await.len(), 6);
}

#[tokio::test]
async fn throttled_evaluations_are_reported_once() {
    let responses = [PutResponse::Throttle, PutResponse::Accept].repeat(30);
    let function = start_with_put_responses(Region::with_instances(2_000), &responses).await;
    function.invoke(&scheduled_event_for_instances()).await.unwrap();
    assert_eq!(reported(&function), each_instance_once(2_000));
    assert_eq!(function.put_requests().await.len(), 40, "20 batches, each throttled once");
}

#[tokio::test]
async fn failed_evaluations_are_sent_again() {
    let responses = [PutResponse::FailAll; 2];
    let function = start_with_put_responses(Region::with_instances(250), &responses).await;
    function.invoke(&scheduled_event_for_instances()).await.unwrap();
    assert_eq!(reported(&function), each_instance_once(250));
}
