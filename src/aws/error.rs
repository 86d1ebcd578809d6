//! Calls to AWS that failed.

use std::error::Error;
use std::fmt::{self, Debug};
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};

use super::assume_role;

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

/// The codes of errors about credentials that were valid before
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>).
const EXPIRED: [&str; 4] =
    ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"];
/// The codes of errors about credentials that no account has.
const INVALID: [&str; 3] = ["AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException"];
/// The codes of errors about missing permissions.
const ACCESS_DENIED: [&str; 4] =
    ["AccessDenied", "AccessDeniedException", "UnauthorizedException", "UnauthorizedOperation"];
const NO_CREDENTIALS: &str = "no AWS credentials found: set AWS_PROFILE, or sign in with `aws sso login`";
const EXPIRED_CREDENTIALS: &str =
    "the AWS credentials have expired: sign in again with `aws sso login`, or renew them";
const CANNOT_LOAD: &str = "cannot load AWS credentials: ";

/// A call to AWS that failed, as `Operation: Code: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The operation, such as `DescribeInstances`.
    pub operation: &'static str,
    /// The error code, if the service returned one.
    pub code: Option<String>,
    /// The message of the service, or why it did not respond.
    pub message: String,
    /// Whether the service did not respond, although there are credentials.
    pub unanswered: bool,
}

impl ApiError {
    /// Describes a failed call of `operation`.
    pub fn new<E, R>(operation: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: Debug + Send + Sync + 'static,
    {
        tracing::debug!(operation, ?error, "a call failed");
        if let Some(for_credentials) = causes(error).find_map(|cause| cause.downcast_ref::<Self>()) {
            return for_credentials.clone();
        }
        if let Some(service) = error.as_service_error() {
            let code = service.code().unwrap_or("UnknownError").to_owned();
            let message = explained(&code, service.message().unwrap_or_default());
            return Self { operation, code: Some(code), message, unanswered: false };
        }
        let unanswered = !causes(error).any(|cause| cause.is::<CredentialsError>());
        Self { operation, code: None, message: cause_of(error), unanswered }
    }

    /// Describes a failed call of `operation` that returns credentials for other calls. Their errors name it, and not
    /// themselves.
    pub(super) fn without_credentials(operation: &'static str, error: &CredentialsError) -> Self {
        if let Some((code, message)) = response(error) {
            let message = explained(code, message);
            return Self { operation, code: Some(code.to_owned()), message, unanswered: false };
        }
        let own = causes(error).skip(1).any(|cause| cause.is::<CredentialsError>());
        let message = error.source().filter(|_| own).map_or_else(|| innermost(error), cause_of);
        Self { operation, code: None, message, unanswered: !own }
    }

    /// Describes a response that lacks what AWS documents.
    #[must_use]
    pub fn unexpected_response(operation: &'static str, message: &str) -> Self {
        Self { operation, code: None, message: message.to_owned(), unanswered: false }
    }

    /// Returns whether the service returned the error code `code`.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Returns whether a permission is missing.
    #[must_use]
    pub fn is_access_denied(&self) -> bool {
        ACCESS_DENIED.iter().any(|code| self.has_code(code))
    }

    /// Returns whether there are no credentials, or none that are valid any more. The message says what to do, and the
    /// operation does not matter.
    #[must_use]
    pub fn is_without_credentials(&self) -> bool {
        let message = self.message.as_str();
        [NO_CREDENTIALS, EXPIRED_CREDENTIALS].contains(&message) || message.starts_with(CANNOT_LOAD)
    }

    /// Returns whether the call failed because there are no credentials, or none that are valid.
    #[must_use]
    pub fn is_about_credentials(&self) -> bool {
        let is_invalid = INVALID.iter().any(|code| self.has_code(code));
        is_invalid || self.is_without_credentials() || self.is_from_assuming_a_role()
    }

    /// Returns whether the credentials of a role could not be fetched.
    #[must_use]
    pub fn is_from_assuming_a_role(&self) -> bool {
        self.operation == assume_role::OPERATION
    }

    /// Returns why the call failed, without its operation: `Code: message`.
    #[must_use]
    pub fn reason(&self) -> String {
        match &self.code {
            Some(code) if self.message.is_empty() => code.clone(),
            Some(code) => format!("{code}: {}", self.message),
            None => self.message.clone(),
        }
    }
}

/// Adds what to do to the message of an error about credentials.
fn explained(code: &str, message: &str) -> String {
    if EXPIRED.contains(&code) {
        return EXPIRED_CREDENTIALS.to_owned();
    }
    if INVALID.contains(&code) {
        return format!("{}: check AWS_PROFILE and the access keys", message.trim_end_matches('.'));
    }
    message.to_owned()
}

/// Describes why a call has no response from its service, in a sentence for people.
fn cause_of(error: &(dyn Error + 'static)) -> String {
    let credentials = causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>());
    credentials.map_or_else(|| innermost(error), why_no_credentials)
}

/// Says why there are no credentials, and what to do. The SDK has no kinds of errors for that, only texts.
fn why_no_credentials(error: &CredentialsError) -> String {
    let cause = innermost(error);
    let is_from_profile = cause.contains("ProfileFile provider") || cause.contains("source profile");
    let (cause, advice) = if cause.contains("SSO token") || cause.contains("/sso/cache/") {
        ("there is no valid SSO session", "sign in with `aws sso login`")
    } else if cause.contains("external process") {
        (cause.as_str(), "check credential_process in the AWS configuration files")
    } else if is_from_profile {
        (cause.as_str(), "check the profile in the AWS configuration files")
    } else if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        return NO_CREDENTIALS.to_owned();
    } else if cause.contains("environment variable not set") {
        ("AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set", "set both")
    } else if causes(error).any(is_unreadable_file) {
        let advice = "check AWS_WEB_IDENTITY_TOKEN_FILE, or web_identity_token_file of the profile";
        return format!("{CANNOT_LOAD}cannot read the web identity token: {cause}: {advice}");
    } else {
        return format!("{CANNOT_LOAD}{cause}");
    };
    let cause = cause.replace("ProfileFile provider could not be built: ", "");
    let cause = cause.replace("the credentials provider was not properly configured: ", "");
    let cause = cause.replace("the credential provider was not enabled: ", "");
    format!("{CANNOT_LOAD}{}: {advice}", cause.trim_end().trim_end_matches(". Stderr:"))
}

fn is_unreadable_file(cause: &(dyn Error + 'static)) -> bool {
    let kinds = [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied];
    cause.downcast_ref::<io::Error>().is_some_and(|error| kinds.contains(&error.kind()))
}

/// Returns the code and the message with which a service responded.
fn response<'a>(error: &'a (dyn Error + 'static)) -> Option<(&'a str, &'a str)> {
    let response = causes(error).find_map(|cause| cause.downcast_ref::<ErrorMetadata>())?;
    Some((response.code()?, response.message()?))
}

/// Returns what a service responded, or else the causes of an error without those that only wrap others.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    if let Some((code, message)) = response(error) {
        return format!("{code}: {}", explained(code, message));
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
        write!(f, "{}: {}", self.operation, self.reason())
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
            ApiError { operation: "DescribeInstances", code, message, unanswered: false }.to_string()
        };
        assert_eq!(error(Some("Blocked"), "no"), "DescribeInstances: Blocked: no");
        assert_eq!(error(Some("Blocked"), ""), "DescribeInstances: Blocked");
        assert_eq!(error(None, "timeout"), "DescribeInstances: timeout");
    }
}
