//! The journal of changes: JSON lines, each on disk before the change that it announces is made.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::rule::resource::{InstanceKey, Location};

/// A line of the journal: a step of the change of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    /// When the line was written, in RFC 3339.
    #[serde(default)]
    time: String,
    account_id: String,
    region: String,
    instance_id: String,
    #[serde(flatten)]
    step: Step,
}

/// A step of the change of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Step {
    /// The instance is about to be changed. These are the options before.
    Changing {
        /// `HttpTokens` before; empty if it was not set.
        http_tokens: String,
        /// `HttpPutResponseHopLimit` before, if it is changed too.
        http_put_response_hop_limit: Option<i32>,
        /// `HttpEndpoint` before. It is not changed.
        http_endpoint: String,
    },
    /// The instance was changed, and the change was verified.
    Changed,
    /// The change failed, before or after it was made.
    Failed {
        /// Why.
        error: String,
    },
    /// The instance has the options from before the change again.
    Restored,
}

impl Entry {
    /// Returns the instance and the step.
    pub(crate) fn into_parts(self) -> (InstanceKey, Step) {
        let location = Location { account_id: self.account_id, region: self.region };
        (InstanceKey { location, instance_id: self.instance_id }, self.step)
    }
}

/// A journal that is open for writing.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Creates a journal. An existing one is never overwritten: it may be the only way to undo a change.
    ///
    /// # Errors
    /// Returns an error if the file exists or cannot be created.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let file = file.with_context(|| format!("cannot create the journal {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file) })
    }

    /// Opens an existing journal, to append to it.
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened.
    pub(crate) fn append(path: &Path) -> anyhow::Result<Self> {
        let open = || -> io::Result<File> {
            // A process that was killed may have left an incomplete line.
            let text = std::fs::read(path)?;
            let complete = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let file = OpenOptions::new().append(true).open(path)?;
            file.set_len(u64::try_from(complete).map_err(io::Error::other)?)?;
            Ok(file)
        };
        let file = open().with_context(|| format!("cannot open the journal {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file) })
    }

    /// Returns the path of the journal.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line, and waits until it is on disk.
    ///
    /// # Errors
    /// Returns an error if the line cannot be written. The change must not be made then.
    pub(crate) fn write(&self, key: &InstanceKey, step: Step) -> io::Result<()> {
        let InstanceKey { location: Location { account_id, region }, instance_id } = key.clone();
        let time = OffsetDateTime::now_utc().format(&Rfc3339).map_err(io::Error::other)?;
        let mut line = serde_json::to_vec(&Entry { time, account_id, region, instance_id, step })?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line)?;
        file.sync_data()
    }
}

/// Reads a journal. An incomplete last line is ignored: it was not completely on disk, so its change was not
/// made.
///
/// # Errors
/// Returns an error if the file cannot be read, or a line is not a journal entry.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Entry>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut entries = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate().filter(|(_, line)| line.ends_with('\n')) {
        let entry = serde_json::from_str(line)
            .with_context(|| format!("{}, line {}: not a journal entry", path.display(), number + 1))?;
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> InstanceKey {
        let location = Location { account_id: "123456789012".to_owned(), region: "us-east-1".to_owned() };
        InstanceKey { location, instance_id: "i-1".to_owned() }
    }

    fn changing() -> Step {
        Step::Changing {
            http_tokens: "optional".to_owned(),
            http_put_response_hop_limit: Some(1),
            http_endpoint: "enabled".to_owned(),
        }
    }

    fn steps(path: &Path) -> Vec<Step> {
        read(path).expect("a journal").into_iter().map(|entry| entry.into_parts().1).collect()
    }

    #[test]
    fn a_journal_is_read_as_it_was_written_and_never_overwritten() {
        let path = std::env::temp_dir().join(format!("imdsv2-journal-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let journal = Journal::create(&path).expect("created");
        let failed = Step::Failed { error: "denied".to_owned() };
        journal.write(&key(), changing()).expect("written");
        journal.write(&key(), failed.clone()).expect("written");
        assert!(Journal::create(&path).is_err(), "it exists");

        // A process that is killed while it writes leaves an incomplete line.
        let mut text = std::fs::read(&path).expect("read");
        text.extend_from_slice(b"{\"time\":\"2026-");
        std::fs::write(&path, text).expect("written");
        let expected = [changing(), failed];
        assert_eq!(steps(&path), expected);
        Journal::append(&path).expect("opened").write(&key(), Step::Restored).expect("written");
        assert_eq!(steps(&path), [&expected[..], &[Step::Restored]].concat());

        std::fs::write(&path, "{}\n").expect("written");
        let error = format!("{:#}", read(&path).expect_err("not a journal"));
        assert!(error.contains("line 1: not a journal entry: missing field"), "{error}");
        std::fs::remove_file(&path).expect("removed");
    }
}
