//! AWS Config's API: reporting evaluations, and the history of a resource.

use std::time::Duration;

use aws_sdk_config::Client;
use aws_sdk_config::error::BuildError;
use aws_sdk_config::primitives::DateTime;
use aws_sdk_config::types::{ComplianceType, ConfigurationItem, Evaluation, ResourceType};
use time::OffsetDateTime;
use tokio::task::JoinError;
use tokio::time::Instant;

use crate::aws::clients::explain;
use crate::rule::resource::Resource;
use crate::rule::verdict::{Compliance, Verdict};

/// This result token marks a test: AWS Config checks the evaluations and stores nothing.
const TEST_TOKEN: &str = "TESTMODE";
/// How often evaluations are sent that AWS Config lists in `FailedEvaluations`.
const MAX_SENDS: u32 = 6;
/// The pause before the second send; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Capture times may lose their fraction of a second on the way through the API.
const CLOCK_GRAIN: time::Duration = time::Duration::SECOND;

/// What AWS Config is to be told of a resource. Evaluations are ordered by `at`: the time at which the
/// item was captured, or at which a scheduled run was called for.
///
/// # Errors
/// Never: every field that AWS requires is set.
pub fn evaluation(
    resource_type: &str,
    resource_id: &str,
    verdict: &Verdict,
    at: OffsetDateTime,
) -> Result<Evaluation, BuildError> {
    let compliance = match verdict.compliance {
        Compliance::Compliant => ComplianceType::Compliant,
        Compliance::NonCompliant => ComplianceType::NonCompliant,
        Compliance::NotApplicable => ComplianceType::NotApplicable,
    };
    Evaluation::builder()
        .compliance_resource_type(resource_type)
        .compliance_resource_id(resource_id)
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
pub(crate) fn date_time(time: OffsetDateTime) -> DateTime {
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

impl ReportError {
    /// How many of them AWS Config has all the same.
    pub(super) fn reported(&self) -> usize {
        self.total.saturating_sub(self.unreported)
    }

    /// The task that a batch was given to broke off.
    pub(super) fn lost(panic: &JoinError) -> Self {
        Self { unreported: 1, total: 1, first: "a batch".to_owned(), reason: panic.to_string() }
    }
}

/// An item that cannot be had from the history.
#[derive(Debug, thiserror::Error)]
#[error("could not read {resource_type} {resource_id} in the history (GetResourceConfigHistory): {reason}")]
pub struct HistoryError {
    resource_type: String,
    resource_id: String,
    reason: String,
}

#[cfg(test)]
mod tests {
    use aws_sdk_config::config::{BehaviorVersion, Config, Credentials, Region};
    use aws_sdk_config::operation::put_evaluations::{PutEvaluationsError, PutEvaluationsOutput};
    use aws_sdk_config::types::error::NoSuchConfigRuleException;
    use aws_smithy_mocks::{MockResponseInterceptor, Rule, RuleMode, create_mock_http_client, mock};

    use super::*;

    /// A client that answers as `rules` say. (`mock_client!` would do the same, with a feature of the
    /// SDK that the function is not built with.)
    fn client(rules: &[&Rule]) -> Client {
        let answers =
            rules.iter().fold(MockResponseInterceptor::new(), |answers, rule| answers.with_rule(rule));
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("AKIA", "secret", None, None, "test"))
            .http_client(create_mock_http_client())
            .interceptor(answers.rule_mode(RuleMode::Sequential))
            .build();
        Client::from_conf(config)
    }

    fn an_evaluation(id: &'static str) -> Evaluation {
        let verdict = Verdict { compliance: Compliance::NonCompliant, annotation: "Found.".into() };
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_778_491_812_636_000_000).expect("a time");
        evaluation("AWS::EC2::Instance", id, &verdict, at).expect("complete")
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn evaluation_has_what_aws_requires() {
        let evaluation = an_evaluation("i-1");
        assert_eq!(evaluation.compliance_resource_type(), "AWS::EC2::Instance");
        assert_eq!(evaluation.compliance_resource_id(), "i-1");
        assert_eq!(evaluation.compliance_type(), &ComplianceType::NonCompliant);
        assert_eq!(evaluation.annotation(), Some("Found."));
        assert_eq!(evaluation.ordering_timestamp().to_millis().expect("in range"), 1_778_491_812_636);
    }

    #[tokio::test]
    async fn only_what_failed_is_sent_again() {
        let all = ["i-1", "i-2", "i-3"].map(an_evaluation).to_vec();
        let first = mock!(Client::put_evaluations)
            .match_requests(|request| request.evaluations().len() == 3 && request.test_mode().is_none())
            .then_output(|| PutEvaluationsOutput::builder().failed_evaluations(an_evaluation("i-2")).build());
        let second = mock!(Client::put_evaluations)
            .match_requests(|request| request.evaluations() == [an_evaluation("i-2")])
            .then_output(|| PutEvaluationsOutput::builder().build());
        put_evaluations(&client(&[&first, &second]), all, "token", soon()).await.expect("accepted");
        assert_eq!((first.num_calls(), second.num_calls()), (1, 1));
    }

    #[tokio::test]
    async fn what_remains_unreported_is_counted_and_named() {
        let first = mock!(Client::put_evaluations)
            .then_output(|| PutEvaluationsOutput::builder().failed_evaluations(an_evaluation("i-2")).build());
        let second = mock!(Client::put_evaluations).then_error(|| {
            PutEvaluationsError::NoSuchConfigRuleException(NoSuchConfigRuleException::builder().build())
        });
        let all = ["i-1", "i-2"].map(an_evaluation).to_vec();
        let error = put_evaluations(&client(&[&first, &second]), all, "token", soon()).await;
        let error = error.expect_err("the rule is gone");
        assert_eq!((error.unreported, error.total), (1, 2));
        assert!(error.to_string().contains("(first: AWS::EC2::Instance i-2)"), "{error}");
    }
}
