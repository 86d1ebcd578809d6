//! `imdsv2 callers`.

use std::path::PathBuf;

use serde_json::{Value, json};
use snapbox::cmd::Command;
use snapbox::file;

use crate::harness::{directory, gzip, imdsv2, stderr, stdout};

const DAY: &str = "examples/cloudtrail";

fn callers(arguments: &[&str]) -> Command {
    imdsv2(&["callers"]).args(arguments)
}

/// The JSON output for `input`.
fn found(input: &[u8], code: i32) -> Value {
    let assert = callers(&["--format", "json"]).stdin(input).assert().code(code);
    serde_json::from_str(&stdout(&assert)).unwrap()
}

/// A record of a call with credentials from IMDSv1.
fn record(event_id: &str, user_agent: &Value) -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "accountId": "123456789012",
            "arn": "arn:aws:sts::123456789012:assumed-role/web/i-0123456789abcdef0",
            "sessionContext": {
                "sessionIssuer": {"arn": "arn:aws:iam::123456789012:role/web"},
                "ec2RoleDelivery": "1.0",
            },
        },
        "eventTime": "2026-11-20T10:00:00Z",
        "eventSource": "s3.amazonaws.com",
        "userAgent": user_agent,
        "eventID": event_id,
    })
}

#[test]
fn a_day_of_cloudtrail_shows_each_case() {
    callers(&[DAY]).assert().code(1).stdout_eq(file!["snapshots/callers.table.txt"].raw()).stderr_eq("");
    for (format, name) in
        [("json", "callers.json.txt"), ("csv", "callers.csv.txt"), ("html", "callers.html.txt")]
    {
        let snapshot = PathBuf::from("tests/cli/snapshots").join(name);
        let assert = callers(&["--format", format, DAY]).assert().code(1);
        assert.stdout_eq(snapbox::Data::read_from(&snapshot, None).raw());
    }
}

#[test]
fn fields_that_are_not_grouped_by_are_null() {
    for (group_by, groups, fields) in [
        ("role", 5, [true, true, false, false]),
        ("instance", 6, [true, true, true, false]),
        ("agent", 7, [false, false, false, true]),
    ] {
        let assert = callers(&["--format", "json", "--group-by", group_by, DAY]).assert().code(1);
        let output: Value = serde_json::from_str(&stdout(&assert)).unwrap();
        let callers = output["callers"].as_array().unwrap();
        assert_eq!(callers.len(), groups, "{group_by}");
        let names = ["accountId", "roleArn", "instanceId", "userAgent"];
        for (name, expected) in names.into_iter().zip(fields) {
            assert_eq!(!callers[0][name].is_null(), expected, "{group_by} {name}");
        }
        assert_eq!(callers.iter().map(|caller| caller["calls"].as_u64().unwrap()).sum::<u64>(), 14);
        assert_eq!(output["summary"]["instances"], 6);
    }
}

#[test]
fn every_shape_of_input_is_read() {
    let record = record("1", &json!("Boto3/1.9.253"));
    let looked_up = json!({"EventId": "1", "EventName": "x", "CloudTrailEvent": record.to_string()});
    for input in [
        json!({"Records": [record]}).to_string().into_bytes(),
        serde_json::to_vec_pretty(&json!({"Records": [record]})).unwrap(),
        json!({"Events": [looked_up], "NextToken": "x"}).to_string().into_bytes(),
        record.to_string().into_bytes(),
        format!("{record}\n{looked_up}\n").into_bytes(), // the same call twice
        json!([record]).to_string().into_bytes(),
        gzip(json!({"Records": [record]}).to_string().as_bytes()),
    ] {
        let output = found(&input, 1);
        assert_eq!(output["summary"]["imdsv1Calls"], 1, "{output}");
        assert_eq!(output["callers"][0]["sdk"], "Boto3");
    }
}

#[test]
fn the_exit_status_tells_whether_there_are_callers() {
    callers(&["--exit-zero", DAY]).assert().code(0);
    let other = json!({"Records": [{"eventVersion": "1.11", "userIdentity": {"type": "IAMUser"}}]});
    callers(&[]).stdin(other.to_string()).assert().code(0);
    let assert = callers(&[]).stdin(r#"{"Records":[]}"#).assert().code(2);
    assert_eq!(
        stderr(&assert),
        "error: the input contains no CloudTrail records: pass --allow-empty if that is expected\n"
    );
    callers(&["--allow-empty"]).stdin(r#"{"Records":[]}"#).assert().code(0);
    let assert = callers(&["examples/history.json"]).assert().code(2);
    assert!(stderr(&assert).contains("which `imdsv2 evaluate` reads"), "{}", stderr(&assert));
    let assert = imdsv2(&["evaluate", DAY]).assert().code(2);
    assert!(stderr(&assert).contains("which `imdsv2 callers` reads"), "{}", stderr(&assert));
    let assert = callers(&["-"]).stdin(r#"{"a":1}"#).assert().code(2);
    assert!(
        stderr(&assert).contains("unknown record: expected CloudTrail's log files"),
        "{}",
        stderr(&assert)
    );
}

#[test]
fn files_that_are_cut_off_lose_nothing_of_what_they_contain() {
    let records: Vec<_> = (0..50).map(|number| record(&number.to_string(), &json!("curl/8"))).collect();
    let whole = json!({"Records": records}).to_string();
    let cut = &whole.as_bytes()[..whole.len() / 2];
    let compressed = gzip(whole.as_bytes());
    let files = [
        ("1.json", cut.to_vec()),
        ("2.json.gz", compressed[..compressed.len() - 9].to_vec()),
        ("3.json.gz", gzip(json!({"Records": [record("99", &json!("curl/8"))]}).to_string().as_bytes())),
        ("4.json", Vec::new()),
    ];
    let directory = directory("cut-off", &files);
    let assert = callers(&["--format", "json"]).arg(&directory).assert().code(2);
    let output: Value = serde_json::from_str(&stdout(&assert)).unwrap();
    assert_eq!(output["summary"]["imdsv1Calls"], 51, "{output}");
    for name in ["1.json: record 26", "2.json.gz: record", "4.json: record 1"] {
        assert!(stderr(&assert).contains(name), "{name}: {}", stderr(&assert));
    }
}

#[test]
fn a_wrong_checksum_is_reported() {
    let filler = "x".repeat(200_000);
    let log = json!({"Records": [record("1", &json!("curl/8")), {"eventVersion": "1", "filler": filler}]})
        .to_string();
    let mut damaged = gzip(log.as_bytes());
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    let good = gzip(json!({"Records": [record("2", &json!("curl/8"))]}).to_string().as_bytes());
    let directory = directory("checksum", &[("1.json.gz", damaged), ("2.json.gz", good)]);
    for input in [directory.clone(), directory.join("1.json.gz")] {
        let assert = callers(&[]).arg(&input).assert().code(2);
        assert!(stderr(&assert).contains("corrupt gzip stream"), "{}", stderr(&assert));
    }
}

#[test]
fn notifications_of_other_services_are_no_records_of_cloudtrail() {
    for notification in [
        json!({"EventSource": "aws:sns", "Sns": {"Message": "x"}}),
        json!({"eventVersion": "2.1", "eventSource": "aws:s3", "userIdentity": {"principalId": "x"}, "s3": {}}),
    ] {
        let input = json!({"Records": [notification]}).to_string();
        for command in ["callers", "evaluate"] {
            let assert = imdsv2(&[command]).stdin(&input).assert().code(2);
            assert!(stderr(&assert).contains("record 1 (at byte 12): unknown record"), "{}", stderr(&assert));
        }
    }
}

#[test]
fn a_bomb_is_reported_and_the_other_files_are_read() {
    let bomb = [&br#"{"Records":[{"userAgent":""#[..], &vec![b' '; 64 << 20]].concat();
    let good = json!({"Records": [record("1", &json!("curl/8"))]}).to_string().into_bytes();
    let directory = directory("bomb", &[("1.json.gz", gzip(&bomb)), ("2.json", good)]);
    let assert = callers(&["--format", "json"]).arg(&directory).assert().code(2);
    let output: Value = serde_json::from_str(&stdout(&assert)).unwrap();
    assert_eq!(output["summary"]["imdsv1Calls"], 1);
    assert!(stderr(&assert).contains("a record is larger than 16 MiB"), "{}", stderr(&assert));
}

#[test]
fn user_agents_do_not_control_the_terminal_a_spreadsheet_or_a_browser() {
    let agent = "=cmd|\u{1b}[2J\u{202e}<script>alert(1)</script>";
    let input = record("1", &json!(agent)).to_string();
    for format in ["table", "csv", "json", "html"] {
        let output = stdout(&callers(&["--format", format]).stdin(&input).assert().code(1));
        assert!(!output.contains(['\u{1b}', '\u{202e}']), "{format}: {output}");
        assert_eq!(output.contains("<script>"), format != "html", "{format}");
    }
    let csv = stdout(&callers(&["--format", "csv"]).stdin(&input).assert().code(1));
    assert!(csv.contains(r",'=cmd|\u{1b}[2J\u{202e}<script>"), "{csv}");
    assert_eq!(found(input.as_bytes(), 1)["callers"][0]["userAgent"], agent);
}

#[test]
fn records_of_the_wrong_shape_are_counted_or_reported() {
    let with = |path: &str, value: Value| {
        let mut record = record("1", &json!("curl/8"));
        *record.pointer_mut(path).unwrap() = value;
        record
    };
    for (record, calls, code) in [
        (with("/userIdentity", json!(null)), 0, 0),
        (with("/userIdentity", json!("ec2RoleDelivery")), 0, 0),
        (with("/userIdentity/sessionContext", json!([])), 0, 0),
        (with("/userIdentity/sessionContext/ec2RoleDelivery", json!(1.0)), 0, 2),
        (with("/userIdentity/sessionContext/ec2RoleDelivery", json!("7.0")), 0, 2),
        (with("/userIdentity/sessionContext/sessionIssuer", json!(7)), 1, 1),
        (with("/userIdentity/accountId", json!({})), 1, 1),
        (with("/userAgent", json!([[[]]])), 1, 1),
        (with("/eventTime", json!("soon")), 1, 1),
    ] {
        let input = json!({"Records": [record]}).to_string();
        let output = found(input.as_bytes(), code);
        assert_eq!(output["summary"]["imdsv1Calls"], calls, "{input}");
        assert_eq!(output["summary"]["records"].as_u64(), Some(u64::from(code < 2)), "{input}");
    }
}

#[test]
fn an_output_file_is_replaced_as_a_whole_and_is_no_input() {
    let input = directory("callers-file", &[("1.json", record("1", &json!("x")).to_string().into_bytes())]);
    let (input, output) = (input.join("1.json"), input.join("out.csv"));
    callers(&["--format", "csv", "--output"]).arg(&output).arg(&input).assert().code(1);
    assert!(std::fs::read_to_string(&output).unwrap().starts_with("accountId,roleArn,"));
    let assert = callers(&["--output"]).arg(&input).arg(&input).assert().code(2);
    assert!(stderr(&assert).contains("is the same file as"), "{}", stderr(&assert));
}

#[test]
fn evaluate_reports_who_uses_imdsv1() {
    let instance = json!({
        "InstanceId": "i-0123456789abcdef0", "State": {"Name": "running"},
        "MetadataOptions": {"HttpTokens": "optional", "HttpEndpoint": "enabled"},
    });
    let instances = directory("callers-join", &[("instances.json", instance.to_string().into_bytes())]);
    let callers_file = instances.join("callers.json");
    callers(&["--format", "json", "--output"]).arg(&callers_file).arg(DAY).assert().code(1);
    let evaluate = |format| {
        let evaluate = imdsv2(&["evaluate", "--format", format, "--callers"]).arg(&callers_file);
        stdout(&evaluate.arg(instances.join("instances.json")).assert().code(1))
    };
    let expected = "CloudTrail recorded 3 calls, by Boto3 1.9.253 (role web)";
    assert!(evaluate("table").contains(expected), "{}", evaluate("table"));
    let json: Value = serde_json::from_str(&evaluate("json")).unwrap();
    let role = "arn:aws:iam::123456789012:role/web";
    let expected = json!([{"software": "Boto3 1.9.253", "roleArn": role, "calls": 3}]);
    assert_eq!(json["evaluations"][0]["imdsv1Callers"], expected);
    assert!(evaluate("csv").contains(",Boto3 1.9.253 (role web): 3\n"), "{}", evaluate("csv"));
}
