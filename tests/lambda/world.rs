//! The world around the function: Lambda's Runtime API in front of it, AWS's services behind it.

use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_simulator::{InvocationBuilder, InvocationStatus, Simulator};
use serde_json::{Value, json};

use crate::calls;
use crate::fleet::Fleet;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

/// The account that the function runs in.
pub(crate) const OWN_ACCOUNT: &str = "123456789012";

/// How the stand-in of AWS Config answers one call of `PutEvaluations`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Put {
    Accept,
    /// 400 `ThrottlingException`
    Throttle,
    /// 200, with every evaluation in `FailedEvaluations`
    FailAll,
    /// An error of this status and code
    Error(u16, &'static str),
}

/// What AWS holds, and how it answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aws {
    /// Answers to `PutEvaluations`, in order; after the last one, it accepts.
    pub(crate) puts: VecDeque<Put>,
    /// What `PutEvaluations` answers after the last of `puts`, if not by accepting.
    pub(crate) puts_for_ever: Option<Put>,
    /// The item that `GetResourceConfigHistory` answers with.
    pub(crate) history: Option<Value>,
    /// The body that EC2 answers `DescribeInstances` and `DescribeLaunchTemplateVersions` with.
    pub(crate) ec2: Option<(u16, String)>,
    /// What scheduled runs list.
    pub(crate) fleet: Fleet,
    /// For how many seconds STS's credentials are good.
    pub(crate) credentials_seconds: i64,
}

struct StandIn {
    aws: Mutex<Aws>,
    accepted: Arc<Mutex<Vec<Value>>>,
}

impl Respond for StandIn {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut aws = self.aws.lock().unwrap();
        let operation = operation(request);
        calls::record(request, &operation);
        if aws.fleet.page > 0
            && let Some(answer) = aws.fleet.answer(&operation, request)
        {
            return answer;
        }
        match operation.as_str() {
            "PutEvaluations" => {
                let put = aws.puts.pop_front().or(aws.puts_for_ever).unwrap_or(Put::Accept);
                let body: Value = request.body_json().unwrap();
                if matches!(put, Put::Accept) {
                    let evaluations = body["Evaluations"].as_array().unwrap();
                    self.accepted.lock().unwrap().extend(evaluations.iter().cloned());
                }
                answer_put(put, &body)
            }
            "GetResourceConfigHistory" => {
                let items: Vec<_> = aws.history.iter().collect();
                ResponseTemplate::new(200).set_body_json(json!({"configurationItems": items}))
            }
            "AssumeRole" => ResponseTemplate::new(200).set_body_string(assume_role(aws.credentials_seconds)),
            _ => {
                let (status, body) = aws.ec2.clone().unwrap_or((500, "<Response/>".to_owned()));
                ResponseTemplate::new(status).set_body_string(body)
            }
        }
    }
}

fn answer_put(put: Put, request: &Value) -> ResponseTemplate {
    let error = |status: u16, code: &str| {
        ResponseTemplate::new(status).set_body_json(json!({"__type": code, "message": "so says the test"}))
    };
    match put {
        Put::Accept => ResponseTemplate::new(200).set_body_json(json!({"FailedEvaluations": []})),
        Put::Throttle => error(400, "ThrottlingException"),
        Put::FailAll => {
            ResponseTemplate::new(200).set_body_json(json!({"FailedEvaluations": request["Evaluations"]}))
        }
        Put::Error(status, code) => error(status, code),
    }
}

fn assume_role(seconds: i64) -> String {
    let expires = time::OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    let expires = expires.format(&time::format_description::well_known::Rfc3339).unwrap();
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <Credentials><AccessKeyId>AKIAMEMBER</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
         <SessionToken>token</SessionToken><Expiration>{expires}</Expiration></Credentials>\
         </AssumeRoleResult></AssumeRoleResponse>"
    )
}

/// The operation that a request calls: a header in AWS Config's protocol, a form field in the others.
pub(crate) fn operation(request: &Request) -> String {
    if let Some(target) = request.headers.get("x-amz-target") {
        return target.to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    }
    let body = String::from_utf8_lossy(&request.body);
    let action = body.split('&').find_map(|field| field.strip_prefix("Action="));
    action.unwrap_or_default().to_owned()
}

/// A failed invocation, as Lambda sees it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: String,
    pub(crate) message: String,
}

/// The function as a process, in its world.
pub(crate) struct World {
    simulator: Simulator,
    process: Child,
    pub(crate) server: MockServer,
    log: std::path::PathBuf,
    accepted: Arc<Mutex<Vec<Value>>>,
}

impl World {
    /// Starts the function with AWS as described.
    pub(crate) async fn start(aws: Aws) -> Self {
        Self::start_with(aws, &[]).await
    }

    /// Starts the function with more environment variables.
    pub(crate) async fn start_with(aws: Aws, environment: &[(&str, &str)]) -> Self {
        let server = MockServer::start().await;
        let accepted = Arc::default();
        let stand_in = StandIn { aws: Mutex::new(aws), accepted: Arc::clone(&accepted) };
        Mock::given(matchers::any()).respond_with(stand_in).mount(&server).await;
        let simulator = Simulator::builder()
            .function_name("imdsv2")
            .account_id(OWN_ACCOUNT)
            .region("us-east-1")
            .build()
            .await
            .unwrap();
        let log = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("function-{}.log", server.address().port()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootstrap"));
        command
            .env_clear()
            .envs(simulator.lambda_env_vars())
            .env("AWS_ACCESS_KEY_ID", "AKIAOWN")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_ENDPOINT_URL", server.uri())
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .envs(environment.iter().copied())
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(Stdio::inherit());
        let process = command.spawn().unwrap();
        Self { simulator, process, server, log, accepted }
    }

    /// Invokes the function, and waits for how it ends.
    pub(crate) async fn invoke(&self, payload: &Value) -> Result<Value, Failure> {
        self.invoke_within(payload, Duration::from_mins(1)).await
    }

    /// Invokes the function with a time limit of its own.
    pub(crate) async fn invoke_within(&self, payload: &Value, limit: Duration) -> Result<Value, Failure> {
        let invocation = InvocationBuilder::new()
            .payload(payload.clone())
            .timeout_ms(u64::try_from(limit.as_millis()).unwrap())
            .function_arn(format!("arn:aws:lambda:us-east-1:{OWN_ACCOUNT}:function:imdsv2"))
            .build()
            .unwrap();
        let id = self.simulator.enqueue(invocation).await;
        // Lambda kills the function at its limit; a loaded machine may be late to notice its answer.
        let patience = limit + Duration::from_secs(1);
        let state = self.simulator.wait_for_invocation_complete(&id, patience).await.unwrap();
        if state.status == InvocationStatus::Success {
            return Ok(state.response.unwrap().payload);
        }
        let error = state.error.unwrap();
        Err(Failure { kind: error.error_type, message: error.error_message })
    }

    /// The bodies of all calls of `operation`, in order.
    pub(crate) async fn calls(&self, name: &str) -> Vec<Request> {
        let requests = self.server.received_requests().await.unwrap();
        requests.into_iter().filter(|request| operation(request) == name).collect()
    }

    /// What was put, call by call.
    pub(crate) async fn puts(&self) -> Vec<Value> {
        self.calls("PutEvaluations").await.iter().map(|request| request.body_json().unwrap()).collect()
    }

    /// Every evaluation that AWS Config accepted, in order.
    pub(crate) fn accepted(&self) -> Vec<Value> {
        self.accepted.lock().unwrap().clone()
    }

    /// The only evaluation of the last call of `PutEvaluations`.
    pub(crate) async fn last_evaluation(&self) -> Value {
        self.puts().await.last().expect("something was reported")["Evaluations"][0].clone()
    }

    /// The lines that the function logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}

/// Passes connections on to `target`, but breaks the first `broken` of them.
pub(crate) async fn breaking_proxy(target: std::net::SocketAddr, broken: usize) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let left = Arc::new(Mutex::new(broken));
    tokio::spawn(async move {
        while let Ok((mut inbound, _)) = listener.accept().await {
            let breaks = {
                let mut left = left.lock().unwrap();
                let breaks = *left > 0;
                *left = left.saturating_sub(1);
                breaks
            };
            if breaks {
                continue;
            }
            tokio::spawn(async move {
                let mut outbound = tokio::net::TcpStream::connect(target).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut inbound, &mut outbound).await;
            });
        }
    });
    format!("http://{address}")
}
