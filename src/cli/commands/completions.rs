//! `imdsv2 completions`: what a shell needs to complete commands, options, Regions and profiles.

use std::io;

use anyhow::Context;
use clap::{Command, Parser};
use clap_complete::aot::Shell;
use clap_complete::env::{CompleteEnv, Shells};

use crate::cli::exit::Completion;

/// The variable with which the shell calls the program for candidates.
const VARIABLE: &str = "IMDSV2_COMPLETE";
const NAME: &str = "imdsv2";

/// Print a shell completion script
///
/// The script calls imdsv2 for candidates, which must be in the PATH of the shell.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  source <(imdsv2 completions bash)
  imdsv2 completions fish | source")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints candidates and exits, if the shell has called the program for that.
pub(crate) fn complete(command: fn() -> Command) {
    CompleteEnv::with_factory(command).var(VARIABLE).bin(NAME).complete();
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Completion> {
    let shell = args.shell.to_string();
    let completer = Shells::builtins();
    let completer = completer.completer(&shell).with_context(|| format!("unknown shell \"{shell}\""))?;
    completer.write_registration(VARIABLE, NAME, NAME, NAME, &mut io::stdout())?;
    Ok(Completion::Clean)
}
