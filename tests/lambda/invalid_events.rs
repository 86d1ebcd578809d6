//! Events that the function rejects. Each fails with an error that names the field, and the next one succeeds.

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::events::{
    instance_event, instance_event_with, instance_event_with_options, scheduled_event,
    scheduled_event_for_instances, with_notification,
};
use crate::function::Function;
use crate::region::Region;

/// A case: the event, the kind of the error, and a part of its message.
type Case = (Value, &'static str, &'static str);

/// Invokes the function with each invalid event, and then with `valid`.
async fn assert_rejected(aws: Aws, cases: Vec<Case>, valid: &Value) {
    let function = Function::start(aws).await;
    for (event, kind, message) in cases {
        let failure = function.invoke(&event).await.expect_err(message);
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(failure.message.contains(message), "expected {message:?} in {failure:?}");
        assert_eq!(function.put_requests().await.len(), 0, "{message}");
    }
    function.invoke(valid).await.expect("the function accepts the next event");
    assert_eq!(function.put_requests().await.len(), 1);
}

#[tokio::test]
async fn invalid_rule_parameters_are_rejected() {
    let cases = [
        (r#"{"maxHopLimits":"2"}"#, "unknown rule parameter \"maxHopLimits\"; did you mean \"maxHopLimit\"?"),
        (r#"{"maxHopLimit":"65"}"#, "rule parameter \"maxHopLimit\" is \"65\"; expected a whole number"),
        (r#"{"maxHopLimit":"two"}"#, "rule parameter \"maxHopLimit\" is \"two\"; expected a whole number"),
        (
            r#"{"disabledEndpointCompliant":"maybe"}"#,
            "rule parameter \"disabledEndpointCompliant\" is \"maybe\"; expected \"true\" or \"false\"",
        ),
        ("[]", "ruleParameters is []; expected an object of strings"),
        ("no JSON", "ruleParameters is no JSON, which is not JSON"),
    ];
    let case = |(parameters, message): (&str, &'static str)| {
        let mut event = instance_event();
        event["ruleParameters"] = parameters.into();
        (event, "InvalidRuleParameters", message)
    };
    assert_rejected(Aws::default(), cases.map(case).into(), &instance_event()).await;
}

#[tokio::test]
async fn malformed_events_are_rejected() {
    let cases = [
        (without(instance_event(), "invokingEvent"), "invokingEvent is missing from the event"),
        (without(instance_event(), "resultToken"), "resultToken is missing from the event"),
        (without(instance_event(), "accountId"), "accountId is missing from the event"),
        (json!([]), "the event is an array; expected the JSON object"),
        (json!({}), "accountId is missing from the event"),
        (json!(null), "the event is null; expected the JSON object"),
    ];
    let cases = cases.map(|(event, message)| (event, "InvalidEvent", message));
    assert_rejected(Aws::default(), cases.into(), &instance_event()).await;
}

#[tokio::test]
async fn malformed_notifications_are_rejected() {
    let cases = [
        (
            json!({"messageType": "ConfigurationItemChangeNotification"}),
            "invokingEvent.configurationItem is missing",
        ),
        (
            json!({"messageType": "OversizedConfigurationItemChangeNotification"}),
            "invokingEvent.configurationItemSummary is missing",
        ),
        (
            json!({"messageType": "ConfigurationItemChangeNotification", "configurationItem": []}),
            "invokingEvent.configurationItem: expected an object",
        ),
        (
            json!({"messageType": "Greeting"}),
            "invokingEvent.messageType is \"Greeting\"; this rule evaluates",
        ),
        (json!({}), "invokingEvent.messageType is missing"),
        (json!("text"), "invokingEvent: expected an object"),
    ];
    let case = |(notification, message): (Value, &'static str)| {
        let mut event = instance_event();
        event["invokingEvent"] = notification.to_string().into();
        (event, "InvalidEvent", message)
    };
    assert_rejected(Aws::default(), cases.map(case).into(), &instance_event()).await;
}

#[tokio::test]
async fn malformed_configuration_items_are_rejected() {
    let without = |field| {
        instance_event_with(|item| {
            item.as_object_mut().unwrap().remove(field);
        })
    };
    let cases = [
        (without("resourceId"), "cannot evaluate the configuration item: resourceId is missing"),
        (without("resourceType"), "cannot evaluate the configuration item: resourceType is missing"),
        (
            without("configurationItemStatus"),
            "cannot evaluate the configuration item: configurationItemStatus is missing",
        ),
        (
            without("configurationItemCaptureTime"),
            "cannot evaluate the configuration item: configurationItemCaptureTime is missing",
        ),
        (
            instance_event_with_options(&json!({"httpTokens": 5})),
            "configuration.metadataOptions.httpTokens: invalid type",
        ),
    ];
    let cases = cases.map(|(event, message)| (event, "InvalidConfigurationItem", message));
    assert_rejected(Aws::default(), cases.into(), &instance_event()).await;
}

#[tokio::test]
async fn malformed_scheduled_events_are_rejected() {
    let event = || scheduled_event(&json!({}));
    let without_time = with_notification(event(), |notification| {
        notification.as_object_mut().unwrap().remove("notificationCreationTime");
    });
    let cases = vec![
        (without(event(), "configRuleName"), "InvalidEvent", "configRuleName is missing from the event"),
        (without_time, "InvalidEvent", "invokingEvent.notificationCreationTime is missing"),
        (
            scheduled_event(&json!({"resourceTypes": "AWS::EC2::VPC"})),
            "InvalidRuleParameters",
            "rule parameter \"resourceTypes\" is \"AWS::EC2::VPC\"; expected a comma-separated list of \
             AWS::EC2::Instance, AWS::EC2::LaunchTemplate, AWS::AutoScaling::LaunchConfiguration and AWS::AutoScaling::AutoScalingGroup",
        ),
    ];
    let aws = Aws { region: Some(Region::with_instances(1)), ..Aws::default() };
    assert_rejected(aws, cases, &scheduled_event_for_instances()).await;
}

fn without(mut event: Value, field: &str) -> Value {
    event.as_object_mut().unwrap().remove(field);
    event
}
