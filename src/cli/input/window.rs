//! A window that slides over an input of any size.

use std::io::{self, Read};

/// The initial size of the window, in bytes: small enough for the cache of a core.
const CHUNK: usize = 1024 * 1024;

/// The part of an input that is in memory.
pub(crate) struct Window<R> {
    input: R,
    /// The largest size of the window, in bytes, and so of a record.
    max: usize,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The position in the input of the first byte of `buffer`.
    origin: u64,
    /// An error that came after bytes, which are to be used first. Few inputs return it twice.
    failed: Option<io::Error>,
}

impl<R: Read> Window<R> {
    /// Returns a window that holds at most `max` bytes.
    pub(crate) fn new(input: R, max: usize) -> Self {
        Self { input, max, buffer: vec![0; CHUNK], start: 0, end: 0, origin: 0, failed: None }
    }

    /// Returns the bytes that are in memory and not yet consumed.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Returns the position in the input of the first byte of [`Self::bytes`].
    pub(crate) fn position(&self) -> u64 {
        self.origin + self.start as u64
    }

    /// Consumes `count` bytes.
    pub(crate) fn advance(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Reads more of the input into memory: at least as much as is there, if the input has it, so that scanning the
    /// bytes again after each call takes linear time. Returns `false` at the end of the input.
    pub(crate) fn more(&mut self) -> io::Result<bool> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let wanted = (self.end - self.start).max(1);
        let mut count = 0;
        while count < wanted {
            if self.end == self.buffer.len() {
                self.make_room()?;
            }
            match self.read() {
                Ok(0) => break,
                Ok(read) => count += read,
                Err(error) if count > 0 => {
                    self.failed = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(count > 0)
    }

    /// Reads once, into the space after the bytes that are in memory.
    fn read(&mut self) -> io::Result<usize> {
        let space = self.buffer.get_mut(self.end..).unwrap_or_default();
        let count = loop {
            match self.input.read(space) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.end += count;
        Ok(count)
    }

    /// Discards consumed bytes. If that frees less than half of the buffer, doubles it.
    fn make_room(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.origin += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        if self.end > self.buffer.len() / 2 {
            if self.buffer.len() >= self.max {
                return Err(io::Error::other(format!("a record is larger than {} MiB", self.max >> 20)));
            }
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        Ok(())
    }
}
