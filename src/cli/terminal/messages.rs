//! Messages on standard error. Colours depend on the terminal and on `NO_COLOR`.
//!
//! A message that cannot be written is lost: the terminal may be gone, and the work goes on without it.

use std::io::Write;

use anstyle::{AnsiColor, Style};

use super::printable::printable;

const ERROR: Style = AnsiColor::Red.on_default().bold();

/// Prints an error.
pub(crate) fn error(message: &str) {
    if cfg!(test) {
        return; // unit tests print nothing
    }
    let (style, reset) = (ERROR.render(), ERROR.render_reset());
    let _ = writeln!(anstream::stderr().lock(), "{style}error:{reset} {}", printable(message));
}

/// Prints a message that is not an error.
pub(crate) fn note(message: &str) {
    if cfg!(test) {
        return;
    }
    let _ = writeln!(anstream::stderr().lock(), "{}", printable(message));
}
