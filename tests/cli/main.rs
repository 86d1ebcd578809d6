//! The built `imdsv2`: arguments and files in, verdicts and exit status out.

// The helpers of a test may fail it, too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};
use snapbox::cmd::{Command, OutputAssert, cargo_bin};

fn imdsv2(arguments: &[&str]) -> Command {
    Command::new(cargo_bin!("imdsv2"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("NO_COLOR")
        .arg("evaluate")
        .args(arguments)
}

fn stdout(assert: &OutputAssert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn stderr(assert: &OutputAssert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

/// The verdicts on `input`, as JSON.
fn verdicts(input: &str, arguments: &[&str]) -> Value {
    let assert = imdsv2(&["--format", "json", "--exit-zero"]).args(arguments).stdin(input).assert().code(0);
    serde_json::from_str(&stdout(&assert)).unwrap()
}

fn fixture(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A file that this test alone uses.
fn scratch(name: &str, content: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn the_examples_show_every_compliance_type() {
    let assert = imdsv2(&["examples/"]).assert().code(1);
    let table = stdout(&assert);
    let column: Vec<_> = table
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| word.contains("COMPLIANT") || *word == "NOT_APPLICABLE")
        .collect();
    let mut sorted = column.clone();
    sorted
        .sort_by_key(|word| ["NON_COMPLIANT", "COMPLIANT", "NOT_APPLICABLE"].iter().position(|w| w == word));
    assert_eq!(column, sorted, "what is non-compliant comes first");
    assert_eq!(column.len(), 16);
    assert!(table.ends_with("16 resources: 6 non-compliant, 5 compliant, 5 not applicable\n"), "{table}");
    assert!(!table.contains('\u{1b}'), "no colours in a pipe");
    assert_eq!(stderr(&assert), "");
}

#[test]
fn every_kind_of_input_is_recognised() {
    let required = fixture("instance-required-item.json");
    let item: Value = serde_json::from_str(&required).unwrap();
    let event: Value = serde_json::from_str(&fixture("instance-optional-event.json")).unwrap();
    let notification = event["invokingEvent"].as_str().unwrap();
    let live = json!({"InstanceId": "i-1", "State": {"Name": "running"}, "MetadataOptions": {"HttpTokens": "required"}});
    for (kind, input, compliances) in [
        ("a configuration item", required.clone(), vec!["COMPLIANT"]),
        ("a history item", fixture("oversized-history-item.json"), vec!["COMPLIANT"]),
        ("a Lambda event", event.to_string(), vec!["NON_COMPLIANT"]),
        ("a notification", notification.to_owned(), vec!["NON_COMPLIANT"]),
        ("a deletion", fixture("deleted-event.json"), vec!["NOT_APPLICABLE"]),
        ("a launch template", fixture("launch-template-unset-event.json"), vec!["NON_COMPLIANT"]),
        ("a launch configuration", fixture("launch-configuration-event.json"), vec!["NON_COMPLIANT"]),
        ("an item without options", fixture("no-metadata-options-event.json"), vec!["NON_COMPLIANT"]),
        (
            "a snapshot",
            json!({"fileVersion": "1.0", "configurationItems": [item, item]}).to_string(),
            vec!["COMPLIANT"; 2],
        ),
        ("an instance", live.to_string(), vec!["COMPLIANT"]),
        ("a reservation", json!({"Instances": [live, live]}).to_string(), vec!["COMPLIANT"; 2]),
        (
            "describe-instances",
            json!({"Reservations": [{"Instances": [live]}]}).to_string(),
            vec!["COMPLIANT"],
        ),
        ("instances of a query", json!([[live], [live]]).to_string(), vec!["COMPLIANT"; 2]),
        ("an array of events", json!([event, event]).to_string(), vec!["NON_COMPLIANT"; 2]),
        ("lines", format!("{item}\n{event}\n"), vec!["COMPLIANT", "NON_COMPLIANT"]),
        ("with a byte order mark", format!("\u{feff}{item}"), vec!["COMPLIANT"]),
    ] {
        let output = verdicts(&input, &[]);
        let evaluations = output["evaluations"].as_array().unwrap();
        let found: Vec<_> = evaluations.iter().map(|e| e["compliance"].as_str().unwrap()).collect();
        assert_eq!(found, compliances, "{kind}");
    }
}

#[test]
fn json_has_the_fields_of_the_contract_in_order() {
    let assert = imdsv2(&["--format", "json", "tests/fixtures/instance-required-item.json"]).assert().code(0);
    assert_eq!(
        stdout(&assert),
        "{\"evaluations\":[\n\
         {\"resourceType\":\"AWS::EC2::Instance\",\"resourceId\":\"i-0123456789abcdef0\",\"accountId\":\"123456789012\",\
         \"region\":\"us-east-1\",\"compliance\":\"COMPLIANT\",\"annotation\":\"HttpTokens is required: IMDSv1 is closed.\"}\n\
         ],\n\"summary\":{\"compliant\":1,\"nonCompliant\":0,\"notApplicable\":0}}\n"
    );
    let nothing = imdsv2(&["--format", "json", "-"]).stdin(r#"{"configurationItems": []}"#).assert().code(0);
    let empty =
        json!({"evaluations": [], "summary": {"compliant": 0, "nonCompliant": 0, "notApplicable": 0}});
    assert_eq!(serde_json::from_str::<Value>(&stdout(&nothing)).unwrap(), empty);
}

#[test]
fn csv_has_a_header_and_quotes_what_needs_it() {
    let item = json!({"resourceType": "AWS::EC2::Instance", "resourceId": "i-1", "configurationItemStatus": "Odd, \"very\""});
    let assert = imdsv2(&["--format", "csv"]).stdin(item.to_string()).assert().code(0);
    assert_eq!(
        stdout(&assert),
        "resourceType,resourceId,accountId,region,compliance,annotation\n\
         AWS::EC2::Instance,i-1,,,NOT_APPLICABLE,\
         \"AWS Config gives the resource the status \"\"Odd, \"\"very\"\"\"\".\"\n"
    );
    let nothing = imdsv2(&["--format", "csv"]).stdin("[]").assert().code(0);
    assert_eq!(stdout(&nothing), "resourceType,resourceId,accountId,region,compliance,annotation\n");
}

#[test]
fn other_types_share_a_row_in_the_table_only() {
    let volume = |id: &str| json!({"resourceType": "AWS::EC2::Volume", "resourceId": id, "configurationItemStatus": "OK"});
    let input =
        json!({"configurationItems": [volume("vol-1"), volume("vol-2"), volume("vol-3")]}).to_string();
    let table = stdout(&imdsv2(&[]).stdin(&input).assert().code(0));
    assert!(table.contains("(3 resources)"), "{table}");
    assert!(table.ends_with("3 resources: 0 non-compliant, 0 compliant, 3 not applicable\n"), "{table}");
    assert_eq!(verdicts(&input, &[])["evaluations"].as_array().unwrap().len(), 3);
}

#[test]
fn what_a_file_says_does_not_steer_the_terminal() {
    let item = json!({"resourceType": "AWS::EC2::Instance", "resourceId": "i-\u{1b}[2J", "configurationItemStatus": "OK"});
    let assert = imdsv2(&[]).stdin(item.to_string()).assert().code(1);
    assert!(!stdout(&assert).contains('\u{1b}'));
}

#[test]
fn parameters_decide_and_go_before_the_events_own() {
    let hops = r#"{"maxHopLimit":"1"}"#;
    let item = fixture("instance-required-item.json"); // its hop limit is 2
    assert_eq!(verdicts(&item, &["--parameters", hops])["summary"]["nonCompliant"], 1);
    assert_eq!(verdicts(&item, &["--parameters", r#"{"maxHopLimit":"2"}"#])["summary"]["compliant"], 1);

    let event =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/exempt-event.json")).unwrap();
    assert_eq!(verdicts(&event, &[])["summary"]["notApplicable"], 1);
    assert_eq!(verdicts(&event, &["--parameters", hops])["summary"]["nonCompliant"], 1);

    let assert = imdsv2(&["--parameters", r#"{"maxHopLimit":"65"}"#, "examples"]).assert().code(2);
    assert!(stderr(&assert).contains("rule parameter \"maxHopLimit\" is \"65\""), "{}", stderr(&assert));
    assert_eq!(stdout(&assert), "");
}

#[test]
fn an_unreadable_record_is_reported_and_the_others_are_evaluated() {
    let item: Value = serde_json::from_str(&fixture("instance-required-item.json")).unwrap();
    let path = scratch(
        "broken.json",
        format!("{{\"configurationItems\":[{item},{{\"no\" 1}},{{}},{item}]}}").as_bytes(),
    );
    let assert = imdsv2(&["--format", "json"]).arg(&path).assert().code(2);
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
fn what_is_no_record_is_an_error() {
    for (input, message) in [
        ("", "standard input: record 1 (at byte 0): there is nothing in it"),
        ("hello", "record 1 (at byte 0): expected a JSON object or array"),
        ("{\"hello\": \"world\"}", "not recognised; expected an AWS Config event"),
        ("{\"configurationItems\": [", "the input ends inside a list"),
    ] {
        let assert = imdsv2(&["-"]).stdin(input).assert().code(2);
        assert!(stderr(&assert).contains(message), "{input:?}: {}", stderr(&assert));
    }
    let missing = imdsv2(&["no/such/file.json"]).assert().code(2);
    assert!(stderr(&missing).contains("cannot read no/such/file.json: No such file"), "{}", stderr(&missing));
    let without = imdsv2(&["src/bin"]).assert().code(2);
    assert!(
        stderr(&without).contains("there is no file in src/bin that ends in .json"),
        "{}",
        stderr(&without)
    );
}

#[test]
fn an_oversized_notification_says_where_the_item_is() {
    let assert = imdsv2(&["tests/fixtures/oversized-event.json"]).assert().code(2);
    assert!(
        stderr(&assert).contains(
            "get-resource-config-history --resource-type AWS::EC2::Instance --resource-id i-0b16b16b16b16b16b"
        ),
        "{}",
        stderr(&assert)
    );
}

#[test]
fn exit_status_tells_findings_from_errors() {
    let optional = "tests/fixtures/instance-optional-event.json";
    imdsv2(&["tests/fixtures/instance-required-item.json"]).assert().code(0);
    imdsv2(&[optional]).assert().code(1);
    imdsv2(&["--exit-zero", optional]).assert().code(0);
    imdsv2(&["--exit-zero", optional, "tests/fixtures/oversized-event.json"]).assert().code(2);
}

#[test]
fn compressed_files_and_standard_input_are_read() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(fixture("instance-optional-event.json").as_bytes()).unwrap();
    let compressed = gzip.finish().unwrap();
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compressed");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("Config.json.gz"), &compressed).unwrap();
    std::fs::write(directory.join("ignored.txt"), "no JSON").unwrap();
    imdsv2(&[]).arg(&directory).assert().code(1);
    imdsv2(&["-"]).stdin(compressed.clone()).assert().code(1);

    let truncated = &compressed[..compressed.len() / 2];
    let assert = imdsv2(&["-"]).stdin(truncated).assert().code(2);
    assert!(
        stderr(&assert).starts_with("error: standard input: record 1 (at byte 0): "),
        "{}",
        stderr(&assert)
    );
}

#[test]
fn output_goes_to_a_file_where_asked() {
    let path = scratch("findings.csv", b"");
    let assert = imdsv2(&["--format", "csv", "--output"]).arg(&path).arg("examples").assert().code(1);
    assert_eq!(stdout(&assert), "");
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 17);
    let refused = imdsv2(&["--output", "/no/such/directory/file", "examples"]).assert().code(2);
    assert!(stderr(&refused).contains("cannot write /no/such/directory/file"), "{}", stderr(&refused));
}

#[test]
fn findings_need_an_account_and_a_region() {
    let item = r#"{"resourceType":"AWS::EC2::Instance","resourceId":"i-1","configurationItemStatus":"OK"}"#;
    let assert = imdsv2(&["--format", "asff"]).stdin(item).assert().code(2);
    assert!(
        stderr(&assert).contains("a finding needs the account and the Region of i-1"),
        "{}",
        stderr(&assert)
    );
}

#[test]
fn completions_and_manual_pages_are_printed() {
    let run = |arguments: &[&str]| Command::new(cargo_bin!("imdsv2")).args(arguments).assert();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(stdout(&run(&["completions", shell]).code(0)).contains("usage-days"), "{shell}");
    }
    assert!(stdout(&run(&["man"]).code(0)).starts_with(".ie"));
    assert!(stdout(&run(&["man", "scan"]).code(0)).contains("accounts\\-file"));
    assert!(stderr(&run(&["man", "fly"]).code(2)).contains("there is no command fly"));
}

#[test]
fn help_shows_examples() {
    let assert = imdsv2(&["--help"]).assert().code(0);
    assert!(stdout(&assert).contains("imdsv2 evaluate snapshot.json.gz"), "{}", stdout(&assert));
}
