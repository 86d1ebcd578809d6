//! Roles that are assumed to work in another account.

use std::fmt;
use std::str::FromStr;

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_sdk_ec2::config::{ProvideCredentials, SharedCredentialsProvider};

use super::{ApiError, CallsInFlight};

/// The operation that returns the credentials of a role.
pub(super) const OPERATION: &str = "AssumeRole";

/// The ARN of an IAM role
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleArn(String);

impl RoleArn {
    /// Returns the ARN of the role `name` in an account. `partition` is `aws`, `aws-cn` or `aws-us-gov`.
    #[must_use]
    pub fn new(partition: &str, account_id: &str, name: &str) -> Self {
        Self(format!("arn:{partition}:iam::{account_id}:role/{name}"))
    }

    /// Returns the id of the account that the role is in.
    #[must_use]
    pub fn account_id(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }

    /// Returns the name of the role, with its path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once(":role/").map_or("", |(_, name)| name)
    }
}

impl FromStr for RoleArn {
    type Err = InvalidRoleArn;

    fn from_str(text: &str) -> Result<Self, InvalidRoleArn> {
        if text.starts_with("arn:") && text.contains(":role/") {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRoleArn(text.to_owned()))
        }
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not the ARN of a role.
#[derive(Debug, thiserror::Error)]
#[error("invalid role ARN \"{0}\": expected arn:PARTITION:iam::ACCOUNT:role/NAME")]
pub struct InvalidRoleArn(String);

/// Returns `sdk` with the credentials of `role`, which are fetched with the first call, cached, and renewed
/// before they expire. CloudTrail shows `session_name` for every call that is made with them. The cache is not that of
/// `sdk`, which holds the credentials of 64 roles at most, and drops some that are in use. `calls` records when the
/// credentials are being fetched.
pub async fn assume_role(
    sdk: &SdkConfig,
    role: &RoleArn,
    session_name: &str,
    calls: &CallsInFlight,
) -> SdkConfig {
    let provider =
        AssumeRoleProvider::builder(&role.0).session_name(session_name).configure(sdk).build().await;
    let credentials = RoleCredentials { provider, calls: calls.clone() };
    sdk.to_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .identity_cache(IdentityCache::lazy().build())
        .build()
}

/// The credentials of a role, whose errors name the call.
#[derive(Debug)]
struct RoleCredentials {
    provider: AssumeRoleProvider,
    calls: CallsInFlight,
}

impl ProvideCredentials for RoleCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.calls.begin(OPERATION);
            let credentials = self.provider.provide_credentials().await;
            self.calls.end(OPERATION);
            credentials.map_err(|error| {
                CredentialsError::provider_error(ApiError::without_credentials(OPERATION, &error))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_arn_is_checked() {
        let arn = "arn:aws-us-gov:iam::123456789012:role/path/scanner";
        let role: RoleArn = arn.parse().expect("valid");
        assert_eq!((role.to_string().as_str(), role.account_id()), (arn, "123456789012"));
        assert_eq!(role.name(), "path/scanner");
        assert_eq!(
            "scanner".parse::<RoleArn>().expect_err("a name").to_string(),
            "invalid role ARN \"scanner\": expected arn:PARTITION:iam::ACCOUNT:role/NAME"
        );
    }
}
