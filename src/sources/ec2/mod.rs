//! What EC2 answers.

pub mod lookup;
pub mod region;
