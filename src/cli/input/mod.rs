//! Inputs.

pub(crate) mod files;
pub(crate) mod read_ahead;
pub(crate) mod split;
pub(crate) mod window;
