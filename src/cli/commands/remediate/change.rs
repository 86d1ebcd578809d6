//! A change of an instance, its lines in the journal, and its result.

use time::OffsetDateTime;

use super::target::Target;
use crate::cli::journal::{Journal, Step};
use crate::cli::output::changes::{Change, ChangeStatus};
use crate::rule::enforcement::Usage;
use crate::rule::resource::{HttpTokens, MetadataOptions};

/// A change to make.
#[derive(Clone, Debug)]
pub(super) struct PlannedChange {
    pub(super) target: Target,
    /// The hop limit to raise a lower one to, by the plan.
    pub(super) raise_hop_limit_to: Option<i32>,
    /// How the instance used IMDSv1 when it was planned.
    pub(super) usage: Usage,
    /// When CloudWatch was asked.
    pub(super) usage_at: OffsetDateTime,
}

impl PlannedChange {
    /// Describes the change.
    pub(super) fn description(&self) -> String {
        let options = self.target.facts.resource.metadata_options.as_ref();
        match self.raise_hop_limit_to {
            None => "set HttpTokens=required".to_owned(),
            Some(limit) => format!(
                "set HttpTokens=required, and raise the hop limit from {} to {limit}",
                options.and_then(|options| options.hop_limit).unwrap_or_default()
            ),
        }
    }

    /// Returns the change as a result that is not there yet.
    pub(super) fn planned(&self) -> Change {
        let (instance, name) = (self.target.instance.clone(), self.target.name());
        Change { instance, name, status: ChangeStatus::NotStarted, detail: self.description() }
    }

    /// Writes a step of the change to the journal.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub(super) fn record(&self, journal: &Journal, step: Step) -> Result<(), String> {
        journal.write(&self.target.instance, step).map_err(|error| error.to_string())
    }
}

/// A change that was decided on with the facts of this moment.
#[derive(Clone, Debug)]
pub(super) struct CurrentChange {
    /// The options before the change.
    pub(super) before: MetadataOptions<'static>,
    /// The hop limit to set, if it is raised.
    pub(super) raise_hop_limit_to: Option<i32>,
}

impl CurrentChange {
    /// Returns the line that must be in the journal before the change is requested, of EC2 or of an automation.
    pub(super) fn intended(&self, by_automation: bool) -> Step {
        let before = self.before.hop_limit.and_then(|limit| i32::try_from(limit).ok());
        Step::Intended {
            http_tokens: self.before.http_tokens.as_str().to_owned(),
            http_endpoint: self.before.http_endpoint.as_str().to_owned(),
            http_put_response_hop_limit: self.raise_hop_limit_to.and(before),
            raise_hop_limit_to: self.raise_hop_limit_to,
            by_automation,
        }
    }

    /// Returns the options that the instance must have after the change.
    pub(super) fn wanted(&self) -> MetadataOptions<'static> {
        let hop_limit = self.raise_hop_limit_to.map(i64::from).or(self.before.hop_limit);
        MetadataOptions { http_tokens: HttpTokens::Required, hop_limit, ..self.before.clone() }
    }
}

/// Whether an instance was changed, whatever was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It was not changed.
    None,
    /// EC2 accepted the change between these times.
    Changed { requested_at: OffsetDateTime, changed_at: OffsetDateTime },
    /// It is not known whether EC2 made the change.
    Uncertain,
}

/// The result of a change.
pub(super) struct ChangeResult {
    pub(super) change: PlannedChange,
    pub(super) status: ChangeStatus,
    pub(super) effect: Effect,
    pub(super) detail: String,
}

impl ChangeResult {
    /// Returns the result of a change that had no effect.
    pub(super) fn without_effect(change: PlannedChange, status: ChangeStatus, detail: String) -> Self {
        Self { change, status, effect: Effect::None, detail }
    }

    /// Returns the result of a change that was not started.
    pub(super) fn not_started(change: PlannedChange) -> Self {
        Self::without_effect(change, ChangeStatus::NotStarted, String::new())
    }
}

/// Adds that a result is not in the journal. The change can be undone nevertheless: its intention is.
pub(super) fn with_journal_error(detail: String, recorded: Result<(), String>) -> String {
    match recorded {
        Ok(()) => detail,
        Err(error) => format!("{detail} ({error})"),
    }
}
