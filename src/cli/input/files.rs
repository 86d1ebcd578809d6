//! Files, directories and standard input, decompressed.

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

/// The extensions of the files that are read in a directory.
const EXTENSIONS: [&str; 3] = [".json", ".jsonl", ".ndjson"];
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
    File(PathBuf),
    Stdin,
}

impl Input {
    /// Returns the path of the input.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Stdin => Path::new("/dev/stdin"),
        }
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
            Self::File(path) => decompressed(File::open(path)?, decompression),
            Self::Stdin => decompressed(io::stdin(), decompression),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

/// Returns the inputs that the arguments name. A directory stands for the JSON files in it, in order.
///
/// # Errors
/// Returns an error if a path does not exist or cannot be listed, or if a directory contains no JSON file.
pub(crate) fn expand(paths: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    if paths.is_empty() {
        ensure!(!io::stdin().is_terminal(), "no input: pass a file, a directory, or - for standard input");
        return Ok(vec![Input::Stdin]);
    }
    let mut inputs = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            inputs.push(Input::Stdin);
        } else if path.metadata().with_context(|| format!("cannot read {}", path.display()))?.is_dir() {
            inputs.extend(files_in(path)?);
        } else {
            inputs.push(Input::File(path.clone()));
        }
    }
    Ok(inputs)
}

fn files_in(directory: &Path) -> anyhow::Result<Vec<Input>> {
    let mut files = Vec::new();
    for entry in WalkDir::new(directory).follow_links(true).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot list {}", directory.display()))?;
        if entry.file_type().is_file() && is_json(entry.path()) {
            files.push(Input::File(entry.into_path()));
        }
    }
    if files.is_empty() {
        bail!("{} contains no .json, .jsonl or .ndjson file (each may end in .gz)", directory.display());
    }
    Ok(files)
}

fn is_json(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    EXTENSIONS.iter().any(|extension| name.ends_with(extension))
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
