//! The events that AWS Config sends.

use serde_json::{Value, json};

use crate::function::OWN_ACCOUNT;

/// The time of the events, 2026-05-11T09:30:12.636Z, as AWS Config's API writes it: in seconds of the epoch.
pub(crate) const EVENT_TIME: f64 = 1_778_491_812.636;
/// The name of the rule in scheduled events.
pub(crate) const RULE_NAME: &str = "EC2-must-require-IMDSv2";

/// Reads a file of `tests/fixtures/`.
pub(crate) fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// Returns the event of a change to an instance whose tokens are optional.
pub(crate) fn instance_event() -> Value {
    fixture("instance-optional-event.json")
}

/// Returns [`instance_event`] with a changed configuration item.
pub(crate) fn instance_event_with(change: impl FnOnce(&mut Value)) -> Value {
    with_notification(instance_event(), |notification| change(&mut notification["configurationItem"]))
}

/// Returns [`instance_event`] with these metadata options.
pub(crate) fn instance_event_with_options(options: &Value) -> Value {
    instance_event_with(|item| item["configuration"]["metadataOptions"] = options.clone())
}

/// Returns metadata options as EC2 describes them.
pub(crate) fn metadata_options(tokens: &str, endpoint: &str, hop_limit: u8) -> Value {
    json!({
        "state": "applied",
        "httpTokens": tokens,
        "httpEndpoint": endpoint,
        "httpPutResponseHopLimit": hop_limit,
    })
}

/// Returns [`instance_event`] for an instance in another account.
pub(crate) fn instance_event_in(account_id: &str) -> Value {
    let mut event = instance_event();
    event["accountId"] = account_id.into();
    event
}

/// Changes the notification in `invokingEvent`.
pub(crate) fn with_notification(mut event: Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut notification: Value = serde_json::from_str(event["invokingEvent"].as_str().unwrap()).unwrap();
    change(&mut notification);
    event["invokingEvent"] = notification.to_string().into();
    event
}

/// Sets the rule parameters.
pub(crate) fn with_parameters(mut event: Value, parameters: &Value) -> Value {
    event["ruleParameters"] = parameters.to_string().into();
    event
}

/// Returns the event of a scheduled run.
pub(crate) fn scheduled_event(parameters: &Value) -> Value {
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
        "executionRoleArn":
            "arn:aws:iam::123456789012:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig",
        "configRuleArn": "arn:aws:config:us-east-1:123456789012:config-rule/config-rule-0abcde",
        "configRuleName": RULE_NAME,
        "configRuleId": "config-rule-0abcde",
        "accountId": OWN_ACCOUNT,
    })
}

/// Returns the event of a scheduled run that evaluates instances only.
pub(crate) fn scheduled_event_for_instances() -> Value {
    scheduled_event(&json!({"resourceTypes": "AWS::EC2::Instance"}))
}
