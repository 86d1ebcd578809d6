//! The formats of findings that other programs read. That these accept them, the tests in Python show.

use std::fs;

use serde_json::Value;
use serde_sarif::sarif::{ResultLevel, Sarif};

use crate::harness::{directory, evaluate, stderr, stdout};

const TEMPLATE: &str = "examples/template.yaml";

#[test]
fn sarif_has_a_result_with_file_and_line_for_each_non_compliant_resource() {
    let assert = evaluate(&["--format", "sarif", TEMPLATE]).assert().code(1);
    let log: Sarif = serde_json::from_str(&stdout(&assert)).unwrap();
    let run = &log.runs[0];
    let rules = run.tool.driver.rules.as_ref().unwrap();
    let results = run.results.as_ref().unwrap();
    let found: Vec<_> = results
        .iter()
        .map(|result| {
            let location = &result.locations.as_ref().unwrap()[0];
            let physical = location.physical_location.as_ref().unwrap();
            let uri = physical.artifact_location.as_ref().unwrap().uri.as_deref();
            let line = physical.region.as_ref().unwrap().start_line;
            let rule = &rules[usize::try_from(result.rule_index.unwrap()).unwrap()];
            assert_eq!(Some(&rule.id), result.rule_id.as_ref());
            assert_eq!(result.level, Some(ResultLevel::Error));
            (rule.id.as_str(), uri, line, result.message.text.as_deref().unwrap())
        })
        .collect();
    let messages = [
        "AWS::AutoScaling::LaunchConfiguration BatchConfiguration: HttpTokens is optional: instances launched from this \
         configuration accept IMDSv1 requests. Set HttpTokens=required in its metadata options.",
        "AWS::AutoScaling::AutoScalingGroup BatchGroup: Instances are launched from launch configuration \
         BatchConfiguration, where HttpTokens is optional: they accept IMDSv1 requests. Use a launch template that sets \
         HttpTokens=required.",
    ];
    let expected = [
        ("imdsv2-launch-configuration", Some(TEMPLATE), Some(44), messages[0]),
        ("imdsv2-auto-scaling-group", Some(TEMPLATE), Some(52), messages[1]),
    ];
    assert_eq!(found, expected);
    let tags = |index: usize| rules[index].properties.as_ref().unwrap().tags.clone().unwrap();
    assert!(tags(0).contains(&"CIS AWS Foundations Benchmark v5.0.0/5.7".to_owned()), "{:?}", tags(0));
    assert_eq!(tags(3), ["security"]);
    let invocation = &run.invocations.as_ref().unwrap()[0];
    assert!(invocation.execution_successful);
}

#[test]
fn sarif_without_results_is_complete_and_names_what_could_not_be_read() {
    let assert = evaluate(&["--format", "sarif", "examples/launch-template-item.json"]).assert().code(0);
    let log: Sarif = serde_json::from_str(&stdout(&assert)).unwrap();
    assert_eq!(log.runs[0].results.as_ref().map(Vec::len), Some(0));
    let assert = evaluate(&["--format", "sarif", "-"]).stdin("nonsense").assert().code(2);
    let log: Sarif = serde_json::from_str(&stdout(&assert)).unwrap();
    let invocation = &log.runs[0].invocations.as_ref().unwrap()[0];
    assert!(!invocation.execution_successful);
    let notification = &invocation.tool_execution_notifications.as_ref().unwrap()[0];
    assert_eq!(notification.message.text.as_deref(), Some("1 record or file could not be read"));
}

#[test]
fn junit_has_a_test_case_for_each_resource() {
    let assert = evaluate(&["--format", "junit", TEMPLATE]).assert().code(1);
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="imdsv2" tests="5" failures="2" errors="0" skipped="1">
  <testsuite name="imdsv2" tests="5" failures="2" errors="0" skipped="1">
    <testcase name="WebTemplate" classname="AWS::EC2::LaunchTemplate" file="examples/template.yaml" line="26"/>
    <testcase name="BatchConfiguration" classname="AWS::AutoScaling::LaunchConfiguration" file="examples/template.yaml" line="44">
      <failure message="HttpTokens is optional: "#;
    let xml = stdout(&assert);
    assert!(xml.starts_with(expected), "{xml}");
    assert!(xml.contains("<skipped message=\"HttpTokens is known only at deployment: "), "{xml}");
    let broken = evaluate(&["--format", "junit", "-"]).stdin("nonsense").assert().code(2);
    let xml = stdout(&broken);
    assert!(xml.contains(r#"tests="1" failures="0" errors="1" skipped="0""#), "{xml}");
    assert!(xml.contains(r#"<error message="1 record or file could not be read"/>"#), "{xml}");
}

#[test]
fn ocsf_has_an_object_on_each_line() {
    let assert = evaluate(&["--format", "ocsf", TEMPLATE, "examples/history.json"]).assert().code(1);
    let findings: Vec<Value> =
        stdout(&assert).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let field = |pointer: &str| -> Vec<Value> {
        findings.iter().map(|finding| finding.pointer(pointer).cloned().unwrap_or_default()).collect()
    };
    assert_eq!(field("/class_uid"), vec![Value::from(2003); findings.len()]);
    assert_eq!(field("/compliance/status")[..3], ["Pass", "Fail", "Fail"]);
    assert_eq!(findings[0]["resources"][0]["data"], serde_json::json!({"file": TEMPLATE, "line": 26}));
    assert_eq!(findings[0]["finding_info"]["uid"], format!("imdsv2/{TEMPLATE}/WebTemplate"));
    let instance = findings.iter().find(|finding| finding["compliance"]["control"] == "EC2.8").unwrap();
    assert_eq!(instance["cloud"]["account"]["uid"], "123456789012");
}

#[test]
fn github_gets_annotations_and_a_summary_of_the_step() {
    let directory = directory("step-summary", &[("summary.md", b"earlier\n".to_vec())]);
    let summary = directory.join("summary.md");
    let run = || evaluate(&["--format", "github", TEMPLATE]).env("GITHUB_STEP_SUMMARY", &summary);
    let assert = run().assert().code(1);
    let expected = format!(
        "::error title=Launch configurations should require IMDSv2,file={TEMPLATE},line=44::BatchConfiguration: HttpTokens"
    );
    let text = stdout(&assert);
    assert!(text.lines().any(|line| line.starts_with(&expected)), "{text}");
    assert!(text.ends_with("5 resources: 2 non-compliant, 2 compliant, 1 not applicable\n"), "{text}");
    assert_eq!(stderr(&assert), "");
    run().assert().code(1);
    let written = fs::read_to_string(&summary).unwrap();
    assert!(written.starts_with("earlier\n## IMDSv2\n\n5 resources: 2 non-compliant"), "{written}");
    assert_eq!(
        written.matches("| AWS::AutoScaling::AutoScalingGroup | BatchGroup |").count(),
        2,
        "{written}"
    );
}

#[test]
fn hostile_names_do_not_become_commands_or_markup() {
    let id = "i-1\n::error::x|<b>&\"\u{1b}[2J\u{202e}\u{ffff}";
    let item = serde_json::json!({"resourceType": "AWS::EC2::Instance", "resourceId": id, "configurationItemStatus": "OK"});
    for format in ["sarif", "junit", "ocsf", "github"] {
        let assert = evaluate(&["--format", format]).stdin(item.to_string()).assert().code(1);
        let text = stdout(&assert);
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{format}: {text}");
        assert!(!text.contains('\u{ffff}') || format != "junit", "{format}: {text}");
        assert!(!text.contains("<b>") || format != "junit", "{format}: {text}");
        assert!(!text.lines().any(|line| line.starts_with("::error::")), "{format}: {text}");
    }
}
