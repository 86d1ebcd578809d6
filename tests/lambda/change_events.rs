//! The evaluation, log and metrics of a configuration change.

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::events::{EVENT_TIME, fixture, instance_event, with_parameters};
use crate::function::Function;

#[tokio::test]
async fn evaluation_has_the_id_and_capture_time_of_the_item() {
    let function = Function::start(Aws::default()).await;
    function.invoke(&instance_event()).await.unwrap();
    let request = &function.put_requests().await[0];
    assert_eq!(request["ResultToken"], "eyJlbmNyeXB0ZWREYXRhIjpbLTEwNSw2LDUzXX0=");
    assert_eq!(request.get("TestMode"), None);
    assert_eq!(request["Evaluations"].as_array().unwrap().len(), 1);
    let evaluation = &request["Evaluations"][0];
    assert_eq!(evaluation["ComplianceResourceType"], "AWS::EC2::Instance");
    assert_eq!(evaluation["ComplianceResourceId"], "i-0a1b2c3d4e5f60718");
    assert_eq!(evaluation["OrderingTimestamp"], json!(EVENT_TIME));
}

#[tokio::test]
async fn log_lines_are_json_and_name_the_resource() {
    let function = Function::start(Aws::default()).await;
    function.invoke(&instance_event()).await.unwrap();
    for line in function.log().lines() {
        serde_json::from_str::<Value>(line).expect(line);
    }
    assert!(function.log().contains("i-0a1b2c3d4e5f60718"));
}

#[tokio::test]
async fn every_invocation_logs_its_metrics() {
    let function = Function::start(Aws::default()).await;
    function.invoke(&instance_event()).await.unwrap();
    let invalid = with_parameters(fixture("deleted-event.json"), &json!({"unknown": "1"}));
    function.invoke(&invalid).await.unwrap_err();
    let lines: Vec<Value> = function.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let metrics: Vec<_> = lines.iter().filter(|line| line["_aws"].is_object()).collect();
    assert_eq!(metrics.len(), 2, "{lines:?}");
    assert_eq!((&metrics[0]["NonCompliant"], &metrics[0]["Failed"]), (&json!(1), &json!(0)));
    assert_eq!((&metrics[1]["NonCompliant"], &metrics[1]["Failed"]), (&json!(0), &json!(1)));
    let duration = metrics[0]["Duration"].as_f64().unwrap();
    assert!(duration > 0.0 && duration < 60_000.0, "{duration} ms");
}

#[tokio::test]
async fn result_token_of_a_test_sets_test_mode() {
    let function = Function::start(Aws::default()).await;
    let mut event = instance_event();
    event["resultToken"] = "TESTMODE".into();
    function.invoke(&event).await.unwrap();
    assert_eq!(function.put_requests().await[0]["TestMode"], true);
}
