//! The rule: one event in, one summary out.
//!
//! This is the only place that wires reading, asking, deciding and reporting together.

use std::future::Future;

use aws_sdk_config::error::BuildError;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::aws::clients::{AccountError, Accounts, Clients, FunctionIdentity};
use crate::lambda::report::put::{self, HistoryError, ReportError};
use crate::lambda::scheduled::{self, Interrupted, ScheduledRun};
use crate::rule::resource::Resource;
use crate::rule::verdict::{Summary, Verdict, evaluate};
use crate::sources::SourceError;
use crate::sources::config::configuration_item::ConfigurationItem;
use crate::sources::config::event::{ConfigEvent, EventError, Trigger};
use crate::sources::ec2::lookup::{self, Ec2Error};

/// What Lambda knows of an invocation.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// The function's ARN, from which its own account is read.
    pub function_arn: &'a str,
    /// The time that it is.
    pub now: OffsetDateTime,
    /// When everything has to be done.
    pub until: Instant,
}

/// Evaluates what `payload`, an event of AWS Config, is about, and reports the verdict, or all verdicts
/// of a scheduled run.
///
/// # Errors
/// Where the event is malformed, AWS cannot be asked, or a verdict could not be reported. Nothing
/// was reported then, except by a scheduled run, which says how far it came.
pub async fn handle(
    accounts: &Accounts,
    payload: &Value,
    invocation: Invocation<'_>,
) -> Result<Summary, RuleError> {
    let event = ConfigEvent::new(payload)?;
    let function = FunctionIdentity::from_arn(invocation.function_arn)?;
    let clients = accounts.clients(event.account_id()?, &function).await?;
    evaluate_event(&clients, &event, invocation).await
}

/// The straight line, with the clients of the right account.
async fn evaluate_event(
    clients: &Clients,
    event: &ConfigEvent<'_>,
    invocation: Invocation<'_>,
) -> Result<Summary, RuleError> {
    let policy = event.policy()?;
    let result_token = event.result_token()?;
    let left_scope = event.left_scope()?;
    let (item, oversized) = match event.trigger()? {
        Trigger::Change(item) => (item, false),
        Trigger::Oversized(summary) => (summary, true),
        Trigger::Scheduled(created) => {
            let run = ScheduledRun {
                account_id: event.account_id()?,
                rule_name: event.rule_name()?,
                result_token,
                policy: &policy,
                created,
                today: invocation.now.date(),
                until: invocation.until,
            };
            return Ok(scheduled::evaluate_region(clients, run).await?);
        }
    };
    let captured = item.capture_time()?;
    let resource = item.resource(left_scope)?;

    let history;
    let full_item;
    let resource = if oversized && resource.is_judged() {
        history = in_time(invocation, put::item_captured_at(&clients.config, &resource, captured)).await??;
        full_item = ConfigurationItem::from(&history);
        full_item.resource(left_scope)?
    } else {
        resource
    };
    let resource = in_time(invocation, lookup::fill_gap(&clients.ec2, resource)).await??;

    let verdict = evaluate(&resource, &policy, invocation.now.date());
    let (resource_type, resource_id) = (resource.resource_type.name(), resource.resource_id.as_ref());
    let evaluation = put::evaluation(resource_type, resource_id, &verdict, captured)?;
    put::put_evaluations(&clients.config, vec![evaluation], result_token, invocation.until).await?;
    log(&resource, &verdict);
    Ok(Summary::of(verdict.compliance))
}

/// `work`, unless Lambda's time limit comes first.
async fn in_time<T>(invocation: Invocation<'_>, work: impl Future<Output = T>) -> Result<T, RuleError> {
    tokio::time::timeout_at(invocation.until, work).await.map_err(|_| RuleError::OutOfTime)
}

fn log(resource: &Resource<'_>, verdict: &Verdict) {
    tracing::info!(
        resource_type = resource.resource_type.name(),
        resource_id = resource.resource_id.as_ref(),
        account_id = resource.account_id.as_deref(),
        region = resource.region.as_deref(),
        compliance = verdict.compliance.as_str(),
        annotation = verdict.annotation,
        "reported"
    );
}

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The event, or the rule's parameters in it, are wrong.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The event's item is wrong.
    #[error("the configuration item cannot be evaluated: {0}")]
    Item(#[from] SourceError),
    /// The event's account cannot be worked in.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The item of an oversized notification could not be had.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// EC2 could not be asked about the resource.
    #[error(transparent)]
    Ec2(#[from] Ec2Error),
    /// The verdict could not be put into AWS's words.
    #[error("the evaluation is incomplete: {0}")]
    Evaluation(#[from] BuildError),
    /// The verdict was reached and not reported.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// AWS did not answer in the time that Lambda gives.
    #[error("Lambda's time limit came before AWS answered; nothing was reported")]
    OutOfTime,
    /// A scheduled run did not come to its end.
    #[error(transparent)]
    Scheduled(#[from] Interrupted),
}

impl RuleError {
    /// A name for the kind of error, for metrics and filters (`errorType` of the failed invocation).
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
            Self::OutOfTime => "OutOfTime",
            Self::Scheduled(interrupted) => interrupted.kind(),
        }
    }
}
