//! Instances that no longer exist, and made IMDSv1 calls.

use serde::Serialize;

use crate::rule::launched_by::LaunchedBy;

/// An instance that no longer exists, and made IMDSv1 calls in the look-back period.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Terminated {
    pub(crate) account_id: String,
    pub(crate) region: String,
    pub(crate) instance_id: String,
    pub(crate) imdsv1_calls: u64,
    /// The Auto Scaling group that launched it, if its activities say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) launched_by: Option<LaunchedBy<'static>>,
}

impl Terminated {
    /// Returns the name of what launched it, if it is known.
    pub(crate) fn source(&self) -> Option<String> {
        self.launched_by.as_ref().map(LaunchedBy::id_and_noun)
    }
}
