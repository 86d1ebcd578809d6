//! Errors of `PutEvaluations`: transient ones are retried until the time limit, permanent ones are not.

use std::time::Duration;

use serde_json::json;

use crate::aws::{Aws, PutResponse};
use crate::connections::breaking_proxy;
use crate::events::instance_event;
use crate::function::Function;

#[tokio::test]
async fn transient_errors_are_retried() {
    for responses in [
        vec![PutResponse::Throttle; 4],
        vec![
            PutResponse::Error(500, "InternalError"),
            PutResponse::Error(503, "ServiceUnavailable"),
            PutResponse::Error(502, ""),
        ],
        vec![PutResponse::FailAll],
        vec![PutResponse::FailAll, PutResponse::Throttle, PutResponse::FailAll],
    ] {
        let aws = Aws { first_put_responses: responses.clone().into(), ..Aws::default() };
        let function = Function::start(aws).await;
        let summary = function.invoke(&instance_event()).await.expect("the last attempt succeeds");
        assert_eq!(summary, json!({"compliant": 0, "nonCompliant": 1, "notApplicable": 0}));
        let requests = function.put_requests().await;
        assert_eq!(requests.len(), responses.len() + 1, "{responses:?}");
        assert_eq!(requests.last().unwrap()["Evaluations"], requests[0]["Evaluations"]);
    }
}

#[tokio::test]
async fn broken_connections_are_retried() {
    let direct = Function::start(Aws::default()).await;
    let proxy = breaking_proxy(*direct.aws.address(), 4).await;
    let function = Function::start_with(Aws::default(), &[("AWS_ENDPOINT_URL", &proxy)]).await;
    function.invoke(&instance_event()).await.expect("the last attempt succeeds");
    assert_eq!(direct.put_requests().await.len(), 1);
}

#[tokio::test]
async fn permanent_errors_are_not_retried() {
    for code in [
        "InvalidResultTokenException",
        "NoSuchConfigRuleException",
        "InvalidParameterValueException",
        "AccessDeniedException",
    ] {
        let aws = Aws { first_put_responses: [PutResponse::Error(400, code)].into(), ..Aws::default() };
        let function = Function::start(aws).await;
        let failure = function.invoke(&instance_event()).await.expect_err(code);
        assert_eq!(failure.kind, "EvaluationsNotReported");
        assert_eq!(
            failure.message,
            format!(
                "could not report 1 of 1 evaluations (the first is AWS::EC2::Instance i-0a1b2c3d4e5f60718): \
                 PutEvaluations: {code}: simulated error"
            )
        );
        assert_eq!(function.put_requests().await.len(), 1, "{code}");
    }
}

#[tokio::test]
async fn evaluation_that_always_fails_fails_the_invocation() {
    let function = Function::start(Aws { put_response: PutResponse::FailAll, ..Aws::default() }).await;
    let failure = function.invoke(&instance_event()).await.expect_err("never accepted");
    assert_eq!(failure.kind, "EvaluationsNotReported");
    assert_eq!(
        failure.message,
        "could not report 1 of 1 evaluations (the first is AWS::EC2::Instance i-0a1b2c3d4e5f60718): \
         PutEvaluations: AWS Config returned them in FailedEvaluations 6 times"
    );
    assert_eq!(function.put_requests().await.len(), 6);
}

#[tokio::test]
async fn retries_end_before_the_time_limit() {
    let function = Function::start(Aws { put_response: PutResponse::Throttle, ..Aws::default() }).await;
    let failure =
        function.invoke_within(&instance_event(), Duration::from_secs(2)).await.expect_err("never accepted");
    assert_eq!(failure.kind, "EvaluationsNotReported");
    assert!(
        failure
            .message
            .contains("Lambda's time limit was reached before AWS Config accepted them: PutEvaluations (")
            && failure
                .message
                .ends_with("attempts failed, the last one: ThrottlingException: simulated error)"),
        "{failure:?}"
    );
}
