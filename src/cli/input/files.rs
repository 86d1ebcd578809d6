//! Files, directories and standard input, decompressed.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use flate2::read::MultiGzDecoder;
use walkdir::WalkDir;

use super::read_ahead::ReadAhead;
use super::split::Position;
use crate::cli::terminal::messages;

/// The extensions of the files in a directory that a command reads.
pub(crate) type Extensions = &'static [&'static str];
/// Records, in JSON.
pub(crate) const RECORDS: Extensions = &[".json", ".jsonl", ".ndjson"];
/// Records and templates.
pub(crate) const RECORDS_AND_TEMPLATES: Extensions =
    &[".json", ".jsonl", ".ndjson", ".template", ".yaml", ".yml"];
/// The first bytes of every gzip stream (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Where an input is decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decompression {
    /// On a thread of its own, while the input is evaluated.
    Ahead,
    /// On the thread that reads, because others keep the cores busy.
    Inline,
}

impl Decompression {
    /// Returns where inputs are decompressed if there are this many.
    pub(crate) fn of(inputs: &[Input]) -> Self {
        if inputs.len() == 1 { Self::Ahead } else { Self::Inline }
    }
}

/// A source of records.
#[derive(Debug)]
pub(crate) enum Input {
    /// A file that an argument names.
    File(PathBuf),
    /// A file in a directory that an argument names. It may be of another kind.
    InDirectory(PathBuf),
    /// Standard input.
    Stdin,
}

impl Input {
    /// Returns the path of the input.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::InDirectory(path) => path,
            Self::Stdin => Path::new("/dev/stdin"),
        }
    }

    /// Returns the name of the file; `None` is standard input.
    pub(crate) fn file_name(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::File(path) | Self::InDirectory(path) => Some(path.to_string_lossy()),
            Self::Stdin => None,
        }
    }

    /// Returns whether no argument names the input itself, but a directory that it is in.
    pub(crate) fn is_in_directory(&self) -> bool {
        matches!(self, Self::InDirectory(_))
    }

    /// Prints that a record, or the whole input, could not be read.
    pub(crate) fn report_unreadable(&self, position: Option<Position>, problem: &str) {
        match position {
            Some(Position { record, byte }) => {
                messages::error(&format!("{self}: record {record} (at byte {byte}): {problem}"));
            }
            None => messages::error(&format!("{self}: {problem}")),
        }
    }

    /// Opens the input for reading, decompressed.
    pub(crate) fn open(&self, decompression: Decompression) -> io::Result<Box<dyn Read>> {
        match self {
            Self::File(path) | Self::InDirectory(path) => decompressed(File::open(path)?, decompression),
            Self::Stdin => decompressed(io::stdin(), decompression),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::InDirectory(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

/// Returns the inputs that the arguments name. A directory stands for the files in it with these extensions, in order.
///
/// # Errors
/// Returns an error if a path does not exist or cannot be listed, or if a directory contains no such file.
pub(crate) fn expand(paths: &[PathBuf], extensions: Extensions) -> anyhow::Result<Vec<Input>> {
    if paths.is_empty() {
        ensure!(!io::stdin().is_terminal(), "no input: pass a file, a directory, or - for standard input");
        return Ok(vec![Input::Stdin]);
    }
    let mut inputs = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            inputs.push(Input::Stdin);
        } else if path.metadata().with_context(|| format!("cannot read {}", path.display()))?.is_dir() {
            inputs.extend(files_in(path, extensions)?);
        } else {
            inputs.push(Input::File(path.clone()));
        }
    }
    Ok(inputs)
}

fn files_in(directory: &Path, extensions: Extensions) -> anyhow::Result<Vec<Input>> {
    let mut files = Vec::new();
    for entry in WalkDir::new(directory).follow_links(true).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot list {}", directory.display()))?;
        if entry.file_type().is_file() && has_extension(entry.path(), extensions) {
            files.push(Input::InDirectory(entry.into_path()));
        }
    }
    if files.is_empty() {
        let extensions = extensions.join(", ");
        bail!(
            "{} contains no file that is read: expected {extensions} (each may end in .gz)",
            directory.display()
        );
    }
    Ok(files)
}

/// Returns whether the name of a file says that it is JSON.
pub(crate) fn is_json(path: &Path) -> bool {
    has_extension(path, RECORDS)
}

fn has_extension(path: &Path, extensions: Extensions) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    extensions.iter().any(|extension| name.ends_with(extension))
}

/// Detects compression by the first bytes: standard input has no file name.
fn decompressed(
    mut input: impl Read + Send + 'static,
    decompression: Decompression,
) -> io::Result<Box<dyn Read>> {
    let mut start = Vec::with_capacity(GZIP_MAGIC.len());
    input.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
    let is_compressed = start == GZIP_MAGIC;
    let whole = io::Cursor::new(start).chain(input);
    Ok(match (is_compressed, decompression) {
        (false, _) => Box::new(whole),
        (true, Decompression::Ahead) => Box::new(ReadAhead::new(MultiGzDecoder::new(whole))?),
        (true, Decompression::Inline) => Box::new(MultiGzDecoder::new(whole)),
    })
}
