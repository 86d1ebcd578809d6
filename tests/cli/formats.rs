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
    let nothing =
        evaluate(&["--format", "json", "-"]).stdin(r#"{"configurationItems": []}"#).assert().code(0);
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
    let nothing = evaluate(&["--format", "csv"]).stdin("[]").assert().code(0);
    assert_eq!(stdout(&nothing), "resourceType,resourceId,accountId,region,compliance,annotation\n");
}

#[test]
fn csv_quotes_fields_that_contain_quotes_or_commas() {
    let item = json!({
        "resourceType": "AWS::EC2::Instance", "resourceId": "i-1", "configurationItemStatus": "Odd, \"very\"",
    });
    let assert = evaluate(&["--format", "csv"]).stdin(item.to_string()).assert().code(0);
    assert_eq!(
        stdout(&assert),
        "resourceType,resourceId,accountId,region,compliance,annotation\n\
         AWS::EC2::Instance,i-1,,,NOT_APPLICABLE,\
         \"AWS Config reports the status \"\"Odd, \"\"very\"\"\"\".\"\n"
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
fn control_characters_do_not_reach_the_terminal() {
    let item = json!({"resourceType": "AWS::EC2::Instance", "resourceId": "i-\u{1b}[2J", "configurationItemStatus": "OK"});
    let assert = evaluate(&[]).stdin(item.to_string()).assert().code(1);
    assert!(!stdout(&assert).contains('\u{1b}'));
}
