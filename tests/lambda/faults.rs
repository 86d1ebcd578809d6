//! What goes wrong in AWS: errors, broken connections, responses that are late or damaged.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wiremock::ResponseTemplate;

use crate::connections::{BEFORE, RESET, WITHIN};
use crate::responses::{auto_scaling_error, config_error, ec2_error};

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The service limits the rate of calls.
    Throttled,
    /// An error with this status of HTTP.
    ServerError(u16),
    /// The connection ends before the response.
    ResetBefore,
    /// The connection ends within the response.
    ResetWithin,
    /// The response is not what AWS documents.
    Malformed,
    /// The response takes longer than the function may run.
    Slow,
    /// A permission is missing.
    AccessDenied,
    /// The credentials have expired.
    ExpiredToken,
    /// `PutEvaluations` returns the first evaluation in `FailedEvaluations`.
    PartialFailure,
}

impl Fault {
    /// Returns the response to a call. `answer` returns the one without the fault.
    pub(crate) fn respond(
        self,
        operation: &str,
        answer: impl FnOnce() -> ResponseTemplate,
    ) -> ResponseTemplate {
        let api = Api::of(operation);
        match self {
            Self::Throttled => api.error(400, ["ThrottlingException", "RequestLimitExceeded", "Throttling"]),
            Self::ServerError(status) => api.error(status, ["InternalFailure"; 3]),
            Self::ResetBefore => answer().append_header(RESET, BEFORE),
            Self::ResetWithin => answer().append_header(RESET, WITHIN),
            Self::Malformed => ResponseTemplate::new(200).set_body_string("<html>{"),
            Self::PartialFailure => answer(),
            Self::Slow => answer().set_delay(Duration::from_mins(1)),
            Self::AccessDenied => {
                api.error(403, ["AccessDeniedException", "UnauthorizedOperation", "AccessDenied"])
            }
            Self::ExpiredToken => api.error(400, ["ExpiredTokenException", "RequestExpired", "ExpiredToken"]),
        }
    }
}

/// The wire formats of errors.
#[derive(Clone, Copy)]
enum Api {
    Config,
    Ec2,
    Query,
}

impl Api {
    fn of(operation: &str) -> Self {
        match operation {
            "PutEvaluations" | "GetResourceConfigHistory" | "GetComplianceDetailsByConfigRule" => {
                Self::Config
            }
            "AssumeRole" | "DescribeAutoScalingGroups" | "DescribeLaunchConfigurations" => Self::Query,
            _ => Self::Ec2,
        }
    }

    /// Returns an error with the code of the API: that of AWS Config, of EC2, or of the others.
    fn error(self, status: u16, [config, ec2, query]: [&str; 3]) -> ResponseTemplate {
        match self {
            Self::Config => config_error(status, config),
            Self::Ec2 => ec2_error(status, ec2),
            Self::Query => auto_scaling_error(status, query),
        }
    }
}

/// The fault that is active, if any. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<Option<ActiveFault>>>);

#[derive(Clone, Copy, Debug)]
struct ActiveFault {
    operation: &'static str,
    fault: Fault,
    left: usize,
}

impl Faults {
    /// Lets the next `times` calls of `operation` fail.
    pub(crate) fn start(&self, operation: &'static str, fault: Fault, times: usize) {
        *self.0.lock().unwrap() = Some(ActiveFault { operation, fault, left: times });
    }

    /// Lets all calls succeed. Returns whether any had failed.
    pub(crate) fn end(&self, times: usize) -> bool {
        self.0.lock().unwrap().take().is_some_and(|active| active.left < times)
    }

    /// Returns what happens to the next call of `operation`.
    pub(crate) fn next_of(&self, operation: &str) -> Option<Fault> {
        let mut active = self.0.lock().unwrap();
        let active = active.as_mut().filter(|active| active.operation == operation && active.left > 0)?;
        active.left -= 1;
        Some(active.fault)
    }
}
