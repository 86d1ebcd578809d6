//! AWS Config's API: reporting evaluations, and the history of a resource.

use std::time::Duration;

use aws_sdk_config::Client;
use aws_sdk_config::error::BuildError;
use aws_sdk_config::primitives::DateTime;
use aws_sdk_config::types::{ComplianceType, ConfigurationItem, Evaluation, ResourceType};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::aws::explain;
use crate::resource::Resource;
use crate::verdict::{Compliance, Verdict};

/// This result token marks a test: AWS Config checks the evaluations and stores nothing.
const TEST_TOKEN: &str = "TESTMODE";
/// How often evaluations are sent that AWS Config lists in `FailedEvaluations`.
const MAX_SENDS: u32 = 6;
/// The pause before the second send; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Capture times may lose their fraction of a second on the way through the API.
const CLOCK_GRAIN: time::Duration = time::Duration::SECOND;

/// What AWS Config is to be told of `resource`. Evaluations are ordered by `at`: the time at which the
/// item was captured.
///
/// # Errors
/// Never: every field that AWS requires is set.
pub fn evaluation(
    resource: &Resource<'_>,
    verdict: &Verdict,
    at: OffsetDateTime,
) -> Result<Evaluation, BuildError> {
    let compliance = match verdict.compliance {
        Compliance::Compliant => ComplianceType::Compliant,
        Compliance::NonCompliant => ComplianceType::NonCompliant,
        Compliance::NotApplicable => ComplianceType::NotApplicable,
    };
    Evaluation::builder()
        .compliance_resource_type(resource.resource_type.name())
        .compliance_resource_id(resource.resource_id.as_ref())
        .compliance_type(compliance)
        .annotation(&verdict.annotation)
        .ordering_timestamp(date_time(at))
        .build()
}

/// Reports at most 100 evaluations with `PutEvaluations`. The SDK retries throttling, 5xx answers and
/// broken connections; evaluations that come back in `FailedEvaluations` are sent again. All of it ends
/// at `until`. Nothing is retried that cannot succeed: a wrong token, a deleted rule, a refused access
/// (<https://docs.aws.amazon.com/config/latest/APIReference/API_PutEvaluations.html>).
///
/// # Errors
/// Where an evaluation could not be reported; the error says how many, which was the first, and why.
pub async fn put_evaluations(
    client: &Client,
    evaluations: Vec<Evaluation>,
    result_token: &str,
    until: Instant,
) -> Result<(), ReportError> {
    let total = evaluations.len();
    let mut unreported = evaluations;
    let sending = send_until_accepted(client, &mut unreported, result_token);
    let reason = match tokio::time::timeout_at(until, sending).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(reason)) => reason,
        Err(_) => "Lambda's time limit came before AWS Config accepted them".to_owned(),
    };
    let first = unreported
        .first()
        .map(|e| format!("{} {}", e.compliance_resource_type(), e.compliance_resource_id()))
        .unwrap_or_default();
    Err(ReportError { unreported: unreported.len(), total, first, reason })
}

/// Sends `unreported` until it is empty, or says why it is not.
async fn send_until_accepted(
    client: &Client,
    unreported: &mut Vec<Evaluation>,
    result_token: &str,
) -> Result<(), String> {
    let mut pause = FIRST_PAUSE;
    for send in 1..=MAX_SENDS {
        let answer = client
            .put_evaluations()
            .set_evaluations(Some(unreported.clone()))
            .result_token(result_token)
            .set_test_mode((result_token == TEST_TOKEN).then_some(true))
            .send()
            .await
            .map_err(|error| explain(&error))?;
        *unreported = answer.failed_evaluations.unwrap_or_default();
        if unreported.is_empty() {
            return Ok(());
        }
        tracing::warn!(failed = unreported.len(), send, "AWS Config refused evaluations without a reason");
        if send < MAX_SENDS {
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
    Err(format!("AWS Config listed them in FailedEvaluations {MAX_SENDS} times"))
}

/// The item of `resource` that AWS Config captured at `captured`, from the resource's history
/// (<https://docs.aws.amazon.com/config/latest/APIReference/API_GetResourceConfigHistory.html>).
///
/// # Errors
/// Where the history cannot be read, or does not hold the item (yet).
pub async fn item_captured_at(
    client: &Client,
    resource: &Resource<'_>,
    captured: OffsetDateTime,
) -> Result<ConfigurationItem, HistoryError> {
    let error = |reason| HistoryError {
        resource_type: resource.resource_type.name().to_owned(),
        resource_id: resource.resource_id.to_string(),
        reason,
    };
    let answer = client
        .get_resource_config_history()
        .resource_type(ResourceType::from(resource.resource_type.name()))
        .resource_id(resource.resource_id.as_ref())
        .later_time(date_time(captured))
        .limit(1)
        .send()
        .await
        .map_err(|failure| error(explain(&failure)))?;
    let item = answer.configuration_items.into_iter().flatten().next();
    let item = item.ok_or_else(|| error("the history is empty".to_owned()))?;
    let oldest = date_time(captured - CLOCK_GRAIN);
    match item.configuration_item_capture_time() {
        Some(found) if *found < oldest => {
            Err(error(format!("the newest item there is of {found}, the event's is of {captured}")))
        }
        _ => Ok(item),
    }
}

/// AWS's own type for a time; milliseconds are kept.
fn date_time(time: OffsetDateTime) -> DateTime {
    DateTime::from_secs_and_nanos(time.unix_timestamp(), time.nanosecond())
}

/// Evaluations that AWS Config does not have.
#[derive(Debug, thiserror::Error)]
#[error("{unreported} of {total} evaluations could not be reported (first: {first}): {reason}")]
pub struct ReportError {
    /// How many AWS Config did not accept, or not as far as is known.
    pub unreported: usize,
    /// How many there were.
    pub total: usize,
    first: String,
    reason: String,
}

/// An item that cannot be had from the history.
#[derive(Debug, thiserror::Error)]
#[error("could not read {resource_type} {resource_id} in the history (GetResourceConfigHistory): {reason}")]
pub struct HistoryError {
    resource_type: String,
    resource_id: String,
    reason: String,
}
