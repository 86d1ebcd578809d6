//! The Lambda event that AWS Config sends, checked and typed.
//!
//! The event is JSON that contains JSON: `invokingEvent` and `ruleParameters` are strings
//! (<https://docs.aws.amazon.com/config/latest/developerguide/evaluate-config_develop-rules_example-events.html>).

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::rule::policy::{Policy, PolicyError};
use crate::sources::config::configuration_item::{ConfigurationItem, parse_time};
use crate::sources::{SourceError, read_object};

/// The fields of the event. Each accessor checks its field and names it in its error, so a caller depends
/// only on the fields that it reads.
#[derive(Clone, Copy, Debug)]
pub struct ConfigEvent<'a>(&'a Map<String, Value>);

impl<'a> ConfigEvent<'a> {
    /// Takes the payload of an invocation.
    ///
    /// # Errors
    /// Returns an error if `payload` is not a JSON object.
    pub fn new(payload: &'a Value) -> Result<Self, EventError> {
        match payload {
            Value::Object(fields) => Ok(Self(fields)),
            other => Err(EventError::NotAnObject(kind(other))),
        }
    }

    /// Returns the account whose resource is evaluated (`accountId`).
    ///
    /// # Errors
    /// Returns an error if it is absent or not a string.
    pub fn account_id(self) -> Result<&'a str, EventError> {
        self.required("accountId")
    }

    /// Returns the token to report evaluations with (`resultToken`).
    ///
    /// # Errors
    /// Returns an error if it is absent or not a string.
    pub fn result_token(self) -> Result<&'a str, EventError> {
        self.required("resultToken")
    }

    /// Returns whether the resource left the scope of the rule (`eventLeftScope`). Absent means that it did
    /// not.
    ///
    /// # Errors
    /// Returns an error if it is not a Boolean.
    pub fn left_scope(self) -> Result<bool, EventError> {
        match self.0.get("eventLeftScope") {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(left)) => Ok(*left),
            Some(other) => Err(EventError::Type {
                field: "eventLeftScope",
                found: kind(other),
                expected: "true or false",
            }),
        }
    }

    /// Returns the policy of the rule parameters (`ruleParameters`), or the default one if there are none.
    ///
    /// # Errors
    /// Returns an error if they are not a string, or [`Policy::from_rule_parameters`] rejects them.
    pub fn policy(self) -> Result<Policy, EventError> {
        let parameters = self.string("ruleParameters")?.unwrap_or_default();
        Ok(Policy::from_rule_parameters(parameters)?)
    }

    /// Returns the name of the rule (`configRuleName`).
    ///
    /// # Errors
    /// Returns an error if it is absent or not a string.
    pub fn rule_name(self) -> Result<&'a str, EventError> {
        self.required("configRuleName")
    }

    /// Returns what made AWS Config invoke the rule (`invokingEvent`).
    ///
    /// # Errors
    /// Returns an error if it is absent, not a string that contains JSON, of an unknown kind, or without the
    /// configuration item that it belongs to.
    pub fn trigger(self) -> Result<Trigger<'a>, EventError> {
        Trigger::from_notification("invokingEvent", self.required("invokingEvent")?)
    }

    fn required(self, field: &'static str) -> Result<&'a str, EventError> {
        match self.string(field)? {
            None | Some("") => Err(EventError::Missing(field)),
            Some(text) => Ok(text),
        }
    }

    fn string(self, field: &'static str) -> Result<Option<&'a str>, EventError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(EventError::Type { field, found: kind(other), expected: "a string" }),
        }
    }
}

/// Why AWS Config invokes the rule.
#[derive(Clone, Debug)]
pub enum Trigger<'a> {
    /// A resource changed; this is its configuration item.
    Change(ConfigurationItem<'a>),
    /// A resource changed, and its item is too large for an event; this is a summary without `configuration`.
    /// The item itself is in the history of the resource.
    Oversized(ConfigurationItem<'a>),
    /// The schedule of the rule asks for an evaluation of all resources. The time is the creation time of the
    /// notification, which is the ordering timestamp of all its evaluations.
    Scheduled(OffsetDateTime),
}

impl<'a> Trigger<'a> {
    /// Reads a notification of AWS Config: the JSON inside an event. `path` is its place in the input, for
    /// errors.
    ///
    /// # Errors
    /// Returns an error if `json` is not an object, of an unknown kind, or without the item or the time that
    /// it belongs to.
    pub fn from_notification(path: &'static str, json: &'a str) -> Result<Self, EventError> {
        let notification: Notification<'a> = read_object(path, json)?;
        let item = |field, json: Option<&'a RawValue>| {
            let json = json.ok_or(SourceError::Missing(field))?;
            ConfigurationItem::from_json(field, json.get())
        };
        match notification.message_type.as_deref() {
            Some("ConfigurationItemChangeNotification") => {
                Ok(Self::Change(item("invokingEvent.configurationItem", notification.configuration_item)?))
            }
            Some("OversizedConfigurationItemChangeNotification") => Ok(Self::Oversized(item(
                "invokingEvent.configurationItemSummary",
                notification.configuration_item_summary,
            )?)),
            Some("ScheduledNotification") => {
                const FIELD: &str = "invokingEvent.notificationCreationTime";
                let created = notification.notification_creation_time.ok_or(SourceError::Missing(FIELD))?;
                Ok(Self::Scheduled(parse_time(FIELD, created)?))
            }
            Some(other) => Err(EventError::MessageType(other.chars().take(100).collect())),
            None => Err(SourceError::Missing("invokingEvent.messageType").into()),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification<'a> {
    message_type: Option<String>,
    #[serde(borrow)]
    notification_creation_time: Option<&'a RawValue>,
    #[serde(borrow)]
    configuration_item: Option<&'a RawValue>,
    #[serde(borrow)]
    configuration_item_summary: Option<&'a RawValue>,
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a Boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Why an event cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The payload is not an object.
    #[error(
        "the event is {0}; expected the JSON object that AWS Config sends, with invokingEvent and resultToken"
    )]
    NotAnObject(&'static str),
    /// A field that AWS Config always sends is absent.
    #[error("{0} is missing from the event; AWS Config sends it as a string")]
    Missing(&'static str),
    /// A field has the wrong type.
    #[error("{field} is {found}; expected {expected}")]
    Type {
        /// The field.
        field: &'static str,
        /// The type of its value.
        found: &'static str,
        /// The expected type.
        expected: &'static str,
    },
    /// A notification that this rule does not evaluate.
    #[error(
        "invokingEvent.messageType is \"{0}\"; this rule evaluates ConfigurationItemChangeNotification, \
         OversizedConfigurationItemChangeNotification and ScheduledNotification"
    )]
    MessageType(String),
    /// The rule parameters are invalid.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The notification or its item is malformed.
    #[error(transparent)]
    Source(#[from] SourceError),
}
