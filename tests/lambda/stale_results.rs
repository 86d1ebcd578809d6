//! Results that a scheduled run withdraws, because it did not list their resources.

use serde_json::{Value, json};

use crate::events::{EVENT_TIME, RULE_NAME, scheduled_event, scheduled_event_for_instances};
use crate::function::{Function, OWN_ACCOUNT};
use crate::region::{ACCOUNT, INSTANCE, LAUNCH_TEMPLATE, Region, RuleResult};
use crate::scheduled_runs::{each_instance_once, reported, start_in};

/// Returns the annotation of the first evaluation with this value in `field`.
fn annotation(function: &Function, field: &str, value: &str) -> String {
    let evaluations = function.accepted();
    let evaluation = evaluations.iter().find(|evaluation| evaluation[field] == value);
    evaluation.expect("an evaluation was reported")["Annotation"].as_str().unwrap().to_owned()
}

fn instance_result(number: usize, compliant: bool) -> RuleResult {
    RuleResult { compliant, ..RuleResult::compliant(INSTANCE, &Region::instance_id(number)) }
}

#[tokio::test]
async fn only_results_without_a_resource_are_withdrawn() {
    let mut results: Vec<_> = (0..20).map(|number| instance_result(number, number % 2 == 1)).collect();
    results.extend((100..229).map(|number| instance_result(number, number % 3 == 0)));
    // The id of an existing instance, but of another type.
    results.push(RuleResult::non_compliant(LAUNCH_TEMPLATE, &Region::instance_id(0)));
    let function = start_in(Region { results, ..Region::with_instances(20) }).await;
    let summary = function.invoke(&scheduled_event(&json!({}))).await.unwrap();
    assert_eq!(summary, json!({"compliant": 10, "nonCompliant": 10, "notApplicable": 130}));

    let mut expected = each_instance_once(20);
    let not_applicable = vec!["NOT_APPLICABLE".to_owned()];
    for number in 100..229 {
        expected.insert((INSTANCE.to_owned(), Region::instance_id(number)), not_applicable.clone());
    }
    expected.insert((LAUNCH_TEMPLATE.to_owned(), Region::instance_id(0)), not_applicable);
    assert_eq!(reported(&function), expected);
    assert_eq!(
        annotation(&function, "ComplianceResourceId", &Region::instance_id(100)),
        "The instance is terminated or no longer exists."
    );
    assert_eq!(
        annotation(&function, "ComplianceResourceType", LAUNCH_TEMPLATE),
        "The resource no longer exists."
    );
    for request in function.requests("GetComplianceDetailsByConfigRule").await {
        let request: Value = request.body_json().unwrap();
        assert_eq!(request["ConfigRuleName"], RULE_NAME);
        assert_eq!(request["Limit"], 100);
    }
}

#[tokio::test]
async fn result_of_a_terminated_instance_is_withdrawn() {
    let region = Region {
        last_instance: "<item><instanceId>i-0dead</instanceId><instanceState><name>terminated</name></instanceState>\
             <metadataOptions><httpTokens>optional</httpTokens></metadataOptions></item>",
        results: vec![RuleResult::non_compliant(INSTANCE, "i-0dead")],
        ..Region::with_instances(2)
    };
    let function = start_in(region).await;
    let summary = function.invoke(&scheduled_event_for_instances()).await.unwrap();
    assert_eq!(summary, json!({"compliant": 1, "nonCompliant": 1, "notApplicable": 1}));
    assert_eq!(reported(&function)[&(INSTANCE.to_owned(), "i-0dead".to_owned())], ["NOT_APPLICABLE"]);
}

#[tokio::test]
async fn results_of_excluded_types_are_withdrawn() {
    let results =
        vec![RuleResult::non_compliant(LAUNCH_TEMPLATE, "lt-0"), RuleResult::compliant(ACCOUNT, OWN_ACCOUNT)];
    let function = start_in(Region { results, ..Region::with_instances(1) }).await;
    function.invoke(&scheduled_event_for_instances()).await.unwrap();
    for (resource_type, expected) in [
        (LAUNCH_TEMPLATE, "This rule does not evaluate AWS::EC2::LaunchTemplate."),
        (ACCOUNT, "This rule does not evaluate AWS::::Account."),
    ] {
        assert_eq!(annotation(&function, "ComplianceResourceType", resource_type), expected);
    }
}

#[tokio::test]
async fn result_newer_than_the_run_is_kept() {
    let results = vec![RuleResult::non_compliant(INSTANCE, "i-0new")];
    let results_at = EVENT_TIME + 0.001;
    let function = start_in(Region { results, results_at, ..Region::with_instances(1) }).await;
    function.invoke(&scheduled_event_for_instances()).await.unwrap();
    assert_eq!(reported(&function), each_instance_once(1));
}

#[tokio::test]
async fn result_with_the_time_of_the_run_is_withdrawn() {
    // The run itself reported it, in an invocation that failed and was retried.
    let results = vec![RuleResult::non_compliant(INSTANCE, "i-0gone")];
    let region = Region { results, results_at: EVENT_TIME, ..Region::with_instances(1) };
    let function = start_in(region).await;
    let summary = function.invoke(&scheduled_event_for_instances()).await.unwrap();
    assert_eq!(summary["notApplicable"], 1);
}
