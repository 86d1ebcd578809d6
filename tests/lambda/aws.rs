//! The simulated AWS: what each service returns.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

use crate::calls;
use crate::faults::{Fault, Faults};
use crate::region::Region;
use crate::responses;

/// The access key id of the credentials that STS returns.
pub(crate) const MEMBER_ACCESS_KEY_ID: &str = "AKIAMEMBER";

/// A response to `PutEvaluations`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum PutResponse {
    /// 200, without failed evaluations.
    #[default]
    Accept,
    /// 400 `ThrottlingException`.
    Throttle,
    /// 200, with every evaluation in `FailedEvaluations`.
    FailAll,
    /// 200, with the first evaluation in `FailedEvaluations`.
    FailFirst,
    /// An error with this status and code.
    Error(u16, &'static str),
}

/// What the services return.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aws {
    /// The first responses to `PutEvaluations`, in order.
    pub(crate) first_put_responses: VecDeque<PutResponse>,
    /// Every later response to `PutEvaluations`.
    pub(crate) put_response: PutResponse,
    /// The item in the response to `GetResourceConfigHistory`.
    pub(crate) history: Option<Value>,
    /// The response of EC2 to a lookup of one resource.
    pub(crate) lookup: Option<ResponseTemplate>,
    /// The resources that a scheduled run lists.
    pub(crate) region: Option<Region>,
    /// The lifetime of the credentials that STS returns, in seconds.
    pub(crate) credentials_seconds: i64,
    /// What goes wrong.
    pub(crate) faults: Faults,
}

impl Aws {
    /// Starts a server for all services. The second value fills with the evaluations that it accepts.
    pub(crate) async fn serve(self) -> (MockServer, Arc<Mutex<Vec<Value>>>) {
        let server = MockServer::start().await;
        let accepted = Arc::default();
        let services = Services { aws: Mutex::new(self), accepted: Arc::clone(&accepted) };
        Mock::given(matchers::any()).respond_with(services).mount(&server).await;
        (server, accepted)
    }
}

struct Services {
    aws: Mutex<Aws>,
    accepted: Arc<Mutex<Vec<Value>>>,
}

impl Respond for Services {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut aws = self.aws.lock().unwrap();
        let operation = operation(request);
        calls::record(request, &operation);
        if let Some(fault) = aws.faults.next_of(&operation) {
            if fault == Fault::PartialFailure {
                aws.first_put_responses.push_front(PutResponse::FailFirst);
            }
            return fault.respond(&operation, || self.answer(&mut aws, &operation, request));
        }
        self.answer(&mut aws, &operation, request)
    }
}

impl Services {
    fn answer(&self, aws: &mut Aws, operation: &str, request: &Request) -> ResponseTemplate {
        if let Some(region) = &mut aws.region
            && let Some(response) = region.respond(operation, request)
        {
            return response;
        }
        match operation {
            "PutEvaluations" => {
                let response = aws.first_put_responses.pop_front().unwrap_or(aws.put_response);
                self.put_evaluations(response, &request.body_json().unwrap())
            }
            "GetResourceConfigHistory" => {
                let items: Vec<_> = aws.history.iter().collect();
                responses::config(&json!({"configurationItems": items}))
            }
            "AssumeRole" => responses::assume_role(MEMBER_ACCESS_KEY_ID, aws.credentials_seconds),
            _ => aws.lookup.clone().unwrap_or_else(|| responses::ec2_error(500, "InternalError")),
        }
    }

    fn put_evaluations(&self, response: PutResponse, request: &Value) -> ResponseTemplate {
        let evaluations = request["Evaluations"].as_array().unwrap();
        let accept = |failed: usize| {
            self.accepted.lock().unwrap().extend(evaluations[failed..].iter().cloned());
            responses::config(&json!({"FailedEvaluations": evaluations[..failed]}))
        };
        match response {
            PutResponse::Accept => accept(0),
            PutResponse::FailFirst => accept(1),
            PutResponse::Throttle => responses::config_error(400, "ThrottlingException"),
            PutResponse::FailAll => accept(evaluations.len()),
            PutResponse::Error(status, code) => responses::config_error(status, code),
        }
    }
}

/// Returns the operation that a request calls. AWS Config's protocol has it in a header, the others in a form
/// field.
pub(crate) fn operation(request: &Request) -> String {
    if let Some(target) = request.headers.get("x-amz-target") {
        return target.to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    }
    let body = String::from_utf8_lossy(&request.body);
    let action = body.split('&').find_map(|field| field.strip_prefix("Action="));
    action.unwrap_or_default().to_owned()
}
