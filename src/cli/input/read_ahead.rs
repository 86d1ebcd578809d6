//! Reads an input on a thread of its own, so that decompression overlaps with evaluation.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// The size of a chunk, in bytes.
const CHUNK: usize = 64 * 1024;
/// The number of chunks in the queue: enough that neither thread waits for long.
const QUEUE: usize = 16;

/// An input that is read ahead of its consumer.
pub(crate) struct ReadAhead {
    chunks: Receiver<io::Result<Vec<u8>>>,
    current: io::Cursor<Vec<u8>>,
}

impl ReadAhead {
    /// Starts to read `input`.
    ///
    /// # Errors
    /// Returns an error if the system cannot start a thread.
    pub(crate) fn new(input: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(QUEUE);
        thread::Builder::new().name("read-ahead".to_owned()).spawn(move || send_chunks(input, &sender))?;
        Ok(Self { chunks, current: io::Cursor::default() })
    }
}

/// Sends chunks until the input ends or fails, or the consumer is dropped.
fn send_chunks(mut input: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) {
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
                // If the consumer was dropped, nobody needs the error.
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
