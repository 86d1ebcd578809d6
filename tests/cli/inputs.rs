//! The inputs of `imdsv2 evaluate`.

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{evaluate, fixture, stderr, verdicts};

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
