//! The function: one event in, one summary out.
//!
//! This is the straight line: decode the event, find the resource, judge it, report the evaluation.

use std::future::Future;

use aws_sdk_config::error::BuildError;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::accounts::{AccountClients, AccountError, Accounts, FunctionIdentity};
use super::report::history::{self, HistoryError};
use super::report::put::{ReportError, evaluation, put_evaluations};
use super::scheduled::{self, ScheduledRun, ScheduledRunError};
use super::threads;
use crate::rule::resource::Resource;
use crate::rule::verdict::{Summary, Verdict, evaluate};
use crate::sources::SourceError;
use crate::sources::config::event::{ConfigEvent, EventError, Trigger};
use crate::sources::ec2::launch_facts::LaunchFacts;
use crate::sources::ec2::{Ec2Error, lookup};

/// What Lambda knows about an invocation.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// The ARN of the function; its account and partition are read from it.
    pub function_arn: &'a str,
    /// The current time.
    pub now: OffsetDateTime,
    /// When the invocation must be complete.
    pub until: Instant,
}

/// Evaluates the resource of `payload`, an event of AWS Config, and reports the evaluation; or all resources
/// of the Region, if the event asks for a scheduled run.
///
/// # Errors
/// Returns an error if the event is malformed, AWS does not respond, or an evaluation could not be reported.
/// Nothing was reported then, except by a scheduled run, whose error says how far it came.
pub async fn handle(
    accounts: &Accounts,
    payload: &Value,
    invocation: Invocation<'_>,
) -> Result<Summary, InvocationError> {
    let event = ConfigEvent::new(payload)?;
    let function = FunctionIdentity::from_arn(invocation.function_arn)?;
    let clients = accounts.clients(event.account_id()?, &function).await?;
    clients.calls.clear();
    evaluate_event(&clients, &event, invocation).await
}

/// The straight line, with the clients of the right account.
async fn evaluate_event(
    clients: &AccountClients,
    event: &ConfigEvent<'_>,
    invocation: Invocation<'_>,
) -> Result<Summary, InvocationError> {
    let policy = event.policy()?;
    let result_token = event.result_token()?;
    let left_scope = event.left_scope()?;
    let (item, oversized) = match event.trigger()? {
        Trigger::Change(item) => (item, false),
        Trigger::Oversized(summary) => (summary, true),
        Trigger::Scheduled(created) => {
            let run = ScheduledRun {
                account_id: event.account_id()?.to_owned(),
                rule_name: event.rule_name()?.to_owned(),
                result_token: result_token.to_owned(),
                policy,
                created,
                today: invocation.now.date(),
                until: invocation.until,
            };
            let clients = clients.clone();
            let run = async move { scheduled::evaluate_region(&clients, run).await };
            // On the heap: the future of a whole run is large, and a change event does not need it.
            return Ok(threads::on_two(Box::pin(run)).await?);
        }
    };
    let captured = item.capture_time()?;
    let resource = item.resource(left_scope)?;

    let recorded;
    let full_item;
    let resource = if oversized && resource.is_judged() {
        recorded =
            in_time(clients, invocation, history::item_captured_at(&clients.config, &resource, captured))
                .await??;
        full_item = history::read(&recorded);
        full_item.resource(left_scope)?
    } else {
        resource
    };
    let resource = if lookup::is_complete(&resource) {
        resource
    } else {
        let mut facts = LaunchFacts::new(clients.resources(), &policy);
        in_time(clients, invocation, Box::pin(lookup::fill_gap(&mut facts, resource))).await??
    };

    let verdict = evaluate(&resource, &policy, invocation.now.date());
    let (resource_type, resource_id) = (resource.resource_type.name(), resource.resource_id.as_ref());
    let evaluation = evaluation(resource_type, resource_id, &verdict, captured)?;
    put_evaluations(clients, vec![evaluation], result_token, invocation.until).await?;
    log(&resource, &verdict);
    Ok(Summary::of(verdict.compliance))
}

/// Runs `work`, unless Lambda's time limit is reached first.
async fn in_time<T>(
    clients: &AccountClients,
    invocation: Invocation<'_>,
    work: impl Future<Output = T>,
) -> Result<T, InvocationError> {
    let out_of_time = |_| InvocationError::OutOfTime(clients.calls.to_string());
    tokio::time::timeout_at(invocation.until, work).await.map_err(out_of_time)
}

fn log(resource: &Resource<'_>, verdict: &Verdict) {
    tracing::info!(
        resource_type = resource.resource_type.name(),
        resource_id = resource.resource_id.as_ref(),
        account_id = resource.account_id.as_deref(),
        region = resource.region.as_deref(),
        compliance = verdict.compliance.as_str(),
        annotation = verdict.annotation,
        "evaluation reported"
    );
}

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// The event, or the rule parameters in it, are invalid.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The configuration item of the event is invalid.
    #[error("cannot evaluate the configuration item: {0}")]
    Item(#[from] SourceError),
    /// The function cannot work in the account of the event.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The item of an oversized notification could not be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// EC2 did not describe the resource.
    #[error(transparent)]
    Ec2(#[from] Ec2Error),
    /// The evaluation lacks a field that AWS Config requires.
    #[error("the evaluation is incomplete: {0}")]
    Evaluation(#[from] BuildError),
    /// The evaluation was not reported.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// AWS did not respond within Lambda's time limit. The text names the calls.
    #[error("Lambda's time limit was reached before AWS responded to {0}; nothing was reported")]
    OutOfTime(String),
    /// A scheduled run did not complete.
    #[error(transparent)]
    Scheduled(#[from] ScheduledRunError),
}

impl InvocationError {
    /// Returns a name for the kind of error, for metrics and filters. It is the `errorType` of the failed
    /// invocation.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Event(EventError::Policy(_)) => "InvalidRuleParameters",
            Self::Event(_) => "InvalidEvent",
            Self::Item(_) => "InvalidConfigurationItem",
            Self::Account(_) => "AccountNotReachable",
            Self::History(_) => "HistoryNotReadable",
            Self::Ec2(_) => "Ec2NotReadable",
            Self::Evaluation(_) | Self::Report(_) => "EvaluationsNotReported",
            Self::OutOfTime(_) => "OutOfTime",
            Self::Scheduled(error) => error.kind(),
        }
    }
}
