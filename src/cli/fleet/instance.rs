//! One instance: how it is, changing its metadata options, and waiting until EC2 has applied the change.

use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::operation::modify_instance_metadata_options::builders::ModifyInstanceMetadataOptionsFluentBuilder;
use aws_sdk_ec2::types::{HttpTokensState, Instance, InstanceMetadataOptionsState, InstanceStateName};
use tokio::time::{Instant, sleep};

use crate::aws::clients::explain;

/// How long EC2 is given to apply a change.
const PATIENCE: Duration = Duration::from_mins(5);
/// For how long EC2 may tell of the options before: it is consistent in the end.
const STALE: Duration = Duration::from_secs(15);
/// The first pause between two looks, and the longest; it doubles.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// The metadata options of an instance, in EC2's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) http_tokens: String,
    pub(crate) http_endpoint: String,
    pub(crate) hop_limit: i32,
}

/// An instance as it is.
#[derive(Clone, Debug)]
pub(crate) struct Now {
    pub(crate) options: Options,
    /// A change is accepted and not in effect yet.
    pending: bool,
    /// Changes apply while it runs; on a stopped one at its next start.
    applies_now: bool,
}

/// How the instance is; `None` where it is gone or never runs again
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>).
///
/// # Errors
/// Where EC2 does not answer.
pub(crate) async fn look(client: &Client, instance_id: &str) -> Result<Option<Now>, String> {
    let answer = client.describe_instances().instance_ids(instance_id).include_managed_resources(true);
    let answer = match answer.send().await {
        Ok(answer) => answer,
        Err(error) if error.code() == Some("InvalidInstanceID.NotFound") => return Ok(None),
        Err(error) => return Err(format!("DescribeInstances: {}", explain(&error))),
    };
    let mut instances = answer.reservations.into_iter().flatten().filter_map(|each| each.instances).flatten();
    Ok(instances.next().and_then(|instance| now(&instance)))
}

fn now(instance: &Instance) -> Option<Now> {
    let state = instance.state().and_then(|state| state.name());
    if matches!(state, Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated)) {
        return None;
    }
    let options = instance.metadata_options();
    let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
    Some(Now {
        options: Options {
            http_tokens: word(options.and_then(|o| o.http_tokens()).map(HttpTokensState::as_str)),
            http_endpoint: word(options.and_then(|o| o.http_endpoint()).map(|endpoint| endpoint.as_str())),
            hop_limit: options.and_then(|o| o.http_put_response_hop_limit()).unwrap_or_default(),
        },
        pending: options.and_then(|o| o.state()) == Some(&InstanceMetadataOptionsState::Pending),
        applies_now: matches!(state, Some(InstanceStateName::Pending | InstanceStateName::Running)),
    })
}

/// Sets `HttpTokens`, and the hop limit if given; never the endpoint. With `dry_run`, only asks EC2 whether
/// that would be allowed
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceMetadataOptions.html>).
///
/// # Errors
/// Where EC2 refuses.
pub(crate) async fn set(
    client: &Client,
    instance_id: &str,
    http_tokens: &str,
    hop_limit: Option<i32>,
    dry_run: bool,
) -> Result<(), String> {
    let request: ModifyInstanceMetadataOptionsFluentBuilder = client
        .modify_instance_metadata_options()
        .instance_id(instance_id)
        .http_tokens(HttpTokensState::from(http_tokens))
        .set_http_put_response_hop_limit(hop_limit)
        .set_dry_run(dry_run.then_some(true));
    match request.send().await {
        Ok(_) => Ok(()),
        Err(error) if dry_run && error.code() == Some("DryRunOperation") => Ok(()),
        Err(error) => Err(format!("ModifyInstanceMetadataOptions: {}", explain(&error))),
    }
}

/// Waits until a change is in effect, and verifies it: `wanted` is how the instance has to be. A stopped
/// instance is not waited for.
///
/// # Errors
/// Where the change is not in effect in five minutes, is another one, or EC2 does not answer.
pub(crate) async fn settle(client: &Client, instance_id: &str, wanted: &Options) -> Result<(), String> {
    let (until, stale_until) = (Instant::now() + PATIENCE, Instant::now() + STALE);
    let mut pause = PAUSES.0;
    loop {
        let Some(now) = look(client, instance_id).await? else {
            return Err("the instance is gone".to_owned());
        };
        let found = now.options;
        if found == *wanted && !(now.pending && now.applies_now) {
            return Ok(());
        }
        if found != *wanted && Instant::now() > stale_until {
            return Err(format!("it is {found}, and should be {wanted}"));
        }
        if Instant::now() + pause > until {
            return Err("EC2 has not applied the change in five minutes".to_owned());
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

impl std::fmt::Display for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { http_tokens, http_endpoint, hop_limit } = self;
        write!(f, "HttpTokens={http_tokens}, HttpEndpoint={http_endpoint}, hop limit {hop_limit}")
    }
}
