//! What a record is, by its keys.

use memchr::memmem;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::scan::{Parsed, parse};
use crate::sources::aws_cli::instances::Reservation;
use crate::sources::config::configuration_item::ConfigurationItem;

/// A record of an input.
#[allow(clippy::large_enum_variant)] // there is one at a time, and most are of the large variant
pub(crate) enum InputRecord<'a> {
    /// A configuration item in a list of them.
    Item(ConfigurationItem<'a>),
    /// A reservation in the response of `DescribeInstances`.
    Reservation(Reservation<'a>),
    /// Any other record, as JSON, and its kind.
    Other(RecordKind, &'a str),
}

/// The kind of an object, by its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// The event of a Lambda invocation by AWS Config.
    Event,
    /// A notification of AWS Config, which an event contains as a string.
    Notification,
    /// A configuration item.
    Item,
    /// An instance in the response of `DescribeInstances`.
    Instance,
    /// A reservation, with instances.
    Reservation,
    /// A launch template, in the response of `DescribeLaunchTemplates`.
    LaunchTemplate,
    /// A version of a launch template, in the response of `DescribeLaunchTemplateVersions`.
    TemplateVersion,
    /// A launch configuration, in the response of `DescribeLaunchConfigurations`.
    LaunchConfiguration,
    /// An Auto Scaling group, in the response of `DescribeAutoScalingGroups`.
    AutoScalingGroup,
    /// An AMI, in the response of `DescribeImages`.
    Image,
    /// The response of `GetInstanceMetadataDefaults`.
    AccountDefaults,
    /// A record of CloudTrail.
    CloudTrailRecord,
    /// An event in the response of `LookupEvents`, which contains a record of CloudTrail as a string.
    LookedUpEvent,
    /// A result of an advanced query of AWS Config: a string that contains a configuration item.
    QueryResult,
    /// The response of `GetAggregateResourceConfig`, which contains a configuration item.
    AggregateItem,
    /// A resource that AWS Config did not return with the others of a batch.
    UnprocessedKey,
    /// A CloudFormation template.
    Template,
    /// The response of `GetTemplate`, which contains a CloudFormation template.
    StackTemplate,
    /// A Terraform plan or state.
    Terraform,
    /// A digest of CloudTrail, which lies beside its log files and contains no records.
    CloudTrailDigest,
    /// An object without any known key.
    Unknown,
}

impl RecordKind {
    /// Returns the kind of an object that has `key`, if the key decides it.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        match key {
            "invokingEvent" => Some(Self::Event),
            "messageType" => Some(Self::Notification),
            "configurationItemStatus" | "resourceType" => Some(Self::Item),
            "InstanceId" => Some(Self::Instance),
            "AutoScalingGroupARN" | "AutoScalingGroupName" => Some(Self::AutoScalingGroup),
            "Instances" => Some(Self::Reservation),
            "LaunchTemplateData" => Some(Self::TemplateVersion),
            "LatestVersionNumber" => Some(Self::LaunchTemplate),
            "LaunchConfigurationARN" => Some(Self::LaunchConfiguration),
            "AccountLevel" => Some(Self::AccountDefaults),
            "ImdsSupport" => Some(Self::Image),
            "eventVersion" | "userIdentity" => Some(Self::CloudTrailRecord),
            "CloudTrailEvent" => Some(Self::LookedUpEvent),
            "digestStartTime" => Some(Self::CloudTrailDigest),
            "ConfigurationItem" => Some(Self::AggregateItem),
            "AWSTemplateFormatVersion" | "Resources" => Some(Self::Template),
            "TemplateBody" => Some(Self::StackTemplate),
            "terraform_version" | "planned_values" => Some(Self::Terraform),
            _ => None,
        }
    }
}

/// Returns whether a key near the start of an input is one that decides what the input is.
pub(super) fn has_known_key(start: &[u8]) -> bool {
    // What is between quotes, or between two texts that are.
    let mut quoted = start.split(|byte| *byte == b'"').filter_map(|text| std::str::from_utf8(text).ok());
    quoted.any(|key| RecordKind::of_key(key).is_some() || KnownList::of_key(key).is_some())
}

/// Returns whether an element of `Records` is a record of CloudTrail, which usually begins with the first of these keys.
/// Event notifications of S3 have both, too.
fn is_cloudtrail(json: &str) -> bool {
    let has = |text: &str| memmem::find(json.as_bytes(), text.as_bytes()).is_some();
    (has("\"eventVersion\"") || has("\"userIdentity\"")) && !has("\"eventSource\":\"aws:s3\"")
}

/// A list inside a document, whose elements are all of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownList {
    /// `configurationItems`: snapshot and history files, and the history API; `baseConfigurationItems` and
    /// `BaseConfigurationItems`: items without relationships, of several resources.
    ConfigurationItems,
    /// `Results`: the response to an advanced query. Reports of other programs have lists of this name, too.
    QueryResults,
    /// `Reservations`: the response of `DescribeInstances`.
    Reservations,
    /// `Records`: a log file of CloudTrail. Notifications of other services have lists of this name, too.
    CloudTrailRecords,
    /// A list of records of this kind: what launches instances, AMIs, and events that were looked up.
    Of(RecordKind),
}

impl KnownList {
    /// Returns the list that the member `key` of a document contains, if it is a known one.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        match key {
            "configurationItems" | "baseConfigurationItems" | "BaseConfigurationItems" => {
                Some(Self::ConfigurationItems)
            }
            "unprocessedResourceKeys" | "UnprocessedResourceIdentifiers" => {
                Some(Self::Of(RecordKind::UnprocessedKey))
            }
            "Results" => Some(Self::QueryResults),
            "Reservations" => Some(Self::Reservations),
            "LaunchTemplates" => Some(Self::Of(RecordKind::LaunchTemplate)),
            "LaunchTemplateVersions" => Some(Self::Of(RecordKind::TemplateVersion)),
            "LaunchConfigurations" => Some(Self::Of(RecordKind::LaunchConfiguration)),
            "AutoScalingGroups" => Some(Self::Of(RecordKind::AutoScalingGroup)),
            "Images" => Some(Self::Of(RecordKind::Image)),
            "Records" => Some(Self::CloudTrailRecords),
            "Events" => Some(Self::Of(RecordKind::LookedUpEvent)),
            _ => None,
        }
    }

    /// Parses the element at the start of `bytes`.
    pub(super) fn parse_element(self, bytes: &[u8]) -> Parsed<InputRecord<'_>> {
        let parsed = match self {
            Self::ConfigurationItems => parse(bytes).map(InputRecord::Item),
            Self::Reservations => parse(bytes).map(InputRecord::Reservation),
            Self::CloudTrailRecords => parse(bytes).map(|json: &RawValue| {
                let kind = if is_cloudtrail(json.get()) {
                    RecordKind::CloudTrailRecord
                } else {
                    RecordKind::Unknown
                };
                InputRecord::Other(kind, json.get())
            }),
            Self::QueryResults => parse(bytes).map(|json: &RawValue| {
                let is_text = json.get().starts_with('"');
                let kind = if is_text { RecordKind::QueryResult } else { RecordKind::Unknown };
                InputRecord::Other(kind, json.get())
            }),
            Self::Of(kind) => parse(bytes).map(|json: &RawValue| InputRecord::Other(kind, json.get())),
        };
        match parsed {
            Parsed::Invalid(message) => self.locate_error(bytes, message),
            parsed => parsed,
        }
    }

    /// Explains why an element cannot be parsed. If it is JSON of the wrong shape, the explanation names the
    /// path to the part that does not fit.
    fn locate_error(self, bytes: &[u8], message: String) -> Parsed<InputRecord<'_>> {
        let length = match parse(bytes) {
            Parsed::Value(IgnoredAny, length) => length,
            Parsed::Incomplete => return Parsed::Incomplete,
            Parsed::Invalid(message) => return Parsed::Invalid(message),
        };
        let json = std::str::from_utf8(bytes.get(..length).unwrap_or_default()).unwrap_or_default();
        let error = match self {
            Self::ConfigurationItems => ConfigurationItem::from_json("item", json).err(),
            Self::Reservations => Reservation::from_json(json).err(),
            Self::CloudTrailRecords | Self::QueryResults | Self::Of(_) => None,
        };
        Parsed::Invalid(error.map_or(message, |error| error.to_string()))
    }
}
