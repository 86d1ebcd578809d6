//! Accounts, Regions and instances in AWS.
//!
//! - `selection`: the options that select accounts and Regions.
//! - `accounts`: accounts that are entered, and their Regions.
//! - `organization`: the accounts of an organization.
//! - `aggregator`: what AWS Config has recorded in many accounts.
//! - `profile`: a profile of the AWS configuration files.
//! - `regions`: the Regions of an account.
//! - `failures`, `unreachable`: what could not be read or entered, a line for each cause.
//! - `instance`: one instance: described, changed, verified.
//! - `usage`: IMDSv1 calls, as CloudWatch counts them.
//! - `terminated`: the IMDSv1 calls of instances that no longer exist.

pub(crate) mod accounts;
pub(crate) mod aggregator;
pub(crate) mod failures;
pub(crate) mod instance;
mod organization;
mod profile;
mod regions;
pub(crate) mod selection;
pub(crate) mod terminated;
pub(crate) mod unreachable;
pub(crate) mod usage;
