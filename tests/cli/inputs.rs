//! The inputs of `imdsv2 evaluate`.

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{evaluate, fixture, stderr, stdout, verdicts};

#[test]
fn every_kind_of_input_is_recognized() {
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
fn compressed_files_and_standard_input_are_read() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(fixture("instance-optional-event.json").as_bytes()).unwrap();
    let compressed = gzip.finish().unwrap();
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compressed");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("Config.json.gz"), &compressed).unwrap();
    std::fs::write(directory.join("ignored.txt"), "not JSON").unwrap();
    evaluate(&[]).arg(&directory).assert().code(1);
    evaluate(&["-"]).stdin(compressed.clone()).assert().code(1);

    let truncated = &compressed[..compressed.len() / 2];
    let assert = evaluate(&["-"]).stdin(truncated).assert().code(2);
    assert!(
        stderr(&assert).starts_with("error: standard input: record 1 (at byte 0): "),
        "{}",
        stderr(&assert)
    );
}

/// Findings, errors and the answers of records to each other do not depend on how the input is divided into files.
#[test]
fn several_files_are_judged_in_their_order_as_one_would_be() {
    let template = |id: usize, tokens: &str| {
        json!({
            "LaunchTemplateId": format!("lt-{id}"), "LaunchTemplateName": "x", "VersionNumber": 1, "DefaultVersion": true,
            "LaunchTemplateData": {"MetadataOptions": {"HttpTokens": tokens}},
        })
    };
    let group = |id: usize| {
        json!({
            "AutoScalingGroupName": format!("group-{id}"), "AutoScalingGroupARN": format!("arn:{id}"),
            "LaunchTemplate": {"LaunchTemplateId": format!("lt-{id}"), "Version": "1"},
        })
    };
    let instance = |id: usize| json!({"InstanceId": format!("i-{id}"), "State": {"Name": "running"}});
    let tokens = |id: usize| if id.is_multiple_of(2) { "required" } else { "optional" };
    let files: Vec<String> = (0..30)
        .map(|file| {
            let instances = (0..file * 7).map(|id| instance(file * 1_000 + id).to_string());
            let records = [
                group(29 - file).to_string(),
                "{\"a\":1}".to_owned(),
                template(file, tokens(file)).to_string(),
            ];
            records.into_iter().chain(instances).collect::<Vec<_>>().join("\n")
        })
        .collect();
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("several-files");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    for (number, text) in files.iter().enumerate() {
        std::fs::write(directory.join(format!("{number:02}.json")), text).unwrap();
    }
    let divided = evaluate(&["--format", "json"]).arg(&directory).assert().code(2);
    let whole = evaluate(&["--format", "json"]).stdin(files.join("\n")).assert().code(2);
    assert_eq!(stdout(&divided), stdout(&whole));
    let unreadable: Vec<_> = stderr(&divided).lines().map(str::to_owned).collect();
    assert_eq!(unreadable.len(), 30);
    for (number, line) in unreadable.iter().enumerate() {
        assert!(line.contains(&format!("{number:02}.json: record 2 ")), "{line}");
    }
}
