//! The values of a template's parameters.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;

use super::functions::{MAX_TEXT, Resolved, dynamic_reference, is_dynamic, list, scalar};
use super::node::{Member, Node};

/// Values of parameters, by name. Pseudo parameters such as `AWS::Region` may be among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateParameters(BTreeMap<String, String>);

/// The shapes of a file of parameters.
#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    /// What the AWS CLI takes as `--parameters`
    /// (<https://docs.aws.amazon.com/cli/latest/reference/cloudformation/create-stack.html>).
    List(Vec<Parameter>),
    /// What CodePipeline takes as a template configuration file
    /// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/continuous-delivery-codepipeline-cfn-artifacts.html>).
    Configuration {
        #[serde(rename = "Parameters")]
        parameters: BTreeMap<String, Value>,
    },
    /// An object of values.
    Values(BTreeMap<String, Value>),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    parameter_key: String,
    parameter_value: Option<Value>,
}

/// Why a file of parameters cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ParametersError {
    /// It has another shape.
    #[error(
        "expected an object of parameter values, an object with Parameters, or a list of ParameterKey and ParameterValue{0}"
    )]
    Shape(String),
    /// A value is not text, a number or a truth value.
    #[error("the parameter {0} is {1}; expected a string, a number or a Boolean")]
    Value(String, String),
}

impl TemplateParameters {
    /// Reads a file of parameters: an object of values, the list that the AWS CLI takes, or the object with `Parameters` that
    /// CodePipeline takes.
    ///
    /// # Errors
    /// Returns an error that names the parameter, if the file has another shape.
    pub fn from_json(json: &str) -> Result<Self, ParametersError> {
        let json: Value =
            serde_json::from_str(json).map_err(|error| ParametersError::Shape(format!(": {error}")))?;
        let file = serde_json::from_value(json).map_err(|_| ParametersError::Shape(String::new()))?;
        let values: Vec<(String, Value)> = match file {
            File::List(list) => {
                let pairs = list.into_iter().map(|each| Some((each.parameter_key, each.parameter_value?)));
                pairs.flatten().collect()
            }
            File::Configuration { parameters } | File::Values(parameters) => parameters.into_iter().collect(),
        };
        let values = values.into_iter().map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
            other => Err(ParametersError::Value(name, other.to_string())),
        });
        Ok(Self(values.collect::<Result<_, _>>()?))
    }

    /// Returns the value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the names of the parameters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// The values of the parameters of one template, and of the pseudo parameters that the user passed.
pub(super) struct ParameterValues<'t>(HashMap<&'t str, Resolved<'t>>);

impl<'t> ParameterValues<'t> {
    /// Works out the values. `section` is the section `Parameters` of the template.
    pub(super) fn new(section: Option<&'t Node>, passed: &'t TemplateParameters) -> Self {
        let pseudo = passed.0.iter().filter(|(name, _)| name.starts_with("AWS::"));
        let pseudo = pseudo.map(|(name, value)| (name.as_str(), scalar(0, value)));
        let declared = section.and_then(Node::members).unwrap_or_default();
        let declared =
            declared.iter().map(|member| (member.key.as_str(), parameter(member, passed.get(&member.key))));
        Self(pseudo.chain(declared).collect())
    }

    /// Returns the value of a parameter; `None` if there is no such parameter.
    pub(super) fn get(&self, name: &str) -> Option<&Resolved<'t>> {
        self.0.get(name)
    }
}

/// Returns the value of a parameter: the one that the user passed, or its default.
fn parameter<'t>(Member { key: name, node, .. }: &'t Member, passed: Option<&'t str>) -> Resolved<'t> {
    let Some(value) = passed.or_else(|| node.member("Default").and_then(Node::text)) else {
        return Resolved::unresolved(format!("the parameter {name}, which has no default"));
    };
    if value.len() > MAX_TEXT {
        return Resolved::unresolved(format!(
            "the parameter {name}, whose value is longer than {MAX_TEXT} bytes"
        ));
    }
    let kind = node.member("Type").and_then(Node::text).unwrap_or_default();
    if kind.starts_with("AWS::SSM::Parameter::Value<") {
        return Resolved::unresolved(format!("the Systems Manager parameter {value}"));
    }
    if is_dynamic(value) {
        return dynamic_reference(value);
    }
    if kind == "CommaDelimitedList" || kind.starts_with("List<") {
        return list(node.line, value.split(',').map(str::trim));
    }
    scalar(node.line, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_of_a_file_is_read() {
        for json in [
            r#"{"Tokens": "required", "Hops": 2, "On": true}"#,
            r#"{"Parameters": {"Tokens": "required", "Hops": 2, "On": "true"}, "Tags": {"a": "b"}}"#,
            r#"[{"ParameterKey": "Tokens", "ParameterValue": "required"}, {"ParameterKey": "Hops", "ParameterValue": "2"},
                {"ParameterKey": "On", "ParameterValue": true}, {"ParameterKey": "Old", "UsePreviousValue": true}]"#,
        ] {
            let parameters = TemplateParameters::from_json(json).expect(json);
            let values = ["Tokens", "Hops", "On", "Old"].map(|name| parameters.get(name));
            assert_eq!(values, [Some("required"), Some("2"), Some("true"), None], "{json}");
        }
    }

    #[test]
    fn another_shape_is_an_error_that_says_what_is_expected() {
        for (json, message) in [
            ("7", "expected an object of parameter values"),
            ("{", "ParameterValue: EOF while parsing"),
            (r#"{"A": {"b": 1}}"#, r#"the parameter A is {"b":1}; expected a string, a number or a Boolean"#),
            (r#"[{"Name": "A"}]"#, "expected an object of parameter values"),
        ] {
            let error = TemplateParameters::from_json(json).expect_err(json).to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
