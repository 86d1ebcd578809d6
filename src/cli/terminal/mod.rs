//! The terminal: messages, progress, signals.

#[cfg(feature = "live")]
pub(crate) mod debug;
#[cfg(feature = "live")]
mod echo;
pub(crate) mod messages;
#[cfg(feature = "live")]
pub(crate) mod names;
#[cfg(feature = "live")]
pub(crate) mod screen;
#[cfg(feature = "live")]
pub(crate) mod shutdown;
