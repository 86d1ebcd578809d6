//! One instance: described, changed, verified.

use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{HttpTokensState, Instance as SdkInstance, InstanceStateName};
use tokio::time::{Instant, sleep};

use crate::aws::ApiError;
use crate::rule::resource::{HttpTokens, Lifecycle, MetadataOptions, OptionsState};
use crate::sources::ec2::convert;

/// How long to wait until EC2 has applied a change.
const TIMEOUT: Duration = Duration::from_mins(5);
/// How long EC2 may return the options from before a change: it is eventually consistent.
const CONSISTENCY_DELAY: Duration = Duration::from_secs(15);
/// The first pause between two descriptions, and the longest; it doubles.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// An instance as it is now.
#[derive(Clone, Debug)]
pub(crate) struct CurrentInstance {
    pub(crate) options: MetadataOptions<'static>,
    /// Whether changes take effect now. On a stopped instance they take effect at its next start.
    applies_changes: bool,
}

/// Describes an instance. Returns `None` if it no longer exists or is terminated
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>).
///
/// # Errors
/// Returns an error if EC2 does not respond.
pub(crate) async fn describe(
    client: &Client,
    instance_id: &str,
) -> Result<Option<CurrentInstance>, ApiError> {
    let request = client.describe_instances().instance_ids(instance_id).include_managed_resources(true);
    match request.send().await.map_err(|error| ApiError::new("DescribeInstances", &error)) {
        Ok(response) => {
            let reservations = response.reservations.into_iter().flatten();
            let instance = reservations.filter_map(|reservation| reservation.instances).flatten().next();
            Ok(instance.as_ref().and_then(current))
        }
        Err(error) if error.has_code("InvalidInstanceID.NotFound") => Ok(None),
        Err(error) => Err(error),
    }
}

fn current(instance: &SdkInstance) -> Option<CurrentInstance> {
    let state = instance.state().and_then(|state| state.name());
    let options = convert::instance_options(instance);
    (convert::lifecycle(instance) == Lifecycle::Exists).then(|| CurrentInstance {
        options: options.unwrap_or(MetadataOptions::from_api(None, None, None, None)),
        applies_changes: matches!(state, Some(InstanceStateName::Pending | InstanceStateName::Running)),
    })
}

/// Sets `HttpTokens`, and the hop limit if given, but never the endpoint
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceMetadataOptions.html>).
///
/// # Errors
/// Returns an error if EC2 refuses the change.
pub(crate) async fn modify(
    client: &Client,
    instance_id: &str,
    http_tokens: &HttpTokens<'_>,
    hop_limit: Option<i32>,
) -> Result<(), ApiError> {
    send(client, instance_id, http_tokens, hop_limit, None).await
}

/// Asks EC2 whether [`modify`] would be allowed, and changes nothing.
///
/// # Errors
/// Returns an error if EC2 would refuse the change.
pub(crate) async fn check_modify(
    client: &Client,
    instance_id: &str,
    http_tokens: &HttpTokens<'_>,
    hop_limit: Option<i32>,
) -> Result<(), ApiError> {
    match send(client, instance_id, http_tokens, hop_limit, Some(true)).await {
        Err(error) if error.has_code("DryRunOperation") => Ok(()),
        result => result,
    }
}

async fn send(
    client: &Client,
    instance_id: &str,
    http_tokens: &HttpTokens<'_>,
    hop_limit: Option<i32>,
    dry_run: Option<bool>,
) -> Result<(), ApiError> {
    let request = client
        .modify_instance_metadata_options()
        .instance_id(instance_id)
        .http_tokens(HttpTokensState::from(http_tokens.as_str()))
        .set_http_put_response_hop_limit(hop_limit)
        .set_dry_run(dry_run);
    let response = request.send().await;
    response.map(|_| ()).map_err(|error| ApiError::new("ModifyInstanceMetadataOptions", &error))
}

/// Waits until a change is in effect, and verifies it: `wanted` are the options that the instance must have.
/// It does not wait for a stopped instance.
///
/// # Errors
/// Returns an error if the change is not in effect within five minutes, the instance has other options, or
/// EC2 does not respond.
pub(crate) async fn wait_until_applied(
    client: &Client,
    instance_id: &str,
    wanted: &MetadataOptions<'_>,
) -> Result<(), VerifyError> {
    let start = Instant::now();
    let mut pause = PAUSES.0;
    loop {
        let Some(CurrentInstance { options, applies_changes }) = describe(client, instance_id).await? else {
            return Err(VerifyError::Gone);
        };
        let is_pending = options.state == OptionsState::Pending && applies_changes;
        let is_wanted = has_settings_of(&options, wanted);
        if is_wanted && !is_pending {
            return Ok(());
        }
        if !is_wanted && start.elapsed() > CONSISTENCY_DELAY {
            return Err(VerifyError::Different {
                found: describe_options(&options),
                wanted: describe_options(wanted),
            });
        }
        if start.elapsed() + pause > TIMEOUT {
            return Err(VerifyError::Timeout);
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Returns whether `options` have the same settings as `others`, whatever is in effect already.
pub(crate) fn has_settings_of(options: &MetadataOptions<'_>, others: &MetadataOptions<'_>) -> bool {
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
