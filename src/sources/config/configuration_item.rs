//! Configuration items: in events, in the history, in snapshot and history files.
//!
//! Items in events and files differ from those of the history API in names (`awsAccountId`, `accountId`) and
//! encoding (`configuration` is an object, or a string that contains JSON). One reader accepts both. Fields
//! that no verdict depends on are ignored, whatever they contain; optional fields may be absent or null
//! (<https://docs.aws.amazon.com/config/latest/developerguide/config-item-table.html>).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::rule::launch::{Image, LaunchSettings};
use crate::rule::resource::{Gap, Lifecycle, MetadataOptions, Resource, ResourceType, Tag, VersionNumbers};
use crate::sources::auto_scaling::GroupFields;
use crate::sources::fields::{
    Embedded, Tags, Text, launch_template_data, lifecycle, metadata_options, operator,
};
use crate::sources::{SourceError, read, read_object};

/// A configuration item, or the summary of one, which has no `configuration`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigurationItem<'a> {
    #[serde(borrow)]
    resource_type: Option<Text<'a>>,
    #[serde(borrow)]
    resource_id: Option<Text<'a>>,
    #[serde(borrow)]
    resource_name: Option<Text<'a>>,
    #[serde(borrow)]
    aws_account_id: Option<Text<'a>>,
    #[serde(borrow)]
    account_id: Option<Text<'a>>,
    #[serde(borrow)]
    aws_region: Option<Text<'a>>,
    #[serde(borrow)]
    configuration_item_status: Option<Text<'a>>,
    #[serde(borrow)]
    configuration_item_capture_time: Option<&'a RawValue>,
    #[serde(borrow)]
    tags: Option<Tags<'a>>,
    #[serde(borrow)]
    configuration: Embedded<'a, Configuration<'a>>,
}

/// The parts of `configuration` that a verdict depends on, for every resource type: in an item, the type
/// often follows `configuration`. Each part is parsed only when the type is known.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Configuration<'a> {
    #[serde(borrow)]
    metadata_options: Option<&'a RawValue>,
    #[serde(borrow)]
    state: Option<&'a RawValue>,
    #[serde(borrow)]
    tags: Option<&'a RawValue>,
    #[serde(borrow, rename = "LaunchTemplateData")]
    launch_template_data: Option<&'a RawValue>,
    #[serde(borrow, rename = "DefaultVersionNumber")]
    default_version_number: Option<&'a RawValue>,
    #[serde(borrow, rename = "LatestVersionNumber")]
    latest_version_number: Option<&'a RawValue>,
    #[serde(borrow)]
    image_id: Option<&'a RawValue>,
    #[serde(borrow)]
    operator: Option<&'a RawValue>,
    #[serde(borrow)]
    launch_configuration_name: Option<&'a RawValue>,
    #[serde(borrow)]
    launch_template: Option<&'a RawValue>,
    #[serde(borrow)]
    mixed_instances_policy: Option<&'a RawValue>,
}

impl<'a> ConfigurationItem<'a> {
    /// Reads an item from JSON. `path` is its place in the input, for errors.
    ///
    /// # Errors
    /// Returns an error that names the field, if `json` is not a configuration item.
    pub fn from_json(path: &str, json: &'a str) -> Result<Self, SourceError> {
        read_object(path, json)
    }

    /// Reads a result of an advanced query of AWS Config: an item with the fields that the query selects. Resources in results
    /// exist (<https://docs.aws.amazon.com/config/latest/developerguide/querying-AWS-resources.html>).
    ///
    /// # Errors
    /// Returns an error that names the field, if `json` is not a result, or lacks a field that a verdict depends on.
    pub fn from_query_result(json: &'a str) -> Result<Self, SourceError> {
        let mut item = Self::from_json("result", json)?;
        let status = item.configuration_item_status.take();
        item.configuration_item_status = status.or(Some(Text(Cow::Borrowed("OK"))));
        let resource_type = ResourceType::from_name(present(item.resource_type.as_ref(), "resourceType")?);
        let is_judged = !matches!(resource_type, ResourceType::Other(_));
        if is_judged && matches!(item.configuration, Embedded::Absent) {
            return Err(SourceError::Missing("configuration"));
        }
        Ok(item)
    }

    /// Takes the fields of an item that was read by other means.
    #[must_use]
    pub fn from_fields(fields: ItemFields<'a>) -> Self {
        let text = |value: Option<&'a str>| value.map(|value| Text(Cow::Borrowed(value)));
        Self {
            resource_type: text(fields.resource_type),
            resource_id: text(fields.resource_id),
            resource_name: None,
            aws_account_id: None,
            account_id: text(fields.account_id),
            aws_region: text(fields.region),
            configuration_item_status: text(fields.status),
            configuration_item_capture_time: None,
            tags: Some(fields.tags.into_iter().collect()),
            configuration: fields.configuration.map_or(Embedded::Absent, Embedded::Encoded),
        }
    }

    /// Returns the resource that this item records. `left_scope` is `eventLeftScope` of the event.
    ///
    /// # Errors
    /// Returns an error if the item lacks `resourceType`, `resourceId` or `configurationItemStatus`, or if a
    /// field that the verdict depends on is malformed.
    pub fn resource(&self, left_scope: bool) -> Result<Resource<'_>, SourceError> {
        let status = present(self.configuration_item_status.as_ref(), "configurationItemStatus")?;
        let lifecycle = match Lifecycle::from_item_status(status) {
            Lifecycle::Exists if left_scope => Lifecycle::LeftScope,
            lifecycle => lifecycle,
        };
        let resource_type = ResourceType::from_name(present(self.resource_type.as_ref(), "resourceType")?);
        let resource_id = present(self.resource_id.as_ref(), "resourceId")?;
        let mut resource = Resource {
            name: self.resource_name.as_ref().map(Text::reborrow).filter(|name| !name.is_empty()),
            account_id: self.aws_account_id.as_ref().or(self.account_id.as_ref()).map(Text::reborrow),
            region: self.aws_region.as_ref().map(Text::reborrow),
            lifecycle,
            tags: self.tags.as_ref().map(Tags::reborrow).unwrap_or_default(),
            ..Resource::existing(resource_type, resource_id, None)
        };
        if resource.is_judged() {
            self.configuration()?.complete(&mut resource)?;
        }
        Ok(resource)
    }

    /// Returns the time at which AWS Config captured the item (`configurationItemCaptureTime`).
    ///
    /// # Errors
    /// Returns an error if the time is absent, or neither an ISO 8601 time nor a number of seconds since
    /// 1970.
    pub fn capture_time(&self) -> Result<OffsetDateTime, SourceError> {
        const FIELD: &str = "configurationItemCaptureTime";
        let raw = self.configuration_item_capture_time.ok_or(SourceError::Missing(FIELD))?;
        parse_time(FIELD, raw)
    }

    fn configuration(&self) -> Result<Configuration<'_>, SourceError> {
        match &self.configuration {
            Embedded::Absent => Ok(Configuration::default()),
            Embedded::Object(configuration) => Ok(*configuration),
            Embedded::Encoded(json) => read_object("configuration", json),
        }
    }
}

impl<'a> Configuration<'a> {
    fn complete(&self, resource: &mut Resource<'a>) -> Result<(), SourceError> {
        match resource.resource_type {
            ResourceType::Instance => {
                if let Some(state) = self.state {
                    resource.lifecycle = lifecycle("configuration.state", state)?;
                }
                self.complete_tags(resource)?;
                resource.managed_by = self.managed_by()?;
                resource.metadata_options = self.metadata_options()?;
                let is_missing = resource.is_judged() && resource.metadata_options.is_none();
                resource.gap = is_missing.then_some(Gap::NoMetadataOptions);
            }
            ResourceType::LaunchConfiguration => {
                resource.metadata_options = self.metadata_options()?;
                let id = self.image_id.map(|id| read("configuration.imageId", id.get())).transpose()?;
                resource.image = Image::from_id(id.map(|id: Text<'a>| id.0));
            }
            ResourceType::LaunchTemplate => {
                let data = self.launch_template_data;
                let data = data.map(|json| launch_template_data("configuration.LaunchTemplateData", json));
                let LaunchSettings { options, image } = data.transpose()?.unwrap_or_default();
                (resource.metadata_options, resource.image) = (options, image);
                resource.managed_by = self.managed_by()?;
                resource.version_numbers = self.version_numbers();
                resource.gap = self.is_other_version_default().then_some(Gap::UnknownVersion);
            }
            ResourceType::AutoScalingGroup => {
                self.complete_tags(resource)?;
                resource.managed_by = self.managed_by()?;
                let group = GroupFields {
                    launch_configuration_name: self.launch_configuration_name,
                    launch_template: self.launch_template,
                    mixed_instances_policy: self.mixed_instances_policy,
                };
                resource.launch_sources = group.launch_sources("configuration.")?;
                resource.has_mixed_instances = group.has_mixed_instances();
                resource.gap = Some(Gap::LaunchSourcesNotRead);
            }
            ResourceType::Other(_) => {}
        }
        Ok(())
    }

    fn metadata_options(&self) -> Result<Option<MetadataOptions<'a>>, SourceError> {
        self.metadata_options.map(|json| metadata_options("configuration.metadataOptions", json)).transpose()
    }

    /// Takes the tags of the configuration, if the item has none itself.
    fn complete_tags(&self, resource: &mut Resource<'a>) -> Result<(), SourceError> {
        if let Some(tags) = self.tags.filter(|_| resource.tags.is_empty()) {
            let tags: Tags<'a> = read("configuration.tags", tags.get())?;
            resource.tags =
                tags.0.into_iter().map(|(key, value)| Tag { key: key.0, value: value.0 }).collect();
        }
        Ok(())
    }

    fn managed_by(&self) -> Result<Option<Cow<'a, str>>, SourceError> {
        Ok(self.operator.map(|json| operator("configuration.operator", json)).transpose()?.flatten())
    }

    fn version_numbers(&self) -> Option<VersionNumbers> {
        let number = |raw: &'a RawValue| raw.get().trim_matches('"').parse().ok();
        let default = self.default_version_number.and_then(number)?;
        Some(VersionNumbers { default, latest: self.latest_version_number.and_then(number)? })
    }

    /// Returns whether the latest version is not the default version. In most items the numbers are strings;
    /// they are compared as they are written.
    fn is_other_version_default(&self) -> bool {
        let number = |raw: &'a RawValue| raw.get().trim_matches('"');
        match (self.default_version_number.map(number), self.latest_version_number.map(number)) {
            (Some(default), Some(latest)) => default != latest,
            _ => false,
        }
    }
}

/// The fields of an item that was read by other means than JSON.
#[derive(Clone, Debug, Default)]
pub struct ItemFields<'a> {
    /// `resourceType`
    pub resource_type: Option<&'a str>,
    /// `resourceId`
    pub resource_id: Option<&'a str>,
    /// `accountId`
    pub account_id: Option<&'a str>,
    /// `awsRegion`
    pub region: Option<&'a str>,
    /// `configurationItemStatus`
    pub status: Option<&'a str>,
    /// `tags`, as keys and values.
    pub tags: Vec<(&'a str, &'a str)>,
    /// `configuration`, as a string that contains JSON.
    pub configuration: Option<Cow<'a, str>>,
}

/// Reads a time as AWS writes it in JSON: ISO 8601, or seconds since 1970 with a fraction.
///
/// # Errors
/// Returns an error if `json`, the value of `field`, is neither.
pub(crate) fn parse_time(field: &'static str, json: &RawValue) -> Result<OffsetDateTime, SourceError> {
    let invalid = || SourceError::Invalid {
        field,
        value: json.get().to_owned(),
        expected: "a time such as \"2026-04-27T15:03:11.636Z\"",
    };
    if let Ok(Text(text)) = serde_json::from_str(json.get()) {
        return OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| invalid());
    }
    let seconds: f64 = serde_json::from_str(json.get()).map_err(|_| invalid())?;
    let milliseconds = (seconds * 1_000.0).round();
    // Beyond the year 9999, and far beyond, the cast would saturate.
    if milliseconds.abs() > 253_402_300_799_999.0 {
        return Err(invalid());
    }
    #[allow(clippy::cast_possible_truncation)] // bounded just above, and whole
    OffsetDateTime::from_unix_timestamp_nanos(milliseconds as i128 * 1_000_000).map_err(|_| invalid())
}

fn present<'a>(text: Option<&'a Text<'a>>, field: &'static str) -> Result<Cow<'a, str>, SourceError> {
    let text = text.filter(|text| !text.0.is_empty()).ok_or(SourceError::Missing(field))?;
    Ok(text.reborrow())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::resource::HttpTokens;

    const INSTANCE: &str = include_str!("../../../tests/fixtures/instance-required-item.json");
    const HISTORY: &str = include_str!("../../../tests/fixtures/oversized-history-item.json");

    fn item(json: &str) -> ConfigurationItem<'_> {
        ConfigurationItem::from_json("item", json).expect("a configuration item")
    }

    #[test]
    fn items_of_events_and_of_the_history_are_read_alike() {
        for (json, id) in [(INSTANCE, "i-0123456789abcdef0"), (HISTORY, "i-0b16b16b16b16b16b")] {
            let item = item(json);
            let resource = item.resource(false).expect("a resource");
            assert_eq!(resource.resource_type, ResourceType::Instance);
            assert_eq!(resource.resource_id, id);
            assert_eq!(resource.account_id.as_deref(), Some("123456789012"));
            assert_eq!(resource.region.as_deref(), Some("us-east-1"));
            let options = resource.metadata_options.expect("metadata options");
            assert_eq!(options.http_tokens, HttpTokens::Required);
            assert_eq!(options.hop_limit, Some(2));
            assert_eq!(
                item.capture_time().expect("a time").unix_timestamp_nanos(),
                1_778_491_812_636_000_000
            );
        }
    }

    #[test]
    fn capture_time_is_read_in_every_format_of_aws() {
        for (json, expected) in [
            ("\"2026-05-11T09:30:12.636Z\"", Some(1_778_491_812_636)),
            ("\"2026-05-11T11:30:12.636+02:00\"", Some(1_778_491_812_636)),
            ("1778491812.636", Some(1_778_491_812_636)),
            ("1778491812", Some(1_778_491_812_000)),
            ("\"yesterday\"", None),
            ("1e300", None),
            ("-1e300", None),
            ("{}", None),
        ] {
            let json = format!("{{\"configurationItemCaptureTime\":{json}}}");
            let time = item(&json).capture_time().ok();
            assert_eq!(time.map(|time| time.unix_timestamp_nanos() / 1_000_000), expected, "{json}");
        }
        assert!(item("{}").capture_time().is_err());
    }

    #[test]
    fn tags_come_from_the_item_or_else_from_its_configuration() {
        let json = |tags: &str| {
            format!(
                r#"{{"resourceType":"AWS::EC2::Instance","resourceId":"i-1","configurationItemStatus":"OK","tags":{tags},
                "configuration":{{"tags":[{{"key":"from","value":"configuration"}},{{"key":"k","value":null}}]}}}}"#
            )
        };
        for (tags, expected) in
            [("{\"from\":\"item\"}", "item"), ("{}", "configuration"), ("null", "configuration")]
        {
            let json = json(tags);
            let item = item(&json);
            assert_eq!(item.resource(false).expect("a resource").tag("from"), Some(expected), "{tags}");
        }
    }

    #[test]
    fn fields_of_other_types_are_ignored() {
        let json = r#"{"configuration":{"state":"in-use","metadataOptions":7,"LaunchTemplateData":[1]},"resourceType":"AWS::EC2::Volume",
            "resourceId":"vol-1","configurationItemStatus":"OK","relationships":"odd","new":{"field":[]}}"#;
        let item = item(json);
        let resource = item.resource(false).expect("a resource");
        assert_eq!(resource.resource_type, ResourceType::Other("AWS::EC2::Volume".into()));
    }

    #[test]
    fn a_malformed_part_is_named() {
        for (configuration, message) in [
            (
                r#"{"metadataOptions":{"httpPutResponseHopLimit":"2"}}"#,
                "configuration.metadataOptions.httpPutResponseHopLimit: ",
            ),
            (r#"{"metadataOptions":[]}"#, "configuration.metadataOptions: expected an object"),
            (r#"{"state":"running"}"#, "configuration.state: expected an object"),
            (r#""{\"state\":""#, "configuration.state: EOF"),
        ] {
            let json = format!(
                r#"{{"resourceType":"AWS::EC2::Instance","resourceId":"i-1","configurationItemStatus":"OK","configuration":{configuration}}}"#
            );
            let error = item(&json).resource(false).expect_err(configuration).to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_input_makes_the_reader_panic(json in "[{}\\[\\]\",:a-zA-Z0-9 .-]{0,200}") {
            if let Ok(item) = ConfigurationItem::from_json("item", &json) {
                let _ = item.resource(false);
                let _ = item.capture_time();
            }
        }
    }
}
