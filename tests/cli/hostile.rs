//! Input that was made to do harm: to a terminal, a spreadsheet, a browser, the memory or the time of whoever reads it.

use serde_json::{Value, json};

use crate::harness::{directory, evaluate, gzip, stderr, stdout};

/// What a spreadsheet would calculate, a terminal obey, a browser execute, and a reader not see.
const HOSTILE: &str = "=cmd|\u{1b}[2J\u{9b}\u{202e}<script>alert(1)</script>\u{e0041}";

/// An instance and a launch template, all of whose texts are hostile.
fn hostile() -> String {
    let tags = json!({"Name": HOSTILE, "owner": HOSTILE, "aws:autoscaling:groupName": HOSTILE, "until": HOSTILE,
        "aws:ec2launchtemplate:id": HOSTILE, "aws:ec2launchtemplate:version": HOSTILE});
    let item = |resource_type: &str, configuration: &Value| {
        json!({
            "resourceType": resource_type, "resourceId": HOSTILE, "resourceName": HOSTILE, "awsAccountId": HOSTILE,
            "awsRegion": HOSTILE, "configurationItemStatus": "OK", "tags": tags, "configuration": configuration,
            "configurationItemCaptureTime": "2026-11-27T00:00:00Z",
        })
    };
    let options = json!({"httpTokens": HOSTILE, "httpEndpoint": HOSTILE, "state": HOSTILE});
    let instance = json!({"metadataOptions": options, "state": {"name": HOSTILE}, "launchedBy": HOSTILE});
    let template = json!({"launchTemplateData": {"metadataOptions": options}, "launchTemplateName": HOSTILE});
    json!({"configurationItems": [
        item("AWS::EC2::Instance", &instance),
        item("AWS::EC2::LaunchTemplate", &template),
        item(HOSTILE, &instance),
    ]})
    .to_string()
}

fn output(format: &str) -> String {
    let parameters = r#"{"exemptionTagKey":"until"}"#;
    let arguments = ["--format", format, "--owner-tag", "owner", "--parameters", parameters, "--exit-zero"];
    let assert = evaluate(&arguments).stdin(hostile()).assert().code(0);
    assert_eq!(stderr(&assert), "", "{format}");
    stdout(&assert)
}

#[test]
fn no_column_of_any_format_does_what_the_input_says() {
    for format in ["table", "json", "csv", "html", "sarif", "junit", "ocsf", "github"] {
        let output = output(format);
        assert!(output.contains("cmd|"), "{format}");
        assert!(!output.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{e0041}']), "{format}: {output}");
        assert!(format != "html" || !output.contains("<script>alert"), "{output}");
    }
    let csv = output("csv");
    let mut rows = csv::ReaderBuilder::new().has_headers(true).from_reader(csv.as_bytes());
    let mut cells = 0;
    for row in rows.records() {
        for cell in &row.unwrap() {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
            cells += usize::from(cell.contains("cmd|"));
        }
    }
    assert!(cells >= 15, "{cells}: {csv}");
}

#[test]
fn a_bomb_is_reported_and_the_other_files_are_read() {
    let bomb = [&br#"{"configurationItems":[{"resourceId":""#[..], &vec![b' '; 300 << 20]].concat();
    let good =
        json!({"resourceType": "AWS::EC2::Instance", "resourceId": "i-1", "configurationItemStatus": "OK"});
    let files = [("1.json.gz", gzip(&bomb)), ("2.json", good.to_string().into_bytes())];
    let assert = evaluate(&["--format", "json"]).arg(directory("evaluated-bomb", &files)).assert().code(2);
    let output: Value = serde_json::from_str(&stdout(&assert)).unwrap();
    assert_eq!(output["evaluations"][0]["resourceId"], "i-1");
    assert!(stderr(&assert).contains("a record is larger than 256 MiB"), "{}", stderr(&assert));
}

#[test]
fn json_that_is_nested_too_deeply_is_an_error() {
    let levels = 200_000;
    let arrays = "[".repeat(levels);
    let objects = r#"{"a":"#.repeat(levels);
    let item = format!(
        r#"{{"resourceType":"AWS::EC2::Instance","resourceId":"i-1","configuration":{}1{}}}"#,
        r#"{"a":"#.repeat(levels),
        "}".repeat(levels)
    );
    for input in [arrays, objects, item] {
        let assert = evaluate(&["--format", "json"]).stdin(input).assert().code(2);
        assert!(stderr(&assert).starts_with("error: "), "{}", stderr(&assert));
    }
}
