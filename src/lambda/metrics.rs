//! What an invocation tells CloudWatch of itself: a log line in the embedded metric format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::rule::verdict::Summary;

const NAMESPACE: &str = "imdsv2-config-rule";
/// Not what is in the event: AWS Config invokes the function for rules of any name and account, and each value
/// of a dimension is a metric to pay for.
const DIMENSION: &str = "FunctionName";

/// The metrics of an invocation of `function_name` that began at `began` and took `duration`, as one JSON object: how many
/// verdicts of each kind it reported, where it came to an end (`summary`), and that it failed, where not.
/// What `event`, its payload, says of the rule is beside them, for queries of the log.
#[must_use]
pub fn of_invocation(
    function_name: &str,
    event: &Value,
    summary: Option<&Summary>,
    began: OffsetDateTime,
    duration: Duration,
) -> Value {
    let metric = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
    let counts = ["Compliant", "NonCompliant", "NotApplicable", "Failed"].map(|name| metric(name, "Count"));
    let metrics: Vec<_> = counts.into_iter().chain([metric("Duration", "Milliseconds")]).collect();
    let counted = summary.copied().unwrap_or_default();
    json!({
        "_aws": {
            "Timestamp": began.unix_timestamp() * 1000 + i64::from(began.millisecond()),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": metrics}],
        },
        DIMENSION: function_name,
        "configRuleName": event.get("configRuleName"),
        "accountId": event.get("accountId"),
        "Compliant": counted.compliant,
        "NonCompliant": counted.non_compliant,
        "NotApplicable": counted.not_applicable,
        "Failed": u8::from(summary.is_none()),
        "Duration": duration.as_secs_f64() * 1000.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: OffsetDateTime = time::macros::datetime!(2026-05-11 09:30:12.636 UTC);

    fn metrics(event: &Value, summary: Option<&Summary>) -> Value {
        of_invocation("evaluator", event, summary, BEGAN, Duration::from_micros(12_500))
    }

    #[test]
    fn every_metric_that_is_declared_has_a_value() {
        let summary = Summary { compliant: 3, non_compliant: 2, not_applicable: 1 };
        let line = metrics(&json!({"configRuleName": "rule"}), Some(&summary));
        let told = &line["_aws"]["CloudWatchMetrics"][0];
        let value = |name: &str| {
            let found = told["Metrics"].as_array().expect("metrics").iter().any(|each| each["Name"] == name);
            found.then(|| line[name].as_f64())
        };
        assert_eq!(line["_aws"]["Timestamp"], 1_778_491_812_636_i64);
        assert_eq!(told["Dimensions"], json!([["FunctionName"]]));
        assert_eq!((&line["FunctionName"], &line["configRuleName"]), (&json!("evaluator"), &json!("rule")));
        for (name, expected) in [
            ("Compliant", 3.0),
            ("NonCompliant", 2.0),
            ("NotApplicable", 1.0),
            ("Failed", 0.0),
            ("Duration", 12.5),
        ] {
            assert_eq!(value(name), Some(Some(expected)), "{name}");
        }
    }

    #[test]
    fn a_failure_counts_even_of_an_event_without_a_rule() {
        let line = metrics(&json!([]), None);
        assert_eq!((&line["Failed"], &line["Compliant"]), (&json!(1), &json!(0)));
        assert_eq!(line["configRuleName"], Value::Null);
    }
}
