//! The terminal: messages, progress, signals.

#[cfg(feature = "live")]
pub(crate) mod debug;
#[cfg(feature = "live")]
mod echo;
pub(crate) mod messages;
pub(crate) mod printable;
#[cfg(feature = "live")]
pub(crate) mod screen;
#[cfg(feature = "live")]
pub(crate) mod shutdown;
