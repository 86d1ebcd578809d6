//! Calls to AWS that failed.

use std::error::Error;
use std::fmt::{self, Debug};

use aws_sdk_ec2::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// A call to AWS that failed, as `Operation: Code: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The operation, such as `DescribeInstances`.
    pub operation: &'static str,
    /// The error code, if the service returned one.
    pub code: Option<String>,
    /// The message of the service, or the chain of causes if the service did not respond.
    pub message: String,
}

impl ApiError {
    /// Describes a failed call of `operation`.
    pub fn new<E, R>(operation: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: Debug + Send + Sync + 'static,
    {
        match error.as_service_error() {
            Some(service) => Self {
                operation,
                code: Some(service.code().unwrap_or("UnknownError").to_owned()),
                message: service.message().unwrap_or_default().to_owned(),
            },
            None => Self { operation, code: None, message: DisplayErrorContext(error).to_string() },
        }
    }

    /// Describes a response that lacks what AWS documents.
    #[must_use]
    pub fn unexpected_response(operation: &'static str, message: &str) -> Self {
        Self { operation, code: None, message: message.to_owned() }
    }

    /// Returns whether the service returned the error code `code`.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, code, message } = self;
        match code {
            Some(code) if message.is_empty() => write!(f, "{operation}: {code}"),
            Some(code) => write!(f, "{operation}: {code}: {message}"),
            None => write!(f, "{operation}: {message}"),
        }
    }
}

impl Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_operation_first() {
        let error = |code: Option<&str>, message: &str| {
            let (code, message) = (code.map(str::to_owned), message.to_owned());
            ApiError { operation: "DescribeInstances", code, message }.to_string()
        };
        assert_eq!(error(Some("Blocked"), "no"), "DescribeInstances: Blocked: no");
        assert_eq!(error(Some("Blocked"), ""), "DescribeInstances: Blocked");
        assert_eq!(error(None, "timeout"), "DescribeInstances: timeout");
    }
}
