//! The function as a process, between Lambda's Runtime API and the simulated AWS.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_simulator::{InvocationBuilder, InvocationStatus, Simulator};
use serde_json::Value;
use wiremock::{MockServer, Request};

use crate::aws::{Aws, operation};
use crate::connections::breaking_proxy;

/// The account that the function runs in.
pub(crate) const OWN_ACCOUNT: &str = "123456789012";

/// A running function.
pub(crate) struct Function {
    simulator: Simulator,
    process: Child,
    pub(crate) aws: MockServer,
    log: PathBuf,
    accepted: Arc<Mutex<Vec<Value>>>,
}

/// A failed invocation, as Lambda reports it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// `errorType`.
    pub(crate) kind: String,
    /// `errorMessage`.
    pub(crate) message: String,
}

impl Function {
    /// Starts the function.
    pub(crate) async fn start(aws: Aws) -> Self {
        Self::start_with(aws, &[]).await
    }

    /// Starts the function with additional environment variables.
    pub(crate) async fn start_with(aws: Aws, environment: &[(&str, &str)]) -> Self {
        let (aws, accepted) = aws.serve().await;
        let endpoint = aws.uri();
        Self::start_process(aws, accepted, &endpoint, environment).await
    }

    /// Starts the function with additional environment variables. The connections to AWS break if a response says so.
    pub(crate) async fn start_behind_proxy(aws: Aws, environment: &[(&str, &str)]) -> Self {
        let (aws, accepted) = aws.serve().await;
        let endpoint = breaking_proxy(*aws.address(), 0).await;
        Self::start_process(aws, accepted, &endpoint, environment).await
    }

    async fn start_process(
        aws: MockServer,
        accepted: Arc<Mutex<Vec<Value>>>,
        endpoint: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let simulator = Simulator::builder()
            .function_name("imdsv2")
            .account_id(OWN_ACCOUNT)
            .region("us-east-1")
            .build()
            .await
            .unwrap();
        let log =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("function-{}.log", aws.address().port()));
        let process = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
            .env_clear()
            .envs(simulator.lambda_env_vars())
            .env("AWS_ACCESS_KEY_ID", "AKIAOWN")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .envs(environment.iter().copied())
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self { simulator, process, aws, log, accepted }
    }

    /// Invokes the function and waits for its response.
    pub(crate) async fn invoke(&self, event: &Value) -> Result<Value, Failure> {
        self.invoke_within(event, Duration::from_mins(1)).await
    }

    /// Invokes the function with this time limit.
    pub(crate) async fn invoke_within(&self, event: &Value, limit: Duration) -> Result<Value, Failure> {
        let invocation = InvocationBuilder::new()
            .payload(event.clone())
            .timeout_ms(u64::try_from(limit.as_millis()).unwrap())
            .function_arn(format!("arn:aws:lambda:us-east-1:{OWN_ACCOUNT}:function:imdsv2"))
            .build()
            .unwrap();
        let id = self.simulator.enqueue(invocation).await;
        // Lambda stops a function at its limit. The margin is for a loaded machine, which may notice the
        // response late.
        let margin = Duration::from_secs(1);
        let state = self.simulator.wait_for_invocation_complete(&id, limit + margin).await.unwrap();
        if state.status == InvocationStatus::Success {
            return Ok(state.response.unwrap().payload);
        }
        let error = state.error.unwrap();
        Err(Failure { kind: error.error_type, message: error.error_message })
    }

    /// Returns the requests for an operation, in order.
    pub(crate) async fn requests(&self, name: &str) -> Vec<Request> {
        let requests = self.aws.received_requests().await.unwrap();
        requests.into_iter().filter(|request| operation(request) == name).collect()
    }

    /// Returns the bodies of all requests for `PutEvaluations`, in order.
    pub(crate) async fn put_requests(&self) -> Vec<Value> {
        self.requests("PutEvaluations").await.iter().map(|request| request.body_json().unwrap()).collect()
    }

    /// Returns the first evaluation of the last request for `PutEvaluations`.
    pub(crate) async fn last_evaluation(&self) -> Value {
        self.put_requests().await.last().expect("an evaluation was reported")["Evaluations"][0].clone()
    }

    /// Returns every evaluation that AWS Config accepted, in order.
    pub(crate) fn accepted(&self) -> Vec<Value> {
        self.accepted.lock().unwrap().clone()
    }

    /// Returns what the function has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}
