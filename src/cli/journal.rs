//! The journal of changes: JSON lines, each on disk before the change that it tells of is made.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A line: what happens to an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    /// When, in RFC 3339.
    #[serde(default)]
    pub(crate) time: String,
    /// The account of the instance.
    pub(crate) account_id: String,
    /// Its Region.
    pub(crate) region: String,
    /// Its id.
    pub(crate) instance_id: String,
    /// What happens.
    #[serde(flatten)]
    pub(crate) step: Step,
}

/// What happens to an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Step {
    /// It is about to be changed; this is how it was.
    Changing {
        /// `HttpTokens` before.
        http_tokens: String,
        /// `HttpPutResponseHopLimit` before, where it is changed too.
        http_put_response_hop_limit: Option<i32>,
        /// `HttpEndpoint` before, which is not changed.
        http_endpoint: String,
    },
    /// It was changed, and verified.
    Changed,
    /// Something went wrong, before or after the change was made.
    Failed {
        /// What.
        error: String,
    },
    /// It is as it was before again.
    Restored,
}

/// A journal that is written.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Begins a journal. One that exists is never written over: it may be the only way back.
    ///
    /// # Errors
    /// Where there is such a file, or it cannot be created.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let file = file.with_context(|| format!("cannot begin the journal {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file) })
    }

    /// Goes on with a journal.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub(crate) fn append(path: &Path) -> anyhow::Result<Self> {
        let open = || -> io::Result<File> {
            // A process that was killed may have left a part of a line.
            let text = std::fs::read(path)?;
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let file = OpenOptions::new().append(true).open(path)?;
            file.set_len(u64::try_from(whole).map_err(io::Error::other)?)?;
            Ok(file)
        };
        let file = open().with_context(|| format!("cannot go on with the journal {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line, and waits until it is on disk.
    ///
    /// # Errors
    /// Where it cannot be written: the change must not be made then.
    pub(crate) fn write(&self, mut entry: Entry) -> io::Result<()> {
        entry.time = OffsetDateTime::now_utc().format(&Rfc3339).map_err(io::Error::other)?;
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line)?;
        file.sync_data()
    }
}

/// Reads a journal.
///
/// # Errors
/// Where it cannot be read, or a line is none of a journal. A last line that was cut off is passed over: it
/// was not on disk as a whole, so that its change was not made.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Entry>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut entries = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate().filter(|(_, line)| line.ends_with('\n')) {
        let entry = serde_json::from_str(line)
            .with_context(|| format!("{}, line {}: not of a journal", path.display(), number + 1))?;
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(step: Step) -> Entry {
        let (account_id, region) = ("123456789012".to_owned(), "us-east-1".to_owned());
        Entry { time: String::new(), account_id, region, instance_id: "i-1".to_owned(), step }
    }

    fn changing() -> Entry {
        entry(Step::Changing {
            http_tokens: "optional".to_owned(),
            http_put_response_hop_limit: Some(1),
            http_endpoint: "enabled".to_owned(),
        })
    }

    fn steps(path: &Path) -> Vec<Step> {
        read(path).expect("a journal").into_iter().map(|entry| entry.step).collect()
    }

    #[test]
    fn a_journal_is_read_as_it_was_written_and_never_written_over() {
        let directory = std::env::temp_dir().join(format!("imdsv2-journal-{}", std::process::id()));
        let _ = std::fs::remove_file(&directory);
        let journal = Journal::create(&directory).expect("created");
        journal.write(changing()).expect("written");
        journal.write(entry(Step::Failed { error: "so".to_owned() })).expect("written");
        assert!(Journal::create(&directory).is_err(), "it exists");

        // As a process leaves it that is killed while it writes.
        let mut text = std::fs::read(&directory).expect("read");
        text.extend_from_slice(b"{\"time\":\"2026-");
        std::fs::write(&directory, text).expect("written");
        let expected = [changing().step, Step::Failed { error: "so".to_owned() }];
        assert_eq!(steps(&directory), expected);
        Journal::append(&directory).expect("opened").write(entry(Step::Restored)).expect("written");
        assert_eq!(steps(&directory), [&expected[..], &[Step::Restored]].concat());

        std::fs::write(&directory, "{}\n").expect("written");
        let error = format!("{:#}", read(&directory).expect_err("no journal"));
        assert!(error.contains("line 1: not of a journal: missing field"), "{error}");
        std::fs::remove_file(&directory).expect("removed");
    }
}
