//! The terminal: messages, progress, Ctrl-C.

pub(crate) mod messages;
pub(crate) mod printable;
#[cfg(feature = "live")]
pub(crate) mod progress;
#[cfg(feature = "live")]
pub(crate) mod shutdown;
