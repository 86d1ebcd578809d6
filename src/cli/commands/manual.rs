//! `imdsv2 man`: manual pages.

use std::io::{self, Write};

use anyhow::Context;
use clap::builder::Resettable;
use clap::{Command, Parser};
use clap_mangen::Man;
use roff::{Roff, roman};

use crate::cli::exit::Completion;

/// Print the manual page of imdsv2, or of one of its commands
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The command
    command: Option<String>,
}

/// Prints the page of a command of `cli`. `version` is that of the program.
pub(crate) fn run(args: &Args, mut cli: Command, version: &str) -> anyhow::Result<Completion> {
    cli.build();
    let page = match args.command.as_deref() {
        None => cli,
        Some(name) => {
            cli.find_subcommand(name).with_context(|| format!("unknown command \"{name}\""))?.clone()
        }
    };
    let after_help = page.get_after_help().map(ToString::to_string).unwrap_or_default();
    let title = page.get_display_name().unwrap_or("imdsv2").to_uppercase();
    let man = Man::new(page.after_help(Resettable::Reset)).title(title);
    let mut out = io::stdout();
    man.source(format!("imdsv2 {version}")).manual("User Commands").render(&mut out)?;
    // The page defines this string: an apostrophe that is not typeset as a quotation mark.
    write!(out, "{}", sections(&after_help).to_roff().replace('\'', "\\*(Aq"))?;
    Ok(Completion::Clean)
}

/// Makes a section of each paragraph of a help text: its heading is what precedes the first colon.
fn sections(help: &str) -> Roff {
    let mut roff = Roff::new();
    for paragraph in help.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let (heading, text) = paragraph.split_once(':').unwrap_or(("Notes", paragraph));
        roff.control("SH", [heading.to_uppercase().as_str()]);
        let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        roff.control("nf", []);
        for line in lines {
            roff.text([roman(line.trim_start_matches(' '))]);
        }
        roff.control("fi", []);
    }
    roff
}
