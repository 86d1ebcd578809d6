//! A directory of batches of findings, one in each file, with the script that imports them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::destination;
use crate::cli::terminal::messages;
use crate::rule::resource::Location;

const IMPORT: (&str, &str) = ("import.sh", include_str!("import.sh"));

/// A directory into which batches are written.
pub(super) struct BatchDirectory {
    path: PathBuf,
    /// The number of batches of each account and Region.
    counts: BTreeMap<Location, usize>,
    quiet: bool,
}

impl BatchDirectory {
    /// Returns whether `target` names a directory: one that exists, or any name that ends with a slash.
    pub(super) fn is_named_by(target: &Path) -> bool {
        target.is_dir() || target.as_os_str().as_encoded_bytes().ends_with(b"/")
    }

    /// Creates the directory. It may exist, but must not contain anything: batches of an earlier scan would be
    /// imported again.
    ///
    /// # Errors
    /// Returns an error if the directory cannot be created, or is not empty.
    pub(super) fn create(path: &Path, quiet: bool) -> anyhow::Result<Self> {
        let context = || format!("cannot write to the directory {}", path.display());
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error).with_context(context)?,
            _ => {}
        }
        if fs::read_dir(path).with_context(context)?.next().is_some() {
            bail!("the directory {} is not empty: pass a new or an empty one as --output", path.display());
        }
        Ok(Self { path: path.to_owned(), counts: BTreeMap::new(), quiet })
    }

    /// Writes a batch of an account and Region.
    pub(super) fn write(&mut self, location: &Location, batch: &[u8]) -> io::Result<()> {
        let count = self.counts.entry(location.clone()).or_default();
        *count += 1;
        let name = format!("{}_{}_{count:05}.json", location.account_id, location.region);
        self.write_file(&name, batch)
    }

    /// Adds the script that imports the batches, which is therefore missing if not all batches are written, and
    /// prints how to run it, unless the output is quiet.
    pub(super) fn finish(&self) -> io::Result<()> {
        let (name, text) = IMPORT;
        self.write_file(name, text.as_bytes())?;
        if self.quiet {
            return Ok(());
        }
        let accounts: BTreeSet<_> = self.counts.keys().map(|location| &location.account_id).collect();
        for account in accounts {
            let script = self.path.join(name);
            messages::note(&format!("With credentials of account {account}: sh {}", script.display()));
        }
        Ok(())
    }

    fn write_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        destination::write(Some(&self.path.join(name)), bytes).map_err(io::Error::other)
    }
}
