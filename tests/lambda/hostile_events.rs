//! Events as large and as deep as Lambda accepts.

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::events::{instance_event, instance_event_with, metadata_options, with_notification};
use crate::function::Function;

/// Somewhat less than the largest payload of an invocation
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const ALMOST_6_MB: usize = 5_900_000;

#[tokio::test]
async fn the_largest_event_is_evaluated() {
    let event = instance_event_with(|item| {
        let tags: Value = (0..50).map(|number| (format!("key-{number}"), json!("x".repeat(256)))).collect();
        item["tags"] = tags;
        item["configuration"]["userData"] = "=".repeat(ALMOST_6_MB).into();
        item["configuration"]["metadataOptions"] = metadata_options("required", "enabled", 1);
    });
    let function = Function::start(Aws::default()).await;
    function.invoke(&event).await.expect("evaluated");
    assert_eq!(function.last_evaluation().await["ComplianceType"], "COMPLIANT");
}

#[tokio::test]
async fn an_event_that_is_nested_too_deeply_fails_and_the_next_one_is_evaluated() {
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let within_item = with_notification(instance_event(), |notification| {
        notification["configurationItem"]["configuration"] = "CONFIGURATION".into();
    });
    let within_item = {
        let mut event = within_item;
        let notification = event["invokingEvent"].as_str().unwrap().replace("\"CONFIGURATION\"", &nested);
        event["invokingEvent"] = notification.into();
        event
    };
    let within_notification = {
        let mut event = instance_event();
        event["invokingEvent"] = nested.clone().into();
        event
    };
    // The payload itself, which Lambda's runtime reads.
    let payload = (0..1_000).fold(json!(1), |inner, _| json!([inner]));
    let function = Function::start(Aws::default()).await;
    for event in [within_item, within_notification, payload] {
        let failure = function.invoke(&event).await.expect_err("too deep");
        assert!(!failure.message.is_empty(), "{failure:?}");
        function.invoke(&instance_event()).await.expect("the next event");
    }
    assert_eq!(function.accepted().len(), 3);
}
