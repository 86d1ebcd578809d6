//! Messages on standard error. Colours depend on the terminal and on `NO_COLOR`.
//!
//! A message that cannot be written is lost: the terminal may be gone, and the work goes on without it.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use textwrap::WordSplitter;

use crate::rule::printable::printable;

const ERROR: Style = AnsiColor::Red.on_default().bold();
/// The width of a label.
#[cfg(feature = "live")]
const LABEL: usize = 12;
#[cfg(feature = "live")]
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// Prints an error.
pub(crate) fn error(message: &str) {
    print(&format!("{}error:{} {}", ERROR.render(), ERROR.render_reset(), printable(message)), "  ");
}

/// Prints a warning.
#[cfg(feature = "live")]
pub(crate) fn warning(message: &str) {
    let (style, reset) = (WARNING.render(), WARNING.render_reset());
    print(&format!("{style}WARNING:{reset} {}", printable(message)), "  ");
}

/// Prints a message that is not an error.
pub(crate) fn note(message: &str) {
    print(&printable(message), "  ");
}

/// Prints a value with a label, indented.
#[cfg(feature = "live")]
pub(crate) fn entry(label: &str, value: &str) {
    print(&format!("  {label:<LABEL$} {}", printable(value)), &" ".repeat(LABEL + 3));
}

/// Prints a command, which no line break may divide.
#[cfg(feature = "live")]
pub(crate) fn command(command: &str) {
    if !cfg!(test) {
        let _ = writeln!(anstream::stderr().lock(), "{}", printable(command));
    }
}

/// Prints a line. On a terminal, a longer one is continued after `indent`, and no word is divided.
fn print(line: &str, indent: &str) {
    if cfg!(test) {
        return; // unit tests print nothing
    }
    let mut stderr = anstream::stderr().lock();
    let _ = if io::stderr().is_terminal() {
        let options = textwrap::Options::with_termwidth()
            .subsequent_indent(indent)
            .break_words(false)
            .word_splitter(WordSplitter::NoHyphenation);
        writeln!(stderr, "{}", textwrap::fill(line, options))
    } else {
        writeln!(stderr, "{line}")
    };
}
