//! The command line, `imdsv2` (feature `offline`; `live` adds the commands that call AWS).
//!
//! - `commands`: one file or folder for each command.
//! - `input`: files and standard input, split into records.
//! - `fleet`: accounts, Regions and instances in AWS.
//! - `journal`: the log of changes, from which they are undone.
//! - `filter`: the resources that options select.
//! - `comparison`: what changed since an earlier scan.
//! - `calls`: calls with credentials that came by IMDSv1, counted by who made them.
//! - `output`: one file for each output format.
//! - `fuzz_targets`: what must hold for any input, for the fuzzer and the property tests.
//! - `terminal`: messages, progress, signals.
//! - `exit`: exit statuses.

mod calls;
#[cfg(any(feature = "live", fuzzing, test))]
#[cfg_attr(not(feature = "live"), allow(dead_code))]
mod clock;
mod commands;
mod comparison;
#[cfg(feature = "live")]
mod concurrency;
mod exit;
mod filter;
#[cfg(feature = "live")]
mod fleet;
#[cfg(any(fuzzing, test))]
pub mod fuzz_targets;
mod input;
#[cfg(any(feature = "live", fuzzing, test))]
#[cfg_attr(not(feature = "live"), allow(dead_code, unused_imports))]
mod journal;
#[cfg(all(test, feature = "live"))]
mod model;
mod output;
mod terminal;

use std::process::ExitCode;

#[cfg(feature = "live")]
use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};

use self::commands::{callers, completions, evaluate, manual};
#[cfg(feature = "live")]
use self::commands::{permissions, remediate, restore, scan};
#[cfg(feature = "live")]
use self::exit::Completion;

const VERSION: &str = env!("IMDSV2_VERSION");

/// Find EC2 resources that accept Instance Metadata Service version 1, and require version 2.
#[derive(Debug, Parser)]
#[command(name = "imdsv2", version = VERSION, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Print what the AWS SDK does, on standard error
    #[cfg(feature = "live")]
    #[arg(long, global = true, help_heading = "Other options")]
    debug: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Evaluate(Box<evaluate::Args>),
    Callers(callers::Args),
    #[cfg(feature = "live")]
    Scan(Box<scan::Args>),
    #[cfg(feature = "live")]
    Remediate(Box<remediate::Args>),
    #[cfg(feature = "live")]
    Restore(Box<restore::Args>),
    #[cfg(feature = "live")]
    Permissions(permissions::Args),
    Completions(completions::Args),
    Man(manual::Args),
}

/// Runs the command line and returns its exit status: 0 if nothing is non-compliant, 1 if something is, 2 if
/// there was an error.
#[must_use]
pub fn run() -> ExitCode {
    completions::complete(Cli::command);
    let cli = Cli::parse();
    #[cfg(feature = "live")]
    if cli.debug {
        terminal::debug::enable();
    }
    exit::status(match cli.command {
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Callers(args) => callers::run(&args),
        #[cfg(feature = "live")]
        Command::Scan(args) => block_on(scan::run(&args)),
        #[cfg(feature = "live")]
        Command::Remediate(args) => block_on(remediate::run(&args)),
        #[cfg(feature = "live")]
        Command::Restore(args) => block_on(restore::run(&args)),
        #[cfg(feature = "live")]
        Command::Permissions(args) => permissions::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => manual::run(&args, Cli::command(), VERSION),
    })
}

#[cfg(feature = "live")]
fn block_on(command: impl Future<Output = anyhow::Result<Completion>>) -> anyhow::Result<Completion> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start the async runtime")?.block_on(command)
}
