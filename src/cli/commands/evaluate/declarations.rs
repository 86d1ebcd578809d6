//! What templates and plans contribute to an evaluation.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::recorded::{Failure, Recorded, Visit};
use crate::sources::cloudformation::parameters::TemplateParameters;
use crate::sources::cloudformation::{self, Encoding};
use crate::sources::{Declared, read, read_object, terraform};

/// Passes the resources of a CloudFormation template to `visit`.
///
/// # Errors
/// Returns an error if `text` is not a template, or if `visit` fails.
pub(super) fn template(
    text: &str,
    encoding: Encoding,
    parameters: &TemplateParameters,
    visit: &mut Visit<'_>,
) -> Result<(), Failure> {
    let template = cloudformation::read(text, encoding, parameters)?;
    visit(Recorded::Document { parameters: template.parameters }).map_err(Failure::Receiver)?;
    pass(template.resources, visit)
}

/// Returns whether an object with a section of templates is one: it says so, or its resources are members of an object.
/// Other programs write lists of this name. What cannot be parsed may be a template.
pub(super) fn is_template(json: &str) -> bool {
    #[derive(Deserialize)]
    struct Sections<'a> {
        #[serde(rename = "AWSTemplateFormatVersion")]
        version: Option<IgnoredAny>,
        #[serde(borrow, rename = "Resources")]
        resources: Option<&'a RawValue>,
    }
    let sections: Result<Sections<'_>, _> = serde_json::from_str(json);
    sections.map_or(true, |Sections { version, resources }| {
        version.is_some() || resources.is_some_and(|resources| resources.get().starts_with('{'))
    })
}

/// Passes the resources of the template of a stack to `visit`: of the output of `aws cloudformation get-template`, in which
/// YAML is a string and JSON an object
/// (<https://docs.aws.amazon.com/cli/latest/reference/cloudformation/get-template.html>).
///
/// # Errors
/// Returns an error if the response lacks a template, or if `visit` fails.
pub(super) fn stack_template(
    json: &str,
    parameters: &TemplateParameters,
    visit: &mut Visit<'_>,
) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Response<'a> {
        #[serde(borrow, rename = "TemplateBody")]
        template: &'a RawValue,
    }
    let Response { template: body } = read_object("response", json)?;
    let mut without_line = |recorded: Recorded<'_>| {
        visit(match recorded {
            Recorded::Declared { resource, .. } => Recorded::Declared { resource, line: None },
            recorded => recorded,
        })
    };
    if !body.get().starts_with('"') {
        return template(body.get(), Encoding::Json, parameters, &mut without_line);
    }
    let text: String = read("TemplateBody", body.get())?;
    let encoding = if text.trim_start().starts_with('{') { Encoding::Json } else { Encoding::Yaml };
    template(&text, encoding, parameters, &mut without_line)
}

/// Passes the resources of a Terraform plan or state to `visit`.
///
/// # Errors
/// Returns an error if `json` is neither, or if `visit` fails.
pub(super) fn plan(json: &str, visit: &mut Visit<'_>) -> Result<(), Failure> {
    let resources = terraform::read(json)?;
    visit(Recorded::Document { parameters: Vec::new() }).map_err(Failure::Receiver)?;
    pass(resources, visit)
}

fn pass<E: ToString>(resources: Vec<Result<Declared, E>>, visit: &mut Visit<'_>) -> Result<(), Failure> {
    resources.into_iter().try_for_each(|found| {
        visit(match found {
            Ok(Declared { resource, line }) => Recorded::Declared { resource, line },
            Err(error) => Recorded::Unreadable(error.to_string()),
        })
        .map_err(Failure::Receiver)
    })
}
