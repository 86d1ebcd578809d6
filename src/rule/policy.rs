//! The rule parameters, parsed into a [`Policy`].
//!
//! The same JSON object is `InputParameters` of the rule in AWS Config and `--parameters` on the command
//! line.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::resource::ResourceType;

/// The longest tag key that AWS allows, in characters
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>).
const MAX_TAG_KEY: usize = 128;

/// What a resource must satisfy to comply. The default policy evaluates `HttpTokens` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `maxHopLimit`, 1 to 64: the highest `HttpPutResponseHopLimit` that complies. `None`: any.
    pub max_hop_limit: Option<u8>,
    /// `disabledEndpointCompliant`: an instance whose IMDS endpoint is disabled complies.
    pub disabled_endpoint_compliant: bool,
    /// `exemptionTagKey`: a resource with this tag is exempt through the date in the tag's value.
    pub exemption_tag_key: Option<String>,
    /// `accountDefaults`: whether scheduled runs evaluate the account-level defaults of the Region.
    pub account_defaults: AccountDefaultsScope,
    /// `defaultsCompliant`: what launches instances and leaves `HttpTokens` unset complies if the account-level default
    /// or the AMI requires tokens.
    pub defaults_compliant: bool,
    /// `resourceTypes`: the types that are evaluated; a scheduled run lists these.
    pub resource_types: Vec<ResourceType<'static>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_hop_limit: None,
            disabled_endpoint_compliant: true,
            exemption_tag_key: None,
            account_defaults: AccountDefaultsScope::Excluded,
            defaults_compliant: false,
            resource_types: vec![
                ResourceType::Instance,
                ResourceType::LaunchTemplate,
                ResourceType::LaunchConfiguration,
                ResourceType::AutoScalingGroup,
            ],
        }
    }
}

/// Whether the account-level defaults of a Region are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountDefaultsScope {
    /// `false`: they are not.
    Excluded,
    /// `true`: they are, beside resources.
    Included,
    /// `only`: they are, and nothing else is. A rule without scope evaluates nothing but the account then.
    Only,
}

impl AccountDefaultsScope {
    const ALL: [Self; 3] = [Self::Excluded, Self::Included, Self::Only];

    fn as_str(self) -> &'static str {
        match self {
            Self::Excluded => "false",
            Self::Included => "true",
            Self::Only => "only",
        }
    }
}

/// A rule parameter.
struct Parameter {
    name: &'static str,
    /// A description of the values that it accepts, for error messages.
    expected: &'static str,
    /// Parses a value into the policy; `None` if the value is not accepted.
    set: fn(&mut Policy, &str) -> Option<()>,
    /// Returns the value in the policy; `None` if the parameter is absent.
    get: fn(&Policy) -> Option<String>,
}

const PARAMETERS: [Parameter; 6] = [
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
        expected: "\"true\", \"false\" or \"only\"",
        set: |policy, value| {
            let mut scopes = AccountDefaultsScope::ALL.into_iter();
            policy.account_defaults = scopes.find(|scope| scope.as_str() == value)?;
            Some(())
        },
        get: |policy| Some(policy.account_defaults.as_str().to_owned()),
    },
    Parameter {
        name: "defaultsCompliant",
        expected: "\"true\" or \"false\"",
        set: |policy, value| {
            policy.defaults_compliant = value.parse().ok()?;
            Some(())
        },
        get: |policy| Some(policy.defaults_compliant.to_string()),
    },
    Parameter {
        name: "resourceTypes",
        expected: "a comma-separated list of AWS::EC2::Instance, AWS::EC2::LaunchTemplate, \
                   AWS::AutoScaling::LaunchConfiguration and AWS::AutoScaling::AutoScalingGroup",
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
    /// Returns whether the policy includes resources of this type.
    #[must_use]
    pub fn judges(&self, resource_type: &ResourceType<'_>) -> bool {
        self.account_defaults != AccountDefaultsScope::Only
            && self.resource_types.iter().any(|judged| judged == resource_type)
    }

    /// Returns whether the policy includes the account-level defaults of a Region.
    #[must_use]
    pub fn judges_account_defaults(&self) -> bool {
        self.account_defaults != AccountDefaultsScope::Excluded
    }

    /// Parses rule parameters: a JSON object of strings, as AWS Config passes them to a rule. An empty string
    /// means the same as `{}`: every parameter has its default.
    ///
    /// # Errors
    /// Returns an error if `json` is not such an object, a key is not a rule parameter, or a value is out of
    /// range. The error names the key, the value and what is allowed.
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

    /// Returns the rule parameters that lead to this policy, by name. Absent parameters are omitted.
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

/// Returns the name of the rule parameter that is most similar to `name`.
fn nearest(name: &str) -> &'static str {
    let similarity = |known: &str| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase());
    PARAMETERS
        .iter()
        .map(|parameter| parameter.name)
        .max_by(|a, b| similarity(a).total_cmp(&similarity(b)))
        .unwrap_or_default()
}

/// Returns the start of a text, so that an error message stays readable whatever it quotes.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 100;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Why rule parameters were rejected.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The text is not JSON.
    #[error(
        "ruleParameters is {text}, which is not JSON ({error}); expected an object of strings such as {{\"maxHopLimit\":\"2\"}}"
    )]
    NotJson {
        /// The text, shortened.
        text: String,
        /// The error of the JSON parser.
        error: serde_json::Error,
    },
    /// The text is JSON, but not an object.
    #[error("ruleParameters is {0}; expected an object of strings such as {{\"maxHopLimit\":\"2\"}}")]
    NotAnObject(String),
    /// A key is not a parameter of this rule.
    #[error(
        "unknown rule parameter \"{name}\"; did you mean \"{nearest}\"? Valid names are maxHopLimit, disabledEndpointCompliant, exemptionTagKey, accountDefaults, defaultsCompliant and resourceTypes"
    )]
    UnknownKey {
        /// The key, shortened.
        name: String,
        /// The most similar valid name.
        nearest: &'static str,
    },
    /// A value is not accepted.
    #[error("rule parameter \"{name}\" is {value}; expected {expected}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// Its value as JSON, shortened.
        value: String,
        /// A description of the accepted values.
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
        let json = r#"{"maxHopLimit":"2","disabledEndpointCompliant":"false","exemptionTagKey":"imdsv1-until","accountDefaults":"true","defaultsCompliant":"true","resourceTypes":"AWS::EC2::LaunchTemplate, AWS::EC2::Instance"}"#;
        let expected = Policy {
            max_hop_limit: Some(2),
            disabled_endpoint_compliant: false,
            exemption_tag_key: Some("imdsv1-until".into()),
            account_defaults: AccountDefaultsScope::Included,
            defaults_compliant: true,
            resource_types: vec![ResourceType::LaunchTemplate, ResourceType::Instance],
        };
        assert_eq!(Policy::from_rule_parameters(json).expect("valid"), expected);
    }

    #[test]
    fn account_defaults_are_evaluated_beside_resources_or_alone() {
        for (value, judges_resources, judges_defaults) in
            [("false", true, false), ("true", true, true), ("only", false, true)]
        {
            let json = format!(r#"{{"accountDefaults":"{value}"}}"#);
            let policy = Policy::from_rule_parameters(&json).expect("valid");
            assert_eq!(policy.judges(&ResourceType::Instance), judges_resources, "{value}");
            assert_eq!(policy.judges_account_defaults(), judges_defaults, "{value}");
        }
    }

    #[test]
    fn a_policy_returns_the_parameters_that_lead_to_it() {
        let all = r#"{"maxHopLimit":"2","exemptionTagKey":"until","resourceTypes":"AWS::EC2::Instance"}"#;
        for json in ["{}", all, r#"{"accountDefaults":"only"}"#] {
            let policy = Policy::from_rule_parameters(json).expect("valid");
            let parameters = serde_json::to_string(&policy.rule_parameters()).expect("text");
            assert_eq!(Policy::from_rule_parameters(&parameters).expect("valid"), policy, "{parameters}");
        }
    }

    #[test]
    fn hop_limit_accepts_exactly_1_to_64() {
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
            r#"rule parameter "accountDefaults" is "True"; expected "true", "false" or "only""#
        );
        assert!(error(r#"{"exemptionTagKey":""}"#).contains("expected a tag key of 1 to 128 characters"));
        for bad in ["", "AWS::EC2::VPC", "AWS::EC2::Instance,", "instances"] {
            let message = error(&format!(r#"{{"resourceTypes":"{bad}"}}"#));
            assert!(message.contains("expected a comma-separated list of AWS::EC2::Instance, "), "{message}");
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
            ("defaultCompliant", "defaultsCompliant"),
        ] {
            let message = error(&format!(r#"{{"{key}":"1"}}"#));
            assert!(
                message.starts_with(&format!(r#"unknown rule parameter "{key}"; did you mean "{nearest}"?"#)),
                "{message}"
            );
        }
    }

    #[test]
    fn anything_but_an_object_is_rejected() {
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
