//! The rule's parameters, parsed once, at the edge.
//!
//! The same JSON is the rule's `InputParameters` in AWS Config and `--parameters` on the command line.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::rule::resource::ResourceType;

/// The longest tag key that AWS allows, in characters
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>).
const MAX_TAG_KEY: usize = 128;

/// What a resource has to satisfy. The default judges `HttpTokens` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `maxHopLimit`, 1 to 64: the highest `HttpPutResponseHopLimit` that complies. `None`: not judged.
    pub max_hop_limit: Option<u8>,
    /// `disabledEndpointCompliant`: an instance whose IMDS endpoint is disabled complies.
    pub disabled_endpoint_compliant: bool,
    /// `exemptionTagKey`: a resource with this tag is exempt through the date in the tag's value.
    pub exemption_tag_key: Option<String>,
    /// `accountDefaults`: scheduled runs also judge the Region's account-level defaults.
    pub account_defaults: bool,
    /// `resourceTypes`: the types that are judged, which are those that a scheduled run lists.
    pub resource_types: Vec<ResourceType<'static>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_hop_limit: None,
            disabled_endpoint_compliant: true,
            exemption_tag_key: None,
            account_defaults: false,
            resource_types: vec![
                ResourceType::Instance,
                ResourceType::LaunchTemplate,
                ResourceType::LaunchConfiguration,
            ],
        }
    }
}

/// A parameter: its name, what it takes, and where its value goes.
struct Parameter {
    name: &'static str,
    expected: &'static str,
    set: fn(&mut Policy, &str) -> Option<()>,
    get: fn(&Policy) -> Option<String>,
}

const PARAMETERS: [Parameter; 5] = [
    Parameter {
        name: "maxHopLimit",
        expected: "a whole number from \"1\" to \"64\"",
        set: |policy, value| {
            policy.max_hop_limit = Some(value.parse().ok().filter(|limit| (1..=64).contains(limit))?);
            Some(())
        },
        get: |policy| policy.max_hop_limit.map(|limit| limit.to_string()),
    },
    Parameter {
        name: "disabledEndpointCompliant",
        expected: "\"true\" or \"false\"",
        set: |policy, value| {
            policy.disabled_endpoint_compliant = value.parse().ok()?;
            Some(())
        },
        get: |policy| Some(policy.disabled_endpoint_compliant.to_string()),
    },
    Parameter {
        name: "exemptionTagKey",
        expected: "a tag key of 1 to 128 characters",
        set: |policy, value| {
            let fits = (1..=MAX_TAG_KEY).contains(&value.chars().count());
            fits.then(|| policy.exemption_tag_key = Some(value.to_owned()))
        },
        get: |policy| policy.exemption_tag_key.clone(),
    },
    Parameter {
        name: "accountDefaults",
        expected: "\"true\" or \"false\"",
        set: |policy, value| {
            policy.account_defaults = value.parse().ok()?;
            Some(())
        },
        get: |policy| Some(policy.account_defaults.to_string()),
    },
    Parameter {
        name: "resourceTypes",
        expected: "one or more of AWS::EC2::Instance, AWS::EC2::LaunchTemplate and \
                   AWS::AutoScaling::LaunchConfiguration, with commas between them",
        set: |policy, value| {
            policy.resource_types = value.split(',').map(judged_type).collect::<Option<_>>()?;
            Some(())
        },
        get: |policy| {
            let names: Vec<_> = policy.resource_types.iter().map(ResourceType::name).collect();
            Some(names.join(","))
        },
    },
];

fn judged_type(name: &str) -> Option<ResourceType<'static>> {
    let known = Policy::default().resource_types;
    known.into_iter().find(|resource_type| resource_type.name() == name.trim())
}

impl Policy {
    /// Whether resources of this type are judged.
    #[must_use]
    pub fn judges(&self, resource_type: &ResourceType<'_>) -> bool {
        self.resource_types.iter().any(|judged| judged == resource_type)
    }

    /// Parses rule parameters: a JSON object of strings, as AWS Config hands them to a rule.
    /// An empty text means the same as `{}`: every parameter has its default.
    ///
    /// # Errors
    /// Where the text is no such object, a key is not a parameter, or a value is out of range; the
    /// error names the key, the value and what is allowed.
    pub fn from_rule_parameters(json: &str) -> Result<Self, PolicyError> {
        if json.trim().is_empty() {
            return Ok(Self::default());
        }
        let parameters: Map<String, Value> = match serde_json::from_str(json) {
            Ok(Value::Object(parameters)) => parameters,
            Ok(other) => return Err(PolicyError::NotAnObject(shorten(&other.to_string()))),
            Err(error) => return Err(PolicyError::NotJson { text: shorten(json), error }),
        };
        let mut policy = Self::default();
        for (name, value) in &parameters {
            policy.set(name, value)?;
        }
        Ok(policy)
    }

    /// The parameters that make this policy, with their values; those that have none are left out.
    #[must_use]
    pub fn rule_parameters(&self) -> BTreeMap<&'static str, String> {
        let value = |parameter: &Parameter| Some((parameter.name, (parameter.get)(self)?));
        PARAMETERS.iter().filter_map(value).collect()
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), PolicyError> {
        let parameter = PARAMETERS
            .iter()
            .find(|parameter| parameter.name == name)
            .ok_or_else(|| PolicyError::UnknownKey { name: shorten(name), nearest: nearest(name) })?;
        value.as_str().and_then(|text| (parameter.set)(self, text)).ok_or_else(|| PolicyError::Value {
            name: parameter.name,
            value: shorten(&value.to_string()),
            expected: parameter.expected,
        })
    }
}

/// The known parameter that is spelt most like `name`.
fn nearest(name: &str) -> &'static str {
    let likeness = |known: &str| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase());
    PARAMETERS
        .iter()
        .map(|parameter| parameter.name)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .unwrap_or_default()
}

/// The start of a text, so that an error message stays readable whatever it quotes.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 100;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Why rule parameters were refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The text is no JSON.
    #[error(
        "ruleParameters is {text}, which is not JSON ({error}); expected an object of strings such as {{\"maxHopLimit\":\"2\"}}"
    )]
    NotJson {
        /// The text, shortened.
        text: String,
        /// What the JSON reader says.
        error: serde_json::Error,
    },
    /// JSON, but no object.
    #[error("ruleParameters is {0}; expected an object of strings such as {{\"maxHopLimit\":\"2\"}}")]
    NotAnObject(String),
    /// A key that is no parameter of this rule.
    #[error(
        "rule parameter \"{name}\" is not known; did you mean \"{nearest}\"? Known are maxHopLimit, disabledEndpointCompliant, exemptionTagKey, accountDefaults and resourceTypes"
    )]
    UnknownKey {
        /// The key, shortened.
        name: String,
        /// The known key that looks most like it.
        nearest: &'static str,
    },
    /// A value that the parameter does not take.
    #[error("rule parameter \"{name}\" is {value}; expected {expected}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// Its value as JSON, shortened.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> String {
        Policy::from_rule_parameters(json).expect_err(json).to_string()
    }

    #[test]
    fn absent_empty_and_empty_object_are_the_defaults() {
        for json in ["", "  ", "{}"] {
            assert_eq!(Policy::from_rule_parameters(json).expect(json), Policy::default());
        }
    }

    #[test]
    fn every_parameter_is_read() {
        let json = r#"{"maxHopLimit":"2","disabledEndpointCompliant":"false","exemptionTagKey":"imdsv1-until","accountDefaults":"true","resourceTypes":"AWS::EC2::LaunchTemplate, AWS::EC2::Instance"}"#;
        let expected = Policy {
            max_hop_limit: Some(2),
            disabled_endpoint_compliant: false,
            exemption_tag_key: Some("imdsv1-until".into()),
            account_defaults: true,
            resource_types: vec![ResourceType::LaunchTemplate, ResourceType::Instance],
        };
        assert_eq!(Policy::from_rule_parameters(json).expect("valid"), expected);
    }

    #[test]
    fn a_policy_tells_the_parameters_that_make_it() {
        let all = r#"{"maxHopLimit":"2","exemptionTagKey":"until","resourceTypes":"AWS::EC2::Instance"}"#;
        for json in ["{}", all] {
            let policy = Policy::from_rule_parameters(json).expect("valid");
            let told = serde_json::to_string(&policy.rule_parameters()).expect("text");
            assert_eq!(Policy::from_rule_parameters(&told).expect("valid"), policy, "{told}");
        }
    }

    #[test]
    fn hop_limit_takes_exactly_1_to_64() {
        for good in ["1", "2", "64"] {
            let json = format!(r#"{{"maxHopLimit":"{good}"}}"#);
            assert!(Policy::from_rule_parameters(&json).is_ok(), "{json}");
        }
        for bad in ["0", "65", "256", "-1", "two", "1.5", "", " 2"] {
            let message = error(&format!(r#"{{"maxHopLimit":"{bad}"}}"#));
            assert_eq!(
                message,
                format!(
                    r#"rule parameter "maxHopLimit" is "{bad}"; expected a whole number from "1" to "64""#
                )
            );
        }
    }

    #[test]
    fn values_must_be_strings_in_range() {
        assert_eq!(
            error(r#"{"maxHopLimit":2}"#),
            r#"rule parameter "maxHopLimit" is 2; expected a whole number from "1" to "64""#
        );
        assert_eq!(
            error(r#"{"disabledEndpointCompliant":"maybe"}"#),
            r#"rule parameter "disabledEndpointCompliant" is "maybe"; expected "true" or "false""#
        );
        assert_eq!(
            error(r#"{"accountDefaults":"True"}"#),
            r#"rule parameter "accountDefaults" is "True"; expected "true" or "false""#
        );
        assert!(error(r#"{"exemptionTagKey":""}"#).contains("expected a tag key of 1 to 128 characters"));
        for bad in ["", "AWS::EC2::VPC", "AWS::EC2::Instance,", "instances"] {
            let message = error(&format!(r#"{{"resourceTypes":"{bad}"}}"#));
            assert!(message.contains("expected one or more of AWS::EC2::Instance, "), "{message}");
        }
        let long = "k".repeat(129);
        assert!(error(&format!(r#"{{"exemptionTagKey":"{long}"}}"#)).contains("1 to 128 characters"));
    }

    #[test]
    fn unknown_key_names_the_nearest() {
        for (key, nearest) in [
            ("maxHopsLimit", "maxHopLimit"),
            ("MAXHOPLIMIT", "maxHopLimit"),
            ("exemptTagKey", "exemptionTagKey"),
            ("endpointDisabledCompliant", "disabledEndpointCompliant"),
            ("accountDefault", "accountDefaults"),
            ("resourceType", "resourceTypes"),
        ] {
            let message = error(&format!(r#"{{"{key}":"1"}}"#));
            assert!(
                message.starts_with(&format!(
                    r#"rule parameter "{key}" is not known; did you mean "{nearest}"?"#
                )),
                "{message}"
            );
        }
    }

    #[test]
    fn anything_but_an_object_is_refused() {
        assert!(error("[]").starts_with("ruleParameters is []; expected an object of strings"));
        assert!(error("null").starts_with("ruleParameters is null; expected"));
        assert!(error("maxHopLimit=2").starts_with("ruleParameters is maxHopLimit=2, which is not JSON ("));
    }

    #[test]
    fn quoted_input_is_shortened() {
        let message = error(&"é".repeat(5_000));
        assert!(message.chars().count() < 300, "{message}");
    }
}
