//! The metrics of an invocation: a log line in CloudWatch's embedded metric format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::rule::verdict::Summary;

const NAMESPACE: &str = "imdsv2-config-rule";
/// The only dimension. Rule name and account come from the event and may have any value, and CloudWatch
/// charges for each value of a dimension as a metric.
const DIMENSION: &str = "FunctionName";

/// Returns the metrics of an invocation as one JSON object: the number of evaluations of each compliance
/// type, or one failure if there is no `summary`. The object also has the rule name and account of `event`,
/// for log queries.
#[must_use]
pub fn of_invocation(
    function_name: &str,
    event: &Value,
    summary: Option<&Summary>,
    started: OffsetDateTime,
    duration: Duration,
) -> Value {
    let metric = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
    let counts = ["Compliant", "NonCompliant", "NotApplicable", "Failed"].map(|name| metric(name, "Count"));
    let metrics: Vec<_> = counts.into_iter().chain([metric("Duration", "Milliseconds")]).collect();
    let counted = summary.copied().unwrap_or_default();
    json!({
        "_aws": {
            "Timestamp": started.unix_timestamp() * 1000 + i64::from(started.millisecond()),
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

    const STARTED: OffsetDateTime = time::macros::datetime!(2026-05-11 09:30:12.636 UTC);

    fn metrics(event: &Value, summary: Option<&Summary>) -> Value {
        of_invocation("evaluator", event, summary, STARTED, Duration::from_micros(12_500))
    }

    #[test]
    fn every_declared_metric_has_a_value() {
        let summary = Summary { compliant: 3, non_compliant: 2, not_applicable: 1 };
        let line = metrics(&json!({"configRuleName": "rule"}), Some(&summary));
        let declared = &line["_aws"]["CloudWatchMetrics"][0];
        let value = |name: &str| {
            let found =
                declared["Metrics"].as_array().expect("metrics").iter().any(|each| each["Name"] == name);
            found.then(|| line[name].as_f64())
        };
        assert_eq!(line["_aws"]["Timestamp"], 1_778_491_812_636_i64);
        assert_eq!(declared["Dimensions"], json!([["FunctionName"]]));
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
    fn a_failure_counts_even_if_the_event_names_no_rule() {
        let line = metrics(&json!([]), None);
        assert_eq!((&line["Failed"], &line["Compliant"]), (&json!(1), &json!(0)));
        assert_eq!(line["configRuleName"], Value::Null);
    }
}
