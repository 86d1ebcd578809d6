//! The command line, `imdsv2` (feature `offline`; `live` adds the commands that call AWS).
//!
//! - `commands`: one file or folder for each command.
//! - `input`: files and standard input, split into records.
//! - `fleet`: accounts, Regions and instances in AWS.
//! - `journal`: the log of changes, from which they are undone.
//! - `output`: one file for each output format.
//! - `terminal`: messages, progress, signals.
//! - `exit`: exit statuses.

#[cfg(any(feature = "live", test))]
#[cfg_attr(not(feature = "live"), allow(dead_code))]
mod clock;
mod commands;
#[cfg(feature = "live")]
mod concurrency;
mod exit;
#[cfg(feature = "live")]
mod fleet;
mod input;
#[cfg(any(feature = "live", test))]
#[cfg_attr(not(feature = "live"), allow(dead_code, unused_imports))]
mod journal;
#[cfg(all(test, feature = "live"))]
mod model;
mod output;
mod terminal;

use std::io;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use self::commands::evaluate;
#[cfg(feature = "live")]
use self::commands::{remediate, restore, scan};
use self::exit::Completion;

/// Find EC2 resources that accept Instance Metadata Service version 1, and require version 2.
#[derive(Debug, Parser)]
#[command(name = "imdsv2", version = env!("IMDSV2_VERSION"), max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Evaluate(evaluate::Args),
    #[cfg(feature = "live")]
    Scan(scan::Args),
    #[cfg(feature = "live")]
    Remediate(Box<remediate::Args>),
    #[cfg(feature = "live")]
    Restore(restore::Args),
    /// Print a shell completion script
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page of imdsv2, or of one of its commands
    Man {
        /// The command
        command: Option<String>,
    },
}

/// Runs the command line and returns its exit status: 0 if nothing is non-compliant, 1 if something is, 2 if
/// there was an error.
#[must_use]
pub fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Evaluate(args) => evaluate::run(&args),
        #[cfg(feature = "live")]
        Command::Scan(args) => block_on(scan::run(&args)),
        #[cfg(feature = "live")]
        Command::Remediate(args) => block_on(remediate::run(&args)),
        #[cfg(feature = "live")]
        Command::Restore(args) => block_on(restore::run(&args)),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "imdsv2", &mut io::stdout());
            Ok(Completion::Clean)
        }
        Command::Man { command } => manual(command.as_deref()),
    };
    exit::status(result)
}

fn manual(command: Option<&str>) -> anyhow::Result<Completion> {
    let mut cli = Cli::command();
    cli.build();
    let page = match command {
        None => cli,
        Some(name) => {
            cli.find_subcommand(name).with_context(|| format!("unknown command \"{name}\""))?.clone()
        }
    };
    clap_mangen::Man::new(page).render(&mut io::stdout())?;
    Ok(Completion::Clean)
}

#[cfg(feature = "live")]
fn block_on(command: impl Future<Output = anyhow::Result<Completion>>) -> anyhow::Result<Completion> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start the async runtime")?.block_on(command)
}
