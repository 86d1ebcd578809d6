//! The built `imdsv2` as a process: arguments and files in, output and exit status out.
//!
//! Snapshots are in `snapshots/`. After a change that is meant, `SNAPSHOTS=overwrite cargo test --test cli`
//! writes them again.

// Tests may panic.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod accounts;
mod advice;
mod aggregator;
mod callers;
mod cloud;
mod completions;
mod declared;
mod errors;
mod formats;
mod harness;
mod help;
mod hostile;
mod inputs;
mod organization;
mod output_files;
mod parameters;
mod scan;
mod selection;
#[cfg(unix)]
mod signals;
mod tools;
