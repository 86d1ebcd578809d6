//! Why a journal cannot be used.

use std::io;
use std::path::{Path, PathBuf};

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// A journal is never overwritten: it may be the only way to undo a change.
    #[error("the journal {} exists, and is never overwritten: pass another --journal", path.display())]
    Exists {
        /// The journal.
        path: PathBuf,
    },
    /// Another process writes to the journal.
    #[error("journal {} is in use by {holder}: try again when it has finished", path.display())]
    InUse {
        /// The journal.
        path: PathBuf,
        /// The process, such as `imdsv2 remediate (process 1234)`.
        holder: String,
    },
    /// The file is empty, or no line of it is a line of a journal.
    #[error("{} is not a journal of imdsv2 remediate", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be used at all.
    #[error("cannot {action} journal {}: {cause}", path.display())]
    Unusable {
        /// What failed.
        action: &'static str,
        /// The journal.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The file system has no locks, or none are left.
    #[error("cannot lock journal {}: {cause}; put it on a file system that supports file locks", path.display())]
    Lock {
        /// The journal.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A line was not written. The journal is as it was before.
    #[error("cannot write to journal {}: {cause}; the line was not added", path.display())]
    Write {
        /// The journal.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A line was written in part, and could not be removed again.
    #[error(
        "journal {} takes no more lines, because an incomplete line could not be removed from it: {cause}; \
         check the disk, then run the command again",
        path.display()
    )]
    Poisoned {
        /// The journal.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

impl JournalError {
    /// Returns a function that describes an I/O error: `action` is what failed.
    pub(super) fn unusable(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Unusable { action, path: path.to_owned(), cause }
    }
}
