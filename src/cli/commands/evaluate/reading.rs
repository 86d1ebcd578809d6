//! What is found in an input.

use std::io;

use super::declarations;
use super::recorded::{EXPECTED, Failure, RecordError, Recorded};
use super::records;
use crate::cli::input::document::{Document, Json, contains_known_key};
use crate::cli::input::files::{Decompression, Input, is_json};
use crate::cli::input::guess::looks_like;
use crate::cli::input::split::{self, Position};
use crate::sources::cloudformation::parameters::TemplateParameters;
use crate::sources::cloudformation::{Encoding, is_yaml_template};

/// The largest record that is read, in bytes.
const MAX_RECORD: usize = 256 * 1024 * 1024;

/// What is found in an input.
#[allow(clippy::large_enum_variant)] // most are of the large variant
pub(super) enum Found<'a> {
    Recorded(Recorded<'a>),
    /// A record, or the whole input, that cannot be read.
    Unreadable(Option<Position>, String),
    /// A file of a directory is of another kind.
    OtherKind,
}

impl Found<'_> {
    pub(super) fn into_owned(self) -> Found<'static> {
        match self {
            Self::Recorded(recorded) => Found::Recorded(recorded.into_owned()),
            Self::Unreadable(position, problem) => Found::Unreadable(position, problem),
            Self::OtherKind => Found::OtherKind,
        }
    }
}

/// Receives what is found.
type Visit<'v> = dyn FnMut(Found<'_>) -> io::Result<()> + 'v;

/// Passes everything that is found in an input to `visit`. `parameters` are those of templates.
///
/// # Errors
/// Returns the first error of `visit`, which ends the work.
pub(super) fn read(
    input: &Input,
    decompression: Decompression,
    parameters: &TemplateParameters,
    visit: &mut Visit<'_>,
) -> io::Result<()> {
    let document = match input.open(decompression).map(Document::begin) {
        Ok(document) => document,
        Err(error) => return visit(Found::Unreadable(None, error.to_string())),
    };
    match document {
        Document::Json(json) => read_json(input, json, parameters, visit),
        Document::Text(text) if is_yaml_template(&text) => read_template(&text, parameters, visit),
        Document::Text(text) => {
            let (like, is_empty) = (looks_like(&text), text.trim().is_empty());
            let other = |what: &str| Found::Unreadable(None, format!("this {what}; expected {EXPECTED}"));
            let mut json = Json::of_text(text);
            // An empty file may be what is left of an input.
            json.has_known_key |= is_empty && is_json(input.path());
            match like {
                _ if input.is_in_directory() && !json.has_known_key => visit(Found::OtherKind),
                Some(like) => visit(other(&format!("looks like {like}"))),
                None if !json.has_known_key && !is_empty => {
                    visit(other("is neither a JSON object or array nor a template"))
                }
                None => read_json(input, json, parameters, visit),
            }
        }
    }
}

fn read_template(text: &str, parameters: &TemplateParameters, visit: &mut Visit<'_>) -> io::Result<()> {
    let pass = &mut |recorded: Recorded<'_>| visit(Found::Recorded(recorded));
    match declarations::template(text, Encoding::Yaml, parameters, pass) {
        Ok(()) => Ok(()),
        Err(Failure::Receiver(error)) => Err(error),
        Err(Failure::Record(error)) => visit(Found::Unreadable(None, error.to_string())),
    }
}

/// A file of a directory is of another kind, if its first record is.
fn read_json(
    input: &Input,
    json: Json,
    parameters: &TemplateParameters,
    visit: &mut Visit<'_>,
) -> io::Result<()> {
    let Json { reader, has_known_key } = json;
    let mut is_other = false;
    let result = split::for_each(reader, MAX_RECORD, &mut |position, record| {
        let (problem, is_unknown) = match record {
            Err(problem) => {
                let is_known = || has_known_key || contains_known_key(input.open(Decompression::Inline));
                (problem, position.record == 1 && input.is_in_directory() && !is_known())
            }
            Ok(record) => {
                let pass = &mut |recorded: Recorded<'_>| visit(Found::Recorded(recorded.at(position)));
                match records::read(&record, parameters, pass) {
                    Ok(()) => return Ok(()),
                    Err(Failure::Receiver(error)) => return Err(error),
                    Err(Failure::Record(error)) => {
                        (error.to_string(), matches!(error, RecordError::Unknown(_)))
                    }
                }
            }
        };
        is_other = is_unknown && position.record == 1 && input.is_in_directory();
        if is_other {
            return Err(io::ErrorKind::Other.into());
        }
        visit(Found::Unreadable(Some(position), problem))
    });
    if is_other { visit(Found::OtherKind) } else { result }
}
