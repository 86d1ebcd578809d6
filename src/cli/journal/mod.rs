//! The journal of changes: a write-ahead log, from which the changes are undone.
//!
//! A journal is a file of JSON lines. Each line is on disk before the change that it announces is requested. It
//! has a sequence number and a checksum, so that damage is found, and costs no more than the damaged lines.
//!
//! - `entry`: a line, and its format.
//! - `writer`: a journal that is open for writing; only one process has it open.
//! - `log`: lines that are written whole or not at all.
//! - `reader`: what is readable in a journal, and what is not.
//! - `unrestored`: what a journal says about each instance.
//! - `error`: why a journal cannot be used.

mod entry;
mod error;
mod log;
mod reader;
mod unrestored;
mod writer;

pub(crate) use self::entry::Step;
pub(crate) use self::reader::read;
pub(crate) use self::unrestored::{Before, Recorded, unrestored};
pub(crate) use self::writer::Journal;

#[cfg(any(fuzzing, test))]
pub(crate) use self::{entry::encode_step, reader::scan};

#[cfg(test)]
mod tests;
