//! Events of accounts other than the function's own.

use crate::aws::{Aws, MEMBER_ACCESS_KEY_ID};
use crate::events::instance_event_in;
use crate::faults::{Fault, Faults};
use crate::function::{Function, OWN_ACCOUNT};

const MEMBER_ROLE: (&str, &str) = ("MEMBER_ROLE_NAME", "imdsv2-config-rule-member-us-east-1");

#[tokio::test]
async fn member_account_is_evaluated_with_its_role() {
    let aws = Aws { credentials_seconds: 3600, ..Aws::default() };
    let function = Function::start_with(aws, &[MEMBER_ROLE]).await;
    for account in ["222222222222", "222222222222", OWN_ACCOUNT, "333333333333"] {
        function.invoke(&instance_event_in(account)).await.unwrap();
    }
    let roles: Vec<_> = function
        .requests("AssumeRole")
        .await
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body).into_owned())
        .collect();
    assert_eq!(roles.len(), 2, "the credentials of an account are cached");
    for (role, account) in roles.iter().zip(["222222222222", "333333333333"]) {
        let arn = format!("RoleArn=arn%3Aaws%3Aiam%3A%3A{account}%3Arole%2F{}", MEMBER_ROLE.1);
        assert!(role.contains(&arn), "{role}");
    }
    let member_key = format!("Credential={MEMBER_ACCESS_KEY_ID}");
    let with_member_role: Vec<_> = function
        .requests("PutEvaluations")
        .await
        .iter()
        .map(|request| request.headers["authorization"].to_str().unwrap().contains(&member_key))
        .collect();
    assert_eq!(with_member_role, [true, true, false, true]);
}

#[tokio::test]
async fn expiring_credentials_are_refreshed() {
    // The SDK renews credentials some time before they expire, so these are never reused.
    let aws = Aws { credentials_seconds: 5, ..Aws::default() };
    let function = Function::start_with(aws, &[MEMBER_ROLE]).await;
    for _ in 0..2 {
        function.invoke(&instance_event_in("222222222222")).await.unwrap();
    }
    assert_eq!(function.requests("AssumeRole").await.len(), 2);
}

#[tokio::test]
async fn other_account_without_a_member_role_fails_the_invocation() {
    let function = Function::start(Aws::default()).await;
    let failure = function.invoke(&instance_event_in("222222222222")).await.expect_err("no role");
    assert_eq!(failure.kind, "AccountNotReachable");
    assert_eq!(
        failure.message,
        "the event belongs to account 222222222222, but the function runs in account 123456789012; set the \
         environment variable MEMBER_ROLE_NAME to the name of a role that the function may assume there"
    );
    assert_eq!(function.put_requests().await.len(), 0);
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_named() {
    let faults = Faults::default();
    let function =
        Function::start_with(Aws { faults: faults.clone(), ..Aws::default() }, &[MEMBER_ROLE]).await;
    faults.start("AssumeRole", Fault::AccessDenied, 1);
    let failure = function.invoke(&instance_event_in("222222222222")).await.expect_err("denied");
    assert_eq!(
        failure.message,
        "could not report 1 of 1 evaluations (the first is AWS::EC2::Instance i-0a1b2c3d4e5f60718): AssumeRole: \
         AccessDenied: simulated error"
    );
}
