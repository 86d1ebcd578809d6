//! The command line, `imdsv2`.

mod commands;
mod concurrency;
mod fleet;
mod input;
mod journal;
mod output;
mod terminal;

use std::io;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use tokio::runtime::{self, Runtime};

use self::commands::{evaluate, remediate, restore, scan};

/// Finds EC2 resources that still answer Instance Metadata Service version 1.
#[derive(Debug, Parser)]
#[command(name = "imdsv2", version = env!("IMDSV2_VERSION"), about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Evaluate(evaluate::Args),
    Scan(scan::Args),
    Remediate(Box<remediate::Args>),
    Restore(restore::Args),
    /// Print what a shell needs to complete commands and options
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

/// How a command ended, apart from failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing is non-compliant.
    Clean,
    /// Something is non-compliant.
    Findings,
    /// Some of the input could not be read; the message is out already.
    Incomplete,
}

/// Runs the command line: reads the arguments, does the work, and says how it ended by the exit status:
/// 0 nothing is non-compliant, 1 something is, 2 an error.
#[must_use]
pub fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "imdsv2", &mut io::stdout());
            Ok(Outcome::Clean)
        }
        Command::Man { command } => manual(command.as_deref()),
        Command::Remediate(args) => runtime().and_then(|runtime| runtime.block_on(remediate::run(&args))),
        Command::Restore(args) => runtime().and_then(|runtime| runtime.block_on(restore::run(&args))),
        Command::Scan(args) => runtime().and_then(|runtime| runtime.block_on(scan::run(&args))),
    };
    match result {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(1),
        Ok(Outcome::Incomplete) => ExitCode::from(2),
        Err(error) if is_broken_pipe(&error) => ExitCode::from(BROKEN_PIPE),
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

fn manual(command: Option<&str>) -> anyhow::Result<Outcome> {
    let mut cli = Cli::command();
    cli.build();
    let page = match command {
        None => cli,
        Some(name) => {
            cli.find_subcommand(name).with_context(|| format!("there is no command {name}"))?.clone()
        }
    };
    clap_mangen::Man::new(page).render(&mut io::stdout())?;
    Ok(Outcome::Clean)
}

fn runtime() -> anyhow::Result<Runtime> {
    runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}

/// What a shell reports of a program that SIGPIPE ended: the reader of the output wants no more.
const BROKEN_PIPE: u8 = 141;

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}

/// Says on standard error what went wrong.
pub(crate) fn complain(message: &str) {
    anstream::eprintln!(
        "{}error:{} {message}",
        terminal::messages::ERROR.render(),
        terminal::messages::ERROR.render_reset()
    );
}
