//! The commands: a file or folder for each.

#[cfg(feature = "live")]
mod change_progress;
pub(crate) mod evaluate;
#[cfg(feature = "live")]
pub(crate) mod remediate;
#[cfg(feature = "live")]
pub(crate) mod restore;
#[cfg(feature = "live")]
pub(crate) mod scan;
