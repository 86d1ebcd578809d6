//! What the next launch would get.
//!
//! EC2 takes each metadata option from the launch itself, else from the account-level defaults of the Region, else
//! from the AMI
//! (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-options.html#instance-metadata-options-order-of-precedence>).

use std::borrow::Cow;

use super::resource::{HttpEndpoint, HttpTokens, MetadataOptions};
use super::unresolved::Unresolved;

/// The hop limit of a launch for which nothing sets one.
const DEFAULT_HOP_LIMIT: i64 = 1;
/// The hop limit that an AMI with `ImdsSupport=v2.0` sets
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-IMDS-new-instances.html>).
const IMAGE_HOP_LIMIT: i64 = 2;

/// What a launch template version or launch configuration sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LaunchSettings<'a> {
    /// The metadata options; `None` if it sets none.
    pub options: Option<MetadataOptions<'a>>,
    /// The AMI.
    pub image: Image<'a>,
}

/// The AMI of a launch, and what it says about IMDS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Image<'a> {
    /// The launch names no AMI.
    #[default]
    Unset,
    /// The launch names an AMI, but not by its id.
    Unknown,
    /// The id of the AMI, which was not looked up.
    Id(Cow<'a, str>),
    /// The AMI has `ImdsSupport=v2.0`
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Image.html>).
    RequiresTokens(Cow<'a, str>),
    /// The AMI says nothing about IMDS.
    NoPreference(Cow<'a, str>),
}

impl<'a> Image<'a> {
    /// Reads the `ImageId` of a launch. A parameter of Systems Manager (`resolve:ssm:…`) names a different AMI from day
    /// to day, so the AMI is unknown.
    #[must_use]
    pub fn from_id(id: Option<Cow<'a, str>>) -> Self {
        match id {
            Some(id) if id.starts_with("ami-") => Self::Id(id),
            Some(id) if !id.is_empty() => Self::Unknown,
            _ => Self::Unset,
        }
    }
}

/// The account-level defaults of a Region, which apply to every launch that does not set an option itself
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceMetadataDefaultsResponse.html>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountDefaults<'a> {
    /// `HttpTokens`
    pub http_tokens: HttpTokens<'a>,
    /// `HttpEndpoint`
    pub http_endpoint: HttpEndpoint,
    /// `HttpPutResponseHopLimit`, in network hops.
    pub hop_limit: Option<i64>,
    /// `HttpTokensEnforced` is `enabled`: EC2 refuses launches and changes that would allow IMDSv1.
    pub http_tokens_enforced: bool,
    /// `ManagedBy`
    pub managed_by: DefaultsManager,
}

impl<'a> AccountDefaults<'a> {
    /// Returns the defaults that a template or plan declares.
    #[must_use]
    pub fn declared(options: &MetadataOptions<'a>) -> Self {
        Self {
            http_tokens: options.http_tokens.clone(),
            http_endpoint: options.http_endpoint,
            hop_limit: options.hop_limit,
            http_tokens_enforced: false,
            managed_by: DefaultsManager::Declaration,
        }
    }

    /// Reads the values that AWS's APIs use. Absent values are defaults that are not set.
    #[must_use]
    pub fn from_api(
        http_tokens: Option<Cow<'a, str>>,
        http_endpoint: Option<&str>,
        hop_limit: Option<i64>,
        http_tokens_enforced: Option<&str>,
        managed_by: Option<&str>,
    ) -> Self {
        Self {
            http_tokens: HttpTokens::from_api(http_tokens),
            http_endpoint: HttpEndpoint::from_api(http_endpoint),
            hop_limit,
            http_tokens_enforced: http_tokens_enforced == Some("enabled"),
            managed_by: match managed_by {
                Some("declarative-policy") => DefaultsManager::DeclarativePolicy,
                _ => DefaultsManager::Account,
            },
        }
    }
}

/// Who sets the account-level defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultsManager {
    /// The account itself.
    Account,
    /// A declarative policy of the organization; the account cannot change them.
    DeclarativePolicy,
    /// A template or plan, which is not deployed yet.
    Declaration,
}

/// An option of the next launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effective<T> {
    /// The value, and what sets it.
    Set(T, SetBy),
    /// It depends on something that is not known.
    Unknown,
}

impl<T: PartialEq> Effective<T> {
    /// Returns whether the option certainly has this value.
    #[must_use]
    pub fn is(&self, value: &T) -> bool {
        matches!(self, Self::Set(found, _) if found == value)
    }
}

impl<T: Copy> Effective<T> {
    /// Returns the value, if it is known.
    #[must_use]
    pub fn value(&self) -> Option<T> {
        match self {
            Self::Set(value, _) => Some(*value),
            Self::Unknown => None,
        }
    }
}

/// What sets an option of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetBy {
    /// The launch template or launch configuration.
    Launch,
    /// The account-level defaults of the Region.
    AccountDefaults,
    /// The AMI.
    Image,
    /// Nothing, so that EC2's own default applies.
    Nothing,
}

/// The metadata options of the next launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectiveOptions {
    /// Whether `HttpTokens` is `required`.
    pub requires_tokens: Effective<bool>,
    /// Whether the IMDS endpoint is enabled.
    pub endpoint_enabled: Effective<bool>,
    /// The hop limit.
    pub hop_limit: Effective<i64>,
}

impl EffectiveOptions {
    /// Nothing is known.
    const UNKNOWN: Self = Self {
        requires_tokens: Effective::Unknown,
        endpoint_enabled: Effective::Unknown,
        hop_limit: Effective::Unknown,
    };

    /// Returns the options that the next launch would get: from its own options, the account-level defaults of its
    /// Region if they are known, and its AMI.
    #[must_use]
    pub fn of(
        options: Option<&MetadataOptions<'_>>,
        defaults: Option<&AccountDefaults<'_>>,
        image: &Image<'_>,
    ) -> Self {
        let launch = options.unwrap_or(&MetadataOptions::UNSET);
        let tokens = requires_tokens(&launch.http_tokens);
        let endpoint = is_enabled(launch.http_endpoint);
        let unset = defaults.map_or(Self::UNKNOWN, |defaults| Self {
            requires_tokens: account_or(requires_tokens(&defaults.http_tokens), image.decides(true, false)),
            // An AMI says nothing about the endpoint.
            endpoint_enabled: account_or(
                is_enabled(defaults.http_endpoint),
                Effective::Set(true, SetBy::Nothing),
            ),
            hop_limit: account_or(defaults.hop_limit, image.decides(IMAGE_HOP_LIMIT, DEFAULT_HOP_LIMIT)),
        });
        let Unresolved { http_tokens, http_endpoint, hop_limit } = &launch.unresolved;
        Self {
            requires_tokens: own_or(tokens, unless_unresolved(http_tokens.as_ref(), unset.requires_tokens)),
            endpoint_enabled: own_or(
                endpoint,
                unless_unresolved(http_endpoint.as_ref(), unset.endpoint_enabled),
            ),
            hop_limit: own_or(launch.hop_limit, unless_unresolved(hop_limit.as_ref(), unset.hop_limit)),
        }
    }

    /// Returns whether EC2 refuses the launch while `HttpTokensEnforced` is enabled: `None` if it depends on
    /// something that is not known
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-IMDS-new-instances.html>).
    #[must_use]
    pub fn is_refused_if_enforced(&self) -> Option<bool> {
        self.requires_tokens.value().map(|requires_tokens| !requires_tokens)
    }
}

/// Returns what the launch itself sets, or else what follows.
fn own_or<T>(value: Option<T>, otherwise: Effective<T>) -> Effective<T> {
    value.map_or(otherwise, |value| Effective::Set(value, SetBy::Launch))
}

/// Returns what applies to an unset option, unless the deployment may set it.
fn unless_unresolved<T>(what: Option<&Cow<'_, str>>, unset: Effective<T>) -> Effective<T> {
    if what.is_some() { Effective::Unknown } else { unset }
}

/// Returns the account-level default, or else what follows.
fn account_or<T>(value: Option<T>, otherwise: Effective<T>) -> Effective<T> {
    value.map_or(otherwise, |value| Effective::Set(value, SetBy::AccountDefaults))
}

impl<'a> Image<'a> {
    /// Returns the AMI `id` with this `ImdsSupport`.
    #[must_use]
    pub fn described(id: Cow<'a, str>, imds_support: Option<&str>) -> Self {
        if imds_support == Some("v2.0") { Self::RequiresTokens(id) } else { Self::NoPreference(id) }
    }
}

impl Image<'_> {
    /// Returns the id of the AMI, if it is known.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Unset | Self::Unknown => None,
            Self::Id(id) | Self::RequiresTokens(id) | Self::NoPreference(id) => Some(id),
        }
    }

    /// Returns the value of an option that nothing else sets, with an AMI that requires tokens and with any other.
    fn decides<T>(&self, requires_tokens: T, otherwise: T) -> Effective<T> {
        match self {
            Self::RequiresTokens(_) => Effective::Set(requires_tokens, SetBy::Image),
            Self::NoPreference(_) => Effective::Set(otherwise, SetBy::Nothing),
            Self::Unset | Self::Unknown | Self::Id(_) => Effective::Unknown,
        }
    }
}

/// Returns whether tokens are required; `None` if nothing is set. An unknown value is not `required`.
fn requires_tokens(http_tokens: &HttpTokens<'_>) -> Option<bool> {
    match http_tokens {
        HttpTokens::Required => Some(true),
        HttpTokens::Optional | HttpTokens::Other(_) => Some(false),
        HttpTokens::Unset => None,
    }
}

fn is_enabled(endpoint: HttpEndpoint) -> Option<bool> {
    match endpoint {
        HttpEndpoint::Enabled => Some(true),
        HttpEndpoint::Disabled => Some(false),
        HttpEndpoint::Unset => None,
    }
}

fn own(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

impl<'a> LaunchSettings<'a> {
    /// Returns settings of which nothing is known, because all depend on `what`.
    #[must_use]
    pub fn unresolved(what: &Cow<'a, str>) -> Self {
        let options = MetadataOptions { unresolved: Unresolved::all(what), ..MetadataOptions::UNSET };
        Self { options: Some(options), image: Image::Unknown }
    }
}

impl LaunchSettings<'_> {
    /// Returns these settings, and those of `below` where these leave something unset: a launch with these settings from a
    /// launch template with those
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html>).
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        let options = match (self.options, below.options) {
            (Some(own), Some(below)) => Some(own.over(below)),
            (own, below) => own.or(below),
        };
        Self { options, image: if self.image == Image::Unset { below.image } else { self.image } }
    }

    /// Returns settings that borrow nothing.
    #[must_use]
    pub fn into_owned(self) -> LaunchSettings<'static> {
        let options = self.options.map(MetadataOptions::into_owned);
        LaunchSettings { options, image: self.image.into_owned() }
    }
}

impl Image<'_> {
    /// Returns an image that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Image<'static> {
        match self {
            Self::Unset => Image::Unset,
            Self::Unknown => Image::Unknown,
            Self::Id(id) => Image::Id(own(id)),
            Self::RequiresTokens(id) => Image::RequiresTokens(own(id)),
            Self::NoPreference(id) => Image::NoPreference(own(id)),
        }
    }
}

impl AccountDefaults<'_> {
    /// Returns defaults that borrow nothing.
    #[must_use]
    pub fn into_owned(self) -> AccountDefaults<'static> {
        let Self { http_tokens, http_endpoint, hop_limit, http_tokens_enforced, managed_by } = self;
        let http_tokens = http_tokens.into_owned();
        AccountDefaults { http_tokens, http_endpoint, hop_limit, http_tokens_enforced, managed_by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE_V2: Image<'static> = Image::RequiresTokens(Cow::Borrowed("ami-1"));
    const IMAGE: Image<'static> = Image::NoPreference(Cow::Borrowed("ami-1"));

    fn options(
        tokens: Option<&'static str>,
        endpoint: Option<&str>,
        hops: Option<i64>,
    ) -> MetadataOptions<'static> {
        MetadataOptions::from_api(tokens.map(Into::into), endpoint, hops, None)
    }

    fn defaults(
        tokens: Option<&'static str>,
        endpoint: Option<&str>,
        hops: Option<i64>,
    ) -> AccountDefaults<'static> {
        AccountDefaults::from_api(tokens.map(Into::into), endpoint, hops, None, None)
    }

    #[test]
    fn tokens_come_from_the_launch_then_the_account_then_the_image() {
        use SetBy::{AccountDefaults as Account, Image as Ami, Launch, Nothing};
        let set = |value, by| Effective::Set(value, by);
        for (launch, account, image, expected) in [
            (Some("required"), None, Image::Unknown, set(true, Launch)),
            (Some("optional"), Some(Some("required")), IMAGE_V2, set(false, Launch)),
            (Some("Required"), Some(Some("required")), IMAGE_V2, set(false, Launch)),
            (None, None, IMAGE_V2, Effective::Unknown),
            (None, Some(Some("required")), Image::Unknown, set(true, Account)),
            (None, Some(Some("optional")), IMAGE_V2, set(false, Account)),
            (None, Some(Some("odd")), IMAGE_V2, set(false, Account)),
            (None, Some(None), IMAGE_V2, set(true, Ami)),
            (None, Some(None), IMAGE, set(false, Nothing)),
            (None, Some(None), Image::Id("ami-1".into()), Effective::Unknown),
            (None, Some(None), Image::Unknown, Effective::Unknown),
        ] {
            let account = account.map(|tokens| defaults(tokens, None, None));
            let found = EffectiveOptions::of(Some(&options(launch, None, None)), account.as_ref(), &image);
            assert_eq!(found.requires_tokens, expected, "{launch:?} {account:?} {image:?}");
            let refused = match expected {
                Effective::Set(required, _) => Some(!required),
                Effective::Unknown => None,
            };
            assert_eq!(found.is_refused_if_enforced(), refused);
        }
    }

    #[test]
    fn each_option_is_decided_on_its_own() {
        let account = defaults(Some("required"), Some("disabled"), Some(5));
        let found = EffectiveOptions::of(Some(&options(None, None, Some(3))), Some(&account), &IMAGE_V2);
        assert_eq!(found.requires_tokens, Effective::Set(true, SetBy::AccountDefaults));
        assert_eq!(found.endpoint_enabled, Effective::Set(false, SetBy::AccountDefaults));
        assert_eq!(found.hop_limit, Effective::Set(3, SetBy::Launch));

        let account = defaults(None, None, None);
        let found = EffectiveOptions::of(None, Some(&account), &IMAGE_V2);
        assert_eq!(found.hop_limit, Effective::Set(2, SetBy::Image));
        assert_eq!(found.endpoint_enabled, Effective::Set(true, SetBy::Nothing));
        let found = EffectiveOptions::of(None, Some(&account), &IMAGE);
        assert_eq!(found.hop_limit, Effective::Set(1, SetBy::Nothing));
    }

    #[test]
    fn only_an_id_names_an_image() {
        assert_eq!(Image::from_id(Some("ami-1".into())), Image::Id("ami-1".into()));
        assert_eq!(Image::from_id(Some("resolve:ssm:/aws/service/ami".into())), Image::Unknown);
        for unset in [None, Some("")] {
            assert_eq!(Image::from_id(unset.map(Into::into)), Image::Unset);
        }
    }

    #[test]
    fn an_image_of_which_nothing_is_known_hides_the_one_below() {
        let with = |image: &Image<'static>| LaunchSettings { options: None, image: image.clone() };
        for (own, expected) in [(Image::Unset, IMAGE), (Image::Unknown, Image::Unknown)] {
            assert_eq!(with(&own).over(with(&IMAGE)).image, expected);
        }
    }
}
