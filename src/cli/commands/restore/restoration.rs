//! The restoration of one instance.

use time::OffsetDateTime;

use crate::aws::ApiError;
use crate::cli::fleet::accounts::AccountRegion;
use crate::cli::fleet::instance::{self, Modified, Settings};
use crate::cli::journal::{Before, Journal, Recorded, Step};
use crate::cli::output::changes::ChangeStatus;
use crate::rule::instance::{InstanceFacts, InstanceKey};
use crate::rule::resource::{HttpEndpoint, HttpTokens, Lifecycle, MetadataOptions};

const RESTORED_FOR_NOW: &str = "the instance has its previous options, but its automation may still change it: run the \
                                command again after the automation has ended";

/// An instance without a value accepted IMDSv1, which is what `optional` means.
pub(super) fn tokens_before(before: &Before) -> HttpTokens<'static> {
    match before.http_tokens.as_str() {
        "" => HttpTokens::Optional,
        value => HttpTokens::from_api(Some(value.to_owned().into())),
    }
}

/// The restoration of an instance.
pub(super) struct Restoration<'a> {
    pub(super) region: &'a AccountRegion,
    pub(super) instance: &'a InstanceKey,
    /// From when EC2 shows all changes in the journal, if that is known.
    pub(super) visible_from: Option<OffsetDateTime>,
    /// The journal; `None` in a dry run.
    pub(super) journal: Option<&'a Journal>,
}

/// What to do with an instance that may have been changed.
#[derive(Debug, PartialEq, Eq)]
enum Undo {
    /// Set these options.
    Set { http_tokens: HttpTokens<'static>, hop_limit: Option<i32> },
    /// The change is not in effect (any more).
    Nothing(&'static str),
}

impl Restoration<'_> {
    /// Undoes the change, and returns the result.
    ///
    /// # Errors
    /// Returns an error if the instance is not restored, or its journal cannot be written.
    pub(super) async fn run(&self, recorded: &Recorded) -> Result<(ChangeStatus, String), String> {
        let (region, id) = (self.region, self.instance.instance_id.as_str());
        let facts = self.describe().await.map_err(|error| error.to_string())?;
        let settings = match decide_undo(facts.as_ref(), recorded)? {
            Undo::Set { http_tokens, hop_limit } => Settings { http_tokens, hop_limit },
            Undo::Nothing(reason) => {
                // An interrupted change may still be made: it stays in the journal.
                if matches!(recorded, Recorded::Changed(_)) {
                    self.record()?;
                }
                return Ok((ChangeStatus::Unchanged, reason.to_owned()));
            }
        };
        if self.journal.is_none() {
            let allowed = instance::check_modify(region, id, &settings).await;
            let detail = format!("set HttpTokens={}", settings.http_tokens.as_str());
            return allowed.map(|()| (ChangeStatus::Allowed, detail)).map_err(|error| error.to_string());
        }
        let options = facts.and_then(|facts| facts.resource.metadata_options);
        let current = options.unwrap_or(MetadataOptions::UNSET);
        let wanted = MetadataOptions {
            http_tokens: settings.http_tokens.clone(),
            hop_limit: settings.hop_limit.map(i64::from).or(current.hop_limit),
            ..current
        };
        let unanswered = match instance::modify(region, id, &settings).await {
            Modified::Accepted => None,
            Modified::Refused(error) => return Err(error.to_string()),
            Modified::Unknown(error) => Some(error),
        };
        let verified = instance::wait_until_applied(region, id, &wanted).await;
        verified.map_err(|error| match unanswered {
            Some(unanswered) => format!("{unanswered}; EC2 may still restore the instance"),
            None => format!("EC2 accepted the change, but it is not verified: {error}"),
        })?;
        if matches!(recorded, Recorded::Automated(_)) {
            // The automation may change the instance after this: it stays in the journal.
            return Ok((ChangeStatus::Restored, RESTORED_FOR_NOW.to_owned()));
        }
        self.record()?;
        Ok((ChangeStatus::Restored, "the instance has its previous options".to_owned()))
    }

    /// Describes the instance. If it does not require tokens right after its change, EC2 may still return the options
    /// from before the change, so it is described again.
    async fn describe(&self) -> Result<Option<InstanceFacts<'static>>, ApiError> {
        let (region, id) = (self.region, self.instance.instance_id.as_str());
        let facts = instance::describe(region, id).await?;
        let is_changed = facts.as_ref().is_some_and(|facts| facts.resource.requires_tokens());
        let wait = self.visible_from.and_then(|from| (from - region.clock.now()).try_into().ok());
        match wait {
            Some(wait) if !is_changed => {
                region.clock.sleep(wait).await;
                instance::describe(region, id).await
            }
            _ => Ok(facts),
        }
    }

    fn record(&self) -> Result<(), String> {
        let Some(journal) = self.journal else { return Ok(()) };
        journal.write(self.instance, Step::Restored).map_err(|error| error.to_string())
    }
}

/// Decides how to undo a change. Only what was changed is undone: the tokens, and the hop limit if it still has the
/// value that it was raised to.
fn decide_undo(facts: Option<&InstanceFacts<'_>>, recorded: &Recorded) -> Result<Undo, String> {
    let before = recorded.before();
    let Some(facts) = facts.filter(|facts| facts.resource.lifecycle == Lifecycle::Exists) else {
        return Ok(Undo::Nothing("the instance no longer exists"));
    };
    let unset = MetadataOptions::UNSET;
    let current = facts.resource.metadata_options.as_ref().unwrap_or(&unset);
    if current.http_tokens != HttpTokens::Required {
        return Ok(Undo::Nothing("the instance does not require tokens"));
    }
    let was_enabled = before.http_endpoint != HttpEndpoint::Disabled.as_str();
    if current.http_endpoint == HttpEndpoint::Disabled && was_enabled {
        return Err(
            "the IMDS endpoint was disabled after the change, and is never enabled by this command; the \
                    instance was not changed"
                .to_owned(),
        );
    }
    let is_raised = before.raised_to.map(i64::from) == current.hop_limit;
    let hop_limit = before.hop_limit.filter(|_| is_raised || before.raised_to.is_none());
    let is_interrupted = !matches!(recorded, Recorded::Changed(_));
    if is_interrupted && before.raised_to.is_some() && !is_raised {
        return Ok(Undo::Nothing("the interrupted change was not made"));
    }
    Ok(Undo::Set { http_tokens: tokens_before(before), hop_limit })
}
