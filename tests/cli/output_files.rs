//! Output to a file: it is written as a whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cloud::Cloud;
use crate::harness::{evaluate, fixture, stderr, stdout};

/// An empty directory that only one test uses.
fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn output_is_written_to_a_file() {
    let directory = directory("output-written");
    let path = directory.join("findings.csv");
    let assert = evaluate(&["--format", "csv", "--output"]).arg(&path).arg("examples").assert().code(1);
    assert_eq!(stdout(&assert), "");
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 44);
    assert_eq!(names(&directory), ["findings.csv"]);
    let invalid = evaluate(&["--output", "/no/such/directory/file", "examples"]).assert().code(2);
    assert_eq!(
        stderr(&invalid),
        "error: cannot write /no/such/directory/file: cannot create a temporary file beside it: No such file \
         or directory (os error 2)\n"
    );
}

#[test]
fn an_error_leaves_the_old_file() {
    let directory = directory("output-kept");
    let path = directory.join("findings.asff");
    fs::write(&path, "old").unwrap();
    let item = r#"{"resourceType":"AWS::EC2::Instance","resourceId":"i-1","configurationItemStatus":"OK"}"#;
    evaluate(&["--format", "asff", "--output"]).arg(&path).stdin(item).assert().code(2);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(&directory), ["findings.asff"]);
}

#[test]
fn no_account_that_can_be_entered_leaves_the_old_file() {
    let directory = directory("output-no-account");
    let path = directory.join("findings.csv");
    fs::write(&path, "old").unwrap();
    let cloud = Cloud::new(|call| (call.operation == "GetCallerIdentity").then(crate::cloud::refusal));
    let assert = cloud.imdsv2(&["scan", "--format", "csv", "--output"]).arg(&path).assert().code(2);
    assert!(stderr(&assert).starts_with("error: the account of the credentials: GetCallerIdentity: "));
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(&directory), ["findings.csv"]);
}

#[test]
fn an_input_is_not_overwritten() {
    let directory = directory("output-input");
    let input = directory.join("in.json");
    let text = fixture("instance-optional-event.json");
    fs::write(&input, &text).unwrap();
    let (file, folder) = (input.to_str().unwrap(), directory.to_str().unwrap());
    for path in [file, folder] {
        let assert = evaluate(&[path, "--output", file]).assert().code(2);
        let message = format!(
            "error: cannot write the output to {file}: it is the same file as {file}: pass another --output\n"
        );
        assert_eq!(stderr(&assert), message);
    }
    let redirected = evaluate(&["-", "--quiet", "--output", file]).stdin(text.clone()).assert().code(1);
    assert_eq!(stderr(&redirected), "", "the text comes through a pipe");
    assert_ne!(fs::read_to_string(&input).unwrap(), text);
}

#[test]
fn the_accounts_file_is_not_overwritten() {
    let directory = directory("output-accounts");
    let roles = directory.join("roles.txt");
    fs::write(&roles, "arn:aws:iam::222222222222:role/r\n").unwrap();
    let cloud = Cloud::new(|_| None);
    let roles = roles.to_str().unwrap();
    let scan = cloud.imdsv2(&["scan", "--accounts-file", roles, "--output", roles]);
    assert!(stderr(&scan.assert().code(2)).contains("it is the same file as"));
    assert!(cloud.accounts().is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn standard_output_may_be_named_as_a_file() {
    let path = directory("output-stdout").join("log");
    fs::write(&path, "before\n").unwrap();
    let log = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let status = std::process::Command::new(snapbox::cmd::cargo_bin!("imdsv2"))
        .args(["evaluate", "--format", "csv", "--output", "/dev/stdout", "examples"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(log)
        .status();
    assert_eq!(status.unwrap().code(), Some(1));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("before\nresourceType,"), "{text}");
    evaluate(&["--output", "/dev/null", "examples"]).assert().code(1);
}

#[test]
fn a_message_says_what_was_written() {
    let target = directory("message").join("out.csv");
    let target = target.to_str().unwrap();
    let arguments = ["--exit-zero", "--format", "csv", "--output", target, "examples/"];
    let assert = evaluate(&arguments).assert().code(0);
    let expected = format!("{target}: 43 resources: 21 non-compliant, 15 compliant, 7 not applicable\n");
    assert_eq!((stdout(&assert), stderr(&assert)), (String::new(), expected));
    let quiet = evaluate(&arguments).args(["--quiet"]).assert().code(0);
    assert_eq!((stdout(&quiet), stderr(&quiet)), (String::new(), String::new()));
}
