//! Scheduled runs: the whole Region through the built function.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::world::{Aws, OWN_ACCOUNT, Put, World};

const INSTANCE: &str = "AWS::EC2::Instance";
const LAUNCH_TEMPLATE: &str = "AWS::EC2::LaunchTemplate";
const LAUNCH_CONFIGURATION: &str = "AWS::AutoScaling::LaunchConfiguration";
const REQUIRED: &str = "<httpTokens>required</httpTokens>";

/// The event of a scheduled run, in the shape of AWS Config's own.
fn scheduled(parameters: &Value) -> Value {
    let notification = json!({
        "awsAccountId": OWN_ACCOUNT,
        "notificationCreationTime": "2026-05-11T09:30:12.636Z",
        "messageType": "ScheduledNotification",
        "recordVersion": "1.0",
    });
    json!({
        "version": "1.0",
        "invokingEvent": notification.to_string(),
        "ruleParameters": parameters.to_string(),
        "resultToken": "token",
        "eventLeftScope": false,
        "executionRoleArn": "arn:aws:iam::123456789012:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig",
        "configRuleArn": "arn:aws:config:us-east-1:123456789012:config-rule/config-rule-0abcde",
        "configRuleName": "EC2-must-require-IMDSv2-to-protect-role-credentials",
        "configRuleId": "config-rule-0abcde",
        "accountId": OWN_ACCOUNT,
    })
}

fn only_instances() -> Value {
    scheduled(&json!({"resourceTypes": INSTANCE}))
}

async fn world(fleet: Fleet, puts: &[Put]) -> World {
    World::start(Aws { fleet, puts: VecDeque::from(puts.to_vec()), ..Aws::default() }).await
}

/// Every evaluation that was accepted: how often each type and id, with which compliance type.
fn accepted(world: &World) -> BTreeMap<(String, String), Vec<String>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for evaluation in world.accepted() {
        let text = |field: &str| evaluation[field].as_str().unwrap().to_owned();
        let key = (text("ComplianceResourceType"), text("ComplianceResourceId"));
        all.entry(key).or_default().push(text("ComplianceType"));
    }
    all
}

/// What a fleet of `count` instances is expected to be reported as.
fn expected(count: usize) -> BTreeMap<(String, String), Vec<String>> {
    (0..count)
        .map(|number| {
            let compliance = if number % 2 == 0 { "NON_COMPLIANT" } else { "COMPLIANT" };
            ((INSTANCE.to_owned(), Fleet::id(number)), vec![compliance.to_owned()])
        })
        .collect()
}

fn result(resource_type: &str, id: &str, complied: bool) -> (String, String, bool) {
    (resource_type.to_owned(), id.to_owned(), complied)
}

#[tokio::test]
async fn every_instance_is_reported_once_in_full_batches() {
    let world = world(Fleet::of(1_234), &[]).await;
    let summary = world.invoke(&only_instances()).await.unwrap();
    assert_eq!(summary, json!({"compliant": 617, "nonCompliant": 617, "notApplicable": 0}));
    assert_eq!(accepted(&world), expected(1_234));

    let puts = world.puts().await;
    let mut sizes: Vec<_> = puts.iter().map(|put| put["Evaluations"].as_array().unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [vec![34], vec![100; 12]].concat());
    for put in &puts {
        assert_eq!(put["ResultToken"], "token");
        assert_eq!(put["Evaluations"][0]["OrderingTimestamp"], json!(1_778_491_812.636));
    }
    assert_eq!(world.calls("DescribeInstances").await.len(), 5);
    let asked = world.calls("DescribeInstances").await;
    assert!(String::from_utf8_lossy(&asked[0].body).contains("MaxResults=1000"));
    for other in
        ["DescribeLaunchTemplateVersions", "DescribeLaunchConfigurations", "GetInstanceMetadataDefaults"]
    {
        assert_eq!(world.calls(other).await.len(), 0, "{other} is not in the scope");
    }
}

#[tokio::test]
async fn whatever_launches_is_judged_too() {
    let fleet = Fleet {
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
        defaults: "<httpTokens>optional</httpTokens><managedBy>account</managedBy>",
        ..Fleet::of(1)
    };
    let world = world(fleet, &[]).await;
    let event = scheduled(&json!({"accountDefaults": "true", "exemptionTagKey": "until"}));
    let summary = world.invoke(&event).await.unwrap();
    assert_eq!(summary, json!({"compliant": 2, "nonCompliant": 5, "notApplicable": 1}));
    let found: Vec<_> = accepted(&world)
        .into_iter()
        .map(|((resource_type, id), compliance)| {
            (resource_type, id.rsplit('/').next().unwrap().to_owned(), compliance.concat())
        })
        .collect();
    let expected = [
        ("AWS::::Account", OWN_ACCOUNT, "NON_COMPLIANT"),
        (LAUNCH_CONFIGURATION, "old", "NON_COMPLIANT"),
        (LAUNCH_CONFIGURATION, "new", "COMPLIANT"),
        (INSTANCE, "i-00000000000000000", "NON_COMPLIANT"),
        (LAUNCH_TEMPLATE, "lt-00000000000000001", "COMPLIANT"),
        (LAUNCH_TEMPLATE, "lt-00000000000000002", "NON_COMPLIANT"),
        (LAUNCH_TEMPLATE, "lt-00000000000000003", "NOT_APPLICABLE"),
        (LAUNCH_TEMPLATE, "lt-00000000000000004", "NON_COMPLIANT"),
    ];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(found, expected);
    let defaults =
        world.accepted().into_iter().find(|e| e["ComplianceResourceType"] == "AWS::::Account").unwrap();
    assert!(defaults["Annotation"].as_str().unwrap().contains("with ModifyInstanceMetadataDefaults"));
    let asked = &world.calls("DescribeLaunchTemplateVersions").await[0];
    assert!(String::from_utf8_lossy(&asked.body).contains("LaunchTemplateVersion.1=%24Default"));
}

#[tokio::test]
async fn an_instance_that_never_runs_again_is_not_reported_and_its_result_is_withdrawn() {
    let fleet = Fleet {
        odd_instance:
            "<item><instanceId>i-0dead</instanceId><instanceState><name>terminated</name></instanceState>\
                       <metadataOptions><httpTokens>optional</httpTokens></metadataOptions></item>"
                .to_owned(),
        results: vec![result(INSTANCE, "i-0dead", false)],
        ..Fleet::of(2)
    };
    let world = world(fleet, &[]).await;
    let summary = world.invoke(&only_instances()).await.unwrap();
    assert_eq!(summary, json!({"compliant": 1, "nonCompliant": 1, "notApplicable": 1}));
    let found = accepted(&world);
    assert_eq!(found[&(INSTANCE.to_owned(), "i-0dead".to_owned())], ["NOT_APPLICABLE"]);
}

#[tokio::test]
async fn exactly_the_results_of_what_is_gone_are_withdrawn() {
    let mut results: Vec<_> = (0..20).map(|n| result(INSTANCE, &Fleet::id(n), n % 2 == 1)).collect();
    results.extend((100..229).map(|n| result(INSTANCE, &Fleet::id(n), n % 3 == 0)));
    results.push(result(LAUNCH_TEMPLATE, &Fleet::id(0), false)); // a live id, of another type
    let world = world(Fleet { results, ..Fleet::of(20) }, &[]).await;
    let summary = world.invoke(&scheduled(&json!({}))).await.unwrap();
    assert_eq!(summary, json!({"compliant": 10, "nonCompliant": 10, "notApplicable": 130}));

    let mut expected = expected(20);
    for number in 100..229 {
        expected.insert((INSTANCE.to_owned(), Fleet::id(number)), vec!["NOT_APPLICABLE".to_owned()]);
    }
    expected.insert((LAUNCH_TEMPLATE.to_owned(), Fleet::id(0)), vec!["NOT_APPLICABLE".to_owned()]);
    assert_eq!(accepted(&world), expected);
    let gone = world.accepted().into_iter().find(|e| e["ComplianceResourceId"] == Fleet::id(100)).unwrap();
    assert_eq!(gone["Annotation"], "The instance is terminated, or no longer exists.");
    let gone = world.accepted().into_iter().find(|e| e["ComplianceResourceType"] == LAUNCH_TEMPLATE).unwrap();
    assert_eq!(gone["Annotation"], "The resource no longer exists.");
    for asked in world.calls("GetComplianceDetailsByConfigRule").await {
        let asked: Value = asked.body_json().unwrap();
        assert_eq!(asked["ConfigRuleName"], "EC2-must-require-IMDSv2-to-protect-role-credentials");
        assert_eq!(asked["Limit"], 100);
    }
}

#[tokio::test]
async fn a_result_that_is_newer_than_the_run_stays() {
    let results = vec![result(INSTANCE, "i-0new", false)];
    let world = world(Fleet { results, results_at: 1_778_491_812.637, ..Fleet::of(1) }, &[]).await;
    world.invoke(&only_instances()).await.unwrap();
    assert_eq!(accepted(&world), expected(1));
}

#[tokio::test]
async fn a_result_of_the_very_time_of_the_run_is_withdrawn() {
    // As it comes back from a run that was broken off, and is tried again.
    let results = vec![result(INSTANCE, "i-0gone", false)];
    let world = world(Fleet { results, results_at: 1_778_491_812.636, ..Fleet::of(1) }, &[]).await;
    let summary = world.invoke(&only_instances()).await.unwrap();
    assert_eq!(summary["notApplicable"], 1);
}

#[tokio::test]
async fn results_of_what_is_not_judged_any_more_are_withdrawn_as_such() {
    let results = vec![result(LAUNCH_TEMPLATE, "lt-0", false), result("AWS::::Account", OWN_ACCOUNT, true)];
    let world = world(Fleet { results, ..Fleet::of(1) }, &[]).await;
    world.invoke(&only_instances()).await.unwrap();
    let told: Vec<_> =
        world.accepted().iter().map(|e| e["Annotation"].as_str().unwrap().to_owned()).collect();
    assert!(told.contains(&"This rule does not judge AWS::EC2::LaunchTemplate.".to_owned()), "{told:?}");
    assert!(told.contains(&"This rule does not judge AWS::::Account.".to_owned()), "{told:?}");
}

#[tokio::test]
async fn what_was_judged_before_a_list_is_refused_is_reported() {
    let fleet = Fleet { refused_operation: "DescribeLaunchConfigurations", ..Fleet::of(50) };
    let world = world(fleet, &[]).await;
    let failure = world.invoke(&scheduled(&json!({}))).await.expect_err("refused");
    assert!(failure.message.contains("with 50 resources judged and 50 evaluations reported"), "{failure:?}");
    assert!(
        failure.message.contains("had not begun: could not list the Region (DescribeLaunchConfigurations)")
    );
    assert_eq!(accepted(&world), expected(50));
}

#[tokio::test]
async fn results_that_cannot_be_listed_fail_the_run() {
    let fleet = Fleet { refused_operation: "GetComplianceDetailsByConfigRule", ..Fleet::of(50) };
    let world = world(fleet, &[]).await;
    let failure = world.invoke(&only_instances()).await.expect_err("refused");
    assert_eq!(failure.kind, "ResultsNotReadable");
    assert!(failure.message.contains("GetComplianceDetailsByConfigRule): AccessDenied"), "{failure:?}");
    assert!(accepted(&world).values().all(|compliance| compliance != &["NOT_APPLICABLE"]));
}

#[tokio::test]
async fn long_lists_of_what_launches_are_read_to_their_end() {
    let named = |kind: &str, count: usize| -> Vec<&'static str> {
        (0..count).map(|n| &*format!("{kind}{n:017x}").leak()).collect()
    };
    let fleet = Fleet {
        launch_templates: named("lt-", 450).into_iter().map(|id| (id, REQUIRED, "2999-12-31")).collect(),
        launch_configurations: named("arn:", 250).into_iter().map(|arn| (arn, "")).collect(),
        ..Fleet::of(1)
    };
    let world = world(fleet, &[]).await;
    let summary = world.invoke(&scheduled(&json!({"exemptionTagKey": "until"}))).await.unwrap();
    assert_eq!(summary, json!({"compliant": 0, "nonCompliant": 251, "notApplicable": 450}));
    for (operation, pages) in [
        ("DescribeLaunchTemplateVersions", 3),
        ("DescribeLaunchTemplates", 3),
        ("DescribeLaunchConfigurations", 3),
    ] {
        assert_eq!(world.calls(operation).await.len(), pages, "{operation}");
    }
}

#[tokio::test]
async fn a_refused_page_is_named_and_nothing_is_withdrawn() {
    let results = (5_000..5_100).map(|n| result(INSTANCE, &Fleet::id(n), true)).collect();
    let fleet = Fleet { results, refused: Some((3, "UnauthorizedOperation")), ..Fleet::of(1_000) };
    let world = world(fleet, &[]).await;
    let failure = world.invoke(&only_instances()).await.expect_err("refused");
    assert_eq!(failure.kind, "Ec2NotReadable");
    assert_eq!(
        failure.message,
        "the scheduled run ended early, with 500 resources judged and 500 evaluations reported; the withdrawal of \
         stale results had not begun: could not list the Region (DescribeInstances): UnauthorizedOperation: so says \
         the test"
    );
    assert_eq!(accepted(&world), expected(500), "what was reported is true");
}

#[tokio::test]
async fn a_throttled_list_is_asked_for_again() {
    let world = world(Fleet { throttled: 4, ..Fleet::of(300) }, &[]).await;
    world.invoke(&only_instances()).await.unwrap();
    assert_eq!(accepted(&world), expected(300));
    assert_eq!(world.calls("DescribeInstances").await.len(), 6);
}

#[tokio::test]
async fn throttled_evaluations_arrive_once_each() {
    let puts = [Put::Throttle, Put::Accept].repeat(30);
    let world = world(Fleet::of(2_000), &puts).await;
    world.invoke(&only_instances()).await.unwrap();
    assert_eq!(accepted(&world), expected(2_000));
    assert_eq!(world.puts().await.len(), 40, "a throttled call is made again, and no other");
}

#[tokio::test]
async fn what_fails_in_a_batch_is_sent_again() {
    let world = world(Fleet::of(250), &[Put::FailAll, Put::FailAll]).await;
    world.invoke(&only_instances()).await.unwrap();
    assert_eq!(accepted(&world), expected(250));
}

#[tokio::test]
async fn evaluations_that_are_refused_fail_the_run() {
    let world = world(Fleet::of(1_000), &[Put::Error(400, "InvalidResultTokenException")]).await;
    let failure = world.invoke(&only_instances()).await.expect_err("refused");
    assert_eq!(failure.kind, "EvaluationsNotReported");
    assert!(failure.message.contains("100 of 100 evaluations could not be reported"), "{failure:?}");
    assert!(failure.message.contains("InvalidResultTokenException"), "{failure:?}");
}

#[tokio::test]
async fn a_run_that_would_be_too_long_ends_in_time_and_says_how_far_it_came() {
    let fleet = Fleet { page: 1_000, delay: Duration::from_millis(100), ..Fleet::of(100_000) };
    let results = (200_000..200_010).map(|n| result(INSTANCE, &Fleet::id(n), true)).collect();
    let world = world(Fleet { results, ..fleet }, &[]).await;
    let _warm = world.invoke(&scheduled(&json!({"maxHopLimit": "none"}))).await;
    // The simulator gives up when Lambda would kill the function.
    let failure = world.invoke_within(&only_instances(), Duration::from_secs(5)).await.expect_err("too long");
    assert_eq!(failure.kind, "OutOfTime");
    assert!(failure.message.contains("Lambda's time limit came first"), "{failure:?}");
    let (_, told) = failure.message.split_once("resources judged and ").unwrap();
    let told: usize = told.split_once(' ').unwrap().0.parse().unwrap();
    // What AWS Config accepted in the last moment, the function cannot know.
    let reported = accepted(&world).len();
    assert!((1..=reported).contains(&told), "{reported}: {failure:?}");
    assert!(reported - told <= 16 * 100, "{reported}: {failure:?}");
    assert!(accepted(&world).values().all(|compliance| compliance != &["NOT_APPLICABLE"]));
}

#[tokio::test]
async fn a_scheduled_event_without_its_parts_fails_by_name() {
    let world = world(Fleet::of(1), &[]).await;
    let mut without_rule = scheduled(&json!({}));
    without_rule.as_object_mut().unwrap().remove("configRuleName");
    let mut without_time = scheduled(&json!({}));
    without_time["invokingEvent"] = json!({"messageType": "ScheduledNotification"}).to_string().into();
    let types = scheduled(&json!({"resourceTypes": "AWS::EC2::VPC"}));
    for (event, kind, message) in [
        (without_rule, "InvalidEvent", "configRuleName is missing"),
        (without_time, "InvalidEvent", "invokingEvent.notificationCreationTime is missing"),
        (
            types,
            "InvalidRuleParameters",
            "rule parameter \"resourceTypes\" is \"AWS::EC2::VPC\"; expected one or more",
        ),
    ] {
        let failure = world.invoke(&event).await.expect_err(message);
        assert_eq!(failure.kind, kind);
        assert!(failure.message.contains(message), "{failure:?}");
    }
    assert_eq!(world.puts().await.len(), 0);
    world.invoke(&only_instances()).await.expect("the next one succeeds");
}
