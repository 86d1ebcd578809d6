//! Calls to AWS that failed.

use std::error::Error;
use std::fmt::{self, Debug};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};

/// What the SDK says about an error beside its cause.
const WRAPPERS: [&str; 7] = [
    "an error occurred while loading credentials",
    "client error (Connect)",
    "dispatch failure",
    "io error",
    "other",
    "response error",
    "service error",
];

/// A call to AWS that failed, as `Operation: Code: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The operation, such as `DescribeInstances`.
    pub operation: &'static str,
    /// The error code, if the service returned one.
    pub code: Option<String>,
    /// The message of the service, or why it did not respond.
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
            None => Self { operation, code: None, message: cause_of(error) },
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

/// Describes why a call has no response from its service, in a sentence for people.
fn cause_of(error: &(dyn Error + 'static)) -> String {
    let credentials = causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>());
    match credentials {
        Some(CredentialsError::CredentialsNotLoaded(_)) => {
            "no AWS credentials found: set AWS_PROFILE, or sign in with `aws sso login`".to_owned()
        }
        Some(error) => format!("cannot load AWS credentials: {}", innermost(error)),
        None => innermost(error),
    }
}

/// Returns what a service responded, or else the causes of an error without those that only wrap others.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let response = causes(error).find_map(|cause| cause.downcast_ref::<ErrorMetadata>());
    if let Some((code, message)) = response.and_then(|response| Some((response.code()?, response.message()?)))
    {
        return format!("{code}: {message}");
    }
    let mut texts: Vec<_> = causes(error).map(ToString::to_string).collect();
    texts.dedup();
    let said: Vec<_> = texts.iter().map(String::as_str).filter(|text| !WRAPPERS.contains(text)).collect();
    if said.is_empty() { texts.join(": ") } else { said.join(": ") }
}

/// Returns an error, its cause, and so on.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        error.source()
    })
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
