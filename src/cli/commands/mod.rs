//! The commands.

pub(crate) mod evaluate;
pub(crate) mod remediate;
pub(crate) mod restore;
pub(crate) mod scan;
