//! The commands: a file or folder for each.

pub(crate) mod callers;
#[cfg(feature = "live")]
mod change_progress;
pub(crate) mod completions;
pub(crate) mod evaluate;
pub(crate) mod manual;
#[cfg(feature = "live")]
pub(crate) mod permissions;
#[cfg(feature = "live")]
pub(crate) mod remediate;
#[cfg(feature = "live")]
pub(crate) mod restore;
#[cfg(feature = "live")]
pub(crate) mod scan;
