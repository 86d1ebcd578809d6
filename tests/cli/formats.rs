//! The output formats of `imdsv2 evaluate`.

use serde_json::{Value, json};
use snapbox::file;

use crate::harness::{evaluate, stderr, stdout, verdicts};

#[test]
fn table_shows_non_compliant_resources_first() {
    let assert = evaluate(&["examples/"]).assert().code(1);
    assert!(!stdout(&assert).contains('\u{1b}'), "no colours in a pipe");
    assert_eq!(stderr(&assert), "");
    assert.stdout_eq(file!["snapshots/examples.table.txt"].raw());
}

#[test]
fn json_has_the_fields_of_the_contract_in_order() {
    evaluate(&["--format", "json", "examples/"])
        .assert()
        .code(1)
        .stdout_eq(file!["snapshots/examples.json.txt"].raw());
    let nothing = evaluate(&["--format", "json", "--allow-empty"])
        .stdin(r#"{"configurationItems": []}"#)
        .assert()
        .code(0);
    let empty =
        json!({"evaluations": [], "summary": {"compliant": 0, "nonCompliant": 0, "notApplicable": 0}});
    assert_eq!(serde_json::from_str::<Value>(&stdout(&nothing)).unwrap(), empty);
}

#[test]
fn csv_has_a_header_line() {
    evaluate(&["--format", "csv", "examples/"])
        .assert()
        .code(1)
        .stdout_eq(file!["snapshots/examples.csv.txt"].raw());
    let nothing = evaluate(&["--format", "csv", "--allow-empty"]).stdin("[]").assert().code(0);
    assert_eq!(
        stdout(&nothing),
        "resourceType,resourceId,accountId,region,compliance,annotation,reason,name,owner,launchedBy,launchTemplate,since,managedBy,file,line\n"
    );
}

#[test]
fn csv_quotes_fields_that_contain_quotes_or_commas() {
    let item = json!({
        "resourceType": "AWS::EC2::Instance", "resourceId": "i-1", "configurationItemStatus": "Odd, \"very\"",
    });
    let assert = evaluate(&["--format", "csv"]).stdin(item.to_string()).assert().code(0);
    assert_eq!(
        stdout(&assert),
        "resourceType,resourceId,accountId,region,compliance,annotation,reason,name,owner,launchedBy,launchTemplate,since,managedBy,file,line\n\
         AWS::EC2::Instance,i-1,,,NOT_APPLICABLE,\
         \"AWS Config reports the status \"\"Odd, \"\"very\"\"\"\".\",not recorded,,,,,,,,\n"
    );
}

#[test]
fn other_types_share_a_row_in_the_table_only() {
    let volume = |id: &str| json!({"resourceType": "AWS::EC2::Volume", "resourceId": id, "configurationItemStatus": "OK"});
    let input =
        json!({"configurationItems": [volume("vol-1"), volume("vol-2"), volume("vol-3")]}).to_string();
    let table = stdout(&evaluate(&[]).stdin(&input).assert().code(0));
    assert!(table.contains("(3 resources)"), "{table}");
    assert!(table.ends_with("3 resources: 0 non-compliant, 0 compliant, 3 not applicable\n"), "{table}");
    assert_eq!(verdicts(&input, &[])["evaluations"].as_array().unwrap().len(), 3);
}

#[test]
fn text_from_outside_does_not_control_the_terminal_or_a_spreadsheet() {
    let id = "=i-\u{1b}[2J\u{9b}\u{202e}";
    let item =
        json!({"resourceType": "AWS::EC2::Instance", "resourceId": id, "configurationItemStatus": "OK"});
    for format in ["table", "csv", "json", "html"] {
        let assert = evaluate(&["--format", format]).stdin(item.to_string()).assert().code(1);
        assert!(!stdout(&assert).contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{format}");
    }
    let table = stdout(&evaluate(&[]).stdin(item.to_string()).assert().code(1));
    assert!(table.contains(r"=i-\u{1b}[2J\u{9b}\u{202e}"), "{table}");
    let csv = stdout(&evaluate(&["--format", "csv"]).stdin(item.to_string()).assert().code(1));
    assert!(csv.contains(r"AWS::EC2::Instance,'=i-\u{1b}[2J\u{9b}\u{202e},"), "{csv}");
    assert_eq!(verdicts(&item.to_string(), &[])["evaluations"][0]["resourceId"], id);
    let missing = evaluate(&["no/\u{1b}[2J\u{202e}file"]).assert().code(2);
    assert!(
        stderr(&missing).starts_with(r"error: cannot read no/\u{1b}[2J\u{202e}file: "),
        "{}",
        stderr(&missing)
    );
}
