//! What AWS Config sends and records.
//!
//! - [`event`]: the Lambda event of an invocation, and the notification in it.
//! - [`configuration_item`]: configuration items in events, history and snapshots.

pub mod configuration_item;
pub mod event;
