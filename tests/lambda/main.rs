//! The built `bootstrap` as a process: events in through Lambda's Runtime API, calls out to AWS.

// The helpers of a test may fail it, too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod calls;
mod fleet;
mod scheduled;
mod world;

use std::time::Duration;

use serde_json::{Value, json};
use world::{Aws, OWN_ACCOUNT, Put, World, breaking_proxy};

fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// An event whose item was changed by `change`.
fn event_with(fixture_name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut event = fixture(fixture_name);
    let mut notification: Value = serde_json::from_str(event["invokingEvent"].as_str().unwrap()).unwrap();
    change(&mut notification["configurationItem"]);
    event["invokingEvent"] = notification.to_string().into();
    event
}

/// An event about an instance with these metadata options.
fn instance(options: &Value) -> Value {
    event_with("instance-optional-event.json", |item| {
        item["configuration"]["metadataOptions"] = options.clone();
    })
}

fn options(tokens: &str, endpoint: &str, hop_limit: u8) -> Value {
    json!({"state": "applied", "httpTokens": tokens, "httpEndpoint": endpoint, "httpPutResponseHopLimit": hop_limit})
}

fn with_parameters(mut event: Value, parameters: &Value) -> Value {
    event["ruleParameters"] = parameters.to_string().into();
    event
}

fn describe_instances(instance: &str) -> String {
    format!(
        "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><reservationSet><item>\
         <instancesSet>{instance}</instancesSet></item></reservationSet></DescribeInstancesResponse>"
    )
}

fn ec2_error(code: &str) -> (u16, String) {
    let body = format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>so says the test</Message></Error></Errors>\
         <RequestID>1</RequestID></Response>"
    );
    (400, body)
}

#[tokio::test]
async fn every_row_of_the_verdict_table_is_reported() {
    let world = World::start(Aws::default()).await;
    let tagged = |value: &str| {
        let event = event_with("instance-optional-event.json", |item| item["tags"] = json!({"until": value}));
        with_parameters(event, &json!({"exemptionTagKey": "until"}))
    };
    let status = |status: &str| {
        event_with("instance-optional-event.json", |item| item["configurationItemStatus"] = status.into())
    };
    let state = |name: &str| {
        event_with("instance-optional-event.json", |item| {
            item["configuration"]["state"] = json!({"code": 48, "name": name});
        })
    };
    let mut left_scope = fixture("instance-optional-event.json");
    left_scope["eventLeftScope"] = true.into();
    let mut pending = options("required", "enabled", 1);
    pending["state"] = "pending".into();
    let hop = json!({"maxHopLimit": "2"});
    let strict = json!({"disabledEndpointCompliant": "false"});

    for (case, event, compliance, annotation) in [
        ("row 1: deleted", fixture("deleted-event.json"), "NOT_APPLICABLE", "deleted"),
        ("row 1: deleted, not recorded", status("ResourceDeletedNotRecorded"), "NOT_APPLICABLE", "deleted"),
        ("row 1: not recorded", status("ResourceNotRecorded"), "NOT_APPLICABLE", "does not record"),
        ("row 1: unknown status", status("Mislaid"), "NOT_APPLICABLE", "Mislaid"),
        ("row 1: left scope", left_scope, "NOT_APPLICABLE", "left the scope"),
        ("row 1: terminated", state("terminated"), "NOT_APPLICABLE", "terminated"),
        ("row 1: shutting down", state("shutting-down"), "NOT_APPLICABLE", "shutting-down"),
        (
            "row 1: another type",
            event_with("instance-optional-event.json", |item| item["resourceType"] = "AWS::EC2::VPC".into()),
            "NOT_APPLICABLE",
            "AWS::EC2::VPC",
        ),
        ("row 2: exempt", tagged("2999-12-31"), "NOT_APPLICABLE", "Exempt by tag through 2999-12-31"),
        ("row 2: past", tagged("2020-02-29"), "NON_COMPLIANT", "exemption ended on 2020-02-29"),
        ("row 2: no date", tagged("for ever"), "NON_COMPLIANT", "\"for ever\" is no date"),
        (
            "row 3: disabled",
            instance(&options("optional", "disabled", 1)),
            "COMPLIANT",
            "endpoint is disabled",
        ),
        (
            "row 3: disabled, strict",
            with_parameters(instance(&options("optional", "disabled", 1)), &strict),
            "NON_COMPLIANT",
            "HttpTokens is optional",
        ),
        ("row 4: optional", fixture("instance-optional-event.json"), "NON_COMPLIANT", "optional"),
        ("row 4: unset", instance(&json!({"httpEndpoint": "enabled"})), "NON_COMPLIANT", "not recorded"),
        (
            "row 4: unknown word",
            instance(&options("Required", "enabled", 1)),
            "NON_COMPLIANT",
            "\"Required\"",
        ),
        ("row 4: template", fixture("launch-template-unset-event.json"), "NON_COMPLIANT", "not set"),
        ("row 4: configuration", fixture("launch-configuration-event.json"), "NON_COMPLIANT", "optional"),
        (
            "row 4: configuration unset",
            fixture("launch-configuration-unset-event.json"),
            "NON_COMPLIANT",
            "not set",
        ),
        (
            "row 5: hops",
            with_parameters(instance(&options("required", "enabled", 3)), &hop),
            "NON_COMPLIANT",
            "hop limit 3 is above 2",
        ),
        (
            "row 6: hops",
            with_parameters(instance(&options("required", "enabled", 2)), &hop),
            "COMPLIANT",
            "required",
        ),
        ("row 6: hops not judged", instance(&options("required", "enabled", 64)), "COMPLIANT", "required"),
        ("row 6: pending", instance(&pending), "COMPLIANT", "at its next start"),
        ("row 6: template", fixture("launch-template-required-event.json"), "COMPLIANT", "required"),
        (
            "row 6: configuration",
            fixture("launch-configuration-required-event.json"),
            "COMPLIANT",
            "required",
        ),
    ] {
        let summary = world.invoke(&event).await.expect(case);
        let expected = match compliance {
            "COMPLIANT" => json!({"compliant": 1, "nonCompliant": 0, "notApplicable": 0}),
            "NON_COMPLIANT" => json!({"compliant": 0, "nonCompliant": 1, "notApplicable": 0}),
            _ => json!({"compliant": 0, "nonCompliant": 0, "notApplicable": 1}),
        };
        assert_eq!(summary, expected, "{case}");
        let evaluation = world.last_evaluation().await;
        assert_eq!(evaluation["ComplianceType"], compliance, "{case}: {evaluation}");
        assert!(evaluation["Annotation"].as_str().unwrap().contains(annotation), "{case}: {evaluation}");
    }
}

#[tokio::test]
async fn an_evaluation_carries_the_items_identity_and_time() {
    let world = World::start(Aws::default()).await;
    world.invoke(&fixture("instance-optional-event.json")).await.unwrap();
    let put = &world.puts().await[0];
    assert_eq!(put["ResultToken"], "eyJlbmNyeXB0ZWREYXRhIjpbLTEwNSw2LDUzXX0=");
    assert_eq!(put.get("TestMode"), None);
    assert_eq!(put["Evaluations"].as_array().unwrap().len(), 1);
    let evaluation = &put["Evaluations"][0];
    assert_eq!(evaluation["ComplianceResourceType"], "AWS::EC2::Instance");
    assert_eq!(evaluation["ComplianceResourceId"], "i-0a1b2c3d4e5f60718");
    // 2026-05-11T09:30:12.636Z: the milliseconds are kept.
    assert_eq!(evaluation["OrderingTimestamp"], json!(1_778_491_812.636));
    for line in world.log().lines() {
        serde_json::from_str::<Value>(line).expect(line);
    }
    assert!(world.log().contains("i-0a1b2c3d4e5f60718"));
}

#[tokio::test]
async fn every_invocation_tells_its_metrics() {
    let world = World::start(Aws::default()).await;
    world.invoke(&fixture("instance-optional-event.json")).await.unwrap();
    world.invoke(&with_parameters(fixture("deleted-event.json"), &json!({"no": "1"}))).await.unwrap_err();
    let lines: Vec<Value> = world.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines.iter().filter(|line| line["_aws"].is_object()).collect();
    assert_eq!(told.len(), 2, "{lines:?}");
    assert_eq!((&told[0]["NonCompliant"], &told[0]["Failed"]), (&json!(1), &json!(0)));
    assert_eq!((&told[1]["NonCompliant"], &told[1]["Failed"]), (&json!(0), &json!(1)));
    let duration = told[0]["Duration"].as_f64().unwrap();
    assert!(duration > 0.0 && duration < 60_000.0, "{duration} ms");
}

#[tokio::test]
async fn the_test_token_asks_for_test_mode() {
    let world = World::start(Aws::default()).await;
    let mut event = fixture("instance-optional-event.json");
    event["resultToken"] = "TESTMODE".into();
    world.invoke(&event).await.unwrap();
    assert_eq!(world.puts().await[0]["TestMode"], true);
}

#[tokio::test]
async fn a_bad_event_fails_by_name_and_the_next_one_succeeds() {
    let world = World::start(Aws::default()).await;
    let good = fixture("instance-optional-event.json");
    let without = |field: &str| {
        let mut event = good.clone();
        event.as_object_mut().unwrap().remove(field);
        event
    };
    let parameters = |text: &str| {
        let mut event = good.clone();
        event["ruleParameters"] = text.into();
        event
    };
    let notification = |value: Value| {
        let mut event = good.clone();
        event["invokingEvent"] = value.to_string().into();
        event
    };
    let without_in_item = |field: &'static str| {
        event_with("instance-optional-event.json", |item| {
            item.as_object_mut().unwrap().remove(field);
        })
    };
    for (event, kind, message) in [
        (parameters(r#"{"maxHopLimits":"2"}"#), "InvalidRuleParameters", "did you mean \"maxHopLimit\"?"),
        (parameters(r#"{"maxHopLimit":"65"}"#), "InvalidRuleParameters", "\"maxHopLimit\" is \"65\""),
        (parameters(r#"{"maxHopLimit":"two"}"#), "InvalidRuleParameters", "\"maxHopLimit\" is \"two\""),
        (
            parameters(r#"{"disabledEndpointCompliant":"maybe"}"#),
            "InvalidRuleParameters",
            "\"disabledEndpointCompliant\" is \"maybe\"; expected \"true\" or \"false\"",
        ),
        (parameters("[]"), "InvalidRuleParameters", "ruleParameters is []"),
        (parameters("no JSON"), "InvalidRuleParameters", "ruleParameters is no JSON, which is not JSON"),
        (without("invokingEvent"), "InvalidEvent", "invokingEvent is missing"),
        (without("resultToken"), "InvalidEvent", "resultToken is missing"),
        (without("accountId"), "InvalidEvent", "accountId is missing"),
        (json!([]), "InvalidEvent", "the event is an array"),
        (json!({}), "InvalidEvent", "is missing"),
        (json!(null), "InvalidEvent", "the event is null"),
        (
            notification(json!({"messageType": "ConfigurationItemChangeNotification"})),
            "InvalidEvent",
            "invokingEvent.configurationItem is missing",
        ),
        (
            notification(json!({"messageType": "OversizedConfigurationItemChangeNotification"})),
            "InvalidEvent",
            "invokingEvent.configurationItemSummary is missing",
        ),
        (notification(json!({"messageType": "Greeting"})), "InvalidEvent", "messageType is \"Greeting\""),
        (notification(json!({})), "InvalidEvent", "invokingEvent.messageType is missing"),
        (notification(json!("text")), "InvalidEvent", "invokingEvent: expected an object"),
        (
            notification(
                json!({"messageType": "ConfigurationItemChangeNotification", "configurationItem": []}),
            ),
            "InvalidEvent",
            "invokingEvent.configurationItem",
        ),
        (without_in_item("resourceId"), "InvalidConfigurationItem", "resourceId is missing"),
        (without_in_item("resourceType"), "InvalidConfigurationItem", "resourceType is missing"),
        (
            without_in_item("configurationItemStatus"),
            "InvalidConfigurationItem",
            "configurationItemStatus is missing",
        ),
        (
            without_in_item("configurationItemCaptureTime"),
            "InvalidConfigurationItem",
            "configurationItemCaptureTime is missing",
        ),
        (
            instance(&json!({"httpTokens": 5})),
            "InvalidConfigurationItem",
            "configuration.metadataOptions.httpTokens: invalid type",
        ),
    ] {
        let failure = world.invoke(&event).await.expect_err(message);
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(failure.message.contains(message), "expected {message:?} in {failure:?}");
        assert_eq!(world.puts().await.len(), 0, "{message}");
    }
    world.invoke(&good).await.expect("the process goes on");
    assert_eq!(world.puts().await.len(), 1);
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    for puts in [
        vec![Put::Throttle; 4],
        vec![Put::Error(500, "InternalError"), Put::Error(503, "ServiceUnavailable"), Put::Error(502, "")],
        vec![Put::FailAll],
        vec![Put::FailAll, Put::Throttle, Put::FailAll],
    ] {
        let calls = puts.len() + 1;
        let world = World::start(Aws { puts: puts.clone().into(), ..Aws::default() }).await;
        let summary = world.invoke(&fixture("instance-optional-event.json")).await.expect("success at last");
        assert_eq!(summary, json!({"compliant": 0, "nonCompliant": 1, "notApplicable": 0}));
        let sent = world.puts().await;
        assert_eq!(sent.len(), calls, "{puts:?}");
        assert_eq!(sent.last().unwrap()["Evaluations"], sent[0]["Evaluations"]);
    }
}

#[tokio::test]
async fn broken_connections_are_tried_again() {
    let world = World::start(Aws::default()).await;
    let proxy = breaking_proxy(*world.server.address(), 4).await;
    let behind = World::start_with(Aws::default(), &[("AWS_ENDPOINT_URL", &proxy)]).await;
    behind.invoke(&fixture("instance-optional-event.json")).await.expect("success at last");
    assert_eq!(world.puts().await.len(), 1);
}

#[tokio::test]
async fn permanent_errors_are_not_tried_again() {
    for code in [
        "InvalidResultTokenException",
        "NoSuchConfigRuleException",
        "InvalidParameterValueException",
        "AccessDeniedException",
    ] {
        let world = World::start(Aws { puts: [Put::Error(400, code)].into(), ..Aws::default() }).await;
        let failure = world.invoke(&fixture("instance-optional-event.json")).await.expect_err(code);
        assert_eq!(failure.kind, "EvaluationsNotReported");
        assert_eq!(
            failure.message,
            format!(
                "1 of 1 evaluations could not be reported (first: AWS::EC2::Instance i-0a1b2c3d4e5f60718): \
                 {code}: so says the test"
            )
        );
        assert_eq!(world.puts().await.len(), 1, "{code}");
    }
}

#[tokio::test]
async fn evaluations_that_fail_for_ever_fail_the_invocation() {
    let world = World::start(Aws { puts_for_ever: Some(Put::FailAll), ..Aws::default() }).await;
    let failure = world.invoke(&fixture("instance-optional-event.json")).await.expect_err("never accepted");
    assert!(failure.message.starts_with("1 of 1 evaluations could not be reported"), "{failure:?}");
    assert!(failure.message.contains("FailedEvaluations"), "{failure:?}");
    assert!(world.puts().await.len() >= 5);
}

#[tokio::test]
async fn the_time_limit_ends_the_tries_with_a_word() {
    let world = World::start(Aws { puts_for_ever: Some(Put::Throttle), ..Aws::default() }).await;
    let failure = world
        .invoke_within(&fixture("instance-optional-event.json"), Duration::from_secs(2))
        .await
        .expect_err("never accepted");
    assert!(failure.message.contains("Lambda's time limit"), "{failure:?}");
}

#[tokio::test]
async fn an_oversized_item_comes_from_the_history() {
    let history = fixture("oversized-history-item.json");
    let mut wire = history.clone();
    wire["configurationItemCaptureTime"] = json!(1_778_491_812.636); // as the API writes it
    wire["resourceCreationTime"] = Value::Null;
    let world = World::start(Aws { history: Some(wire.clone()), ..Aws::default() }).await;
    world.invoke(&fixture("oversized-event.json")).await.unwrap();
    let asked: Value = world.calls("GetResourceConfigHistory").await[0].body_json().unwrap();
    assert_eq!(asked["resourceType"], "AWS::EC2::Instance");
    assert_eq!(asked["resourceId"], "i-0b16b16b16b16b16b");
    assert_eq!(asked["laterTime"], json!(1_778_491_812.636));
    assert_eq!(asked["limit"], 1);
    let evaluation = world.last_evaluation().await;
    assert_eq!(evaluation["ComplianceType"], "COMPLIANT");
    assert_eq!(evaluation["OrderingTimestamp"], json!(1_778_491_812.636));

    wire["configurationItemCaptureTime"] = json!(1_778_000_000.0);
    for (history, message) in [(Some(wire), "the newest item there is of"), (None, "the history is empty")] {
        let world = World::start(Aws { history, ..Aws::default() }).await;
        let failure = world.invoke(&fixture("oversized-event.json")).await.expect_err(message);
        assert_eq!(failure.kind, "HistoryNotReadable");
        assert!(failure.message.contains(message), "{failure:?}");
        assert_eq!(world.puts().await.len(), 0);
    }
}

#[tokio::test]
async fn an_oversized_deletion_needs_no_history() {
    let mut event = fixture("oversized-event.json");
    let mut notification: Value = serde_json::from_str(event["invokingEvent"].as_str().unwrap()).unwrap();
    notification["configurationItemSummary"]["configurationItemStatus"] = "ResourceDeleted".into();
    event["invokingEvent"] = notification.to_string().into();
    let world = World::start(Aws::default()).await;
    world.invoke(&event).await.unwrap();
    assert_eq!(world.calls("GetResourceConfigHistory").await.len(), 0);
    assert_eq!(world.last_evaluation().await["ComplianceType"], "NOT_APPLICABLE");
}

#[tokio::test]
async fn an_item_without_metadata_options_asks_ec2() {
    let live = |state: &str, tokens: &str| {
        describe_instances(&format!(
            "<item><instanceId>i-0015c4b3a29180f7e</instanceId><instanceState><code>16</code><name>{state}</name>\
             </instanceState><metadataOptions><state>applied</state><httpTokens>{tokens}</httpTokens>\
             <httpPutResponseHopLimit>1</httpPutResponseHopLimit><httpEndpoint>enabled</httpEndpoint>\
             </metadataOptions></item>"
        ))
    };
    for (ec2, compliance) in [
        ((200, live("running", "required")), "COMPLIANT"),
        ((200, live("running", "optional")), "NON_COMPLIANT"),
        ((200, live("terminated", "optional")), "NOT_APPLICABLE"),
        ((200, describe_instances("")), "NOT_APPLICABLE"),
        (ec2_error("InvalidInstanceID.NotFound"), "NOT_APPLICABLE"),
    ] {
        let world = World::start(Aws { ec2: Some(ec2.clone()), ..Aws::default() }).await;
        world.invoke(&fixture("no-metadata-options-event.json")).await.unwrap();
        assert_eq!(world.last_evaluation().await["ComplianceType"], compliance, "{ec2:?}");
    }
    let world = World::start(Aws { ec2: Some(ec2_error("UnauthorizedOperation")), ..Aws::default() }).await;
    let failure = world.invoke(&fixture("no-metadata-options-event.json")).await.expect_err("refused");
    assert_eq!(failure.kind, "Ec2NotReadable");
    assert_eq!(
        failure.message,
        "could not ask EC2 about i-0015c4b3a29180f7e (DescribeInstances): UnauthorizedOperation: so says the test"
    );
    assert_eq!(world.puts().await.len(), 0);
}

#[tokio::test]
async fn a_launch_template_is_judged_by_its_default_version() {
    let versions = |options: &str| {
        (
            200,
            format!(
                "<DescribeLaunchTemplateVersionsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
                 <launchTemplateVersionSet><item><versionNumber>1</versionNumber><launchTemplateData>{options}\
                 </launchTemplateData></item></launchTemplateVersionSet></DescribeLaunchTemplateVersionsResponse>"
            ),
        )
    };
    let required = "<metadataOptions><httpTokens>required</httpTokens></metadataOptions>";
    for (ec2, compliance) in [
        (versions(required), "COMPLIANT"),
        (versions(""), "NON_COMPLIANT"),
        (ec2_error("InvalidLaunchTemplateId.NotFound"), "NOT_APPLICABLE"),
    ] {
        let world = World::start(Aws { ec2: Some(ec2), ..Aws::default() }).await;
        world.invoke(&fixture("launch-template-other-default-event.json")).await.unwrap();
        assert_eq!(world.last_evaluation().await["ComplianceType"], compliance);
        let asked = world.calls("DescribeLaunchTemplateVersions").await;
        assert!(String::from_utf8_lossy(&asked[0].body).contains("LaunchTemplateVersion.1=%24Default"));
    }
}

#[tokio::test]
async fn another_account_is_worked_in_with_its_member_role() {
    let event = |account: &str| {
        let mut event = fixture("instance-optional-event.json");
        event["accountId"] = account.into();
        event
    };
    let aws = Aws { credentials_seconds: 3600, ..Aws::default() };
    let world = World::start_with(aws, &[("MEMBER_ROLE_NAME", "imdsv2-evaluator")]).await;
    for account in ["222222222222", "222222222222", OWN_ACCOUNT, "333333333333"] {
        world.invoke(&event(account)).await.unwrap();
    }
    let roles = world.calls("AssumeRole").await;
    let body = |index: usize| String::from_utf8_lossy(&roles[index].body).into_owned();
    assert_eq!(roles.len(), 2, "once for each account, then from the cache");
    assert!(
        body(0).contains("RoleArn=arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Fimdsv2-evaluator"),
        "{}",
        body(0)
    );
    assert!(body(1).contains("333333333333"));
    let keys: Vec<_> = world
        .calls("PutEvaluations")
        .await
        .iter()
        .map(|request| request.headers["authorization"].to_str().unwrap().contains("Credential=AKIAMEMBER"))
        .collect();
    assert_eq!(keys, [true, true, false, true], "who put the evaluation");
}

#[tokio::test]
async fn expiring_credentials_are_refreshed() {
    let mut event = fixture("instance-optional-event.json");
    event["accountId"] = "222222222222".into();
    // Within the SDK's margin of safety, so that they are as good as expired at once.
    let aws = Aws { credentials_seconds: 5, ..Aws::default() };
    let world = World::start_with(aws, &[("MEMBER_ROLE_NAME", "imdsv2-evaluator")]).await;
    world.invoke(&event).await.unwrap();
    world.invoke(&event).await.unwrap();
    assert_eq!(world.calls("AssumeRole").await.len(), 2);
}

#[tokio::test]
async fn another_account_without_a_member_role_is_an_error() {
    let mut event = fixture("instance-optional-event.json");
    event["accountId"] = "222222222222".into();
    let world = World::start(Aws::default()).await;
    let failure = world.invoke(&event).await.expect_err("no role");
    assert_eq!(failure.kind, "AccountNotReachable");
    assert!(failure.message.contains("222222222222"), "{failure:?}");
    assert!(failure.message.contains("MEMBER_ROLE_NAME"), "{failure:?}");
    assert_eq!(world.puts().await.len(), 0);
}
