//! The software behind a call: which SDK, by its user agent, and what to do about its use of IMDSv1.

use std::fmt;

use super::sdk_versions::{Imdsv2, SDKS, Sdk};

/// The longest name of software that is no SDK, in characters.
const MAX_NAME: usize = 40;

/// The software that a user agent names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Software<'a> {
    /// The AWS SDK, if there is one.
    pub sdk: Option<&'static Sdk>,
    /// The version of the SDK, as the user agent has it.
    pub version: Option<&'a str>,
    /// The name of software that is no SDK.
    name: &'a str,
}

/// What to do about software that uses IMDSv1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The SDK does not use IMDSv2. With the first version that does, if there is one.
    TooOld(Option<&'static [u32]>),
    /// The SDK uses IMDSv2, and fell back to IMDSv1.
    FallsBack,
    /// The SDK never uses IMDSv1, so other software passed it credentials.
    GivenCredentials,
    /// The user agent does not have the version of the SDK, or it cannot be compared. With the first version that uses
    /// IMDSv2.
    UnknownVersion(&'static [u32]),
    /// The software is not an AWS SDK.
    NotAnSdk,
}

impl<'a> Software<'a> {
    /// Returns the software that a user agent names: the first AWS SDK in it, or else its first product.
    ///
    /// User agents are lists of products, `name/version`; some services put brackets around them.
    #[must_use]
    pub fn of_user_agent(user_agent: &'a str) -> Self {
        let products =
            user_agent.split_ascii_whitespace().map(|product| product.trim_matches(['[', ']', ',', ';']));
        let sdk = products.clone().find_map(|product| {
            let (name, version) = product.split_once('/').unwrap_or((product, ""));
            Some((Sdk::of_product(name)?, Some(version).filter(|version| !version.is_empty())))
        });
        let (sdk, version) = sdk.unzip();
        let first = products.clone().find(|product| !product.is_empty()).unwrap_or_default();
        // Services call in the name of a role with user agents such as `AWS Internal`.
        let name = if first.contains(['/', '.']) { first } else { user_agent.trim() };
        let end = name.char_indices().nth(MAX_NAME).map_or(name.len(), |(end, _)| end);
        Self { sdk, version: version.flatten(), name: name.get(..end).unwrap_or(name) }
    }

    /// Returns whether this version of the SDK uses IMDSv2; `None` if the software is no SDK, or if that is not known.
    #[must_use]
    pub fn supports_imdsv2(&self) -> Option<bool> {
        match self.advice() {
            Advice::TooOld(_) => Some(false),
            Advice::FallsBack | Advice::GivenCredentials => Some(true),
            Advice::UnknownVersion(_) | Advice::NotAnSdk => None,
        }
    }

    /// Returns what to do about the software.
    #[must_use]
    pub fn advice(&self) -> Advice {
        let Some(sdk) = self.sdk else { return Advice::NotAnSdk };
        let version = self.version.map(numbers).filter(|version| !version.is_empty());
        let (since, unclear): (_, &[u32]) = match sdk.imdsv2 {
            Imdsv2::Never => return Advice::TooOld(None),
            Imdsv2::Only => return Advice::GivenCredentials,
            Imdsv2::Since(since) => (since, &[]),
            Imdsv2::SinceUnless { first, unclear } => (first, unclear),
        };
        let major = version.as_deref().and_then(|version| version.first());
        let first = first_of_major(since, major);
        match version {
            Some(version) if unclear.is_empty() || !version.starts_with(unclear) => {
                if is_at_least(&version, first) { Advice::FallsBack } else { Advice::TooOld(Some(first)) }
            }
            Some(_) | None => Advice::UnknownVersion(first),
        }
    }
}

/// The name of the SDK with its version, or the name of other software.
impl fmt::Display for Software<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.sdk, self.version) {
            (Some(sdk), Some(version)) => write!(f, "{} {version}", sdk.name),
            (Some(sdk), None) => f.write_str(sdk.name),
            (None, _) if self.name.is_empty() => f.write_str("unknown software"),
            (None, _) => f.write_str(self.name),
        }
    }
}

impl Advice {
    /// Returns the finding in a few words.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::TooOld(_) => "too old",
            Self::FallsBack => "new enough, but falls back",
            Self::GivenCredentials => "uses IMDSv2 only",
            Self::UnknownVersion(_) => "unknown version",
            Self::NotAnSdk => "not an AWS SDK",
        }
    }
}

/// What to do, as a sentence without a full stop.
impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld(Some(first)) => write!(f, "update it to {} or later", dotted(first)),
            Self::TooOld(None) => f.write_str("replace it: no version uses IMDSv2"),
            // The SDKs know this setting since the end of 2023
            // (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html>).
            Self::FallsBack => f.write_str(
                "set AWS_EC2_METADATA_V1_DISABLED=true, which releases before 2024 may not know; in a container, raise \
                 the hop limit to 2 first",
            ),
            Self::GivenCredentials => {
                f.write_str("find the process that fetches the credentials: this SDK does not use IMDSv1")
            }
            Self::UnknownVersion(first) => {
                write!(f, "check its version: {} is the first to use IMDSv2", dotted(first))
            }
            Self::NotAnSdk => f.write_str("find the process, and update it or the SDK in it"),
        }
    }
}

impl Sdk {
    /// Returns the SDK that the name of a product belongs to. Case does not matter.
    fn of_product(name: &str) -> Option<&'static Self> {
        let is_product = |product: &&str| {
            let start = name.get(..product.len()).unwrap_or(name);
            let may_continue = product.ends_with(['-', '.']);
            start.eq_ignore_ascii_case(product) && (may_continue || start.len() == name.len())
        };
        SDKS.iter().find(|sdk| sdk.products.iter().any(&is_product))
    }
}

/// Returns the numbers at the start of a version: `[1, 25, 38]` for `1.25.38-rc1`.
fn numbers(version: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for part in version.split('.') {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        match part.get(..digits).unwrap_or_default().parse() {
            Ok(number) => numbers.push(number),
            Err(_) => break,
        }
        if digits < part.len() {
            break;
        }
    }
    numbers
}

/// Returns the first version of a major version, of the next one if that one has none, or else of the last one.
fn first_of_major(since: &'static [&'static [u32]], major: Option<&u32>) -> &'static [u32] {
    let of_major = since.iter().find(|first| major.is_none_or(|major| first.first() >= Some(major)));
    of_major.or(since.last()).copied().unwrap_or_default()
}

fn is_at_least(version: &[u32], first: &[u32]) -> bool {
    let length = version.len().max(first.len());
    let padded = |numbers: &[u32]| {
        numbers.iter().copied().chain(std::iter::repeat(0)).take(length).collect::<Vec<_>>()
    };
    padded(version) >= padded(first)
}

fn dotted(version: &[u32]) -> String {
    version.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(user_agent: &str) -> (String, Option<bool>, &'static str) {
        let software = Software::of_user_agent(user_agent);
        (software.to_string(), software.supports_imdsv2(), software.advice().label())
    }

    #[test]
    fn the_sdk_and_its_version_are_in_the_user_agent() {
        const OLD: (Option<bool>, &str) = (Some(false), "too old");
        const NEW: (Option<bool>, &str) = (Some(true), "new enough, but falls back");
        const OTHER: (Option<bool>, &str) = (None, "not an AWS SDK");
        const UNCLEAR: (Option<bool>, &str) = (None, "unknown version");
        for (user_agent, name, (supports, label)) in [
            ("Boto3/1.9.253 Python/3.6.8 Linux/4.14 Botocore/1.12.253", "Boto3 1.9.253", OLD),
            ("Boto3/1.12.5 md/Botocore#1.15.5", "Boto3 1.12.5", OLD),
            ("Boto3/1.12.6 md/Botocore#1.15.6", "Boto3 1.12.6", NEW),
            ("Boto3/1.34.100 md/Botocore#1.34.100 ua/2.0", "Boto3 1.34.100", NEW),
            ("Botocore/1.13.24 Python/3.7", "Botocore 1.13.24", OLD),
            ("Botocore/1.13.25 Python/3.7", "Botocore 1.13.25", NEW),
            ("aws-cli/1.16.288 Python/2.7 botocore/1.13.24", "AWS CLI 1.16.288", OLD),
            ("aws-cli/1.16.289 Python/2.7 botocore/1.13.25", "AWS CLI 1.16.289", NEW),
            ("[aws-cli/2.15.30 Python/3.11.8 exe/x86_64.amzn.2]", "AWS CLI 2.15.30", NEW),
            ("aws-sdk-java/1.11.677 Linux/4.14 java/1.8.0_222", "AWS SDK for Java 1.11.677", OLD),
            ("aws-sdk-java/1.12.1 Linux/4.14", "AWS SDK for Java 1.12.1", NEW),
            ("aws-sdk-java/2.10.20 Linux/4.14", "AWS SDK for Java 2.10.20", OLD),
            ("aws-sdk-java/2.10.21-SNAPSHOT", "AWS SDK for Java 2.10.21-SNAPSHOT", NEW),
            (
                "APN/1.0 HashiCorp/1.0 Terraform/0.12 aws-sdk-go/1.25.37 (go1.13)",
                "AWS SDK for Go 1.25.37",
                OLD,
            ),
            ("aws-sdk-go/1.25.38 (go1.13; linux; amd64)", "AWS SDK for Go 1.25.38", NEW),
            ("aws-sdk-go-v2/0.18.0", "AWS SDK for Go v2 0.18.0", OLD),
            ("aws-sdk-go-v2/1.30.3 ua/2.1 os/linux", "AWS SDK for Go v2 1.30.3", NEW),
            ("aws-sdk-nodejs/2.721.9 linux/v10", "AWS SDK for JavaScript 2.721.9", OLD),
            ("aws-sdk-js/3.600.0 ua/2.0", "AWS SDK for JavaScript 3.600.0", NEW),
            ("aws-sdk-php/3.147.6 GuzzleHttp/6", "AWS SDK for PHP 3.147.6", OLD),
            ("aws-sdk-ruby3/3.79.0 ruby/2.6", "AWS SDK for Ruby 3.79.0", NEW),
            ("aws-sdk-cpp/1.7.229 Linux", "AWS SDK for C++ 1.7.229", NEW),
            ("aws-sdk-dotnet-coreclr/3.2.9 .NET_Core", "AWS SDK for .NET 3.2.9", OLD),
            ("aws-sdk-dotnet-coreclr/3.3.104.1 .NET_Core", "AWS SDK for .NET 3.3.104.1", UNCLEAR),
            ("aws-sdk-dotnet-45/3.7.1.2", "AWS SDK for .NET 3.7.1.2", NEW),
            ("AWSPowerShell.NetCore/4.0.0.9", "AWS Tools for PowerShell 4.0.0.9", OLD),
            ("Boto/2.49.0 Python/2.7.5", "Boto 2.49.0", OLD),
            ("aws-sdk-rust/1.3.1 os/linux", "AWS SDK for Rust 1.3.1", (Some(true), "uses IMDSv2 only")),
            ("Boto3", "Boto3", UNCLEAR),
            ("Boto3/", "Boto3", UNCLEAR),
            ("Boto3/latest", "Boto3 latest", UNCLEAR),
            ("aws-internal/3 aws-sdk-java/1.11.500, x", "AWS SDK for Java 1.11.500", OLD),
            ("Boto3/99999999999.1", "Boto3 99999999999.1", UNCLEAR),
            ("curl/8.3.0", "curl/8.3.0", OTHER),
            ("Mozilla/5.0 (X11; Linux)", "Mozilla/5.0", OTHER),
            ("my-aws-sdk-java/1.11.1", "my-aws-sdk-java/1.11.1", OTHER),
            ("AWS Internal", "AWS Internal", OTHER),
            ("ec2.amazonaws.com", "ec2.amazonaws.com", OTHER),
            ("", "unknown software", OTHER),
            (" [] ", "[]", OTHER),
        ] {
            assert_eq!(described(user_agent), (name.to_owned(), supports, label), "{user_agent}");
        }
    }

    #[test]
    fn advice_names_the_first_version() {
        for (user_agent, advice) in [
            ("Boto3/1.9.253", "update it to 1.12.6 or later"),
            ("aws-sdk-java/1.10", "update it to 1.11.678 or later"),
            ("aws-sdk-java/2.1", "update it to 2.10.21 or later"),
            ("aws-sdk-ruby2/2.11.1", "update it to 3.79.0 or later"),
            ("Boto/2.49.0", "replace it: no version uses IMDSv2"),
            ("Boto3/x", "check its version: 1.12.6 is the first to use IMDSv2"),
        ] {
            assert_eq!(Software::of_user_agent(user_agent).advice().to_string(), advice, "{user_agent}");
        }
    }

    #[test]
    fn long_names_are_cut() {
        let name = Software::of_user_agent(&"é".repeat(1_000)).to_string();
        assert_eq!(name.chars().count(), 40);
    }

    #[test]
    fn products_are_unique() {
        let products: Vec<_> = SDKS.iter().flat_map(|sdk| sdk.products).collect();
        for product in &products {
            assert_eq!(
                products.iter().filter(|other| other.eq_ignore_ascii_case(product)).count(),
                1,
                "{product}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_user_agent_has_advice(user_agent in "\\PC{0,60}") {
            let software = Software::of_user_agent(&user_agent);
            assert_eq!(software.sdk.is_none(), software.advice() == Advice::NotAnSdk);
        }

        #[test]
        fn a_later_version_is_never_older(a in 0u32..3, b in 0u32..700, c in 0u32..700) {
            let supports = |a, b, c| {
                Software::of_user_agent(&format!("aws-sdk-java/{a}.{b}.{c}")).supports_imdsv2()
            };
            assert!(supports(a, b, c) <= supports(a, b, c + 1), "{a}.{b}.{c}");
            assert!(supports(a, b, c) <= supports(a, b + 1, c), "{a}.{b}.{c}");
        }
    }
}
