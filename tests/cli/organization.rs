//! `imdsv2 scan --organization`: the accounts that AWS Organizations lists.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::cloud::{Call, Cloud, OWN, instances, organizations};
use crate::harness::{scratch, stderr, stdout};

const DEV: &str = "111111111111";
const PROD: &str = "222222222222";
const CLOSED: &str = "333333333333";
const ORGANIZATION: [&str; 3] = ["--organization", "--role-name", "scanner"];

fn account(id: &str, name: &str, state: &Value) -> Value {
    let mut account = json!({
        "Id": id, "Name": name, "Arn": format!("arn:aws:organizations::{OWN}:account/o-1/{id}"),
    });
    account.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
    account
}

/// Two pages of accounts: the own one, two active ones and two that are not.
fn listed(call: &Call) -> Option<ResponseTemplate> {
    let active = json!({"State": "ACTIVE"});
    match call.operation.as_str() {
        "ListAccounts" if call.body.contains("page-2") => Some(organizations(&json!({"Accounts": [
            account(PROD, "prod", &json!({"Status": "ACTIVE"})),
            account("444444444444", "old", &json!({"Status": "SUSPENDED"})),
        ]}))),
        "ListAccounts" => Some(organizations(&json!({"NextToken": "page-2", "Accounts": [
            account(OWN, "management", &active),
            account(DEV, "dev", &active),
            account(CLOSED, "closed", &json!({"State": "PENDING_CLOSURE", "Status": "ACTIVE"})),
        ]}))),
        "ListAccountsForParent" if call.body.contains("ou-aaaa-below") => {
            Some(organizations(&json!({"Accounts": [account(DEV, "dev", &active)]})))
        }
        "ListAccountsForParent" => {
            Some(organizations(&json!({"Accounts": [account(PROD, "prod", &active)]})))
        }
        "ListOrganizationalUnitsForParent" if call.body.contains("ou-aaaa-top") => {
            Some(organizations(&json!({"OrganizationalUnits": [{"Id": "ou-aaaa-below"}]})))
        }
        "ListOrganizationalUnitsForParent" => Some(organizations(&json!({"OrganizationalUnits": []}))),
        "DescribeInstances" => Some(instances(&[&format!("i-{}", &call.access_key[4..])], None)),
        _ => None,
    }
}

fn scan(cloud: &Cloud, arguments: &[&str]) -> snapbox::cmd::OutputAssert {
    let scan = ["scan", "--exit-zero", "--region", "us-east-1"];
    cloud.imdsv2(&scan).args(ORGANIZATION).args(arguments).assert()
}

#[test]
fn active_accounts_are_scanned_and_the_own_one_without_a_role() {
    let cloud = Cloud::new(listed);
    let assert = scan(&cloud, &["--format", "json"]).code(0);
    let output: Value = serde_json::from_str(&stdout(&assert)).unwrap();
    let found: BTreeSet<_> = output["evaluations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| (each["accountId"].as_str().unwrap(), each["accountName"].as_str().unwrap()))
        .collect();
    assert_eq!(found, [(OWN, "management"), (DEV, "dev"), (PROD, "prod")].into());
    assert_eq!(cloud.called("AssumeRole").len(), 2);
    assert!(cloud.called("AssumeRole").iter().all(|(account, _)| account == OWN));
    let csv = stdout(&scan(&cloud, &["--format", "csv"]).code(0));
    assert!(csv.lines().next().unwrap().ends_with(",accountName"), "{csv}");
    assert!(csv.contains(&format!(",{DEV},")) && csv.contains(",dev\n"), "{csv}");
    let table = stdout(&scan(&cloud, &[]).code(0));
    assert!(table.contains("ACCOUNT NAME") && table.contains("management"), "{table}");
}

#[test]
fn units_are_searched_to_the_bottom_and_accounts_can_be_left_out() {
    for (arguments, expected) in [
        (&["--ou", "ou-aaaa-top"][..], vec![DEV, PROD]),
        (&["--ou", "ou-aaaa-below", "--ou", "ou-aaaa-below"], vec![DEV]),
        (&["--exclude-account", &format!("{DEV},{OWN},{DEV}")], vec![PROD]),
    ] {
        let cloud = Cloud::new(listed);
        scan(&cloud, arguments).code(0);
        let scanned: BTreeSet<_> =
            cloud.called("DescribeInstances").into_iter().map(|(account, _)| account).collect();
        assert_eq!(scanned.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{arguments:?}");
    }
    let assert = scan(&Cloud::new(listed), &["--exclude-account", "999999999999"]).code(2);
    assert_eq!(
        stderr(&assert),
        "error: --exclude-account 999999999999: the account is not among the selected ones of the organization\n"
    );
}

#[test]
fn accounts_that_cannot_be_entered_are_listed_at_the_end_and_do_not_hide_the_others() {
    let cloud = Cloud::new(|call| match call.operation.as_str() {
        "AssumeRole" if call.body.contains(PROD) => Some(ResponseTemplate::new(403).set_body_string(
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>",
        )),
        _ => listed(call),
    });
    let assert = scan(&cloud, &[]).code(2);
    assert!(stdout(&assert).contains(DEV), "{}", stdout(&assert));
    let expected =
        format!("error: cannot assume arn:aws:iam::{PROD}:role/scanner: AccessDenied: no: the trust policy");
    assert!(stderr(&assert).starts_with(&expected), "{}", stderr(&assert));
}

#[test]
fn an_older_report_is_kept_if_nothing_is_scanned() {
    let closed = Cloud::new(|call| {
        let closed = account(OWN, "management", &json!({"State": "SUSPENDED"}));
        (call.operation == "ListAccounts").then(|| organizations(&json!({"Accounts": [closed]})))
    });
    let disabled = Cloud::new(|call| {
        let regions = "<regionInfo><item><regionName>us-east-1</regionName><optInStatus>not-opted-in</optInStatus></item>\
             </regionInfo>";
        (call.operation == "DescribeRegions").then(|| crate::cloud::ec2("DescribeRegions", regions))
    });
    for (cloud, options, expected) in [
        (closed, &ORGANIZATION[..], "error: --organization: no active account is selected\n"),
        (disabled, &[], "the Region us-east-1 is not enabled in the account\n"),
    ] {
        let report = scratch("older-report.html", b"older");
        let command = cloud.imdsv2(&["scan", "--region", "us-east-1", "--format", "html", "--output"]);
        let assert = command.arg(&report).args(options).assert().code(2);
        assert!(stderr(&assert).ends_with(expected), "{}", stderr(&assert));
        assert_eq!(std::fs::read_to_string(&report).unwrap(), "older");
        let command = cloud.imdsv2(&["scan", "--region", "us-east-1", "--format", "html"]);
        assert_eq!(stdout(&command.args(options).assert().code(2)), "");
    }
}

#[test]
fn a_role_that_cannot_be_assumed_is_reported_although_another_one_is_used() {
    let cloud = Cloud::new(|call| {
        let denied =
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        let is_denied = call.operation == "AssumeRole" && call.body.contains("role%2Ffirst");
        is_denied.then(|| ResponseTemplate::new(403).set_body_string(denied))
    });
    let roles = ["first", "second"].map(|name| format!("arn:aws:iam::{DEV}:role/{name}"));
    let scan = ["scan", "--region", "us-east-1", "--role-arn", &roles[0], "--role-arn", &roles[1]];
    let assert = cloud.imdsv2(&scan).assert().code(2);
    assert!(stderr(&assert).contains(&format!("cannot assume {}", roles[0])), "{}", stderr(&assert));
    assert_eq!(cloud.called("DescribeInstances").len(), 1);
}

#[test]
fn an_organization_that_may_not_be_read_is_an_error_that_names_who_may() {
    let error = |code: &str| {
        let body = json!({"__type": code, "Message": "You don't have permissions to access this resource."});
        ResponseTemplate::new(400).set_body_raw(body.to_string(), "application/x-amz-json-1.1")
    };
    let denied =
        Cloud::new(move |call| (call.operation == "ListAccounts").then(|| error("AccessDeniedException")));
    let assert = scan(&denied, &[]).code(2);
    assert!(stderr(&assert).contains("allow organizations:ListAccounts"), "{}", stderr(&assert));
    assert!(stderr(&assert).contains("delegated administrators may list"), "{}", stderr(&assert));
    let alone = Cloud::new(move |call| {
        (call.operation == "ListAccounts").then(|| error("AWSOrganizationsNotInUseException"))
    });
    let assert = scan(&alone, &[]).code(2);
    assert_eq!(
        stderr(&assert),
        "error: --organization: the account of the credentials is in no organization\n"
    );
    let cloud = Cloud::new(listed);
    for arguments in [&["--organization"][..], &["--role-name", "x"], &["--ou", "ou-a-b"]] {
        cloud.imdsv2(&["scan"]).args(arguments).assert().code(2);
    }
    assert!(cloud.accounts().is_empty());
}

#[test]
fn every_account_is_scanned_whatever_the_concurrency() {
    let text: Vec<_> = (0..120).map(|number| format!("arn:aws:iam::{number:012}:role/r")).collect();
    let path = scratch("accounts-many.txt", text.join("\n").as_bytes());
    for concurrency in ["1", "8", "256"] {
        let cloud = Cloud::new(|_| None);
        let scan = ["scan", "--exit-zero", "--concurrency", concurrency, "--accounts-file"];
        let assert = cloud.imdsv2(&scan).arg(&path).assert().code(0);
        assert_eq!(stderr(&assert), "");
        let regions: BTreeSet<_> = cloud.called("DescribeInstances").into_iter().collect();
        assert_eq!(regions.len(), 240, "120 accounts with two Regions each");
        assert!(cloud.called("GetCallerIdentity").is_empty(), "the ARN of a role has the account");
        assert_eq!(cloud.called("AssumeRole").len(), 120, "credentials are cached");
    }
    for bad in ["0", "1025"] {
        Cloud::new(|_| None).imdsv2(&["scan", "--concurrency", bad]).assert().code(2);
    }
}
