//! Journals in files: written, damaged, and read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::entry::{Opened, encode_opened, encode_step};
use super::error::JournalError;
use super::reader::Contents;
use super::reader::scan;
use super::*;
use crate::cli::clock::Clock;
use crate::rule::instance::InstanceKey;
use crate::rule::resource::Location;

/// A directory that is removed at the end of the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("imdsv2-journal-{}-{number}", std::process::id()));
        fs::create_dir(&path).expect("created");
        Self(path)
    }

    fn journal(&self) -> PathBuf {
        self.0.join("monday.jsonl")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn key(id: &str) -> InstanceKey {
    let location = Location { account_id: "123456789012".to_owned(), region: "us-east-1".to_owned() };
    InstanceKey { location, instance_id: id.to_owned() }
}

/// The intention to change an instance that has the hop limit `hop_limit`.
pub(super) fn intended(hop_limit: Option<i32>) -> Step {
    Step::Intended {
        http_tokens: "optional".to_owned(),
        http_endpoint: "enabled".to_owned(),
        http_put_response_hop_limit: hop_limit,
        raise_hop_limit_to: hop_limit.map(|limit| limit + 1),
        by_automation: false,
    }
}

/// The intention to have an automation change an instance.
pub(super) fn automated() -> Step {
    let mut step = intended(None);
    if let Step::Intended { by_automation, .. } = &mut step {
        *by_automation = true;
    }
    step
}

/// Strings, among them those that look like parts of a line.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter),
        Just("\n{\"sequence\":1,\"checksum\":\"00000000\"}\n".to_owned()),
        Just("\\{\"sequence\":".to_owned()),
        Just("no; see https://example.com/ä".to_owned()),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let limit = || proptest::option::of(any::<i32>());
    prop_oneof![
        (any_text(), any_text(), limit(), limit(), any::<bool>()).prop_map(
            |(tokens, endpoint, before, raised, by_automation)| {
                Step::Intended {
                    by_automation,
                    http_tokens: tokens,
                    http_endpoint: endpoint,
                    http_put_response_hop_limit: before,
                    raise_hop_limit_to: raised,
                }
            }
        ),
        Just(Step::Changed),
        any_text().prop_map(|error| Step::Refused { error }),
        Just(Step::NotStarted),
        Just(Step::Restored),
    ]
}

fn any_entries() -> impl Strategy<Value = Vec<(InstanceKey, Step)>> {
    let any_key = (any_text(), any_text(), any_text()).prop_map(|(account_id, region, instance_id)| {
        InstanceKey { location: Location { account_id, region }, instance_id }
    });
    proptest::collection::vec((any_key, any_step()), 1..6)
}

/// Returns the lines of a journal: its opening, then the entries.
fn lines(entries: &[(InstanceKey, Step)]) -> Vec<Vec<u8>> {
    let time = || "2026-11-23T18:00:00Z".to_owned();
    let opened = Opened { command: "remediate".to_owned(), process_id: 1234, host: None };
    let first = encode_opened(1, time(), opened).expect("serialized");
    let others = entries
        .iter()
        .zip(2..)
        .map(|((key, step), sequence)| encode_step(sequence, time(), key, step.clone()).expect("serialized"));
    std::iter::once(first).chain(others).collect()
}

/// Three entries, as a readable example.
fn example() -> Vec<(InstanceKey, Step)> {
    vec![
        (key("i-1"), intended(Some(1))),
        (key("i-2"), intended(None)),
        (key("i-1"), Step::Refused { error: "denied".to_owned() }),
    ]
}

/// Checks what is read after a cut: every line before it, and a report of the line that it is in.
fn check_cut(entries: &[(InstanceKey, Step)], cut: usize) {
    let lines = lines(entries);
    let (mut whole, mut end) = (0, 0);
    // A line that only lacks its line feed is whole.
    while whole < lines.len() && cut >= end + lines[whole].len() - 1 {
        end += lines[whole].len();
        whole += 1;
    }
    let scan = scan(&lines.concat()[..cut]);
    let Some(scan) = scan else {
        assert_eq!(whole, 0, "lines were lost at {cut}");
        return;
    };
    assert_eq!(scan.entries, entries[..whole - 1], "{cut}");
    let problems: Vec<_> = scan.problems.iter().map(String::as_str).collect();
    let incomplete =
        format!("line {} is incomplete: the process that wrote it was probably killed", whole + 1);
    assert_eq!(problems, Vec::from_iter((cut > end).then_some(incomplete.as_str())), "{cut}");
}

/// Checks what is read after a byte was changed: every line but its own, which is reported if it is lost.
fn check_flip(entries: &[(InstanceKey, Step)], at: usize, bits: u8) {
    let lines = lines(entries);
    let mut bytes = lines.concat();
    bytes[at] ^= bits;
    let (mut damaged, mut end) = (0, lines[0].len());
    while at >= end {
        damaged += 1;
        end += lines[damaged].len();
    }
    let scan = scan(&bytes).expect("another line");
    let mut others = entries.to_vec();
    if damaged > 0 {
        others.remove(damaged - 1);
    }
    assert!(!scan.problems.is_empty(), "byte {at} of {}", String::from_utf8_lossy(&bytes));
    let number = format!("line {} ", damaged + 1);
    assert!(scan.problems[0].starts_with(&number), "{:?}, byte {at}", scan.problems);
    assert_eq!(scan.entries, others, "byte {at} of {}", String::from_utf8_lossy(&bytes));
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(entries in any_entries()) {
        let scan = scan(&lines(&entries).concat()).expect("a journal");
        prop_assert_eq!(&scan.entries, &entries);
        prop_assert_eq!(scan.next(), entries.len() as u64 + 2);
        prop_assert!(scan.problems.is_empty(), "{:?}", scan.problems);
    }

    #[test]
    fn a_cut_loses_at_most_the_last_line(entries in any_entries(), cut in any::<prop::sample::Index>()) {
        check_cut(&entries, cut.index(lines(&entries).concat().len() + 1));
    }

    #[test]
    fn a_damaged_byte_loses_at_most_its_line(
        entries in any_entries(),
        at in any::<prop::sample::Index>(),
        bits in 1..=u8::MAX,
    ) {
        check_flip(&entries, at.index(lines(&entries).concat().len()), bits);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(scan(&bytes).is_none());
    }
}

#[test]
fn every_cut_and_every_damaged_byte_of_an_example_is_survived() {
    let entries = example();
    let length = lines(&entries).concat().len();
    for at in 0..length {
        check_cut(&entries, at);
        for bits in [0x01, 0x20, 0x2a, 0x80, 0xff] {
            check_flip(&entries, at, bits);
        }
    }
}

#[test]
fn damage_is_reported_with_its_line() {
    let [opened, first, second, third] = <[_; 4]>::try_from(lines(&example())).expect("four lines");
    let checksum = "its checksum is wrong: it was damaged or edited";
    let entry = "it is not an entry of a journal";
    let unknown = {
        let text = String::from_utf8(second.clone()).expect("text").replace("intended", "imagined");
        let object = text.split(",\"checksum\"").next().expect("an object").to_owned() + "}";
        let checksum = format!("{:08x}", crc32fast::hash(object.as_bytes()));
        format!("{},\"checksum\":\"{checksum}\"}}\n", object.trim_end_matches('}')).into_bytes()
    };
    let edited =
        String::from_utf8(second.clone()).expect("text").replace("optional", "required").into_bytes();
    let moved = "line 3: lines before it are missing: its sequence number is 4, expected 3";
    let again = "line 5: lines before it are repeated or moved: its sequence number is 2, expected 5";
    let cases: [(&[&[u8]], &[&str]); 8] = [
        (&[&opened, &first, &second, &third], &[]),
        (&[&opened, &first, &edited, &third], &[&format!("line 3 cannot be read: {checksum}")]),
        (&[&opened, b"\xff\xfe\n", &second, &third], &[&format!("line 2 cannot be read: {entry}: ")]),
        (&[&opened, &first, b"\n", &third], &[&format!("line 3 cannot be read: {entry}: EOF")]),
        (
            &[&opened, &first, &unknown, &third],
            &[&format!("line 3 cannot be read: {entry}: unknown variant")],
        ),
        (
            &[&opened, &first, b"{\"sequence\":3,\"step\":\"changed\"}\n", &third],
            &["line 3 cannot be read: it does not"],
        ),
        (&[&opened, &first, &third], &[moved]),
        (&[&opened, &first, &second, &third, &first], &[again]),
    ];
    for (lines, expected) in cases {
        let problems = scan(&lines.concat()).expect("a journal").problems;
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.starts_with(expected), "{problem}, expected {expected}");
        }
    }
}

#[test]
fn a_journal_is_never_overwritten_and_is_continued_by_append() {
    let directory = Directory::new();
    let path = directory.journal();
    let journal = Journal::create(&path, "remediate", &Clock::System).expect("created");
    for (key, step) in example() {
        journal.write(&key, step).expect("written");
    }
    assert_eq!(journal.path(), path);
    drop(journal);
    let error = Journal::create(&path, "remediate", &Clock::System).expect_err("it exists").to_string();
    let expected = "exists, and is never overwritten: pass another --journal";
    assert_eq!(error, format!("the journal {} {expected}", path.display()));

    let journal = Journal::append(&path, "restore", &Clock::System).expect("opened");
    journal.write(&key("i-1"), Step::Restored).expect("written");
    let Contents { entries, problems, .. } = read(&path).expect("a journal");
    assert_eq!(entries, [example(), vec![(key("i-1"), Step::Restored)]].concat());
    assert!(problems.is_empty(), "{problems:?}");
    let text = fs::read_to_string(&path).expect("text");
    for (line, number) in text.lines().zip(1..) {
        assert!(line.starts_with(&format!("{{\"sequence\":{number},\"time\":\"")), "{line}");
    }
    let process = format!("\"step\":\"opened\",\"command\":\"restore\",\"processId\":{}", std::process::id());
    assert!(text.contains(&process), "{text}");
}

#[test]
fn append_repairs_the_end_and_only_the_end() {
    let directory = Directory::new();
    let path = directory.journal();
    let lines = lines(&example());
    let bytes = lines.concat();
    let last = bytes.len() - lines[3].len();
    for cut in (last..=bytes.len()).step_by(7).chain([last + 1, bytes.len() - 1]) {
        fs::write(&path, &bytes[..cut]).expect("written");
        Journal::append(&path, "restore", &Clock::System)
            .expect("opened")
            .write(&key("i-9"), Step::Restored)
            .expect("written");
        let Contents { entries, problems, .. } = read(&path).expect("a journal");
        let kept = if cut >= bytes.len() - 1 { 3 } else { 2 };
        assert_eq!(entries, [&example()[..kept], &[(key("i-9"), Step::Restored)]].concat(), "{cut}");
        assert!(problems.is_empty(), "{cut}: {problems:?}");
        assert!(fs::read(&path).expect("read").starts_with(&bytes[..last]), "{cut}");
    }
}

#[test]
fn other_files_are_refused_and_left_as_they_are() {
    let directory = Directory::new();
    let path = directory.journal();
    let incomplete = &lines(&[])[0][..40];
    for text in
        [&b""[..], b"\n", b"precious", b"{}\n", b"\xff\n", b"[1]\n{\"step\":\"changed\"}\n", incomplete]
    {
        fs::write(&path, text).expect("written");
        for error in [read(&path).map(|_| ()), Journal::append(&path, "restore", &Clock::System).map(|_| ())]
        {
            let error = error.expect_err("not a journal").to_string();
            assert_eq!(error, format!("{} is not a journal of imdsv2 remediate", path.display()));
        }
        assert_eq!(fs::read(&path).expect("read"), text);
    }
    let missing = directory.0.join("missing.jsonl");
    let error = read(&missing).expect_err("missing").to_string();
    assert!(error.starts_with(&format!("cannot read journal {}: ", missing.display())), "{error}");
    assert!(matches!(
        Journal::append(&missing, "restore", &Clock::System),
        Err(JournalError::Unusable { .. })
    ));
    assert!(!missing.exists());
}

#[test]
fn a_second_writer_is_told_who_writes() {
    let directory = Directory::new();
    let path = directory.journal();
    let journal = Journal::create(&path, "remediate", &Clock::System).expect("created");
    let error = Journal::append(&path, "restore", &Clock::System).expect_err("in use").to_string();
    let (path_text, process) = (path.display(), std::process::id());
    let expected = format!(
        "journal {path_text} is in use by imdsv2 remediate (process {process}): try again when it has finished"
    );
    assert_eq!(error, expected);
    for refused in
        [Journal::create(&path, "remediate", &Clock::System).map(|_| ()), Journal::check_absent(&path)]
    {
        assert_eq!(refused.expect_err("in use").to_string(), expected);
    }
    drop(journal);
    assert!(matches!(Journal::create(&path, "remediate", &Clock::System), Err(JournalError::Exists { .. })));
    assert!(matches!(Journal::check_absent(&path), Err(JournalError::Exists { .. })));
    assert!(Journal::check_absent(&path.with_extension("new")).is_ok());

    let _journal = Journal::append(&path, "restore", &Clock::System).expect("it is free again");
    let error = Journal::append(&path, "restore", &Clock::System).expect_err("in use").to_string();
    assert!(error.contains("in use by imdsv2 restore (process"), "{error}");
}

#[test]
fn lines_of_many_threads_are_whole_and_in_order() {
    let directory = Directory::new();
    let journal =
        Arc::new(Journal::create(&directory.journal(), "remediate", &Clock::System).expect("created"));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let journal = Arc::clone(&journal);
            scope.spawn(move || {
                for number in 0..10 {
                    journal.write(&key(&format!("i-{thread}-{number}")), intended(None)).expect("written");
                }
            });
        }
    });
    let Contents { entries, problems, .. } = read(journal.path()).expect("a journal");
    assert_eq!((unrestored(entries).len(), problems), (40, Vec::new()));
}

#[cfg(unix)]
#[test]
fn a_journal_that_was_deleted_takes_no_lines() {
    let directory = Directory::new();
    let journal = Journal::create(&directory.journal(), "remediate", &Clock::System).expect("created");
    fs::remove_file(directory.journal()).expect("removed");
    let error = journal.write(&key("i-1"), intended(None)).expect_err("deleted").to_string();
    assert!(error.ends_with("monday.jsonl: it was deleted; the line was not added"), "{error}");
}

#[test]
fn a_journal_of_version_0_1_is_read_and_continued() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-0.1.jsonl");
    let directory = Directory::new();
    let path = directory.journal();
    fs::copy(fixture, &path).expect("copied");
    let before = |http_tokens: &str, http_endpoint: &str, hop_limit| Before {
        http_tokens: http_tokens.to_owned(),
        http_endpoint: http_endpoint.to_owned(),
        hop_limit,
        raised_to: None,
    };
    let mut expected = vec![
        (key("i-changed"), Recorded::Changed(before("optional", "enabled", Some(1)))),
        (key("i-failed"), Recorded::Uncertain(before("", "disabled", None))),
        (key("i-killed"), Recorded::Uncertain(before("optional", "enabled", None))),
    ];
    for restored in [None, Some("i-failed")] {
        if let Some(id) = restored {
            Journal::append(&path, "restore", &Clock::System)
                .expect("opened")
                .write(&key(id), Step::Restored)
                .expect("written");
            expected.retain(|(key, _)| key.instance_id != id);
        }
        let Contents { entries, problems, .. } = read(&path).expect("a journal");
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(unrestored(entries).into_iter().collect::<Vec<_>>(), expected);
    }
}
