//! Each row of the verdict table, as AWS Config receives it. The README numbers the rows.

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::events::{
    fixture, instance_event, instance_event_with, instance_event_with_options, metadata_options,
    with_parameters,
};
use crate::function::Function;

/// A case: its name, the event, the expected compliance type, and a part of the expected annotation.
type Case = (&'static str, Value, &'static str, &'static str);

#[tokio::test]
async fn each_row_of_the_verdict_table_is_reported() {
    let function = Function::start(Aws::default()).await;
    let cases = [not_evaluated(), exemptions(), endpoint_and_tokens(), hop_limit(), compliant()].concat();
    for (case, event, compliance, annotation) in cases {
        let summary = function.invoke(&event).await.expect(case);
        let expected = match compliance {
            "COMPLIANT" => json!({"compliant": 1, "nonCompliant": 0, "notApplicable": 0}),
            "NON_COMPLIANT" => json!({"compliant": 0, "nonCompliant": 1, "notApplicable": 0}),
            _ => json!({"compliant": 0, "nonCompliant": 0, "notApplicable": 1}),
        };
        assert_eq!(summary, expected, "{case}");
        let evaluation = function.last_evaluation().await;
        assert_eq!(evaluation["ComplianceType"], compliance, "{case}: {evaluation}");
        assert!(evaluation["Annotation"].as_str().unwrap().contains(annotation), "{case}: {evaluation}");
    }
}

/// Row 1.
fn not_evaluated() -> Vec<Case> {
    let status = |status: &str| instance_event_with(|item| item["configurationItemStatus"] = status.into());
    let state = |name: &str| {
        instance_event_with(|item| item["configuration"]["state"] = json!({"code": 48, "name": name}))
    };
    let mut left_scope = instance_event();
    left_scope["eventLeftScope"] = true.into();
    let vpc = instance_event_with(|item| item["resourceType"] = "AWS::EC2::VPC".into());
    let not_applicable = |case, event, annotation| (case, event, "NOT_APPLICABLE", annotation);
    vec![
        not_applicable("deleted", fixture("deleted-event.json"), "The resource was deleted."),
        not_applicable(
            "deleted, not recorded",
            status("ResourceDeletedNotRecorded"),
            "The resource was deleted.",
        ),
        not_applicable(
            "not recorded",
            status("ResourceNotRecorded"),
            "AWS Config does not record resources of this type.",
        ),
        not_applicable("unknown status", status("Unheard"), "AWS Config reports the status \"Unheard\"."),
        not_applicable("left scope", left_scope, "The resource left the scope of this rule."),
        not_applicable("terminated", state("terminated"), "The instance is terminated."),
        not_applicable("shutting down", state("shutting-down"), "The instance is shutting-down."),
        not_applicable("another type", vpc, "This rule does not evaluate AWS::EC2::VPC."),
    ]
}

/// Row 2.
fn exemptions() -> Vec<Case> {
    let tagged = |value: &str| {
        let event = instance_event_with(|item| item["tags"] = json!({"until": value}));
        with_parameters(event, &json!({"exemptionTagKey": "until"}))
    };
    vec![
        ("exempt", tagged("2999-12-31"), "NOT_APPLICABLE", "Exempt by tag through 2999-12-31 (UTC)."),
        ("expired exemption", tagged("2020-02-29"), "NON_COMPLIANT", "The exemption ended on 2020-02-29."),
        (
            "invalid exemption",
            tagged("forever"),
            "NON_COMPLIANT",
            "The exemption tag value \"forever\" is not a YYYY-MM-DD date.",
        ),
    ]
}

/// Rows 3 and 4.
fn endpoint_and_tokens() -> Vec<Case> {
    let disabled = instance_event_with_options(&metadata_options("optional", "disabled", 1));
    let strict = with_parameters(disabled.clone(), &json!({"disabledEndpointCompliant": "false"}));
    let unset = instance_event_with_options(&json!({"httpEndpoint": "enabled"}));
    let unknown = instance_event_with_options(&metadata_options("Required", "enabled", 1));
    let non_compliant = |case, event, annotation| (case, event, "NON_COMPLIANT", annotation);
    vec![
        ("endpoint disabled", disabled, "COMPLIANT", "The IMDS endpoint is disabled"),
        non_compliant("endpoint disabled, but must require tokens", strict, "HttpTokens is optional"),
        non_compliant("optional", instance_event(), "HttpTokens is optional: the instance accepts IMDSv1"),
        non_compliant("not recorded", unset, "HttpTokens is not recorded"),
        non_compliant("unknown value", unknown, "HttpTokens is \"Required\" instead of \"required\"."),
        non_compliant(
            "launch template, not set",
            fixture("launch-template-unset-event.json"),
            "HttpTokens is not set: instances launched from this template",
        ),
        non_compliant(
            "launch configuration, optional",
            fixture("launch-configuration-event.json"),
            "HttpTokens is optional: instances launched from this configuration",
        ),
        non_compliant(
            "launch configuration, not set",
            fixture("launch-configuration-unset-event.json"),
            "HttpTokens is not set: instances launched from this configuration",
        ),
    ]
}

/// Row 5, and the highest hop limit that complies.
fn hop_limit() -> Vec<Case> {
    let event = |hop_limit| instance_event_with_options(&metadata_options("required", "enabled", hop_limit));
    let limited = |hop_limit| with_parameters(event(hop_limit), &json!({"maxHopLimit": "2"}));
    vec![
        (
            "hop limit exceeded",
            limited(3),
            "NON_COMPLIANT",
            "HttpTokens is required, but the hop limit 3 exceeds the maximum of 2.",
        ),
        ("hop limit not exceeded", limited(2), "COMPLIANT", "HttpTokens is required: only IMDSv2"),
        ("hop limit not evaluated", event(64), "COMPLIANT", "HttpTokens is required: only IMDSv2"),
    ]
}

/// Row 6.
fn compliant() -> Vec<Case> {
    let mut options = metadata_options("required", "enabled", 1);
    options["state"] = "pending".into();
    vec![
        (
            "pending",
            instance_event_with_options(&options),
            "COMPLIANT",
            "HttpTokens is required, and the change is pending",
        ),
        (
            "launch template",
            fixture("launch-template-required-event.json"),
            "COMPLIANT",
            "HttpTokens is required",
        ),
        (
            "launch configuration",
            fixture("launch-configuration-required-event.json"),
            "COMPLIANT",
            "HttpTokens is required",
        ),
    ]
}
