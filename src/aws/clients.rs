//! Clients of AWS services: timeouts and retries.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_sdk_ec2::config::retry::{RetryConfig, RetryPartition, TokenBucket};

use super::CallsInFlight;
use super::http::{self, HttpError};

/// The number of attempts for each call. Lambda's deadline may end them earlier.
const MAX_ATTEMPTS: u32 = 8;
/// The timeout of each attempt, short enough that a call that hangs leaves time for the next attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The delay before the second attempt, and the longest one; it doubles with each attempt.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// The name of the retry partition.
const PARTITION: &str = "imdsv2-config-rule";

/// Returns the SDK's defaults with the timeouts, retries and TLS that every client uses.
///
/// # Errors
/// Returns an error if a variable names a file of certificate authorities that cannot be used.
pub fn sdk_defaults() -> Result<ConfigLoader, HttpError> {
    let retries = RetryConfig::standard()
        .with_max_attempts(MAX_ATTEMPTS)
        .with_initial_backoff(BACKOFF.0)
        .with_max_backoff(BACKOFF.1);
    Ok(aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http::client()?)
        .retry_config(retries)
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build()))
}

/// The clients that list and describe resources in one account and Region.
#[derive(Clone, Debug)]
pub struct ResourceClients {
    /// Amazon EC2.
    pub ec2: aws_sdk_ec2::Client,
    /// Amazon EC2 Auto Scaling.
    pub autoscaling: aws_sdk_autoscaling::Client,
}

impl ResourceClients {
    /// Returns clients with the credentials and the Region of `sdk`, which record their calls in `calls`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, calls: &CallsInFlight) -> Self {
        let ec2 = aws_sdk_ec2::config::Builder::from(sdk)
            .retry_partition(unlimited_retries())
            .interceptor(calls.clone());
        let autoscaling = aws_sdk_autoscaling::config::Builder::from(sdk)
            .retry_partition(unlimited_retries())
            .interceptor(calls.clone());
        Self {
            ec2: aws_sdk_ec2::Client::from_conf(ec2.build()),
            autoscaling: aws_sdk_autoscaling::Client::from_conf(autoscaling.build()),
        }
    }
}

/// Returns a client of AWS Config, which records its calls in `calls`.
#[must_use]
pub fn config(sdk: &SdkConfig, calls: &CallsInFlight) -> aws_sdk_config::Client {
    let config = aws_sdk_config::config::Builder::from(sdk)
        .retry_partition(unlimited_retries())
        .interceptor(calls.clone());
    aws_sdk_config::Client::from_conf(config.build())
}

/// Returns a client of Amazon CloudWatch.
#[cfg(feature = "live")]
#[must_use]
pub fn cloudwatch(sdk: &SdkConfig) -> aws_sdk_cloudwatch::Client {
    aws_sdk_cloudwatch::Client::new(sdk)
}

/// Returns a client of AWS Systems Manager.
#[cfg(feature = "live")]
#[must_use]
pub fn ssm(sdk: &SdkConfig) -> aws_sdk_ssm::Client {
    aws_sdk_ssm::Client::new(sdk)
}

/// Returns a client of AWS Account Management.
#[cfg(feature = "live")]
#[must_use]
pub fn account(sdk: &SdkConfig) -> aws_sdk_account::Client {
    aws_sdk_account::Client::new(sdk)
}

/// Returns a client of AWS Organizations.
#[cfg(feature = "live")]
#[must_use]
pub fn organizations(sdk: &SdkConfig) -> aws_sdk_organizations::Client {
    aws_sdk_organizations::Client::new(sdk)
}

/// Returns a client of AWS STS.
#[cfg(feature = "live")]
#[must_use]
pub fn sts(sdk: &SdkConfig) -> aws_sdk_sts::Client {
    aws_sdk_sts::Client::new(sdk)
}

/// The SDK limits retries by a token bucket for the whole process: after some failed invocations, the next
/// one would get none. The number of attempts and the deadline are limits enough.
fn unlimited_retries() -> RetryPartition {
    RetryPartition::custom(PARTITION).token_bucket(TokenBucket::unlimited()).build()
}
