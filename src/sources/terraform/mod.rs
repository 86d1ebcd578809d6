//! Terraform plans and states, as `terraform show -json` prints them; OpenTofu prints the same
//! (<https://developer.hashicorp.com/terraform/internals/json-format>).
//!
//! - `document`: the parts of a plan or state that a verdict depends on.
//! - `addresses`: addresses of resources and modules; `references`: what an expression of the configuration refers to;
//!   `instances`: the resource that is meant.
//! - `values`: a block of metadata options, of which the plan may not know all.
//! - `versions`: the versions of a launch template after the plan was applied.
//! - `resources`: the resources that the rule evaluates; `launches`: what they are launched from.
//!
//! The id of a resource is its address.

mod addresses;
mod document;
mod instances;
mod launches;
mod references;
mod resources;
mod values;
mod versions;

use self::document::Document;
use super::{Declared, SourceError, read_object};

/// Why a plan or state, or a resource in it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TerraformError {
    /// A field is malformed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It is a state file itself, whose format is private to Terraform.
    #[error("this is a Terraform state file: evaluate the output of `terraform show -json` instead")]
    StateFile,
    /// It has no resources: a plan that failed, or something else.
    #[error(
        "this is neither a Terraform plan nor a state: expected planned_values or values, as in the output of \
         `terraform show -json`"
    )]
    NoValues,
}

/// Reads the resources of a plan or state that the rule evaluates, in their order. A resource that cannot be read does not
/// hide the others.
///
/// # Errors
/// Returns an error if `json` is neither a plan nor a state.
pub fn read(json: &str) -> Result<Vec<Result<Declared, SourceError>>, TerraformError> {
    let document: Document<'_> = read_object("plan", json)?;
    if document.planned_values.is_none() && document.values.is_none() {
        let is_state_file = document.lineage.is_some();
        return Err(if is_state_file { TerraformError::StateFile } else { TerraformError::NoValues });
    }
    let mut resources = resources::read(&document);
    if document.errored == Some(true) || document.complete == Some(false) {
        let error =
            serde::de::Error::custom("it is incomplete, and may create more resources than it contains");
        resources.push(Err(SourceError::Shape { field: "plan".to_owned(), error }));
    }
    Ok(resources)
}

#[cfg(test)]
mod tests;
