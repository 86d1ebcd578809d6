//! Reads an input on a thread of its own, so that it is decompressed while it is evaluated.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// How much is handed over at once.
const CHUNK: usize = 64 * 1024;
/// How many chunks may wait: enough that neither side does, for long.
const WAITING: usize = 16;

/// An input that is read ahead of its reader.
pub(crate) struct ReadAhead {
    chunks: Receiver<io::Result<Vec<u8>>>,
    current: io::Cursor<Vec<u8>>,
}

impl ReadAhead {
    /// Starts to read `input`.
    ///
    /// # Errors
    /// Where the system has no thread to give.
    pub(crate) fn new(input: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(WAITING);
        thread::Builder::new().name("read-ahead".to_owned()).spawn(move || hand_over(input, &sender))?;
        Ok(Self { chunks, current: io::Cursor::default() })
    }
}

/// Ends with the input, with its first error, or when nobody wants more.
fn hand_over(mut input: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let result = input.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
        if !chunk.is_empty() && sender.send(Ok(chunk)).is_err() {
            return;
        }
        match result {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                // Where nobody listens any more, nobody misses the error.
                let _ = sender.send(Err(error));
                return;
            }
        }
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.chunks.recv() {
                Ok(chunk) => self.current = io::Cursor::new(chunk?),
                Err(_) => return Ok(0),
            }
        }
    }
}
