//! The colours. Whether they are shown depends on the terminal and on `NO_COLOR`.

use anstyle::{AnsiColor, Style};

/// The word that begins an error message.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
