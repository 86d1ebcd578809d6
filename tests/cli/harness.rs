//! Runs the built `imdsv2`.

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;
use snapbox::cmd::{Command, OutputAssert, cargo_bin};

/// The command line, in the root of the repository, with output 100 columns wide and without colours.
pub(crate) fn imdsv2(arguments: &[&str]) -> Command {
    Command::new(cargo_bin!("imdsv2"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("COLUMNS", "100")
        .env_remove("NO_COLOR")
        .args(arguments)
}

/// `imdsv2 evaluate`.
pub(crate) fn evaluate(arguments: &[&str]) -> Command {
    imdsv2(&["evaluate"]).args(arguments)
}

pub(crate) fn stdout(assert: &OutputAssert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

pub(crate) fn stderr(assert: &OutputAssert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

/// The JSON output for `input`.
pub(crate) fn verdicts(input: &str, arguments: &[&str]) -> Value {
    let assert = evaluate(&["--format", "json", "--exit-zero"]).args(arguments).stdin(input).assert().code(0);
    serde_json::from_str(&stdout(&assert)).unwrap()
}

pub(crate) fn fixture(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Writes a file that only one test uses.
pub(crate) fn scratch(name: &str, content: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Compresses as CloudTrail and AWS Config do.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// Writes a folder that only one test uses.
pub(crate) fn directory(name: &str, files: &[(&str, Vec<u8>)]) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    for (name, content) in files {
        std::fs::write(directory.join(name), content).unwrap();
    }
    directory
}
