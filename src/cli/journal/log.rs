//! A log file whose lines are written whole, or not at all.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

/// Where a log is stored. Tests replace the file, to see it fail.
pub(super) trait Storage {
    /// Returns the number of bytes.
    fn length(&mut self) -> io::Result<u64>;
    /// Writes at the end, with one call. Returns how many bytes were written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Removes everything after the first `length` bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Waits until everything is on disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Storage for File {
    fn length(&mut self) -> io::Result<u64> {
        let metadata = self.metadata()?;
        #[cfg(unix)]
        if std::os::unix::fs::MetadataExt::nlink(&metadata) == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it was deleted"));
        }
        Ok(metadata.len())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Where files are not opened for appending, this moves to the end.
        self.seek(SeekFrom::End(0))?;
        self.write(bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A log that is open for writing.
#[derive(Debug)]
pub(super) struct Log<S> {
    storage: S,
    /// The sequence number of the next line.
    next: u64,
    /// Why no more lines are written, if an incomplete line could not be removed.
    poison: Option<String>,
}

/// Why a line is not in the log.
#[derive(Debug)]
pub(super) enum AppendError {
    /// It could not be written. The log is as it was before.
    RolledBack(io::Error),
    /// The log takes no more lines.
    Poisoned(String),
}

impl<S: Storage> Log<S> {
    /// Returns a log that ends with a whole line. `next` is the sequence number of the next one.
    pub(super) fn new(storage: S, next: u64) -> Self {
        Self { storage, next, poison: None }
    }

    /// Appends the line that `encode` returns for its sequence number, and waits until it is on disk.
    ///
    /// # Errors
    /// Returns an error if the line is not on disk. It is removed then. If that fails too, the log takes no
    /// more lines.
    pub(super) fn append(
        &mut self,
        encode: impl FnOnce(u64) -> io::Result<Vec<u8>>,
    ) -> Result<(), AppendError> {
        if let Some(cause) = &self.poison {
            return Err(AppendError::Poisoned(cause.clone()));
        }
        let line = encode(self.next).map_err(AppendError::RolledBack)?;
        let length = self.storage.length().map_err(AppendError::RolledBack)?;
        if let Err(error) = self.write(&line) {
            return Err(self.roll_back(length, error));
        }
        self.next = self.next.saturating_add(1);
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.storage.append(line)?;
        if written < line.len() {
            let message =
                format!("only {written} of {} bytes were written; the disk may be full", line.len());
            return Err(io::Error::new(io::ErrorKind::WriteZero, message));
        }
        self.storage.sync()
    }

    fn roll_back(&mut self, length: u64, error: io::Error) -> AppendError {
        match self.storage.truncate(length).and_then(|()| self.storage.sync()) {
            Ok(()) => AppendError::RolledBack(error),
            Err(cause) => {
                let cause = format!("{error}, then {cause}");
                self.poison = Some(cause.clone());
                AppendError::Poisoned(cause)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full after `capacity` bytes, and may fail to sync or to truncate.
    struct Disk {
        bytes: Vec<u8>,
        capacity: usize,
        /// The number of syncs that fail.
        failing_syncs: u32,
        truncates: bool,
    }

    impl Storage for &mut Disk {
        fn length(&mut self) -> io::Result<u64> {
            Ok(self.bytes.len() as u64)
        }

        fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let written = bytes.len().min(self.capacity - self.bytes.len());
            if written == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.extend_from_slice(&bytes[..written]);
            Ok(written)
        }

        fn truncate(&mut self, length: u64) -> io::Result<()> {
            if !self.truncates {
                return Err(io::Error::other("truncation failed"));
            }
            self.bytes.truncate(usize::try_from(length).expect("small"));
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            if self.failing_syncs > 0 {
                self.failing_syncs -= 1;
                return Err(io::Error::other("sync failed"));
            }
            Ok(())
        }
    }

    fn disk(capacity: usize) -> Disk {
        Disk { bytes: Vec::new(), capacity, failing_syncs: 0, truncates: true }
    }

    fn append<S: Storage>(log: &mut Log<S>) -> Result<(), AppendError> {
        log.append(|sequence| Ok(format!("line {sequence}\n").into_bytes()))
    }

    #[test]
    fn a_line_that_is_written_in_part_is_removed_and_its_number_is_used_again() {
        for (capacity, expected) in
            [(10, "only 3 of 7 bytes"), (7, "no storage space"), (13, "only 6 of 7 bytes")]
        {
            let mut disk = disk(capacity);
            let mut log = Log::new(&mut disk, 1);
            append(&mut log).expect("written");
            let error = append(&mut log).expect_err("the disk is full");
            assert!(
                matches!(&error, AppendError::RolledBack(cause) if cause.to_string().contains(expected)),
                "{error:?}"
            );
            assert_eq!(log.storage.bytes, b"line 1\n");
            log.storage.capacity = 100;
            append(&mut log).expect("there is space again");
            assert_eq!(disk.bytes, b"line 1\nline 2\n");
        }
    }

    #[test]
    fn a_line_that_is_not_synced_is_removed() {
        let mut disk = Disk { failing_syncs: 1, ..disk(100) };
        let mut log = Log::new(&mut disk, 1);
        assert!(matches!(append(&mut log), Err(AppendError::RolledBack(_))));
        assert_eq!(log.storage.bytes, b"");
        append(&mut log).expect("written");
        assert_eq!(disk.bytes, b"line 1\n");
    }

    #[test]
    fn a_log_whose_incomplete_line_cannot_be_removed_takes_no_more_lines() {
        let full = Disk { truncates: false, ..disk(3) };
        let unsynced = Disk { failing_syncs: 2, ..disk(100) };
        for (mut disk, expected) in [
            (full, "only 3 of 7 bytes were written; the disk may be full, then truncation failed"),
            (unsynced, "sync failed, then sync failed"),
        ] {
            let mut log = Log::new(&mut disk, 1);
            for attempt in 1..=2 {
                let error = append(&mut log).expect_err("poisoned");
                assert!(
                    matches!(&error, AppendError::Poisoned(cause) if cause == expected),
                    "attempt {attempt}: {error:?}"
                );
                // Neither space nor a healthy disk makes a difference now.
                *log.storage = Disk { bytes: log.storage.bytes.clone(), ..self::disk(100) };
            }
            assert!(!disk.bytes.ends_with(b"line 2\n"), "nothing was written");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_poisons_a_log_that_cannot_be_truncated() {
        let device = File::options().append(true).open("/dev/full").expect("opened");
        let mut log = Log::new(device, 1);
        let error = append(&mut log).expect_err("full");
        assert!(
            matches!(&error, AppendError::Poisoned(cause) if cause.starts_with("No space left on device")),
            "{error:?}"
        );
        assert!(matches!(append(&mut log), Err(AppendError::Poisoned(_))));
    }
}
