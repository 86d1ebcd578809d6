//! A window that slides over an input of any size.

use std::io::{self, Read};

/// How much is read at once: small enough to stay in a core's cache.
const CHUNK: usize = 1024 * 1024;
/// The largest stretch that the window opens for, and so the largest record there can be.
const MAX_WINDOW: usize = 256 * 1024 * 1024;

/// The part of an input that is in memory.
pub(crate) struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where in the input `buffer` begins.
    origin: u64,
}

impl<R: Read> Window<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, buffer: vec![0; CHUNK], start: 0, end: 0, origin: 0 }
    }

    /// What is in memory and not yet consumed.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The position in the input of the first byte of [`Self::bytes`].
    pub(crate) fn position(&self) -> u64 {
        self.origin + self.start as u64
    }

    /// Consumes `count` bytes.
    pub(crate) fn advance(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Brings more of the input into memory; `false` at its end.
    pub(crate) fn more(&mut self) -> io::Result<bool> {
        if self.end == self.buffer.len() {
            self.make_room()?;
        }
        let space = self.buffer.get_mut(self.end..).unwrap_or_default();
        let count = loop {
            match self.input.read(space) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.end += count;
        Ok(count > 0)
    }

    /// Drops what is consumed; where that frees nothing worth having, doubles the buffer.
    fn make_room(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.origin += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        if self.end > self.buffer.len() / 2 {
            if self.buffer.len() >= MAX_WINDOW {
                return Err(io::Error::other(format!("a record is larger than {} MiB", MAX_WINDOW >> 20)));
            }
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        Ok(())
    }
}
