//! What a verdict looks at, whatever it came from.
//!
//! A [`Resource`] is a view: it borrows from the configuration item, the EC2 answer or the file that it
//! was read from. Every source in [`crate::sources`] ends in this type, and [`crate::rule::verdict::evaluate`]
//! starts from it, so that two ways of looking at one resource cannot lead to two verdicts.

use std::borrow::Cow;

/// A resource as far as IMDSv2 goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource<'a> {
    /// Its CloudFormation type name, such as `AWS::EC2::Instance`.
    pub resource_type: ResourceType<'a>,
    /// The id that AWS Config knows it by. For a launch configuration that is its ARN.
    pub resource_id: Cow<'a, str>,
    /// The account that owns it, where the source tells.
    pub account_id: Option<Cow<'a, str>>,
    /// The Region it is in, where the source tells.
    pub region: Option<Cow<'a, str>>,
    /// Whether there is something to judge at all.
    pub lifecycle: Lifecycle<'a>,
    /// Its tags, as key and value.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Its metadata options; `None` where the source holds none.
    pub metadata_options: Option<MetadataOptions<'a>>,
    /// What the source leaves open, and only EC2 can tell.
    pub gap: Option<Gap>,
}

impl Resource<'_> {
    /// The value of the tag `key`, if the resource has it. Tag keys are case-sensitive.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&str> {
        let (_, value) = self.tags.iter().find(|(name, _)| name == key)?;
        Some(value)
    }

    /// Whether a verdict would depend on the resource's configuration: it exists, and the rule judges
    /// resources of its type.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.lifecycle == Lifecycle::Live && !matches!(self.resource_type, ResourceType::Other(_))
    }
}

/// The resource types that the rule judges, and all the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ResourceType<'a> {
    /// `AWS::EC2::Instance`
    Instance,
    /// `AWS::EC2::LaunchTemplate`
    LaunchTemplate,
    /// `AWS::AutoScaling::LaunchConfiguration`
    LaunchConfiguration,
    /// Any other type, by its name. The rule does not judge it.
    Other(Cow<'a, str>),
}

impl<'a> ResourceType<'a> {
    /// The type named `name`.
    #[must_use]
    pub fn from_name(name: Cow<'a, str>) -> Self {
        match name.as_ref() {
            "AWS::EC2::Instance" => Self::Instance,
            "AWS::EC2::LaunchTemplate" => Self::LaunchTemplate,
            "AWS::AutoScaling::LaunchConfiguration" => Self::LaunchConfiguration,
            _ => Self::Other(name),
        }
    }

    /// The name that AWS Config and CloudFormation use.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Instance => "AWS::EC2::Instance",
            Self::LaunchTemplate => "AWS::EC2::LaunchTemplate",
            Self::LaunchConfiguration => "AWS::AutoScaling::LaunchConfiguration",
            Self::Other(name) => name,
        }
    }
}

/// Whether a resource is there to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifecycle<'a> {
    /// It exists: AWS Config recorded it as `OK` or `ResourceDiscovered`, or EC2 lists it.
    Live,
    /// AWS Config gave it another `configurationItemStatus`: deleted, or of a type that is not recorded.
    /// Any status that is not known to mean "exists" is here
    /// (<https://docs.aws.amazon.com/config/latest/developerguide/evaluate-config_develop-rules-delete.html>).
    NotRecorded(Cow<'a, str>),
    /// It left the scope of the rule (`eventLeftScope`).
    LeftScope,
    /// An instance that is `shutting-down` or `terminated`: it never runs again.
    Ending(Cow<'a, str>),
    /// EC2 does not know its id any more.
    Vanished,
}

impl<'a> Lifecycle<'a> {
    /// What AWS Config's `configurationItemStatus` says.
    #[must_use]
    pub fn from_item_status(status: Cow<'a, str>) -> Self {
        match status.as_ref() {
            "OK" | "ResourceDiscovered" => Self::Live,
            _ => Self::NotRecorded(status),
        }
    }

    /// What the name of an EC2 instance state says
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceState.html>).
    #[must_use]
    pub fn from_instance_state(name: Cow<'a, str>) -> Self {
        match name.as_ref() {
            "shutting-down" | "terminated" => Self::Ending(name),
            _ => Self::Live,
        }
    }
}

/// The instance metadata options that a verdict depends on
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceMetadataOptionsResponse.html>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataOptions<'a> {
    /// `HttpTokens`
    pub http_tokens: HttpTokens<'a>,
    /// `HttpEndpoint` is `disabled`: the instance serves no metadata at all.
    pub endpoint_disabled: bool,
    /// `HttpPutResponseHopLimit`: how many network hops a token may travel, 1 to 64.
    pub hop_limit: Option<i64>,
    /// `State` is `pending`: a change is accepted and not yet in effect.
    pub pending: bool,
}

impl<'a> MetadataOptions<'a> {
    /// Options from the API's own words; an absent word is an option that is not set.
    #[must_use]
    pub fn from_words(
        http_tokens: Option<Cow<'a, str>>,
        http_endpoint: Option<&str>,
        hop_limit: Option<i64>,
        state: Option<&str>,
    ) -> Self {
        Self {
            http_tokens: http_tokens.map_or(HttpTokens::Unset, HttpTokens::from_word),
            endpoint_disabled: http_endpoint == Some("disabled"),
            hop_limit,
            pending: state == Some("pending"),
        }
    }
}

/// Whether a session token is required, that is, whether IMDSv1 is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpTokens<'a> {
    /// `required`: IMDSv2 only.
    Required,
    /// `optional`: IMDSv1 is answered too.
    Optional,
    /// No value at all.
    Unset,
    /// A word that is neither; never taken for `required`.
    Other(Cow<'a, str>),
}

impl<'a> HttpTokens<'a> {
    fn from_word(word: Cow<'a, str>) -> Self {
        match word.as_ref() {
            "required" => Self::Required,
            "optional" => Self::Optional,
            _ => Self::Other(word),
        }
    }
}

/// The account-level defaults of a Region, from which instances start whose launch does not say otherwise
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceMetadataDefaultsResponse.html>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountDefaults<'a> {
    /// `HttpTokens`
    pub http_tokens: HttpTokens<'a>,
    /// `HttpTokensEnforced` is `enabled`: EC2 refuses launches and changes that leave IMDSv1 open.
    pub enforced: bool,
    /// `ManagedBy` is `declarative-policy`: the organization sets them, and the account cannot.
    pub managed_by_policy: bool,
}

impl<'a> AccountDefaults<'a> {
    /// Defaults from the API's own words; an absent word is a default that is not set.
    #[must_use]
    pub fn from_words(
        http_tokens: Option<Cow<'a, str>>,
        http_tokens_enforced: Option<&str>,
        managed_by: Option<&str>,
    ) -> Self {
        Self {
            http_tokens: http_tokens.map_or(HttpTokens::Unset, HttpTokens::from_word),
            enforced: http_tokens_enforced == Some("enabled"),
            managed_by_policy: managed_by == Some("declarative-policy"),
        }
    }
}

/// What a record leaves open about a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// An instance item without `metadataOptions`: recorded before AWS Config knew them.
    NoMetadataOptions,
    /// A launch template whose latest version is not its default: the item holds the data of one
    /// version and does not say of which.
    WhichVersion,
}
