//! One instance: described, changed, verified.

use std::time::Duration;

use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::error::SdkError;
use aws_sdk_ec2::types::HttpTokensState;

use super::accounts::AccountRegion;
use crate::aws::ApiError;
use crate::rule::instance::InstanceFacts;
use crate::rule::resource::{HttpTokens, Lifecycle, MetadataOptions, OptionsState};
use crate::sources::ec2::convert;

const MODIFY: &str = "ModifyInstanceMetadataOptions";
/// How long to wait until EC2 has applied a change.
const TIMEOUT: Duration = Duration::from_mins(5);
/// How long EC2 may return the options from before a change: it is eventually consistent.
pub(crate) const CONSISTENCY_DELAY: Duration = Duration::from_secs(15);
/// The first pause between two descriptions, and the longest; it doubles.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// The number of attempts for a change.
const MAX_ATTEMPTS: u32 = 8;

/// Describes an instance. Returns `None` if EC2 does not know it
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>).
///
/// # Errors
/// Returns an error if EC2 does not respond.
pub(crate) async fn describe(
    region: &AccountRegion,
    instance_id: &str,
) -> Result<Option<InstanceFacts<'static>>, ApiError> {
    let ec2 = &region.resources.ec2;
    let request = ec2.describe_instances().instance_ids(instance_id).include_managed_resources(true);
    match request.send().await.map_err(|error| ApiError::new("DescribeInstances", &error)) {
        Ok(response) => {
            let reservations = response.reservations.into_iter().flatten();
            let instance = reservations.filter_map(|reservation| reservation.instances).flatten().next();
            Ok(instance.as_ref().and_then(convert::instance).map(InstanceFacts::into_owned))
        }
        Err(error) if error.has_code("InvalidInstanceID.NotFound") => Ok(None),
        Err(error) => Err(error),
    }
}

/// The settings that a change sends.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) http_tokens: HttpTokens<'static>,
    /// The hop limit, if it is changed.
    pub(crate) hop_limit: Option<i32>,
}

/// What became of a change that was requested.
#[derive(Debug)]
pub(crate) enum Modified {
    /// EC2 accepted it.
    Accepted,
    /// EC2 refused it: nothing was changed.
    Refused(ApiError),
    /// EC2 did not respond, so the change may have been made.
    Unknown(ApiError),
}

/// Sets `HttpTokens`, and the hop limit if given, but never the endpoint
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceMetadataOptions.html>).
///
/// Attempts are repeated here and not by the SDK, which returns the last error alone: a refusal after an attempt
/// without a response does not prove that nothing was changed.
pub(crate) async fn modify(region: &AccountRegion, instance_id: &str, settings: &Settings) -> Modified {
    let mut pause = PAUSES.0;
    let mut unanswered = None;
    for attempt in 1..=MAX_ATTEMPTS {
        match send(region, instance_id, settings, None).await {
            Ok(()) => return Modified::Accepted,
            Err(Failure { error, kind: FailureKind::Refused }) => {
                return unanswered.map_or(Modified::Refused(error), Modified::Unknown);
            }
            Err(Failure { error, kind: FailureKind::Throttled }) if attempt == MAX_ATTEMPTS => {
                return unanswered.map_or(Modified::Refused(error), Modified::Unknown);
            }
            Err(Failure { kind: FailureKind::Throttled, .. }) => {}
            Err(Failure { error, kind: FailureKind::Unanswered }) => unanswered = Some(error),
        }
        region.clock.sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
    let error = unanswered.unwrap_or_else(|| ApiError::unexpected_response(MODIFY, "no response"));
    Modified::Unknown(error)
}

/// Asks EC2 whether [`modify`] would be allowed, and changes nothing.
///
/// # Errors
/// Returns an error if EC2 would refuse the change.
pub(crate) async fn check_modify(
    region: &AccountRegion,
    instance_id: &str,
    settings: &Settings,
) -> Result<(), ApiError> {
    match send(region, instance_id, settings, Some(true)).await {
        Ok(()) => Ok(()),
        Err(Failure { error, .. }) if error.has_code("DryRunOperation") => Ok(()),
        Err(Failure { error, .. }) => Err(error),
    }
}

/// An attempt that failed.
struct Failure {
    error: ApiError,
    kind: FailureKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FailureKind {
    /// EC2 refused the request.
    Refused,
    /// EC2 did not process the request now.
    Throttled,
    /// EC2 may have processed the request.
    Unanswered,
}

async fn send(
    region: &AccountRegion,
    instance_id: &str,
    settings: &Settings,
    dry_run: Option<bool>,
) -> Result<(), Failure> {
    let request = region
        .resources
        .ec2
        .modify_instance_metadata_options()
        .instance_id(instance_id)
        .http_tokens(HttpTokensState::from(settings.http_tokens.as_str()))
        .set_http_put_response_hop_limit(settings.hop_limit)
        .set_dry_run(dry_run);
    let once = aws_sdk_ec2::config::Builder::new().retry_config(RetryConfig::disabled());
    match request.customize().config_override(once).send().await {
        Ok(_) => Ok(()),
        Err(error) => {
            let status = error.raw_response().map(|response| response.status().as_u16());
            let is_answer = matches!(error, SdkError::ServiceError(_));
            let error = ApiError::new(MODIFY, &error);
            let kind = match status {
                _ if is_throttled(&error) => FailureKind::Throttled,
                Some(400..=499) if is_answer => FailureKind::Refused,
                _ => FailureKind::Unanswered,
            };
            Err(Failure { error, kind })
        }
    }
}

/// Returns whether EC2 rejected a request before it processed it
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>).
fn is_throttled(error: &ApiError) -> bool {
    ["RequestLimitExceeded", "Throttling", "ThrottlingException", "EC2ThrottledException"]
        .iter()
        .any(|code| error.has_code(code))
}

/// Waits until a change is in effect, and verifies it: `wanted` are the options that the instance must have. It does
/// not wait for a stopped instance.
///
/// # Errors
/// Returns an error if the change is not in effect within five minutes, the instance has other options, or EC2 does
/// not respond.
pub(crate) async fn wait_until_applied(
    region: &AccountRegion,
    instance_id: &str,
    wanted: &MetadataOptions<'_>,
) -> Result<(), VerifyError> {
    let start = region.clock.now();
    let mut pause = PAUSES.0;
    loop {
        let facts = describe(region, instance_id).await?;
        let facts = facts.filter(|facts| facts.resource.lifecycle == Lifecycle::Exists);
        let facts = facts.ok_or(VerifyError::Gone)?;
        let (options, applies) = (facts.resource.metadata_options, facts.state.applies_changes());
        let options = options.unwrap_or(MetadataOptions::UNSET);
        let is_wanted = has_settings_of(&options, wanted);
        if is_wanted && !(options.state == OptionsState::Pending && applies) {
            return Ok(());
        }
        if !is_wanted && region.clock.now() - start > CONSISTENCY_DELAY {
            let (found, wanted) = (describe_options(&options), describe_options(wanted));
            return Err(VerifyError::Different { found, wanted });
        }
        if region.clock.now() - start + pause > TIMEOUT {
            return Err(VerifyError::Timeout);
        }
        region.clock.sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Returns whether `options` have the same settings as `others`, whatever is in effect already.
fn has_settings_of(options: &MetadataOptions<'_>, others: &MetadataOptions<'_>) -> bool {
    options.http_tokens == others.http_tokens
        && options.http_endpoint == others.http_endpoint
        && options.hop_limit == others.hop_limit
}

fn describe_options(options: &MetadataOptions<'_>) -> String {
    format!(
        "HttpTokens={}, HttpEndpoint={}, HttpPutResponseHopLimit={}",
        options.http_tokens.as_str(),
        options.http_endpoint.as_str(),
        options.hop_limit.unwrap_or_default()
    )
}

/// Why a change could not be verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("the instance no longer exists")]
    Gone,
    #[error("the instance has {found}; expected {wanted}")]
    Different { found: String, wanted: String },
    #[error("EC2 did not apply the change within five minutes")]
    Timeout,
    #[error(transparent)]
    Api(#[from] ApiError),
}
