//! The four floors: `bin -> lambda | cli -> sources -> rule | aws`. Imports run down only, and `rule/` uses
//! no SDK, no I/O and no clock.

// Tests may panic.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms below `src/`, and the rooms that each may import from.
const MAY_IMPORT: [(&str, &[&str]); 6] = [
    ("rule", &["rule"]),
    ("aws", &["aws"]),
    ("sources", &["sources", "rule", "aws"]),
    ("lambda", &["lambda", "sources", "rule", "aws"]),
    ("cli", &["cli", "sources", "rule", "aws"]),
    ("bin", &["lambda", "cli", "sources", "rule", "aws"]),
];

/// What `rule/` must not contain: crates that do I/O, and the parts of the standard library that do, or that
/// read a clock or the environment.
const IMPURE: [&str; 16] = [
    "aws_",
    "lambda_runtime",
    "tokio",
    "tracing",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::time",
    "now_utc",
    "now_local",
    "println!",
    "eprintln!",
    "unsafe",
];

/// Returns every Rust file below `directory`.
fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Returns the code of a file, without comments.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the rooms that `code` imports from: what follows `crate::` or the name of the library, and each of
/// a group such as `crate::{rule::policy, sources}`.
fn imports(code: &str) -> Vec<String> {
    let name = |text: &str| {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        text[..end].to_owned()
    };
    let mut rooms = Vec::new();
    for root in ["crate::", "imdsv2_config_rule::"] {
        for (at, _) in code.match_indices(root) {
            let rest = &code[at + root.len()..];
            match rest.strip_prefix('{') {
                Some(group) => rooms.extend(group_members(group).map(|member| name(member.trim_start()))),
                None => rooms.push(name(rest)),
            }
        }
    }
    rooms
}

/// Returns the members of a group of imports, from after its opening brace.
fn group_members(group: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    members.into_iter()
}

/// Returns what a file of `room` must not contain, if it contains anything of that kind.
fn violations(room: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let (_, allowed) = MAY_IMPORT.iter().find(|(name, _)| *name == room).expect("a known room");
    let rooms = MAY_IMPORT.map(|(name, _)| name);
    let mut found: Vec<_> = imports(&code)
        .into_iter()
        .filter(|import| rooms.contains(&import.as_str()) && !allowed.contains(&import.as_str()))
        .map(|import| format!("{room} imports {import}"))
        .collect();
    if room == "rule" {
        let impure = IMPURE.iter().filter(|word| code.contains(*word));
        found.extend(impure.map(|word| format!("rule uses {word}")));
    }
    found
}

#[test]
fn imports_run_down_only_and_the_rule_is_pure() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut rooms: Vec<_> = fs::read_dir(&src).unwrap().map(|entry| entry.unwrap().path()).collect();
    rooms.retain(|path| path.is_dir());
    for directory in rooms {
        let room = directory.file_name().unwrap().to_str().unwrap();
        for file in rust_files(&directory) {
            let text = fs::read_to_string(&file).unwrap();
            let name = file.strip_prefix(&src).unwrap().display();
            found.extend(violations(room, &text).into_iter().map(|what| format!("{name}: {what}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn an_import_that_runs_up_is_found() {
    for (room, text, expected) in [
        ("lambda", "use crate::cli::output;", "lambda imports cli"),
        ("cli", "let x = crate::lambda::handler::handle();", "cli imports lambda"),
        ("sources", "use crate::{rule::policy::Policy, cli::exit};", "sources imports cli"),
        ("aws", "use crate::rule::policy;", "aws imports rule"),
        ("rule", "use crate::sources::SourceError;", "rule imports sources"),
        ("rule", "use aws_sdk_ec2::Client;", "rule uses aws_"),
        ("rule", "let now = time::OffsetDateTime::now_utc();", "rule uses now_utc"),
    ] {
        assert_eq!(violations(room, text), [expected], "{text}");
    }
    assert!(violations("rule", "// crate::cli, aws_sdk_ec2").is_empty(), "comments may name other rooms");
    assert!(violations("cli", "use crate::sources::{aws_cli, config};").is_empty());
}
