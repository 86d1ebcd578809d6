//! The question before changes are made.

use std::io::{self, IsTerminal, Write};

use anyhow::bail;

/// Asks on the terminal whether to change or restore (`verb`) this number of instances.
///
/// # Errors
/// Returns an error if standard input is not a terminal.
pub(crate) fn confirm(verb: &str, instances: usize) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("stdin is not a terminal: pass --yes to apply, or --dry-run");
    }
    let noun = if instances == 1 { "instance" } else { "instances" };
    write!(anstream::stderr().lock(), "{verb} {instances} {noun}? [y/N] ")?;
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
