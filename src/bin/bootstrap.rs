//! The Lambda function behind the AWS Config rule: reads the environment, and passes every invocation to
//! [`imdsv2_config_rule::lambda::handler::handle`].

use std::time::{Duration, SystemTime};

use imdsv2_config_rule::lambda::accounts::Accounts;
use imdsv2_config_rule::lambda::handler::{Invocation, InvocationError, handle};
use imdsv2_config_rule::lambda::metrics;
use imdsv2_config_rule::rule::verdict::Summary;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;

/// The part of Lambda's time limit that is kept to report an error, before Lambda kills the process.
const RESERVE: Duration = Duration::from_millis(500);

/// What a person learns who starts the function from a shell.
const NOT_IN_LAMBDA: &str = "bootstrap runs in AWS Lambda only: AWS_LAMBDA_RUNTIME_API is not set. To evaluate an event \
                             here, run `imdsv2 evaluate EVENT.json`; to invoke the function, run `aws lambda invoke`.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        eprintln!("{NOT_IN_LAMBDA}");
        std::process::exit(2);
    }
    lambda_runtime::tracing::init_default_subscriber();
    let member_role_name = std::env::var("MEMBER_ROLE_NAME").ok().filter(|name| !name.is_empty());
    let accounts = match Accounts::from_environment(member_role_name).await {
        Ok(accounts) => accounts,
        Err(error) => {
            tracing::error!(error = error.to_string(), "the function cannot start");
            std::process::exit(1);
        }
    };
    let handler = service_fn(|event: LambdaEvent<Value>| invoke(&accounts, event));
    Box::pin(lambda_runtime::run(handler)).await
}

async fn invoke(accounts: &Accounts, event: LambdaEvent<Value>) -> Result<Summary, Diagnostic> {
    let (started, clock) = (OffsetDateTime::now_utc(), Instant::now());
    let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let invocation = Invocation {
        function_arn: &event.context.invoked_function_arn,
        now: started,
        until: clock + left.saturating_sub(RESERVE),
    };
    let result = handle(accounts, &event.payload, invocation).await;
    // Not through the logger: CloudWatch reads metrics at the root of a JSON line.
    let function = &event.context.env_config.function_name;
    let metrics =
        metrics::of_invocation(function, &event.payload, result.as_ref().ok(), started, clock.elapsed());
    println!("{metrics}");
    result.map_err(|error| diagnostic(&error))
}

fn diagnostic(error: &InvocationError) -> Diagnostic {
    let diagnostic = Diagnostic { error_type: error.kind().to_owned(), error_message: error.to_string() };
    tracing::error!(
        error_type = diagnostic.error_type,
        error = diagnostic.error_message,
        "invocation failed"
    );
    diagnostic
}
