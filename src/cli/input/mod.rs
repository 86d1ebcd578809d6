//! Inputs of any size, split into records, one of which is in memory at a time.
//!
//! - `files`: files, directories and standard input, decompressed.
//! - `read_ahead`: reading on a thread of its own.
//! - `window`: the part of an input that is in memory.
//! - `split`: the records of an input, in order.
//! - `scan`: the members of a JSON object, without building it.
//! - `document`: whether an input is JSON, or text that is read as a whole.
//! - `detect`: what a record is, by its keys; `guess`: what looks like something else.
//! - `workers`: work on several inputs concurrently.
//! - `text`: small text files, such as lists of ids.
//! - `scan_output`: the JSON output of a scan, read again.

pub(crate) mod detect;
pub(crate) mod document;
pub(crate) mod files;
pub(crate) mod guess;
mod read_ahead;
mod scan;
pub(crate) mod scan_output;
pub(crate) mod split;
pub(crate) mod text;
mod window;
pub(crate) mod workers;
