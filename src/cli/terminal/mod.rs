//! The terminal: messages, progress, signals.

pub(crate) mod messages;
pub(crate) mod printable;
#[cfg(feature = "live")]
pub(crate) mod progress;
#[cfg(feature = "live")]
pub(crate) mod shutdown;
