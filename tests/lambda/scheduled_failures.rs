//! Scheduled runs that fail: the verdicts reached before are reported, and no result is withdrawn.

use std::time::Duration;

use serde_json::json;

use crate::aws::PutResponse;
use crate::events::{scheduled_event, scheduled_event_for_instances};
use crate::function::Function;
use crate::region::{INSTANCE, Region, RuleResult};
use crate::scheduled_runs::{each_instance_once, reported, start_in, start_with_put_responses};

fn assert_nothing_withdrawn(function: &Function) {
    assert!(reported(function).values().all(|compliance| compliance != &["NOT_APPLICABLE"]));
}

/// Returns compliant results of ten instances that do not exist.
fn stale_results() -> Vec<RuleResult> {
    let ids = (200_000..200_010).map(Region::instance_id);
    ids.map(|id| RuleResult::compliant(INSTANCE, &id)).collect()
}

#[tokio::test]
async fn denied_page_fails_the_run_after_earlier_pages_are_reported() {
    let region = Region { results: stale_results(), denied_page: Some(3), ..Region::with_instances(1_000) };
    let function = start_in(region).await;
    let failure = function.invoke(&scheduled_event_for_instances()).await.expect_err("denied");
    assert_eq!(failure.kind, "Ec2NotReadable");
    assert_eq!(
        failure.message,
        "the scheduled run stopped after 500 resources were judged and 500 evaluations reported; no stale results \
         were withdrawn: cannot list resources: DescribeInstances: UnauthorizedOperation: simulated error"
    );
    assert_eq!(reported(&function), each_instance_once(500));
}

#[tokio::test]
async fn denied_list_fails_the_run_after_earlier_lists_are_reported() {
    let region = Region {
        results: stale_results(),
        denied_operation: Some("DescribeLaunchConfigurations"),
        ..Region::with_instances(50)
    };
    let function = start_in(region).await;
    let failure = function.invoke(&scheduled_event(&json!({}))).await.expect_err("denied");
    assert_eq!(failure.kind, "Ec2NotReadable");
    assert_eq!(
        failure.message,
        "the scheduled run stopped after 50 resources were judged and 50 evaluations reported; no stale results \
         were withdrawn: cannot list resources: DescribeLaunchConfigurations: AccessDenied: simulated error"
    );
    assert_eq!(reported(&function), each_instance_once(50));
}

#[tokio::test]
async fn unreadable_results_fail_the_run() {
    let region =
        Region { denied_operation: Some("GetComplianceDetailsByConfigRule"), ..Region::with_instances(50) };
    let function = start_in(region).await;
    let failure = function.invoke(&scheduled_event_for_instances()).await.expect_err("denied");
    assert_eq!(failure.kind, "ResultsNotReadable");
    // The progress depends on which of the concurrent lists responds first.
    assert!(
        failure.message.ends_with(
            "no stale results were withdrawn: cannot list the results of the rule: \
             GetComplianceDetailsByConfigRule: AccessDeniedException: simulated error"
        ),
        "{failure:?}"
    );
    assert_nothing_withdrawn(&function);
}

#[tokio::test]
async fn rejected_evaluations_fail_the_run() {
    let responses = [PutResponse::Error(400, "InvalidResultTokenException")];
    let function = start_with_put_responses(Region::with_instances(1_000), &responses).await;
    let failure = function.invoke(&scheduled_event_for_instances()).await.expect_err("rejected");
    assert_eq!(failure.kind, "EvaluationsNotReported");
    // Batches are sent concurrently: any of them may be the rejected one.
    assert!(
        failure
            .message
            .contains("could not report 100 of 100 evaluations (the first is AWS::EC2::Instance i-"),
        "{failure:?}"
    );
    assert!(
        failure.message.ends_with("PutEvaluations: InvalidResultTokenException: simulated error"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn run_ends_before_the_time_limit_and_reports_its_progress() {
    let region = Region {
        page_size: 1_000,
        delay: Duration::from_millis(100),
        results: stale_results(),
        ..Region::with_instances(100_000)
    };
    let function = start_in(region).await;
    // The invalid event starts the function, so that its start does not count.
    function.invoke(&scheduled_event(&json!({"maxHopLimit": "none"}))).await.unwrap_err();
    let failure = function
        .invoke_within(&scheduled_event_for_instances(), Duration::from_secs(5))
        .await
        .expect_err("the Region takes 10 seconds");
    assert_eq!(failure.kind, "OutOfTime");
    assert!(
        // Most of the time, it waits for a call, whose name follows.
        failure.message.contains(
            "evaluations reported; no stale results were withdrawn: Lambda's time limit was reached"
        ) && failure.message.ends_with("; raise the function's timeout or memory"),
        "{failure:?}"
    );
    let (_, progress) = failure.message.split_once("resources were judged and ").unwrap();
    let claimed: usize = progress.split_once(' ').unwrap().0.parse().unwrap();
    // AWS Config may have accepted up to 16 batches whose responses did not arrive in time.
    let accepted = reported(&function).len();
    assert!((1..=accepted).contains(&claimed), "{accepted}: {failure:?}");
    assert!(accepted - claimed <= 16 * 100, "{accepted}: {failure:?}");
    assert_nothing_withdrawn(&function);
}
