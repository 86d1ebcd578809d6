//! CloudFormation templates, before they are deployed
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html>).
//!
//! - `node`: a template as values with lines; `yaml` and `json` parse it.
//! - [`parameters`]: the values of the template's parameters.
//! - `functions`: intrinsic functions, worked out as far as the template alone decides; `conditions`: conditions; `loops`:
//!   what differs between the elements of a loop.
//! - `resources`: the resources that the rule evaluates; `launches`: what they are launched from.
//!
//! Verdicts are those of a first deployment, in which a launch template has one version.

mod conditions;
mod functions;
mod json;
mod launches;
mod loops;
mod node;
pub mod parameters;
mod resources;
mod yaml;

use std::cell::{Cell, RefCell};

use self::functions::Functions;
use self::node::Node;
use self::parameters::{ParameterValues, TemplateParameters};
use super::Declared;

/// The encoding of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// YAML
    Yaml,
    /// JSON
    Json,
}

/// Why a template, or a resource in it, cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct TemplateError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl TemplateError {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }

    fn duplicate_key(line: usize, key: &str) -> Self {
        Self::new(line, format!("the object has the key {key} already"))
    }
}

/// What was read of a template.
#[derive(Debug)]
pub struct Template {
    /// The resources that the rule evaluates, in their order. One that cannot be read does not hide the others.
    pub resources: Vec<Result<Declared, TemplateError>>,
    /// The names of the template's parameters.
    pub parameters: Vec<String>,
}

/// Reads a template.
///
/// # Errors
/// Returns an error if `text` is not YAML or JSON, or is not a template.
pub fn read(
    text: &str,
    encoding: Encoding,
    parameters: &TemplateParameters,
) -> Result<Template, TemplateError> {
    let mut root = match encoding {
        Encoding::Yaml => yaml::parse(text)?,
        Encoding::Json => json::parse(text)?,
    };
    loops::mask(&mut root);
    let resources = section(&root, "Resources")?;
    let resources =
        resources.ok_or_else(|| TemplateError::new(root.line, "the template has no Resources"))?;
    let declared = section(&root, "Parameters")?;
    let functions = Functions {
        parameters: ParameterValues::new(declared, parameters),
        mappings: section(&root, "Mappings")?,
        conditions: section(&root, "Conditions")?,
        resources,
        judged: RefCell::default(),
        nesting: Cell::new(0),
    };
    let names = declared.and_then(Node::members).unwrap_or_default();
    let parameters = names.iter().map(|member| member.key.clone()).collect();
    Ok(Template { resources: resources::read(&functions), parameters })
}

/// Returns a section of the template, if it has it.
fn section<'t>(root: &'t Node, name: &str) -> Result<Option<&'t Node>, TemplateError> {
    match root.member(name) {
        Some(section) if section.members().is_none() => {
            Err(TemplateError::new(section.line, format!("{name}: expected an object")))
        }
        section => Ok(section),
    }
}

/// Returns whether a text that is not JSON is a template: whether it is an object with a section that only templates have.
/// One that cannot be parsed is a template if a line begins with the key of such a section.
#[must_use]
pub fn is_yaml_template(text: &str) -> bool {
    const VERSION: &str = "AWSTemplateFormatVersion";
    const KEYS: [&str; 2] = [VERSION, "Resources"];
    let begins_with_key = |line: &str| {
        let line = line.trim_start_matches(['"', '\'']);
        KEYS.iter().any(|key| {
            let rest = line.strip_prefix(key).map(|rest| rest.trim_start_matches(['"', '\'']).trim_start());
            rest.is_some_and(|rest| rest.starts_with(':'))
        })
    };
    // Other programs write lists of resources.
    let is_section = |key: &str, is_list: bool| key == VERSION || (KEYS.contains(&key) && !is_list);
    KEYS.iter().any(|key| text.contains(key))
        && yaml::has_member(text, is_section).unwrap_or_else(|| text.lines().any(begins_with_key))
}

#[cfg(test)]
mod tests;
