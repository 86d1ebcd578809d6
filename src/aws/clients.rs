//! Clients of AWS's services: credentials, roles in member accounts, timeouts, retries and TLS.
//!
//! Everything standard comes from the SDK: the environment, profiles, `AWS_ENDPOINT_URL` and its
//! per-service forms, the Region.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_sdk_config::config::SharedCredentialsProvider;
use aws_sdk_config::config::retry::{RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_config::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::{Builder, tls};
use tokio::sync::Mutex;

/// How often one call is tried. What ends the tries earlier is Lambda's deadline.
const MAX_ATTEMPTS: u32 = 8;
/// How long one try may take, so that a call that hangs leaves time for the next.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The name that CloudTrail shows for what is done in a member account.
const SESSION_NAME: &str = "imdsv2-config-rule";

/// The clients for one account.
#[derive(Clone, Debug)]
pub struct Clients {
    /// AWS Config.
    pub config: aws_sdk_config::Client,
    /// Amazon EC2.
    pub ec2: aws_sdk_ec2::Client,
    /// Amazon EC2 Auto Scaling.
    pub autoscaling: aws_sdk_autoscaling::Client,
}

impl Clients {
    /// Clients with the credentials and the Region of `sdk`.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        // The SDK's own bucket of retries is per process: after some failed invocations it would leave
        // the next one without any. The attempts and the deadline bound them well enough.
        let retries = || RetryPartition::custom(SESSION_NAME).token_bucket(TokenBucket::unlimited()).build();
        let config = aws_sdk_config::config::Builder::from(sdk).retry_partition(retries()).build();
        let ec2 = aws_sdk_ec2::config::Builder::from(sdk).retry_partition(retries()).build();
        let autoscaling = aws_sdk_autoscaling::config::Builder::from(sdk).retry_partition(retries()).build();
        Self {
            config: aws_sdk_config::Client::from_conf(config),
            ec2: aws_sdk_ec2::Client::from_conf(ec2),
            autoscaling: aws_sdk_autoscaling::Client::from_conf(autoscaling),
        }
    }
}

/// How AWS is talked to, wherever from: the SDK's defaults, with our TLS, retries and timeouts.
#[must_use]
pub fn sdk_defaults() -> ConfigLoader {
    let http = Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let retries = RetryConfig::standard()
        .with_max_attempts(MAX_ATTEMPTS)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(5));
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .retry_config(retries)
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build())
}

/// The clients of every account that the function has worked in.
#[derive(Debug)]
pub struct Accounts {
    sdk: SdkConfig,
    own: Clients,
    member_role_name: Option<String>,
    /// Kept between invocations: the SDK caches the credentials of a role with its client, and
    /// refreshes them before they expire.
    members: Mutex<HashMap<String, Clients>>,
}

impl Accounts {
    /// Accounts reached from the credentials of the environment. `member_role_name` is the role to
    /// assume in every other account.
    pub async fn from_environment(member_role_name: Option<String>) -> Self {
        let sdk = sdk_defaults().load().await;
        let own = Clients::new(&sdk);
        Self { sdk, own, member_role_name, members: Mutex::default() }
    }

    /// The clients for `account_id`: with the function's own credentials in its own account, with
    /// those of the member role anywhere else.
    ///
    /// # Errors
    /// Where another account is asked for and no member role is named, or the id is no account id.
    pub async fn clients(
        &self,
        account_id: &str,
        function: &FunctionIdentity<'_>,
    ) -> Result<Clients, AccountError> {
        if account_id == function.account_id {
            return Ok(self.own.clone());
        }
        let role_name = self.member_role_name.as_deref().ok_or_else(|| AccountError::NoMemberRole {
            account_id: account_id.to_owned(),
            own: function.account_id.to_owned(),
        })?;
        if account_id.is_empty() || !account_id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AccountError::NotAnAccount(account_id.to_owned()));
        }
        let mut members = self.members.lock().await;
        if let Some(clients) = members.get(account_id) {
            return Ok(clients.clone());
        }
        let role = format!("arn:{}:iam::{account_id}:role/{role_name}", function.partition);
        let provider =
            AssumeRoleProvider::builder(role).session_name(SESSION_NAME).configure(&self.sdk).build().await;
        let sdk =
            self.sdk.to_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build();
        let clients = Clients::new(&sdk);
        members.insert(account_id.to_owned(), clients.clone());
        Ok(clients)
    }
}

/// Where the function runs, as its own ARN tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionIdentity<'a> {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: &'a str,
    /// The account of the function.
    pub account_id: &'a str,
}

impl<'a> FunctionIdentity<'a> {
    /// Reads `arn:<partition>:lambda:<region>:<account>:function:<name>`.
    ///
    /// # Errors
    /// Where `arn` has no such parts.
    pub fn from_arn(arn: &'a str) -> Result<Self, AccountError> {
        let mut parts = arn.split(':');
        match (parts.next(), parts.next(), parts.nth(2)) {
            (Some("arn"), Some(partition), Some(account_id)) if !account_id.is_empty() => {
                Ok(Self { partition, account_id })
            }
            _ => Err(AccountError::NotAFunctionArn(arn.to_owned())),
        }
    }
}

/// Why an account cannot be worked in.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The event is about another account, and the function was given no role for it.
    #[error(
        "the event is of account {account_id}, the function runs in {own}: set the environment variable \
         MEMBER_ROLE_NAME to the name of the role that it may assume there"
    )]
    NoMemberRole {
        /// The event's account.
        account_id: String,
        /// The function's account.
        own: String,
    },
    /// `accountId` is no account id.
    #[error("accountId is \"{0}\"; expected an AWS account id of 12 digits")]
    NotAnAccount(String),
    /// Lambda's own context is not as documented.
    #[error("the invoked function's ARN is \"{0}\"; expected arn:<partition>:lambda:<region>:<account>:...")]
    NotAFunctionArn(String),
}

/// A failed call in words: AWS's own code and message where it answered, the chain of causes where not.
pub(crate) fn explain<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match error.as_service_error() {
        Some(service) => {
            let code = service.code().unwrap_or("an error without a code");
            match service.message() {
                Some(message) => format!("{code}: {message}"),
                None => code.to_owned(),
            }
        }
        None => DisplayErrorContext(error).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_account_and_partition_come_from_the_function_arn() {
        let arn = "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:rule";
        let expected = FunctionIdentity { partition: "aws-us-gov", account_id: "123456789012" };
        assert_eq!(FunctionIdentity::from_arn(arn).expect("valid"), expected);
        for bad in
            ["", "arn", "arn:aws:lambda:us-east-1", "arn:aws:lambda:us-east-1::function:x", "a:b:c:d:e"]
        {
            assert!(FunctionIdentity::from_arn(bad).is_err(), "{bad}");
        }
    }
}
