//! Inputs of any size, split into records, one of which is in memory at a time.
//!
//! - `files`: files, directories and standard input, decompressed.
//! - `read_ahead`: reading on a thread of its own.
//! - `window`: the part of an input that is in memory.
//! - `split`: the records of an input, in order.
//! - `scan`: the members of a JSON object, without building it.
//! - `detect`: what a record is, by its keys.
//! - `workers`: work on several inputs concurrently.
//! - `text`: small text files, such as lists of ids.
//! - `scan_output`: the JSON output of a scan, read again.

pub(crate) mod detect;
pub(crate) mod files;
mod read_ahead;
mod scan;
pub(crate) mod scan_output;
pub(crate) mod split;
pub(crate) mod text;
mod window;
pub(crate) mod workers;
