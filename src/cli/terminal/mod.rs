//! The terminal.

pub(crate) mod messages;
pub(crate) mod progress;
pub(crate) mod shutdown;
