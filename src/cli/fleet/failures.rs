//! What could not be read or entered, as one line for each cause: a permission that is missing in 38 Regions is one
//! cause.

use std::collections::{BTreeMap, BTreeSet};

use crate::aws::{ApiError, iam};
use crate::cli::terminal::names::some;
use crate::rule::resource::Location;

/// Something that failed in an account and Region.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    location: Location,
    /// What failed, such as `cannot list instances`.
    what: String,
    error: Option<ApiError>,
}

impl Failure {
    pub(crate) fn new(location: &Location, what: &str, error: Option<ApiError>) -> Self {
        Self { location: location.clone(), what: what.to_owned(), error }
    }

    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// Returns what distinguishes the cause from others, beside the account.
    fn cause(&self) -> String {
        match &self.error {
            Some(ApiError { operation, code: Some(code), .. }) => format!("{operation}: {code}"),
            Some(error) => error.to_string(),
            None => String::new(),
        }
    }

    /// Describes the failure without its Region. `command` is the command that printed it.
    fn description(&self, command: &str) -> String {
        match &self.error {
            None => self.what.clone(),
            Some(error) => format!("{}: {}", self.what, with_advice(error, command)),
        }
    }
}

/// Describes an error with what to do about it.
pub(super) fn with_advice(error: &ApiError, command: &str) -> String {
    let error = ApiError { message: without_encoded_message(&error.message), ..error.clone() };
    if error.is_access_denied() {
        let action = iam::action(error.operation);
        let advice = if error.message.contains("explicit deny") {
            format!("{action} is denied explicitly: change that policy")
        } else {
            format!("allow {action}; `imdsv2 permissions {command}` prints a policy")
        };
        return format!("{error}: {advice}");
    }
    if error.message.contains("invalid peer certificate") {
        return format!(
            "{error}: if a proxy has a certificate authority of its own, name its file in AWS_CA_BUNDLE"
        );
    }
    if error.unanswered {
        return format!("{error}: check the network, or select other Regions with --region");
    }
    error.to_string()
}

/// Removes what only `aws sts decode-authorization-message` can read.
fn without_encoded_message(message: &str) -> String {
    let (readable, _) =
        message.split_once(" Encoded authorization failure message:").unwrap_or((message, ""));
    readable.trim_end_matches('.').to_owned()
}

/// Returns a line for each cause in each account, sorted. `command` is the command that prints them.
pub(crate) fn lines(failures: &[Failure], command: &str) -> Vec<String> {
    let mut causes: BTreeMap<(&str, &str, String), (BTreeSet<&str>, &Failure)> = BTreeMap::new();
    for failure in failures {
        let Location { account_id, region } = &failure.location;
        let key = (account_id.as_str(), failure.what.as_str(), failure.cause());
        causes.entry(key).or_insert_with(|| (BTreeSet::new(), failure)).0.insert(region);
    }
    let lines = causes.into_iter().map(|((account, _, _), (regions, failure))| {
        format!("account {account}, {}: {}", places(&regions), failure.description(command))
    });
    lines.collect()
}

/// Describes Regions: one by its name, several by their number and the first names.
fn places(regions: &BTreeSet<&str>) -> String {
    let names = some(&regions.iter().collect::<Vec<_>>());
    if regions.len() == 1 { names } else { format!("{} Regions ({names})", regions.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(region: &str, code: Option<&str>, message: &str) -> Failure {
        let location = Location { account_id: "1".to_owned(), region: region.to_owned() };
        let (code, message) = (code.map(str::to_owned), message.to_owned());
        let unanswered = code.is_none();
        let error = ApiError { operation: "DescribeInstances", code, message, unanswered };
        Failure::new(&location, "cannot list instances", Some(error))
    }

    #[test]
    fn a_cause_in_many_regions_is_one_line() {
        let message = "You are not authorized. Encoded authorization failure message: ";
        let denied = (0..38).map(|number| {
            failure(&format!("r-{number:02}"), Some("UnauthorizedOperation"), &format!("{message}{number}"))
        });
        let failures: Vec<_> = denied.chain([failure("r-99", None, "connection refused")]).collect();
        assert_eq!(
            lines(&failures, "scan"),
            [
                "account 1, 38 Regions (r-00, r-01, r-02 and 35 others): cannot list instances: DescribeInstances: \
                 UnauthorizedOperation: You are not authorized: allow ec2:DescribeInstances; `imdsv2 permissions \
                 scan` prints a policy",
                "account 1, r-99: cannot list instances: DescribeInstances: connection refused: check the network, \
                 or select other Regions with --region",
            ]
        );
    }

    #[test]
    fn an_explicit_deny_is_not_answered_with_a_policy() {
        let denied = failure("r", Some("UnauthorizedOperation"), "no, with an explicit deny in a policy");
        let lines = lines(&[denied], "scan");
        assert!(
            lines[0].ends_with(": ec2:DescribeInstances is denied explicitly: change that policy"),
            "{lines:?}"
        );
    }

    #[test]
    fn what_was_interrupted_has_no_error() {
        let location = |region: &str| Location { account_id: "1".to_owned(), region: region.to_owned() };
        let failures = ["b", "a"].map(|region| Failure::new(&location(region), "interrupted", None));
        assert_eq!(lines(&failures, "scan"), ["account 1, 2 Regions (a, b): interrupted"]);
    }
}
