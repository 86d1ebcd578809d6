//! The Lambda function behind the AWS Config rule: reads the environment, then hands every invocation
//! to [`imdsv2_config_rule::lambda::handler::handle`].

use std::time::{Duration, SystemTime};

use imdsv2_config_rule::aws::clients::Accounts;
use imdsv2_config_rule::lambda::handler::{Invocation, RuleError, handle};
use imdsv2_config_rule::lambda::metrics;
use imdsv2_config_rule::rule::verdict::Summary;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;

/// What is kept of Lambda's time to say what went wrong, instead of being killed without a word.
const RESERVE: Duration = Duration::from_millis(500);

// Two: while one decodes a page of EC2, which takes it tens of milliseconds, the other calls AWS Config.
#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let member_role_name = std::env::var("MEMBER_ROLE_NAME").ok().filter(|name| !name.is_empty());
    let accounts = Accounts::from_environment(member_role_name).await;
    let handler = service_fn(|event: LambdaEvent<Value>| invoke(&accounts, event));
    Box::pin(lambda_runtime::run(handler)).await
}

async fn invoke(accounts: &Accounts, event: LambdaEvent<Value>) -> Result<Summary, Diagnostic> {
    let (began, clock) = (OffsetDateTime::now_utc(), Instant::now());
    let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let invocation = Invocation {
        function_arn: &event.context.invoked_function_arn,
        now: began,
        until: clock + left.saturating_sub(RESERVE),
    };
    let outcome = handle(accounts, &event.payload, invocation).await;
    // To standard output as it is: CloudWatch looks for metrics at the root of a line.
    let function = &event.context.env_config.function_name;
    let metrics =
        metrics::of_invocation(function, &event.payload, outcome.as_ref().ok(), began, clock.elapsed());
    println!("{metrics}");
    outcome.map_err(|error| diagnostic(&error))
}

fn diagnostic(error: &RuleError) -> Diagnostic {
    let diagnostic = Diagnostic { error_type: error.kind().to_owned(), error_message: error.to_string() };
    tracing::error!(error_type = diagnostic.error_type, error = diagnostic.error_message, "failed");
    diagnostic
}
