//! `imdsv2 scan --aggregator`: what AWS Config has recorded in many accounts.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use snapbox::cmd::OutputAssert;
use wiremock::ResponseTemplate;

use crate::cloud::{Call, Cloud};
use crate::harness::{stderr, stdout};

const DEV: &str = "111111111111";
const PROD: &str = "333333333333";

/// A result of a query, which is JSON in a string.
fn item(account: &str, resource_type: &str, id: &str, captured: &str, configuration: &Value) -> String {
    json!({
        "accountId": account, "awsRegion": "eu-west-1", "resourceType": resource_type, "resourceId": id,
        "tags": [{"key": "team", "value": "web", "tag": "team=web"}], "configurationItemStatus": "OK",
        "configurationItemCaptureTime": captured, "configuration": configuration,
    })
    .to_string()
}

fn instance(account: &str, id: &str, captured: &str, tokens: &str) -> String {
    let configuration = json!({"metadataOptions": {"httpTokens": tokens, "httpEndpoint": "enabled"}});
    item(account, "AWS::EC2::Instance", id, captured, &configuration)
}

/// The results of a query, and the token of the next page.
fn page(results: &[String], next: Option<&str>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"Results": results, "NextToken": next}))
}

fn refused(code: &str) -> ResponseTemplate {
    ResponseTemplate::new(400).set_body_json(json!({"__type": code, "message": "no"}))
}

/// Two accounts: one with instances on two pages, one with a group and its launch template.
fn recorded(call: &Call) -> Option<ResponseTemplate> {
    if call.operation != "SelectAggregateResourceConfig" {
        return None;
    }
    let query: Value = serde_json::from_str(&call.body).unwrap();
    assert_eq!((&query["ConfigurationAggregatorName"], &query["Limit"]), (&json!("company"), &json!(100)));
    let expression = query["Expression"].as_str().unwrap();
    if expression.contains("GROUP BY accountId") {
        let groups = [DEV, PROD].map(|account| json!({"COUNT(*)": 2, "accountId": account}).to_string());
        return Some(page(&groups, None));
    }
    if expression.contains(DEV) {
        return Some(match query["NextToken"].as_str() {
            None => page(&[instance(DEV, "i-1", "2026-11-20T08:00:00.000Z", "optional")], Some("2")),
            Some(_) => page(&[instance(DEV, "i-2", "2026-11-27T09:30:00.000Z", "required")], None),
        });
    }
    let template = json!({
        "DefaultVersionNumber": "1", "LatestVersionNumber": "1",
        "LaunchTemplateData": {"MetadataOptions": {"HttpTokens": "optional"}},
    });
    let group = json!({"launchTemplate": {"launchTemplateId": "lt-1", "version": "$Default"}});
    let at = "2026-11-25T00:00:00.000Z";
    Some(page(
        &[
            item(PROD, "AWS::AutoScaling::AutoScalingGroup", "arn:aws:autoscaling:g", at, &group),
            item(PROD, "AWS::EC2::LaunchTemplate", "lt-1", at, &template),
        ],
        None,
    ))
}

fn scan(cloud: &Cloud, arguments: &[&str]) -> OutputAssert {
    let scan = cloud.imdsv2(&["scan", "--aggregator", "company"]).env("AWS_REGION", "eu-central-1");
    scan.args(arguments).assert()
}

/// The compliance of each resource, by account and id.
fn verdicts(assert: &OutputAssert) -> BTreeMap<(String, String), String> {
    let output: Value = serde_json::from_str(&stdout(assert)).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = output["evaluations"].as_array().unwrap().iter();
    all.map(|each| ((text(&each["accountId"]), text(&each["resourceId"])), text(&each["compliance"])))
        .collect()
}

#[test]
fn recorded_resources_are_judged_like_any_others() {
    let cloud = Cloud::new(recorded);
    let assert = scan(&cloud, &["--format", "json"]).code(1);
    let found = verdicts(&assert);
    let compliance = |account: &str, id: &str| found[&(account.to_owned(), id.to_owned())].as_str();
    assert_eq!(compliance(DEV, "i-1"), "NON_COMPLIANT");
    assert_eq!(compliance(DEV, "i-2"), "COMPLIANT");
    assert_eq!(compliance(PROD, "lt-1"), "NON_COMPLIANT");
    assert_eq!(compliance(PROD, "arn:aws:autoscaling:g"), "NON_COMPLIANT");
    assert_eq!(
        stderr(&assert),
        "The newest of these records is from 2026-11-27 09:30 (UTC); changes that AWS Config has not recorded yet are not \
         included\n"
    );
    let home = (crate::cloud::OWN.to_owned(), "eu-central-1".to_owned());
    assert!(cloud.called("SelectAggregateResourceConfig").iter().all(|place| *place == home));
}

#[test]
fn only_what_is_selected_is_asked_for_and_judged() {
    let cloud = Cloud::new(|call| {
        if call.operation == "SelectAggregateResourceConfig" {
            assert!(call.body.contains("awsRegion IN ('eu-west-1', 'us-east-1')"), "{}", call.body);
            let types = "resourceType IN ('AWS::EC2::LaunchTemplate', 'AWS::AutoScaling::LaunchConfiguration', \
                         'AWS::AutoScaling::AutoScalingGroup')";
            assert!(call.body.contains(types), "{}", call.body);
        }
        recorded(call)
    });
    let arguments = ["--type", "auto-scaling-group", "--region", "eu-west-1,us-east-1", "--format", "json"];
    let found = verdicts(&scan(&cloud, &arguments).code(1));
    // The template was read for the sake of the group.
    assert_eq!(
        found.into_keys().collect::<Vec<_>>(),
        [(PROD.to_owned(), "arn:aws:autoscaling:g".to_owned())]
    );
    let found = verdicts(&scan(&Cloud::new(recorded), &["--tag", "team=other", "--format", "json"]).code(0));
    assert!(found.is_empty());
}

#[test]
fn an_account_that_cannot_be_read_does_not_hide_the_others() {
    let cloud = Cloud::new(|call| match call.body.as_str() {
        body if body.contains("NextToken") => Some(refused("InvalidExpressionException")),
        _ => recorded(call),
    });
    let assert = scan(&cloud, &["--format", "json"]).code(2);
    assert_eq!(verdicts(&assert).len(), 3);
    let expected = format!(
        "error: account {DEV}, eu-west-1: cannot read the aggregator: SelectAggregateResourceConfig: \
         InvalidExpressionException: no\n"
    );
    assert!(stderr(&assert).starts_with(&expected), "{}", stderr(&assert));
}

#[test]
fn a_record_that_cannot_be_read_does_not_hide_the_others() {
    let cloud = Cloud::new(|call| match call.body.as_str() {
        body if body.contains("NextToken") => {
            let broken = r#"{"accountId": "111111111111", "resourceType": 7}"#.to_owned();
            Some(page(&[broken, instance(DEV, "i-3", "2026-11-27T09:30:00.000Z", "required")], None))
        }
        _ => recorded(call),
    });
    let assert = scan(&cloud, &["--format", "json"]).code(2);
    assert_eq!(verdicts(&assert)[&(DEV.to_owned(), "i-3".to_owned())], "COMPLIANT");
    let expected = format!(
        "error: account {DEV}, eu-west-1: cannot read a record of the aggregator: record.resourceType: "
    );
    assert!(stderr(&assert).starts_with(&expected), "{}", stderr(&assert));
}

#[test]
fn what_an_account_lacks_because_it_cannot_be_read_is_not_called_fixed() {
    let earlier = stdout(&scan(&Cloud::new(recorded), &["--format", "json"]).code(1));
    let earlier = crate::harness::scratch("aggregator-earlier.json", earlier.as_bytes());
    let cloud = Cloud::new(|call| match call.body.as_str() {
        body if body.contains("accountId = '111111111111'") && !body.contains("NextToken") => {
            Some(page(&[instance(DEV, "i-2", "2026-11-27T09:30:00.000Z", "required")], Some("2")))
        }
        body if body.contains("NextToken") => Some(refused("InvalidExpressionException")),
        _ => recorded(call),
    });
    let compare = ["--format", "table", "--compare", earlier.to_str().unwrap()];
    let table = stdout(&scan(&cloud, &compare).code(2));
    assert!(table.contains("1 not scanned") && !table.contains("1 gone"), "{table}");
}

#[test]
fn an_aggregator_that_cannot_be_asked_is_an_error() {
    for (code, expected) in [
        (
            "NoSuchConfigurationAggregatorException",
            "there is no such aggregator in eu-central-1: set AWS_REGION to the Region that has it",
        ),
        (
            "AccessDeniedException",
            "SelectAggregateResourceConfig: AccessDeniedException: no: allow config:SelectAggregateResourceConfig",
        ),
    ] {
        let cloud = Cloud::new(move |_| Some(refused(code)));
        let assert = scan(&cloud, &[]).code(2);
        assert_eq!(stderr(&assert), format!("error: --aggregator company: {expected}\n"));
    }
    let empty = Cloud::new(|_| Some(page(&[], None)));
    assert_eq!(
        stderr(&scan(&empty, &[]).code(2)),
        "error: --aggregator company: it has no resource of the selected types and Regions\n"
    );
    let with_roles = scan(&empty, &["--usage-days", "14"]).code(2);
    assert!(stderr(&with_roles).contains("cannot be used with"), "{}", stderr(&with_roles));
}

#[test]
fn accounts_whose_first_page_cannot_be_read_are_errors() {
    for fails in [&[DEV, PROD][..], &[DEV]] {
        let cloud = Cloud::new(move |call| {
            let is_refused =
                fails.iter().any(|account| call.body.contains(&format!("accountId = '{account}'")));
            if is_refused { Some(refused("InvalidExpressionException")) } else { recorded(call) }
        });
        let assert = scan(&cloud, &["--format", "json"]).code(2);
        for account in fails {
            let expected = format!("error: account {account}, all Regions: cannot read the aggregator: ");
            assert!(stderr(&assert).contains(&expected), "{}", stderr(&assert));
        }
    }
}
