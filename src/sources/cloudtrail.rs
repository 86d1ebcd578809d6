//! Calls of instances in CloudTrail records.
//!
//! A call that is signed with the credentials of an instance's role states how the instance got them:
//! `userIdentity.sessionContext.ec2RoleDelivery` is `"1.0"` for IMDSv1 and `"2.0"` for IMDSv2
//! (<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use memchr::memmem;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::{SourceError, read_object};

const DELIVERY: &str = "ec2RoleDelivery";

/// How an instance got the credentials of its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// By IMDSv1.
    Imdsv1,
    /// By IMDSv2.
    Imdsv2,
}

/// A call with the credentials of an instance's role. What a record lacks, or has in an unexpected type, is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// How the instance got the credentials.
    pub delivery: Delivery,
    /// The account of the role.
    pub account_id: Option<Cow<'a, str>>,
    /// The ARN of the role.
    pub role_arn: Option<Cow<'a, str>>,
    /// The instance, which is the name of the role's session.
    pub instance_id: Option<Cow<'a, str>>,
    /// The user agent.
    pub user_agent: Option<Cow<'a, str>>,
    /// The time of the call, in UTC.
    pub time: Option<OffsetDateTime>,
    /// The name of the service that was called, such as `s3`.
    pub service: Option<Cow<'a, str>>,
    /// What distinguishes the call from all others. A call between accounts is recorded in both, with one
    /// `sharedEventID`.
    pub event_id: Option<Cow<'a, str>>,
}

impl<'a> Call<'a> {
    /// Reads a record. Returns `None` if it is not a call with the credentials of an instance's role, which takes next
    /// to no time.
    ///
    /// # Errors
    /// Returns an error if the record is not an object, or if `ec2RoleDelivery` has an unknown value.
    pub fn from_json(json: &'a str) -> Result<Option<Self>, SourceError> {
        if memmem::find(json.as_bytes(), DELIVERY.as_bytes()).is_none() {
            return Ok(None);
        }
        let record: Record<'a> = read_object("record", json)?;
        let identity = record.user_identity.unwrap_or_default();
        let context = identity.session_context.unwrap_or_default();
        let Some(delivery) = context.ec2_role_delivery.map(delivery).transpose()?.flatten() else {
            return Ok(None);
        };
        let after = |separator, text: Option<Cow<'a, str>>| instance_id(text?, separator);
        Ok(Some(Self {
            delivery,
            account_id: identity.account_id,
            role_arn: context.session_issuer.unwrap_or_default().arn,
            instance_id: after('/', identity.arn).or_else(|| after(':', identity.principal_id)),
            user_agent: record.user_agent,
            time: record.event_time.as_deref().and_then(utc),
            service: record.event_source.map(service),
            event_id: [record.shared_event_id, record.event_id]
                .into_iter()
                .flatten()
                .find(|id| !id.is_empty()),
        }))
    }
}

/// Returns the record that an event in the response of `LookupEvents` contains as a string.
///
/// # Errors
/// Returns an error if it contains none.
pub fn looked_up(json: &str) -> Result<Cow<'_, str>, SourceError> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(rename = "CloudTrailEvent", borrow, default, deserialize_with = "text")]
        record: Option<Cow<'a, str>>,
    }
    let event: Event<'_> = read_object("event", json)?;
    event.record.ok_or(SourceError::Missing("CloudTrailEvent"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    #[serde(borrow, default, deserialize_with = "object")]
    user_identity: Option<UserIdentity<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    event_time: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    event_source: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    user_agent: Option<Cow<'a, str>>,
    #[serde(rename = "eventID", borrow, default, deserialize_with = "text")]
    event_id: Option<Cow<'a, str>>,
    #[serde(rename = "sharedEventID", borrow, default, deserialize_with = "text")]
    shared_event_id: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserIdentity<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    account_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    arn: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    principal_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "object")]
    session_context: Option<SessionContext<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionContext<'a> {
    #[serde(borrow)]
    ec2_role_delivery: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "object")]
    session_issuer: Option<SessionIssuer<'a>>,
}

#[derive(Default, Deserialize)]
struct SessionIssuer<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    arn: Option<Cow<'a, str>>,
}

fn delivery(json: &RawValue) -> Result<Option<Delivery>, SourceError> {
    match json.get() {
        "null" => Ok(None),
        "\"1.0\"" => Ok(Some(Delivery::Imdsv1)),
        "\"2.0\"" => Ok(Some(Delivery::Imdsv2)),
        other => Err(SourceError::Invalid {
            field: "userIdentity.sessionContext.ec2RoleDelivery",
            value: other.to_owned(),
            expected: "\"1.0\" or \"2.0\"",
        }),
    }
}

/// Returns the instance id at the end of an ARN or a principal id, after `separator`.
fn instance_id(text: Cow<'_, str>, separator: char) -> Option<Cow<'_, str>> {
    let start = text.rfind(separator)? + separator.len_utf8();
    let digits = text.get(start..)?.strip_prefix("i-")?;
    let is_id = !digits.is_empty() && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then(|| tail(text, start))
}

fn tail(text: Cow<'_, str>, start: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(start..).unwrap_or_default()),
        Cow::Owned(mut text) => Cow::Owned(text.split_off(start)),
    }
}

/// Returns the name of the service in an event source such as `s3.amazonaws.com`.
fn service(source: Cow<'_, str>) -> Cow<'_, str> {
    let end = source.find('.').unwrap_or(source.len());
    match source {
        Cow::Borrowed(source) => Cow::Borrowed(source.get(..end).unwrap_or(source)),
        Cow::Owned(mut source) => {
            source.truncate(end);
            Cow::Owned(source)
        }
    }
}

fn utc(time: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(time, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)
}

/// Reads a string. A value of another type, which AWS does not document, is read as nothing.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    deserializer.deserialize_any(TextVisitor)
}

/// Reads an object. A value of another type, which AWS does not document, is read as nothing.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(ObjectVisitor(PhantomData))
}

struct TextVisitor;

struct ObjectVisitor<T>(PhantomData<T>);

/// The visits of a [`Visitor`] that read values as nothing.
macro_rules! read_as_nothing {
    ($($visit:ident($type:ty)),*) => {
        $(fn $visit<E: de::Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok(None)
        })*

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(None)
        }
    };
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    read_as_nothing!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64));
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(de::value::MapAccessDeserializer::new(map)).map(Some)
    }

    read_as_nothing!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;

    fn record() -> Value {
        json!({
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "AssumedRole",
                "principalId": "AROAEXAMPLE:i-0123456789abcdef0",
                "arn": "arn:aws:sts::123456789012:assumed-role/web/i-0123456789abcdef0",
                "accountId": "123456789012",
                "sessionContext": {
                    "sessionIssuer": {"arn": "arn:aws:iam::123456789012:role/app/web", "userName": "web"},
                    "ec2RoleDelivery": "1.0",
                },
            },
            "eventTime": "2026-11-20T10:00:00Z",
            "eventSource": "s3.amazonaws.com",
            "userAgent": "Boto3/1.9.253",
            "eventID": "1f7a3f6e-0000-4000-8000-000000000001",
        })
    }

    /// Replaces the value at a path.
    fn with(path: &str, value: Value) -> String {
        let mut record = record();
        *record.pointer_mut(path).expect("the path exists") = value;
        record.to_string()
    }

    fn call(json: &str) -> Result<Option<Call<'_>>, String> {
        Call::from_json(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_call_is_read() {
        let json = record().to_string();
        let expected = Call {
            delivery: Delivery::Imdsv1,
            account_id: Some("123456789012".into()),
            role_arn: Some("arn:aws:iam::123456789012:role/app/web".into()),
            instance_id: Some("i-0123456789abcdef0".into()),
            user_agent: Some("Boto3/1.9.253".into()),
            time: Some(datetime!(2026-11-20 10:00 UTC)),
            service: Some("s3".into()),
            event_id: Some("1f7a3f6e-0000-4000-8000-000000000001".into()),
        };
        assert_eq!(call(&json), Ok(Some(expected.clone())));
        let json = with("/userIdentity/sessionContext/ec2RoleDelivery", json!("2.0"));
        assert_eq!(call(&json), Ok(Some(Call { delivery: Delivery::Imdsv2, ..expected })));
    }

    #[test]
    fn records_of_other_identities_are_no_calls_of_instances() {
        let path = "/userIdentity/sessionContext/ec2RoleDelivery";
        let elsewhere =
            json!({"requestParameters": {"query": "ec2RoleDelivery = '1.0'", "ec2RoleDelivery": "1.0"}});
        for json in [with(path, Value::Null), elsewhere.to_string(), "{}".to_owned(), "[]".to_owned()] {
            assert_eq!(call(&json), Ok(None), "{json}");
        }
    }

    #[test]
    fn an_unknown_delivery_is_an_error() {
        for value in [json!("3.0"), json!(1.0), json!(["1.0"]), json!({}), json!(true)] {
            let json = with("/userIdentity/sessionContext/ec2RoleDelivery", value.clone());
            let expected = format!(
                "userIdentity.sessionContext.ec2RoleDelivery is {value}; expected \"1.0\" or \"2.0\""
            );
            assert_eq!(call(&json), Err(expected));
        }
        assert_eq!(call("[\"ec2RoleDelivery\"]"), Err("record: expected an object".to_owned()));
    }

    #[test]
    fn values_of_the_wrong_type_are_read_as_nothing_and_the_call_counts() {
        let wrong =
            [Value::Null, json!(7), json!(-7), json!(1.5), json!(true), json!([1, {}]), json!({"a": []})];
        for path in [
            "/userIdentity/accountId",
            "/userIdentity/arn",
            "/userIdentity/principalId",
            "/userIdentity/sessionContext/sessionIssuer/arn",
            "/eventTime",
            "/eventSource",
            "/userAgent",
            "/eventID",
        ] {
            for value in &wrong {
                let json = with(path, value.clone());
                let call = call(&json).expect("read").expect("a call");
                assert_eq!(call.delivery, Delivery::Imdsv1, "{path} {value}");
            }
        }
        let json = with("/userIdentity/arn", json!(1));
        assert_eq!(
            call(&json).expect("read").expect("a call").instance_id.as_deref(),
            Some("i-0123456789abcdef0")
        );
        for path in ["/userIdentity", "/userIdentity/sessionContext"] {
            for value in wrong.iter().chain(&[json!("ec2RoleDelivery")]) {
                assert_eq!(call(&with(path, value.clone())), Ok(None), "{path} {value}");
            }
        }
        let json = with("/userIdentity/sessionContext/sessionIssuer", json!("ec2RoleDelivery"));
        assert_eq!(call(&json).expect("read").expect("a call").role_arn, None);
    }

    #[test]
    fn only_instance_ids_are_instances() {
        for (arn, expected) in [
            ("arn:aws:sts::1:assumed-role/web/i-0a1b2c3d", Some("i-0a1b2c3d")),
            ("arn:aws:sts::1:assumed-role/web/\\u0069-0a1b2c3d", Some("i-0a1b2c3d")),
            ("arn:aws:sts::1:assumed-role/web/i-", None),
            ("arn:aws:sts::1:assumed-role/web/i-0A", None),
            ("arn:aws:sts::1:assumed-role/web/deploy", None),
            ("i-0a1b2c3d", None),
        ] {
            let json = format!(
                r#"{{"userIdentity":{{"arn":"{arn}","sessionContext":{{"ec2RoleDelivery":"1.0"}}}}}}"#
            );
            let call = call(&json).expect("read").expect("a call");
            assert_eq!(call.instance_id.as_deref(), expected, "{arn}");
        }
    }

    #[test]
    fn times_are_in_utc_or_unknown() {
        for (time, expected) in [
            ("2026-11-20T10:00:00Z", Some(datetime!(2026-11-20 10:00 UTC))),
            ("2026-11-20T10:00:00+02:00", Some(datetime!(2026-11-20 8:00 UTC))),
            ("9999-12-31T23:59:59-23:00", None),
            ("yesterday", None),
            ("", None),
        ] {
            let json = with("/eventTime", json!(time));
            assert_eq!(call(&json).expect("read").expect("a call").time, expected, "{time}");
        }
    }

    #[test]
    fn a_looked_up_event_contains_a_record() {
        let record = record().to_string();
        let event = json!({"EventId": "1", "CloudTrailEvent": record}).to_string();
        let inner = looked_up(&event).expect("an event");
        assert_eq!(call(&inner), call(&record));
        for json in [r#"{"CloudTrailEvent":null}"#, r#"{"CloudTrailEvent":{}}"#, "{}"] {
            assert_eq!(looked_up(json).expect_err("no record").to_string(), "CloudTrailEvent is missing");
        }
    }
}
