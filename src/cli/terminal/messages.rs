//! Messages on standard error. Colours depend on the terminal and on `NO_COLOR`.

use anstyle::{AnsiColor, Style};

const ERROR: Style = AnsiColor::Red.on_default().bold();

/// Prints an error.
pub(crate) fn error(message: &str) {
    if cfg!(test) {
        return;
    }
    anstream::eprintln!("{}error:{} {message}", ERROR.render(), ERROR.render_reset());
}

/// Prints a message that is not an error.
#[cfg(feature = "live")]
pub(crate) fn note(message: &str) {
    if cfg!(test) {
        return;
    }
    anstream::eprintln!("{message}");
}
