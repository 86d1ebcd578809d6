//! The JSON that these commands print: `aws ec2 describe-launch-templates`, `describe-launch-template-versions`,
//! `describe-images` and `get-instance-metadata-defaults`; `aws autoscaling describe-launch-configurations` and
//! `describe-auto-scaling-groups`.
//!
//! Only ARNs name the Region and the account. To the account-level defaults, which have neither, `Region` and
//! `AccountId` may be added.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::rule::launch::{AccountDefaults, Image, LaunchSettings};
use crate::rule::resource::{Gap, Resource, ResourceType, VersionNumbers};
use crate::sources::arn::Place;
use crate::sources::auto_scaling::GroupFields;
use crate::sources::fields::{Tags, Text, launch_template_data, metadata_options, operator};
use crate::sources::{SourceError, read_object};

/// A version of a launch template
/// (<https://docs.aws.amazon.com/cli/latest/reference/ec2/describe-launch-template-versions.html>).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TemplateVersion<'a> {
    #[serde(borrow)]
    launch_template_id: Text<'a>,
    #[serde(borrow)]
    launch_template_name: Option<Text<'a>>,
    /// `VersionNumber`
    pub version_number: i64,
    /// `DefaultVersion`: whether it is the default version.
    #[serde(rename = "DefaultVersion", default)]
    pub is_default: bool,
    #[serde(borrow)]
    launch_template_data: Option<&'a RawValue>,
    #[serde(borrow)]
    operator: Option<&'a RawValue>,
}

impl<'a> TemplateVersion<'a> {
    /// Reads a version from JSON.
    ///
    /// # Errors
    /// Returns an error that names the field, if `json` is not a version of a launch template.
    pub fn from_json(json: &'a str) -> Result<Self, SourceError> {
        read_object("launchTemplateVersion", json)
    }

    /// Returns the launch template, as this version. Its tags are not known.
    ///
    /// # Errors
    /// Returns an error if a field that a verdict depends on is malformed.
    pub fn resource(&self) -> Result<Resource<'_>, SourceError> {
        let data = self.launch_template_data.map(|json| launch_template_data("LaunchTemplateData", json));
        let LaunchSettings { options, image } = data.transpose()?.unwrap_or_default();
        Ok(Resource {
            name: self.launch_template_name.as_ref().map(Text::reborrow),
            managed_by: self.operator.map(|json| operator("Operator", json)).transpose()?.flatten(),
            image,
            ..Resource::existing(ResourceType::LaunchTemplate, self.launch_template_id.reborrow(), options)
        })
    }
}

/// The numbers of the versions of a launch template
/// (<https://docs.aws.amazon.com/cli/latest/reference/ec2/describe-launch-templates.html>).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LaunchTemplate<'a> {
    #[serde(borrow)]
    launch_template_id: Text<'a>,
    default_version_number: i64,
    latest_version_number: i64,
}

impl<'a> LaunchTemplate<'a> {
    /// Reads a launch template from JSON.
    ///
    /// # Errors
    /// Returns an error that names the field, if `json` is not a launch template.
    pub fn from_json(json: &'a str) -> Result<Self, SourceError> {
        read_object("launchTemplate", json)
    }

    /// Returns the id of the launch template, and the numbers of its versions.
    #[must_use]
    pub fn numbers(&self) -> (&str, VersionNumbers) {
        let (default, latest) = (self.default_version_number, self.latest_version_number);
        (&self.launch_template_id.0, VersionNumbers { default, latest })
    }
}

/// A launch configuration
/// (<https://docs.aws.amazon.com/cli/latest/reference/autoscaling/describe-launch-configurations.html>).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LaunchConfiguration<'a> {
    #[serde(borrow, rename = "LaunchConfigurationARN")]
    arn: Text<'a>,
    #[serde(borrow)]
    launch_configuration_name: Option<Text<'a>>,
    #[serde(borrow)]
    image_id: Option<Text<'a>>,
    #[serde(borrow)]
    metadata_options: Option<&'a RawValue>,
}

impl<'a> LaunchConfiguration<'a> {
    /// Reads a launch configuration from JSON.
    ///
    /// # Errors
    /// Returns an error that names the field, if `json` is not a launch configuration.
    pub fn from_json(json: &'a str) -> Result<Self, SourceError> {
        read_object("launchConfiguration", json)
    }

    /// Returns the launch configuration as a resource.
    ///
    /// # Errors
    /// Returns an error if a field that a verdict depends on is malformed.
    pub fn resource(&self) -> Result<Resource<'_>, SourceError> {
        let options =
            self.metadata_options.map(|json| metadata_options("MetadataOptions", json)).transpose()?;
        let place = Place::of_arn(&self.arn.0);
        Ok(Resource {
            name: self.launch_configuration_name.as_ref().map(Text::reborrow),
            account_id: place.account_id,
            region: place.region,
            image: Image::from_id(self.image_id.as_ref().map(Text::reborrow)),
            ..Resource::existing(ResourceType::LaunchConfiguration, self.arn.reborrow(), options)
        })
    }
}

/// An Auto Scaling group
/// (<https://docs.aws.amazon.com/cli/latest/reference/autoscaling/describe-auto-scaling-groups.html>).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AutoScalingGroup<'a> {
    #[serde(borrow, rename = "AutoScalingGroupARN")]
    arn: Text<'a>,
    #[serde(borrow)]
    auto_scaling_group_name: Option<Text<'a>>,
    #[serde(borrow)]
    launch_configuration_name: Option<&'a RawValue>,
    #[serde(borrow)]
    launch_template: Option<&'a RawValue>,
    #[serde(borrow)]
    mixed_instances_policy: Option<&'a RawValue>,
    #[serde(borrow)]
    tags: Option<Tags<'a>>,
    #[serde(borrow)]
    operator: Option<&'a RawValue>,
}

impl<'a> AutoScalingGroup<'a> {
    /// Reads a group from JSON.
    ///
    /// # Errors
    /// Returns an error that names the field, if `json` is not an Auto Scaling group.
    pub fn from_json(json: &'a str) -> Result<Self, SourceError> {
        read_object("autoScalingGroup", json)
    }

    /// Returns the group as a resource, without what it launches instances from.
    ///
    /// # Errors
    /// Returns an error if a field that a verdict depends on is malformed.
    pub fn resource(&self) -> Result<Resource<'_>, SourceError> {
        let launches = GroupFields {
            launch_configuration_name: self.launch_configuration_name,
            launch_template: self.launch_template,
            mixed_instances_policy: self.mixed_instances_policy,
        };
        let place = Place::of_arn(&self.arn.0);
        Ok(Resource {
            name: self.auto_scaling_group_name.as_ref().map(Text::reborrow),
            account_id: place.account_id,
            region: place.region,
            tags: self.tags.as_ref().map(Tags::reborrow).unwrap_or_default(),
            managed_by: self.operator.map(|json| operator("Operator", json)).transpose()?.flatten(),
            launch_sources: launches.launch_sources("")?,
            has_mixed_instances: launches.has_mixed_instances(),
            gap: Some(Gap::LaunchSourcesNotRead),
            ..Resource::existing(ResourceType::AutoScalingGroup, self.arn.reborrow(), None)
        })
    }
}

/// An AMI (<https://docs.aws.amazon.com/cli/latest/reference/ec2/describe-images.html>).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageFields<'a> {
    #[serde(borrow)]
    image_id: Text<'a>,
    #[serde(borrow)]
    imds_support: Option<Text<'a>>,
}

/// Reads an AMI from JSON.
///
/// # Errors
/// Returns an error that names the field, if `json` is not an AMI.
pub fn image(json: &str) -> Result<Image<'_>, SourceError> {
    let ImageFields { image_id: Text(id), imds_support } = read_object("image", json)?;
    Ok(Image::described(id, imds_support.as_ref().map(|support| support.0.as_ref())))
}

/// The account-level defaults of a Region
/// (<https://docs.aws.amazon.com/cli/latest/reference/ec2/get-instance-metadata-defaults.html>).
#[derive(Clone, Debug)]
pub struct RecordedDefaults<'a> {
    /// `AccountId`, if it was added.
    pub account_id: Option<Cow<'a, str>>,
    /// `Region`, if it was added.
    pub region: Option<Cow<'a, str>>,
    /// `AccountLevel`
    pub defaults: AccountDefaults<'a>,
}

impl RecordedDefaults<'_> {
    /// Returns the same defaults without borrowing from the input.
    #[must_use]
    pub fn into_owned(self) -> RecordedDefaults<'static> {
        RecordedDefaults {
            account_id: self.account_id.map(|id| id.into_owned().into()),
            region: self.region.map(|region| region.into_owned().into()),
            defaults: self.defaults.into_owned(),
        }
    }
}

impl<'a> RecordedDefaults<'a> {
    /// Reads account-level defaults from JSON.
    ///
    /// # Errors
    /// Returns an error that names the field, if `json` does not contain account-level defaults.
    pub fn from_json(json: &'a str) -> Result<Self, SourceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Document<'a> {
            #[serde(borrow)]
            account_id: Option<Text<'a>>,
            #[serde(borrow)]
            region: Option<Text<'a>>,
            #[serde(borrow)]
            account_level: Option<Level<'a>>,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Level<'a> {
            #[serde(borrow)]
            http_tokens: Option<Text<'a>>,
            #[serde(borrow)]
            http_endpoint: Option<Text<'a>>,
            http_put_response_hop_limit: Option<i64>,
            #[serde(borrow)]
            http_tokens_enforced: Option<Text<'a>>,
            #[serde(borrow)]
            managed_by: Option<Text<'a>>,
        }
        let document: Document<'a> = read_object("instanceMetadataDefaults", json)?;
        let level = document.account_level.unwrap_or_default();
        let text = |field: &Option<Text<'a>>| field.as_ref().map(|text| text.0.to_string());
        let (endpoint, enforced) = (text(&level.http_endpoint), text(&level.http_tokens_enforced));
        let managed_by = text(&level.managed_by);
        Ok(Self {
            account_id: document.account_id.map(|text| text.0),
            region: document.region.map(|text| text.0),
            defaults: AccountDefaults::from_api(
                level.http_tokens.map(|tokens| tokens.0),
                endpoint.as_deref(),
                level.http_put_response_hop_limit,
                enforced.as_deref(),
                managed_by.as_deref(),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::resource::HttpTokens;

    #[test]
    fn each_kind_is_read() {
        let json = r#"{"LaunchTemplateId":"lt-1","LaunchTemplateName":"web","VersionNumber":3,"DefaultVersion":true,
            "LaunchTemplateData":{"ImageId":"ami-1","MetadataOptions":{"HttpTokens":"optional"}}}"#;
        let version = TemplateVersion::from_json(json).expect("a version");
        let template = version.resource().expect("a resource");
        assert_eq!((version.version_number, version.is_default), (3, true));
        assert_eq!((template.resource_id.as_ref(), template.name.as_deref()), ("lt-1", Some("web")));
        assert_eq!(template.image, Image::Id("ami-1".into()));
        assert_eq!(template.metadata_options.expect("options").http_tokens, HttpTokens::Optional);

        let json = r#"{"LaunchTemplateId":"lt-1","DefaultVersionNumber":3,"LatestVersionNumber":4}"#;
        let template = LaunchTemplate::from_json(json).expect("a template");
        assert_eq!(template.numbers(), ("lt-1", VersionNumbers { default: 3, latest: 4 }));

        let arn =
            "arn:aws:autoscaling:eu-west-1:123456789012:launchConfiguration:u:launchConfigurationName/old";
        let json = format!(
            r#"{{"LaunchConfigurationName":"old","LaunchConfigurationARN":"{arn}","ImageId":"ami-1"}}"#
        );
        let configuration = LaunchConfiguration::from_json(&json).expect("a configuration");
        let configuration = configuration.resource().expect("a resource");
        assert_eq!(configuration.region.as_deref(), Some("eu-west-1"));
        assert_eq!(configuration.account_id.as_deref(), Some("123456789012"));
        assert_eq!(configuration.metadata_options, None);

        let json = r#"{"AutoScalingGroupName":"web","AutoScalingGroupARN":"arn:aws:autoscaling:eu-west-1:1:x",
            "LaunchTemplate":{"LaunchTemplateId":"lt-1","Version":"3"},"Tags":[{"Key":"team","Value":"web"}],
            "Operator":{"Principal":"eks.amazonaws.com"}}"#;
        let group = AutoScalingGroup::from_json(json).expect("a group");
        let group = group.resource().expect("a resource");
        assert_eq!(group.launch_sources[0].origin.to_string(), "launch template lt-1 version 3");
        assert_eq!(
            (group.tag("team"), group.managed_by.as_deref()),
            (Some("web"), Some("eks.amazonaws.com"))
        );

        assert_eq!(
            image(r#"{"ImageId":"ami-1","ImdsSupport":"v2.0"}"#).expect("an AMI"),
            Image::RequiresTokens("ami-1".into())
        );
        let found = RecordedDefaults::from_json(
            r#"{"AccountLevel":{"HttpTokens":"required","HttpPutResponseHopLimit":2},"Region":"eu-west-1"}"#,
        );
        let found = found.expect("defaults");
        assert_eq!((found.region.as_deref(), found.account_id), (Some("eu-west-1"), None));
        assert_eq!((found.defaults.http_tokens, found.defaults.hop_limit), (HttpTokens::Required, Some(2)));
        assert!(RecordedDefaults::from_json(r#"{"AccountLevel":7}"#).is_err());
    }
}
