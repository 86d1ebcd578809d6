//! `PutEvaluations`: evaluations that are sent again until AWS Config accepts them.

use std::time::Duration;

use aws_sdk_config::error::BuildError;
use aws_sdk_config::types::{ComplianceType, Evaluation};
use time::OffsetDateTime;
use tokio::task::JoinError;
use tokio::time::Instant;

use super::date_time;
use crate::aws::ApiError;
use crate::lambda::accounts::AccountClients;
use crate::rule::verdict::{Compliance, Verdict};

const OPERATION: &str = "PutEvaluations";
/// This result token marks a test: AWS Config validates the evaluations and stores none.
const TEST_TOKEN: &str = "TESTMODE";
/// The number of times that evaluations are sent while AWS Config lists them in `FailedEvaluations`.
const MAX_SENDS: u32 = 6;
/// The pause before they are sent again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Builds the evaluation of a resource. `ordering_timestamp` is the time at which AWS Config captured the
/// configuration item, or created the notification of a scheduled run.
///
/// # Errors
/// Never: every field that AWS requires is set.
pub fn evaluation(
    resource_type: &str,
    resource_id: &str,
    verdict: &Verdict,
    ordering_timestamp: OffsetDateTime,
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
        .ordering_timestamp(date_time(ordering_timestamp))
        .build()
}

/// Reports at most 100 evaluations
/// (<https://docs.aws.amazon.com/config/latest/APIReference/API_PutEvaluations.html>).
///
/// The SDK retries throttling, 5xx responses and broken connections; evaluations in `FailedEvaluations` are
/// sent again. Errors that cannot pass are not retried: an invalid token, a deleted rule, denied access. All
/// of it ends at `until`.
///
/// # Errors
/// Returns an error if an evaluation could not be reported. The error says how many, which was the first, and
/// why.
pub async fn put_evaluations(
    clients: &AccountClients,
    evaluations: Vec<Evaluation>,
    result_token: &str,
    until: Instant,
) -> Result<(), ReportError> {
    let total = evaluations.len();
    let mut unreported = evaluations;
    let sending = send_until_accepted(clients, &mut unreported, result_token);
    let reason = match tokio::time::timeout_at(until, sending).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => {
            format!("Lambda's time limit was reached before AWS Config accepted them: {}", clients.calls)
        }
    };
    let first = unreported
        .first()
        .map(|e| format!("{} {}", e.compliance_resource_type(), e.compliance_resource_id()))
        .unwrap_or_default();
    Err(ReportError { unreported: unreported.len(), total, first, reason })
}

/// Sends `unreported` until AWS Config accepts all of them. What it did not accept stays in `unreported`.
async fn send_until_accepted(
    clients: &AccountClients,
    unreported: &mut Vec<Evaluation>,
    result_token: &str,
) -> Result<(), ApiError> {
    clients.calls.begin(OPERATION); // also in the pauses
    let mut pause = FIRST_PAUSE;
    for send in 1..=MAX_SENDS {
        let response = clients
            .config
            .put_evaluations()
            .set_evaluations(Some(unreported.clone()))
            .result_token(result_token)
            .set_test_mode((result_token == TEST_TOKEN).then_some(true))
            .send()
            .await
            .map_err(|error| ApiError::new(OPERATION, &error))?;
        *unreported = response.failed_evaluations.unwrap_or_default();
        if unreported.is_empty() {
            clients.calls.end(OPERATION);
            return Ok(());
        }
        let failure = format!("AWS Config returned {} in FailedEvaluations", unreported.len());
        clients.calls.attempt_failed(OPERATION, failure);
        tracing::warn!(failed = unreported.len(), send, "AWS Config did not accept all evaluations");
        if send < MAX_SENDS {
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
    let message = format!("AWS Config returned them in FailedEvaluations {MAX_SENDS} times");
    Err(ApiError::unexpected_response(OPERATION, &message))
}

/// Evaluations that AWS Config did not accept.
#[derive(Debug, thiserror::Error)]
#[error("could not report {unreported} of {total} evaluations (the first is {first}): {reason}")]
pub struct ReportError {
    /// The number of evaluations that AWS Config did not accept, as far as is known.
    pub unreported: usize,
    /// The number of evaluations.
    pub total: usize,
    first: String,
    reason: String,
}

impl ReportError {
    /// Returns the number of evaluations that AWS Config accepted nevertheless.
    pub(super) fn reported(&self) -> usize {
        self.total.saturating_sub(self.unreported)
    }

    /// Describes a batch whose task panicked.
    pub(super) fn panicked(panic: &JoinError) -> Self {
        Self { unreported: 1, total: 1, first: "in a batch".to_owned(), reason: panic.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_sdk_config::Client;
    use aws_sdk_config::config::{Credentials, SharedCredentialsProvider};
    use aws_sdk_config::operation::put_evaluations::{PutEvaluationsError, PutEvaluationsOutput};
    use aws_sdk_config::types::error::NoSuchConfigRuleException;
    use aws_smithy_mocks::{MockResponseInterceptor, Rule, RuleMode, create_mock_http_client, mock};

    use super::*;
    use crate::aws::CallsInFlight;
    use crate::rule::reason::Reason;

    /// Clients with the responses of `rules`. (`mock_client!` would need a feature of the SDK that the
    /// function is not built with.)
    fn clients(rules: &[&Rule]) -> AccountClients {
        let responses =
            rules.iter().fold(MockResponseInterceptor::new(), |responses, rule| responses.with_rule(rule));
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "AKIA", "secret", None, None, "test",
            )))
            .http_client(create_mock_http_client())
            .build();
        let clients = AccountClients::new(sdk, CallsInFlight::default());
        let responses = responses.rule_mode(RuleMode::Sequential);
        let config = clients.config.config().to_builder().interceptor(responses).build();
        clients.with_config(Client::from_conf(config))
    }

    fn an_evaluation(id: &'static str) -> Evaluation {
        let verdict = Verdict::new(Reason::TokensOptional, "Found.".into(), None);
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_778_491_812_636_000_000).expect("a time");
        evaluation("AWS::EC2::Instance", id, &verdict, at).expect("complete")
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn evaluation_has_every_required_field() {
        let evaluation = an_evaluation("i-1");
        assert_eq!(evaluation.compliance_resource_type(), "AWS::EC2::Instance");
        assert_eq!(evaluation.compliance_resource_id(), "i-1");
        assert_eq!(evaluation.compliance_type(), &ComplianceType::NonCompliant);
        assert_eq!(evaluation.annotation(), Some("Found."));
        assert_eq!(evaluation.ordering_timestamp().to_millis().expect("in range"), 1_778_491_812_636);
    }

    #[tokio::test]
    async fn only_failed_evaluations_are_sent_again() {
        let all = ["i-1", "i-2", "i-3"].map(an_evaluation).to_vec();
        let first = mock!(Client::put_evaluations)
            .match_requests(|request| request.evaluations().len() == 3 && request.test_mode().is_none())
            .then_output(|| PutEvaluationsOutput::builder().failed_evaluations(an_evaluation("i-2")).build());
        let second = mock!(Client::put_evaluations)
            .match_requests(|request| request.evaluations() == [an_evaluation("i-2")])
            .then_output(|| PutEvaluationsOutput::builder().build());
        put_evaluations(&clients(&[&first, &second]), all, "token", soon()).await.expect("accepted");
        assert_eq!((first.num_calls(), second.num_calls()), (1, 1));
    }

    #[tokio::test]
    async fn unreported_evaluations_are_counted_and_named() {
        let first = mock!(Client::put_evaluations)
            .then_output(|| PutEvaluationsOutput::builder().failed_evaluations(an_evaluation("i-2")).build());
        let second = mock!(Client::put_evaluations).then_error(|| {
            PutEvaluationsError::NoSuchConfigRuleException(NoSuchConfigRuleException::builder().build())
        });
        let all = ["i-1", "i-2"].map(an_evaluation).to_vec();
        let error = put_evaluations(&clients(&[&first, &second]), all, "token", soon()).await;
        let error = error.expect_err("the rule was deleted");
        assert_eq!((error.unreported, error.total), (1, 2));
        assert!(error.to_string().contains("(the first is AWS::EC2::Instance i-2)"), "{error}");
    }
}
