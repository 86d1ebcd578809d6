//! Reads a journal: what is readable in it, and what is not.

use std::path::Path;

use time::OffsetDateTime;

use super::entry::{self, Content, Opened, START, Step};
use super::error::JournalError;
use crate::rule::instance::InstanceKey;

/// What a journal contains.
#[derive(Debug)]
pub(crate) struct Contents {
    /// The steps that can be read, in the order of the file.
    pub(crate) entries: Vec<(InstanceKey, Step)>,
    /// What cannot be read or is missing, one message for each, which begins with the line number.
    pub(crate) problems: Vec<String>,
    /// When the last line was written, if it says so.
    pub(crate) written_at: Option<OffsetDateTime>,
}

/// Reads a journal. Lines that cannot be read are reported, and do not hide the others.
///
/// # Errors
/// Returns an error if the file cannot be read, or has no line that is one of a journal.
pub(crate) fn read(path: &Path) -> Result<Contents, JournalError> {
    let bytes = std::fs::read(path).map_err(JournalError::unusable("read", path))?;
    let Scan { entries, problems, written_at, .. } =
        scan(&bytes).ok_or_else(|| JournalError::NotAJournal { path: path.to_owned() })?;
    Ok(Contents { entries, problems, written_at })
}

/// What a journal contains, and what is needed to append to it.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) entries: Vec<(InstanceKey, Step)>,
    pub(crate) problems: Vec<String>,
    /// The process that opened the journal last.
    pub(super) opened: Option<Opened>,
    pub(super) end: End,
    /// When the last line was written.
    written_at: Option<OffsetDateTime>,
    /// The highest sequence number so far.
    last: u64,
    /// The number of unreadable lines since then. The missing numbers may be theirs.
    unreadable: u64,
    /// The number of lines that can be read.
    readable: u64,
}

/// How a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// After a line feed.
    LineFeed,
    /// After a line that only lacks its line feed.
    WholeLine,
    /// Within a line, because a process was ended while it wrote it. The line begins at this offset.
    PartOfLine(usize),
}

/// Reads the bytes of a journal. Returns `None` if no line can be read.
pub(crate) fn scan(bytes: &[u8]) -> Option<Scan> {
    let mut scan = Scan {
        entries: Vec::new(),
        problems: Vec::new(),
        opened: None,
        end: End::LineFeed,
        written_at: None,
        last: 0,
        unreadable: 0,
        readable: 0,
    };
    let mut offset = 0;
    for (index, row) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        for piece in pieces(row) {
            scan.add(index + 1, offset, piece);
            offset += piece.len();
        }
    }
    if let (End::PartOfLine(_), Some(problem)) = (scan.end, scan.problems.last_mut()) {
        let line = bytes.split(|byte| *byte == b'\n').count();
        *problem = format!("line {line} is incomplete: the process that wrote it was probably killed");
    }
    (scan.readable > 0).then_some(scan)
}

/// Splits a row wherever a line of the journal begins in it: a damaged line feed costs only the line that it
/// ended.
fn pieces(row: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(row).filter(|row| !row.is_empty());
    std::iter::from_fn(move || {
        let row = rest.take()?;
        let next = row.windows(START.len()).skip(1).position(|window| window == START);
        let (piece, after) = next.and_then(|next| row.split_at_checked(next + 1)).unwrap_or((row, &[]));
        rest = Some(after).filter(|after| !after.is_empty());
        Some(piece)
    })
}

impl Scan {
    /// Returns the sequence number of the next line: after those that cannot be read, but not after one that
    /// was not written completely.
    pub(super) fn next(&self) -> u64 {
        let is_complete = !matches!(self.end, End::PartOfLine(_));
        self.last.saturating_add(self.unreadable).saturating_add(u64::from(is_complete))
    }

    fn add(&mut self, number: usize, offset: usize, piece: &[u8]) {
        let line = piece.strip_suffix(b"\n");
        let decoded = entry::decode(line.unwrap_or(piece));
        self.end = match (line, &decoded) {
            (Some(_), _) => End::LineFeed,
            (None, Ok(_)) => End::WholeLine,
            (None, Err(_)) => End::PartOfLine(offset),
        };
        match decoded {
            Ok(line) => {
                self.readable += 1;
                self.written_at = line.time.or(self.written_at);
                if let Some(sequence) = line.sequence {
                    self.check(number, sequence);
                }
                match line.content {
                    Content::Opened(opened) => self.opened = Some(opened),
                    Content::Step(key, step) => self.entries.push((key, step)),
                    Content::Nothing => {}
                }
            }
            Err(problem) => {
                self.unreadable += 1;
                self.problems.push(format!("line {number} cannot be read: {problem}"));
            }
        }
    }

    /// Checks that no line is missing before this one.
    fn check(&mut self, number: usize, sequence: u64) {
        if sequence <= self.last || sequence > self.next() {
            let what = if sequence <= self.last { "repeated or moved" } else { "missing" };
            let expected = self.last.saturating_add(1);
            self.problems.push(format!(
                "line {number}: lines before it are {what}: its sequence number is {sequence}, expected {expected}"
            ));
        }
        self.last = self.last.max(sequence);
        self.unreadable = 0;
    }
}
