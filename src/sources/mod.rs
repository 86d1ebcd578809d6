//! Where resources come from. Each file reads one shape of input, and returns a
//! [`Resource`].
//!
//! - [`config`]: what AWS Config sends and records: events, configuration items.
//! - [`ec2`]: what EC2 and EC2 Auto Scaling return (feature `live` or `lambda`).
//! - [`aws_cli`]: what the AWS CLI prints.
//! - [`cloudformation`]: CloudFormation templates, before they are deployed (feature `offline`).
//! - [`cloudtrail`]: what CloudTrail records of calls that instances make (feature `offline`).
//! - [`recorded_launches`]: what several records together say about launches.
//! - `declared_launches`: what one template or plan says about launches.
//! - `template_versions`: the versions of one launch template, for both.
//! - [`terraform`]: Terraform plans and states (feature `offline`).
//! - `arn`: the account and Region that an ARN names.
//! - `auto_scaling`: what an Auto Scaling group launches, which both of the JSON sources contain.

mod arn;
mod auto_scaling;
pub mod aws_cli;
#[cfg(feature = "offline")]
pub mod cloudformation;
#[cfg(feature = "offline")]
pub mod cloudtrail;
pub mod config;
#[cfg(feature = "offline")]
mod declared_launches;
#[cfg(feature = "aws")]
pub mod ec2;
mod fields;
pub mod recorded_launches;
mod template_versions;
#[cfg(feature = "offline")]
pub mod terraform;

use serde::Deserialize;

use crate::rule::resource::Resource;

/// Why a record could not be read as a resource.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A required field is absent or null.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field has an invalid value.
    #[error("{field} is {value}; expected {expected}")]
    Invalid {
        /// The path to the field.
        field: &'static str,
        /// The value, as it stands in the record.
        value: String,
        /// A description of valid values.
        expected: &'static str,
    },
    /// The record, or JSON inside it, does not have the expected shape.
    #[error("{field}: {error}")]
    Shape {
        /// The path to the part that does not fit.
        field: String,
        /// The error of the JSON parser.
        error: serde_json::Error,
    },
}

/// A resource that a template or plan declares.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// The resource. Its id is its name in the template or plan.
    pub resource: Resource<'static>,
    /// The line of the template on which its declaration begins, from 1, if it is known.
    pub line: Option<usize>,
}

/// Reads `json` as a `T` that is an object. (By itself, serde also accepts an array for a struct.)
///
/// # Errors
/// Returns an error if `json` is not a `T`. The error has the path to the part that does not fit, below
/// `root`.
pub(crate) fn read_object<'a, T: Deserialize<'a>>(root: &str, json: &'a str) -> Result<T, SourceError> {
    if json.trim_ascii_start().starts_with('{') {
        read(root, json)
    } else {
        let error = serde::de::Error::custom("expected an object");
        Err(SourceError::Shape { field: root.to_owned(), error })
    }
}

/// Reads `json` as a `T`.
///
/// # Errors
/// Returns an error if `json` is not a `T`. The error has the path to the part that does not fit, below
/// `root`.
pub(crate) fn read<'a, T: Deserialize<'a>>(root: &str, json: &'a str) -> Result<T, SourceError> {
    // The plain parser first: it is several times as fast as the one that tracks the path.
    serde_json::from_str(json).or_else(|_| {
        let mut parser = serde_json::Deserializer::from_str(json);
        let value = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
            let path = error.path().to_string();
            let field = match path.as_str() {
                "." => root.to_owned(),
                path => format!("{root}.{path}"),
            };
            SourceError::Shape { field, error: error.into_inner() }
        })?;
        parser.end().map_err(|error| SourceError::Shape { field: root.to_owned(), error })?;
        Ok(value)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_follows_the_object_is_an_error() {
        assert!(read_object::<Value>("item", r#" {"a": 1} "#).is_ok());
        for json in [r#"{"a": 1} {"a": 2}"#, r#"{"a": 1}}"#, r#"{"a": 1},"#] {
            let error = read_object::<Value>("item", json).expect_err(json);
            assert!(error.to_string().starts_with("item: trailing characters at line 1"), "{error}");
        }
    }
}
