//! A change of an instance, and its lines in the journal.

use super::target::Target;
use crate::cli::journal::{Journal, Step};
use crate::cli::output::changes::ChangeStatus;
use crate::rule::enforcement::raised_hop_limit;
use crate::rule::resource::{HttpTokens, MetadataOptions};

/// A change to make.
#[derive(Clone, Debug)]
pub(super) struct PlannedChange {
    pub(super) target: Target,
    /// The hop limit to raise a lower one to.
    pub(super) raise_hop_limit_to: Option<i32>,
}

impl PlannedChange {
    /// Describes the change.
    pub(super) fn description(&self) -> String {
        match self.raise_hop_limit_to {
            None => "set HttpTokens=required".to_owned(),
            Some(limit) => format!(
                "set HttpTokens=required, and raise the hop limit from {} to {limit}",
                self.target.options.hop_limit.unwrap_or_default()
            ),
        }
    }

    /// Returns the options that an instance with the options `before` must have after the change.
    pub(super) fn wanted(&self, before: &MetadataOptions<'static>) -> MetadataOptions<'static> {
        let hop_limit = self.hop_limit_to_set(before).map(i64::from).or(before.hop_limit);
        MetadataOptions { http_tokens: HttpTokens::Required, hop_limit, ..before.clone() }
    }

    /// Returns the hop limit to set on an instance that has the options `before` now, which may differ from
    /// those in the plan.
    pub(super) fn hop_limit_to_set(&self, before: &MetadataOptions<'_>) -> Option<i32> {
        self.raise_hop_limit_to.and_then(|wanted| raised_hop_limit(before, wanted))
    }

    /// Writes the options from before the change to the journal.
    ///
    /// # Errors
    /// Returns an error if they cannot be written. The change must not be made then.
    pub(super) fn record_before(
        &self,
        journal: &Journal,
        before: &MetadataOptions<'_>,
    ) -> Result<(), String> {
        let hop_limit = self.hop_limit_to_set(before).and(before.hop_limit);
        let step = Step::Changing {
            http_tokens: before.http_tokens.as_str().to_owned(),
            http_put_response_hop_limit: hop_limit.and_then(|limit| i32::try_from(limit).ok()),
            http_endpoint: before.http_endpoint.as_str().to_owned(),
        };
        self.record(journal, step)
    }

    /// Writes the result of the change to the journal.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub(super) fn record_after(&self, journal: &Journal, result: &Result<(), String>) -> Result<(), String> {
        let step = match result {
            Ok(()) => Step::Changed,
            Err(error) => Step::Failed { error: error.clone() },
        };
        self.record(journal, step)
    }

    fn record(&self, journal: &Journal, step: Step) -> Result<(), String> {
        let written = journal.write(&self.target.instance, step);
        written.map_err(|error| format!("cannot write to the journal: {error}"))
    }
}

/// The result of a change.
pub(super) struct ChangeResult {
    pub(super) change: PlannedChange,
    pub(super) status: ChangeStatus,
    pub(super) detail: String,
}

impl ChangeResult {
    /// Returns the result of a change that was not started.
    pub(super) fn not_started(change: PlannedChange) -> Self {
        Self { change, status: ChangeStatus::NotStarted, detail: String::new() }
    }
}
