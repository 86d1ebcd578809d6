//! A journal that is open for writing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use time::format_description::well_known::Rfc3339;

use super::entry::{self, Opened, Step};
use super::error::JournalError;
use super::log::{AppendError, Log, Storage};
use super::reader::{self, End, Scan};
use crate::cli::clock::Clock;
use crate::rule::instance::InstanceKey;

/// A journal that is open for writing. It is locked until it is dropped.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    log: Mutex<Log<File>>,
    clock: Clock,
}

impl Journal {
    /// Creates a journal. An existing one is never overwritten: it may be the only way to undo a change.
    /// `command` is the command that writes it, such as `remediate`.
    ///
    /// # Errors
    /// Returns an error if the file exists, or cannot be created, locked or written. It names the process that is
    /// writing to an existing one.
    pub(crate) fn create(path: &Path, command: &str, clock: &Clock) -> Result<Self, JournalError> {
        let file = options().create_new(true).open(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(path),
            _ => JournalError::unusable("create", path)(error),
        })?;
        lock(&file, path)?;
        let opened = Self { path: path.to_owned(), log: Mutex::new(Log::new(file, 1)), clock: clock.clone() }
            .opened(command);
        let created = opened.and_then(|journal| {
            sync_directory_of(path).map_err(JournalError::unusable("create", path))?;
            Ok(journal)
        });
        if created.is_err() {
            // It contains nothing, and would be in the way of the next attempt.
            let _ = std::fs::remove_file(path);
        }
        created
    }

    /// Checks that no file is in the way of a new journal.
    ///
    /// # Errors
    /// Returns an error if there is one. It names the process that is writing to it.
    pub(crate) fn check_absent(path: &Path) -> Result<(), JournalError> {
        if path.exists() { Err(exists(path)) } else { Ok(()) }
    }

    /// Opens an existing journal, to append to it. A line that a killed process wrote in part is removed.
    /// `command` is the command that appends, such as `restore`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, locked or written, or is not a journal.
    pub(crate) fn append(path: &Path, command: &str, clock: &Clock) -> Result<Self, JournalError> {
        let mut file = options().open(path).map_err(JournalError::unusable("open", path))?;
        lock(&file, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(JournalError::unusable("read", path))?;
        let Some(scan) = reader::scan(&bytes) else {
            return Err(JournalError::NotAJournal { path: path.to_owned() });
        };
        complete(&mut file, &scan).map_err(JournalError::unusable("repair the end of", path))?;
        let log = Mutex::new(Log::new(file, scan.next()));
        Self { path: path.to_owned(), log, clock: clock.clone() }.opened(command)
    }

    /// Writes the first line of this process.
    fn opened(self, command: &str) -> Result<Self, JournalError> {
        let opened =
            Opened { command: command.to_owned(), process_id: std::process::id(), host: host_name() };
        self.append_line(|sequence, time| entry::encode_opened(sequence, time, opened))?;
        Ok(self)
    }

    /// Returns the path of the journal.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a step, and waits until it is on disk.
    ///
    /// # Errors
    /// Returns an error if the step is not on disk. The change that it announces must not be requested then.
    pub(crate) fn write(&self, key: &InstanceKey, step: Step) -> Result<(), JournalError> {
        self.append_line(|sequence, time| entry::encode_step(sequence, time, key, step))
    }

    fn append_line(
        &self,
        encode: impl FnOnce(u64, String) -> serde_json::Result<Vec<u8>>,
    ) -> Result<(), JournalError> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let appended = log.append(|sequence| {
            let time = self.clock.now().format(&Rfc3339).map_err(io::Error::other)?;
            Ok(encode(sequence, time)?)
        });
        appended.map_err(|error| {
            let path = self.path.clone();
            match error {
                AppendError::RolledBack(cause) => JournalError::Write { path, cause },
                AppendError::Poisoned(cause) => JournalError::Poisoned { path, cause },
            }
        })
    }
}

/// Returns how a journal is opened. Windows does not truncate files that are opened for appending; there the
/// lock alone keeps others from writing.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).append(cfg!(not(windows)));
    options
}

/// Locks a journal, without waiting. The lock is released when the file is closed, also if the process is
/// killed.
fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(JournalError::InUse { path: path.to_owned(), holder: holder(path) })
        }
        Err(TryLockError::Error(cause)) => Err(JournalError::Lock { path: path.to_owned(), cause }),
    }
}

/// Returns why a journal cannot be created where a file exists: a process may be writing to it.
fn exists(path: &Path) -> JournalError {
    match File::open(path).map(|file| lock(&file, path)) {
        Ok(Err(in_use @ JournalError::InUse { .. })) => in_use,
        _ => JournalError::Exists { path: path.to_owned() },
    }
}

/// Describes the process that opened a journal last.
fn holder(path: &Path) -> String {
    let opened = std::fs::read(path).ok().and_then(|bytes| reader::scan(&bytes)?.opened);
    let Some(Opened { command, process_id, host }) = opened else { return "another process".to_owned() };
    match host.filter(|host| host_name().as_ref() != Some(host)) {
        None => format!("imdsv2 {command} (process {process_id})"),
        Some(host) => format!("imdsv2 {command} (process {process_id} on {host})"),
    }
}

/// Returns the name of this host, on Linux.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Has a journal end with a line feed.
fn complete(file: &mut File, scan: &Scan) -> io::Result<()> {
    match scan.end {
        End::LineFeed => return Ok(()),
        End::WholeLine => {
            file.append(b"\n")?;
        }
        End::PartOfLine(start) => file.truncate(u64::try_from(start).map_err(io::Error::other)?)?,
    }
    file.sync()
}

/// Waits until the directory entry of a new file is on disk.
#[cfg(unix)]
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match File::open(parent.unwrap_or(Path::new(".")))?.sync_all() {
        // Some file systems have nothing to sync.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        result => result,
    }
}

/// Windows writes directory entries itself.
#[cfg(not(unix))]
fn sync_directory_of(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn host_name_is_the_one_of_the_kernel() {
        let printed = std::process::Command::new("uname").arg("--nodename").output().unwrap().stdout;
        assert_eq!(host_name().unwrap(), String::from_utf8(printed).unwrap().trim());
    }

    #[cfg(unix)]
    #[test]
    fn directory_of_a_file_is_the_current_one_if_the_path_names_none() {
        assert!(sync_directory_of(Path::new("journal.jsonl")).is_ok());
        assert!(sync_directory_of(Path::new("missing/journal.jsonl")).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn directory_of_a_file_system_that_cannot_sync_is_no_error() {
        // fsync on procfs fails with EINVAL.
        assert!(sync_directory_of(Path::new("/proc/journal.jsonl")).is_ok());
    }
}
