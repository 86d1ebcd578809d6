//! What a verdict depends on, whatever it was read from.
//!
//! A [`Resource`] is a view: it borrows from the configuration item, the EC2 response or the file that it
//! was read from. Every reader of the sources returns this type, and
//! [`evaluate`](crate::rule::verdict::evaluate) takes it, so two readers of the same resource cannot lead to
//! different verdicts.

use std::borrow::Cow;
use std::fmt;

use super::launch::{AccountDefaults, Image, LaunchSettings};
use super::launch_source::{LaunchSource, SourceSettings};
use super::unresolved::Unresolved;

/// The principal of an operator that EC2 does not name.
pub const UNNAMED_OPERATOR: &str = "an AWS service";

/// A resource, reduced to what matters for IMDSv2.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource<'a> {
    /// The CloudFormation type, such as `AWS::EC2::Instance`.
    pub resource_type: ResourceType<'a>,
    /// The id under which AWS Config records the resource. For a launch configuration and for an Auto Scaling group
    /// it is the ARN.
    pub resource_id: Cow<'a, str>,
    /// The name of a launch template or an Auto Scaling group, if the source has it. The name of an instance is a tag.
    pub name: Option<Cow<'a, str>>,
    /// The account that owns the resource, if the source names it.
    pub account_id: Option<Cow<'a, str>>,
    /// The Region that the resource is in, if the source names it.
    pub region: Option<Cow<'a, str>>,
    /// Whether the resource exists and can be evaluated.
    pub lifecycle: Lifecycle<'a>,
    /// The tags of the resource.
    pub tags: Vec<Tag<'a>>,
    /// The principal of the AWS service that manages it (`Operator`), if one does
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_OperatorResponse.html>).
    pub managed_by: Option<Cow<'a, str>>,
    /// The metadata options; `None` if the source holds none. An Auto Scaling group has none of its own.
    pub metadata_options: Option<MetadataOptions<'a>>,
    /// The numbers of the versions of a launch template, if the source names them.
    pub version_numbers: Option<VersionNumbers>,
    /// The AMI of a launch template or launch configuration.
    pub image: Image<'a>,
    /// What an Auto Scaling group launches instances from: one, or more with a mixed instances policy. Of an instance that
    /// is only declared, the launch template that it names.
    pub launch_sources: Vec<LaunchSource<'a>>,
    /// Whether an Auto Scaling group has a mixed instances policy.
    pub has_mixed_instances: bool,
    /// The account-level defaults of the Region, if they are known and something leaves an option unset.
    pub account_defaults: Option<AccountDefaults<'a>>,
    /// What the source does not record, and only EC2 knows.
    pub gap: Option<Gap>,
}

impl<'a> Resource<'a> {
    /// Returns an existing resource without tags, of which neither account nor Region is known.
    #[must_use]
    pub fn existing(
        resource_type: ResourceType<'a>,
        resource_id: Cow<'a, str>,
        metadata_options: Option<MetadataOptions<'a>>,
    ) -> Self {
        Self {
            resource_type,
            resource_id,
            name: None,
            account_id: None,
            region: None,
            lifecycle: Lifecycle::Exists,
            tags: Vec::new(),
            managed_by: None,
            metadata_options,
            version_numbers: None,
            image: Image::Unset,
            launch_sources: Vec::new(),
            has_mixed_instances: false,
            account_defaults: None,
            gap: None,
        }
    }

    /// Returns the value of the tag `key`, if the resource has it. Tag keys are case-sensitive.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&str> {
        let tag = self.tags.iter().find(|tag| tag.key == key)?;
        Some(&tag.value)
    }

    /// Returns whether a verdict depends on the configuration of the resource: it exists, and its type is
    /// one that the rule can evaluate.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.lifecycle.has_configuration() && !matches!(self.resource_type, ResourceType::Other(_))
    }

    /// Returns whether a template or plan declares the resource, so that it may not exist yet.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.lifecycle == Lifecycle::Declared
    }

    /// Returns whether the verdict may depend on other resources: on what an Auto Scaling group launches, or on what
    /// decides where a launch leaves tokens unset.
    #[must_use]
    pub fn depends_on_other_records(&self) -> bool {
        match self.resource_type {
            ResourceType::AutoScalingGroup => true,
            ResourceType::LaunchTemplate | ResourceType::LaunchConfiguration => {
                leaves_tokens_unset(self.metadata_options.as_ref())
            }
            ResourceType::Instance => self.is_declared(),
            ResourceType::Other(_) => false,
        }
    }

    /// Returns whether the metadata options require session tokens, that is, whether IMDSv1 is refused.
    #[must_use]
    pub fn requires_tokens(&self) -> bool {
        self.metadata_options.as_ref().is_some_and(|options| options.http_tokens == HttpTokens::Required)
    }
}

impl<'a> Resource<'a> {
    /// Returns what the resource sets for launches, or for its own.
    #[must_use]
    pub fn launch_settings(&self) -> LaunchSettings<'a> {
        LaunchSettings { options: self.metadata_options.clone(), image: self.image.clone() }
    }

    /// Returns the AMIs of the launches that leave tokens unset, so that the account-level defaults or these AMIs decide.
    /// An instance that exists launches nothing.
    pub fn unset_images(&mut self) -> Vec<&mut Image<'a>> {
        let is_declared = self.is_declared();
        match self.resource_type {
            ResourceType::LaunchTemplate | ResourceType::LaunchConfiguration => {
                leaves_tokens_unset(self.metadata_options.as_ref())
                    .then_some(&mut self.image)
                    .into_iter()
                    .collect()
            }
            ResourceType::AutoScalingGroup => {
                let images = self.launch_sources.iter_mut().filter_map(|source| match &mut source.settings {
                    SourceSettings::Known(settings) if leaves_tokens_unset(settings.options.as_ref()) => {
                        Some(&mut settings.image)
                    }
                    _ => None,
                });
                images.collect()
            }
            ResourceType::Instance if is_declared => {
                let sources = self.launch_sources.iter_mut().filter_map(LaunchSource::image_mut);
                sources.chain([&mut self.image]).collect()
            }
            ResourceType::Instance | ResourceType::Other(_) => Vec::new(),
        }
    }
}

impl Resource<'_> {
    /// Returns a resource that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Resource<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Resource {
            resource_type: self.resource_type.into_owned(),
            resource_id: own(self.resource_id),
            name: self.name.map(own),
            account_id: self.account_id.map(own),
            region: self.region.map(own),
            lifecycle: self.lifecycle.into_owned(),
            tags: self.tags.into_iter().map(Tag::into_owned).collect(),
            managed_by: self.managed_by.map(own),
            metadata_options: self.metadata_options.map(MetadataOptions::into_owned),
            version_numbers: self.version_numbers,
            image: self.image.into_owned(),
            launch_sources: self.launch_sources.into_iter().map(LaunchSource::into_owned).collect(),
            has_mixed_instances: self.has_mixed_instances,
            account_defaults: self.account_defaults.map(AccountDefaults::into_owned),
            gap: self.gap,
        }
    }
}

fn leaves_tokens_unset(options: Option<&MetadataOptions<'_>>) -> bool {
    options.is_none_or(MetadataOptions::leaves_tokens_unset)
}

/// The numbers of the versions of a launch template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionNumbers {
    /// `DefaultVersionNumber`
    pub default: i64,
    /// `LatestVersionNumber`
    pub latest: i64,
}

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// The key.
    pub key: Cow<'a, str>,
    /// The value.
    pub value: Cow<'a, str>,
}

impl Tag<'_> {
    /// Returns a tag that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Tag<'static> {
        Tag { key: self.key.into_owned().into(), value: self.value.into_owned().into() }
    }
}

/// The resource types that the rule evaluates, and all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ResourceType<'a> {
    /// `AWS::EC2::Instance`
    Instance,
    /// `AWS::EC2::LaunchTemplate`
    LaunchTemplate,
    /// `AWS::AutoScaling::LaunchConfiguration`
    LaunchConfiguration,
    /// `AWS::AutoScaling::AutoScalingGroup`
    AutoScalingGroup,
    /// Any other type, by its name. The rule does not evaluate it.
    Other(Cow<'a, str>),
}

impl<'a> ResourceType<'a> {
    /// The type of an account, which carries the account-level defaults of a Region.
    pub const ACCOUNT: ResourceType<'static> = ResourceType::Other(Cow::Borrowed("AWS::::Account"));

    /// Returns the type named `name`.
    #[must_use]
    pub fn from_name(name: Cow<'a, str>) -> Self {
        match name.as_ref() {
            "AWS::EC2::Instance" => Self::Instance,
            "AWS::EC2::LaunchTemplate" => Self::LaunchTemplate,
            "AWS::AutoScaling::LaunchConfiguration" => Self::LaunchConfiguration,
            "AWS::AutoScaling::AutoScalingGroup" => Self::AutoScalingGroup,
            _ => Self::Other(name),
        }
    }

    /// Returns the name that AWS Config and CloudFormation use.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Instance => "AWS::EC2::Instance",
            Self::LaunchTemplate => "AWS::EC2::LaunchTemplate",
            Self::LaunchConfiguration => "AWS::AutoScaling::LaunchConfiguration",
            Self::AutoScalingGroup => "AWS::AutoScaling::AutoScalingGroup",
            Self::Other(name) => name,
        }
    }
}

impl ResourceType<'_> {
    /// Returns whether Auto Scaling groups launch instances from resources of this type.
    #[must_use]
    pub fn is_launch_source(&self) -> bool {
        matches!(self, Self::LaunchTemplate | Self::LaunchConfiguration)
    }

    /// Returns a type that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> ResourceType<'static> {
        match self {
            Self::Instance => ResourceType::Instance,
            Self::LaunchTemplate => ResourceType::LaunchTemplate,
            Self::LaunchConfiguration => ResourceType::LaunchConfiguration,
            Self::AutoScalingGroup => ResourceType::AutoScalingGroup,
            Self::Other(name) => ResourceType::Other(name.into_owned().into()),
        }
    }
}

/// Whether a resource exists and can be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifecycle<'a> {
    /// AWS Config recorded it as `OK` or `ResourceDiscovered`, or EC2 lists it.
    Exists,
    /// A template or plan declares it: it is judged as its deployment would make it.
    Declared,
    /// AWS Config recorded another `configurationItemStatus`: deleted, or of a type that is not recorded.
    /// Every status that is not known to mean "exists" ends here
    /// (<https://docs.aws.amazon.com/config/latest/developerguide/evaluate-config_develop-rules-delete.html>).
    NotRecorded(Cow<'a, str>),
    /// It left the scope of the rule (`eventLeftScope`).
    LeftScope,
    /// An instance that is `shutting-down` or `terminated` and never runs again; the state is kept.
    Terminated(Cow<'a, str>),
    /// EC2 no longer knows its id.
    NotFound,
}

impl<'a> Lifecycle<'a> {
    /// Reads AWS Config's `configurationItemStatus`.
    #[must_use]
    pub fn from_item_status(status: Cow<'a, str>) -> Self {
        match status.as_ref() {
            "OK" | "ResourceDiscovered" => Self::Exists,
            _ => Self::NotRecorded(status),
        }
    }

    /// Reads the name of an EC2 instance state
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceState.html>).
    #[must_use]
    pub fn from_instance_state(state: Cow<'a, str>) -> Self {
        match state.as_ref() {
            "shutting-down" | "terminated" => Self::Terminated(state),
            _ => Self::Exists,
        }
    }
}

impl Lifecycle<'_> {
    /// Returns whether there is a configuration to judge.
    #[must_use]
    pub fn has_configuration(&self) -> bool {
        matches!(self, Self::Exists | Self::Declared)
    }

    /// Returns a lifecycle that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Lifecycle<'static> {
        match self {
            Self::Exists => Lifecycle::Exists,
            Self::Declared => Lifecycle::Declared,
            Self::NotRecorded(status) => Lifecycle::NotRecorded(status.into_owned().into()),
            Self::LeftScope => Lifecycle::LeftScope,
            Self::Terminated(state) => Lifecycle::Terminated(state.into_owned().into()),
            Self::NotFound => Lifecycle::NotFound,
        }
    }
}

/// The metadata options of an instance, or of what launches instances
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceMetadataOptionsResponse.html>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataOptions<'a> {
    /// `HttpTokens`
    pub http_tokens: HttpTokens<'a>,
    /// `HttpEndpoint`
    pub http_endpoint: HttpEndpoint,
    /// `HttpPutResponseHopLimit`, in network hops.
    pub hop_limit: Option<i64>,
    /// `State`: whether the options are in effect.
    pub state: OptionsState,
    /// The options that are not set here because only their deployment decides on their values.
    pub unresolved: Unresolved<'a>,
}

impl<'a> MetadataOptions<'a> {
    /// Reads the values that AWS's APIs use. Absent values are options that were not set.
    #[must_use]
    pub fn from_api(
        http_tokens: Option<Cow<'a, str>>,
        http_endpoint: Option<&str>,
        hop_limit: Option<i64>,
        state: Option<&str>,
    ) -> Self {
        Self {
            http_tokens: HttpTokens::from_api(http_tokens),
            http_endpoint: HttpEndpoint::from_api(http_endpoint),
            hop_limit,
            state: if state == Some("pending") { OptionsState::Pending } else { OptionsState::Applied },
            unresolved: Unresolved::NONE,
        }
    }

    /// Returns these options, and those of `below` where these leave an option unset.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        let Unresolved { http_tokens, http_endpoint, hop_limit } = self.unresolved;
        // What is unresolved here hides what is below.
        let (tokens, endpoint, hops) = (http_tokens.is_some(), http_endpoint.is_some(), hop_limit.is_some());
        let sets_tokens = tokens || self.http_tokens != HttpTokens::Unset;
        let sets_endpoint = endpoint || self.http_endpoint != HttpEndpoint::Unset;
        let sets_hops = hops || self.hop_limit.is_some();
        Self {
            http_tokens: if sets_tokens { self.http_tokens } else { below.http_tokens },
            http_endpoint: if sets_endpoint { self.http_endpoint } else { below.http_endpoint },
            hop_limit: if sets_hops { self.hop_limit } else { below.hop_limit },
            state: self.state,
            unresolved: Unresolved {
                http_tokens: if sets_tokens { http_tokens } else { below.unresolved.http_tokens },
                http_endpoint: if sets_endpoint { http_endpoint } else { below.unresolved.http_endpoint },
                hop_limit: if sets_hops { hop_limit } else { below.unresolved.hop_limit },
            },
        }
    }
}

impl MetadataOptions<'_> {
    /// Returns whether something else than these options decides on tokens.
    #[must_use]
    pub fn leaves_tokens_unset(&self) -> bool {
        self.http_tokens == HttpTokens::Unset && self.unresolved.http_tokens.is_none()
    }

    /// Options of which none is set.
    pub const UNSET: MetadataOptions<'static> = MetadataOptions {
        http_tokens: HttpTokens::Unset,
        http_endpoint: HttpEndpoint::Unset,
        hop_limit: None,
        state: OptionsState::Applied,
        unresolved: Unresolved::NONE,
    };

    /// Returns options that borrow nothing.
    #[must_use]
    pub fn into_owned(self) -> MetadataOptions<'static> {
        let Self { http_tokens, http_endpoint, hop_limit, state, unresolved } = self;
        let (http_tokens, unresolved) = (http_tokens.into_owned(), unresolved.into_owned());
        MetadataOptions { http_tokens, http_endpoint, hop_limit, state, unresolved }
    }
}

/// Whether IMDS requires a session token, that is, whether it refuses IMDSv1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpTokens<'a> {
    /// `required`: only IMDSv2 is accepted.
    Required,
    /// `optional`: IMDSv1 is accepted too.
    Optional,
    /// No value.
    Unset,
    /// Any other value. It is never taken for `required`.
    Other(Cow<'a, str>),
}

impl<'a> HttpTokens<'a> {
    /// Reads the value that AWS's APIs use, exactly: case and white space matter.
    #[must_use]
    pub fn from_api(value: Option<Cow<'a, str>>) -> Self {
        match value.as_deref() {
            None => Self::Unset,
            Some("required") => Self::Required,
            Some("optional") => Self::Optional,
            Some(_) => Self::Other(value.unwrap_or_default()),
        }
    }

    /// Returns the value that AWS's APIs use; empty if it is not set.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
            Self::Unset => "",
            Self::Other(value) => value,
        }
    }
}

impl HttpTokens<'_> {
    /// Returns a value that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> HttpTokens<'static> {
        match self {
            Self::Required => HttpTokens::Required,
            Self::Optional => HttpTokens::Optional,
            Self::Unset => HttpTokens::Unset,
            Self::Other(value) => HttpTokens::Other(value.into_owned().into()),
        }
    }
}

/// Whether the IMDS endpoint serves metadata at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpEndpoint {
    /// `enabled`
    Enabled,
    /// `disabled`: no version of IMDS is served.
    Disabled,
    /// No value, or an unknown one. Like EC2 itself, the rule takes it for enabled.
    Unset,
}

impl HttpEndpoint {
    /// Reads the value that AWS's APIs use.
    #[must_use]
    pub fn from_api(value: Option<&str>) -> Self {
        match value {
            Some("enabled") => Self::Enabled,
            Some("disabled") => Self::Disabled,
            _ => Self::Unset,
        }
    }

    /// Returns the value that AWS's APIs use; empty if it is not set.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Unset => "",
        }
    }
}

/// Whether metadata options are in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionsState {
    /// They are in effect.
    Applied,
    /// EC2 accepted a change that is not in effect yet. On a stopped instance it takes effect at the next
    /// start.
    Pending,
}

/// What a record does not hold, although a verdict depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// An instance item without `metadataOptions`: AWS Config recorded it before it knew them.
    NoMetadataOptions,
    /// A launch template whose latest version is not its default version: the item holds the data of one
    /// version and does not name it.
    UnknownVersion,
    /// A Spot instance request: whatever a plan declares, the request has no metadata options
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RequestSpotLaunchSpecification.html>).
    SpotRequest,
    /// An Auto Scaling group: its item names launch templates and versions, but not what they set.
    LaunchSourcesNotRead,
}

/// An account and a Region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The account id.
    pub account_id: String,
    /// The Region, such as `eu-central-1`.
    pub region: String,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account {}, {}", self.account_id, self.region)
    }
}

#[cfg(test)]
mod tests;
