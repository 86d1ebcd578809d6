//! Errors and exit statuses of `imdsv2 evaluate`.

use serde_json::Value;

use crate::harness::{evaluate, fixture, scratch, stderr, stdout};

#[test]
fn an_unreadable_record_is_reported_and_the_others_are_evaluated() {
    let item: Value = serde_json::from_str(&fixture("instance-required-item.json")).unwrap();
    let path = scratch(
        "broken.json",
        format!("{{\"configurationItems\":[{item},{{\"no\" 1}},{{}},{item}]}}").as_bytes(),
    );
    let assert = evaluate(&["--format", "json"]).arg(&path).assert().code(2);
    let output: Value = serde_json::from_str(&stdout(&assert)).unwrap();
    assert_eq!(output["summary"]["compliant"], 2);
    let messages = stderr(&assert);
    let lines: Vec<_> = messages.lines().collect();
    assert_eq!(lines.len(), 2, "{messages}");
    let position = 24 + item.to_string().len();
    let start = format!("error: {}: record 2 (at byte {position}): ", path.display());
    assert!(lines[0].starts_with(&start), "{messages}");
    assert!(lines[1].ends_with("configurationItemStatus is missing"), "{messages}");
}

#[test]
fn input_that_is_not_a_record_is_an_error() {
    for (input, message) in [
        ("", "standard input: record 1 (at byte 0): the input is empty"),
        ("hello", "standard input: this is neither a JSON object or array nor a template; expected an AWS"),
        ("{\"hello\": \"world\"}", "unknown record: expected an AWS Config event"),
        ("{\"configurationItems\": [", "the input ends inside a list"),
    ] {
        let assert = evaluate(&["-"]).stdin(input).assert().code(2);
        assert!(stderr(&assert).contains(message), "{input:?}: {}", stderr(&assert));
    }
    let missing = evaluate(&["no/such/file.json"]).assert().code(2);
    assert!(stderr(&missing).contains("cannot read no/such/file.json: No such file"), "{}", stderr(&missing));
    let without = evaluate(&["src/bin"]).assert().code(2);
    assert!(
        stderr(&without).contains("src/bin contains no file that is read: expected .json, .jsonl"),
        "{}",
        stderr(&without)
    );
}

#[test]
fn an_oversized_notification_names_the_command_to_get_the_item() {
    let assert = evaluate(&["tests/fixtures/oversized-event.json"]).assert().code(2);
    assert!(
        stderr(&assert).contains(
            "get-resource-config-history --resource-type AWS::EC2::Instance --resource-id i-0b16b16b16b16b16b"
        ),
        "{}",
        stderr(&assert)
    );
}

#[test]
fn exit_status_distinguishes_findings_from_errors() {
    let optional = "tests/fixtures/instance-optional-event.json";
    evaluate(&["tests/fixtures/instance-required-item.json"]).assert().code(0);
    evaluate(&[optional]).assert().code(1);
    evaluate(&["--exit-zero", optional]).assert().code(0);
    evaluate(&["--exit-zero", optional, "tests/fixtures/oversized-event.json"]).assert().code(2);
}

#[test]
fn findings_for_security_hub_need_an_account_and_a_region() {
    let item = r#"{"resourceType":"AWS::EC2::Instance","resourceId":"i-1","configurationItemStatus":"OK"}"#;
    let assert = evaluate(&["--format", "asff"]).stdin(item).assert().code(2);
    assert_eq!(
        stderr(&assert),
        "error: cannot write the output: ASFF requires the account and Region of i-1, but its record does not \
         contain them\n"
    );
}

#[test]
fn an_unknown_command_has_no_manual_page() {
    let assert = crate::harness::imdsv2(&["man", "fly"]).assert().code(2);
    assert_eq!(stderr(&assert), "error: unknown command \"fly\"\n");
}
