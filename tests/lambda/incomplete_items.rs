//! Configuration items that are completed from their history or from EC2.

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::aws::Aws;
use crate::events::{EVENT_TIME, fixture, with_notification};
use crate::function::Function;
use crate::responses::{ec2, ec2_error};

/// Returns the item of `oversized-event.json`, as `GetResourceConfigHistory` returns it.
fn oversized_item(captured: f64) -> Value {
    let mut item = fixture("oversized-history-item.json");
    item["configurationItemCaptureTime"] = json!(captured); // the API writes seconds of the epoch
    item["resourceCreationTime"] = Value::Null;
    item
}

#[tokio::test]
async fn oversized_item_is_read_from_the_history() {
    let history = Some(oversized_item(EVENT_TIME));
    let function = Function::start(Aws { history, ..Aws::default() }).await;
    function.invoke(&fixture("oversized-event.json")).await.unwrap();
    let request: Value = function.requests("GetResourceConfigHistory").await[0].body_json().unwrap();
    assert_eq!(request["resourceType"], "AWS::EC2::Instance");
    assert_eq!(request["resourceId"], "i-0b16b16b16b16b16b");
    assert_eq!(request["laterTime"], json!(EVENT_TIME));
    assert_eq!(request["limit"], 1);
    let evaluation = function.last_evaluation().await;
    assert_eq!(evaluation["ComplianceType"], "COMPLIANT");
    assert_eq!(evaluation["OrderingTimestamp"], json!(EVENT_TIME));
}

#[tokio::test]
async fn oversized_item_missing_from_the_history_fails_the_invocation() {
    let older = oversized_item(1_778_000_000.0);
    for (history, message) in [
        (
            Some(older),
            "the newest item was captured at 2026-05-05T16:53:20Z, the item of the event at 2026-05-11",
        ),
        (None, "the history is empty"),
    ] {
        let function = Function::start(Aws { history, ..Aws::default() }).await;
        let failure = function.invoke(&fixture("oversized-event.json")).await.expect_err(message);
        assert_eq!(failure.kind, "HistoryNotReadable");
        let message = format!(
            "cannot read the configuration item of AWS::EC2::Instance i-0b16b16b16b16b16b: \
             GetResourceConfigHistory: {message}"
        );
        assert!(failure.message.starts_with(&message), "{failure:?}");
        assert_eq!(function.put_requests().await.len(), 0);
    }
}

#[tokio::test]
async fn oversized_deletion_is_evaluated_without_the_history() {
    let event = with_notification(fixture("oversized-event.json"), |notification| {
        notification["configurationItemSummary"]["configurationItemStatus"] = "ResourceDeleted".into();
    });
    let function = Function::start(Aws::default()).await;
    function.invoke(&event).await.unwrap();
    assert_eq!(function.requests("GetResourceConfigHistory").await.len(), 0);
    assert_eq!(function.last_evaluation().await["ComplianceType"], "NOT_APPLICABLE");
}

/// Returns the response of EC2 to a lookup of one instance. `instance` is empty if there is none.
fn instances(instance: &str) -> ResponseTemplate {
    let content =
        format!("<reservationSet><item><instancesSet>{instance}</instancesSet></item></reservationSet>");
    ec2("DescribeInstances", &content)
}

#[tokio::test]
async fn item_without_metadata_options_is_completed_from_ec2() {
    let instance = |state: &str, tokens: &str| {
        instances(&format!(
            "<item><instanceId>i-0015c4b3a29180f7e</instanceId><instanceState><code>16</code><name>{state}</name>\
             </instanceState><metadataOptions><state>applied</state><httpTokens>{tokens}</httpTokens>\
             <httpPutResponseHopLimit>1</httpPutResponseHopLimit><httpEndpoint>enabled</httpEndpoint>\
             </metadataOptions></item>"
        ))
    };
    for (case, lookup, compliance) in [
        ("required", instance("running", "required"), "COMPLIANT"),
        ("optional", instance("running", "optional"), "NON_COMPLIANT"),
        ("terminated", instance("terminated", "optional"), "NOT_APPLICABLE"),
        ("empty response", instances(""), "NOT_APPLICABLE"),
        ("not found", ec2_error(400, "InvalidInstanceID.NotFound"), "NOT_APPLICABLE"),
    ] {
        let function = Function::start(Aws { lookup: Some(lookup), ..Aws::default() }).await;
        function.invoke(&fixture("no-metadata-options-event.json")).await.unwrap();
        assert_eq!(function.last_evaluation().await["ComplianceType"], compliance, "{case}");
    }
}

#[tokio::test]
async fn denied_lookup_fails_the_invocation() {
    let lookup = Some(ec2_error(403, "UnauthorizedOperation"));
    let function = Function::start(Aws { lookup, ..Aws::default() }).await;
    let failure = function.invoke(&fixture("no-metadata-options-event.json")).await.expect_err("denied");
    assert_eq!(failure.kind, "Ec2NotReadable");
    assert_eq!(
        failure.message,
        "cannot describe i-0015c4b3a29180f7e: DescribeInstances: UnauthorizedOperation: simulated error"
    );
    assert_eq!(function.put_requests().await.len(), 0);
}

#[tokio::test]
async fn launch_template_is_evaluated_by_its_default_version() {
    let version = |options: &str| {
        let content = format!(
            "<launchTemplateVersionSet><item><versionNumber>1</versionNumber><launchTemplateData>{options}\
             </launchTemplateData></item></launchTemplateVersionSet>"
        );
        ec2("DescribeLaunchTemplateVersions", &content)
    };
    let required = "<metadataOptions><httpTokens>required</httpTokens></metadataOptions>";
    for (case, lookup, compliance) in [
        ("required", version(required), "COMPLIANT"),
        ("not set", version(""), "NON_COMPLIANT"),
        ("not found", ec2_error(400, "InvalidLaunchTemplateId.NotFound"), "NOT_APPLICABLE"),
    ] {
        let function = Function::start(Aws { lookup: Some(lookup), ..Aws::default() }).await;
        function.invoke(&fixture("launch-template-other-default-event.json")).await.unwrap();
        assert_eq!(function.last_evaluation().await["ComplianceType"], compliance, "{case}");
        let requests = function.requests("DescribeLaunchTemplateVersions").await;
        assert!(String::from_utf8_lossy(&requests[0].body).contains("LaunchTemplateVersion.1=%24Default"));
    }
}
