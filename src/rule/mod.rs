//! What is decided, without I/O.

#[cfg(feature = "cli")]
pub mod enforcement;
pub mod policy;
pub mod resource;
pub mod verdict;
