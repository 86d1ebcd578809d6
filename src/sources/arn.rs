//! What ARNs name (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>).

use std::borrow::Cow;

/// The account and Region in an ARN.
pub(super) struct Place<'a> {
    pub(super) account_id: Option<Cow<'a, str>>,
    pub(super) region: Option<Cow<'a, str>>,
}

impl<'a> Place<'a> {
    /// Reads `arn:PARTITION:SERVICE:REGION:ACCOUNT:…`.
    pub(super) fn of_arn(arn: &'a str) -> Self {
        let mut parts = arn.split(':').skip(3).map(|part| (!part.is_empty()).then_some(Cow::from(part)));
        let region = parts.next().flatten();
        Self { account_id: parts.next().flatten(), region }
    }
}
