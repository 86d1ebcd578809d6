//! Where resources come from: each module reads one shape of input and ends in a [`Resource`].
//!
//! [`Resource`]: crate::rule::resource::Resource

pub mod aws_cli;
pub mod config;
pub mod ec2;
mod fields;

use serde::Deserialize;

/// Why a record could not be read as a resource.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A field that every such record has is absent or null.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field holds what it should not.
    #[error("{field} is {value}; expected {expected}")]
    Invalid {
        /// The path to the field.
        field: &'static str,
        /// Its value, as it stands in the record.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The record, or JSON inside it, does not have the shape that it should.
    #[error("{field}: {error}")]
    Shape {
        /// The path to the part that is wrong.
        field: String,
        /// What the JSON reader says.
        error: serde_json::Error,
    },
}

/// Reads `json` as a `T` that is an object. (Left to itself, serde takes a list for a struct, too.)
///
/// # Errors
/// Where it is none: the error has the path to the part that is wrong, below `root`.
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
/// Where it is none: the error has the path to the part that is wrong, below `root`.
pub(crate) fn read<'a, T: Deserialize<'a>>(root: &str, json: &'a str) -> Result<T, SourceError> {
    // The plain reader first: it is several times as fast as the one that keeps track of the path.
    serde_json::from_str(json).or_else(|_| {
        let mut reader = serde_json::Deserializer::from_str(json);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            let field = match path.as_str() {
                "." => root.to_owned(),
                path => format!("{root}.{path}"),
            };
            SourceError::Shape { field, error: error.into_inner() }
        })
    })
}
