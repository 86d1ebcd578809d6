//! What AWS Config sends and records.

pub mod configuration_item;
pub mod event;
