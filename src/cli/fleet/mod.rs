//! Live AWS.

pub(crate) mod accounts;
pub(crate) mod instance;
pub(crate) mod usage;
