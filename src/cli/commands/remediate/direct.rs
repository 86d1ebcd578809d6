//! Changes that the command line makes itself.

use std::future::Future;
use std::sync::Arc;

use anyhow::Context;
use time::OffsetDateTime;

use super::change::{ChangeResult, CurrentChange, Effect, PlannedChange, with_journal_error};
use super::change_log::ChangeLog;
use super::recheck::{Recheck, Rechecked};
use crate::aws::ApiError;
use crate::cli::concurrency::Concurrency;
use crate::cli::fleet::instance::{self, Modified, Settings};
use crate::cli::journal::{Journal, Step};
use crate::cli::output::changes::ChangeStatus;
use crate::rule::resource::HttpTokens;

/// Makes changes, each after a line in the journal.
pub(super) struct Enforcer {
    pub(super) recheck: Recheck,
    pub(super) journal: Arc<Journal>,
    pub(super) concurrency: Concurrency,
}

impl Enforcer {
    /// Makes the changes.
    ///
    /// # Errors
    /// Returns an error if a change panics. The journal contains the options from before.
    pub(super) async fn apply(
        self: &Arc<Self>,
        changes: Vec<PlannedChange>,
        log: &mut ChangeLog<'_>,
    ) -> anyhow::Result<()> {
        let enforce = |change: PlannedChange| {
            let enforcer = Arc::clone(self);
            async move { enforcer.enforce(change).await }
        };
        let applied = run(changes, &self.concurrency, log, enforce).await;
        applied.with_context(|| {
            format!("a change panicked; {} contains the options from before", self.journal.path().display())
        })
    }

    /// Requires tokens on an instance, if its facts still allow it.
    async fn enforce(&self, mut change: PlannedChange) -> ChangeResult {
        let current = match self.recheck.decide(&mut change).await {
            Ok(Rechecked::Enforce(current)) => current,
            Ok(Rechecked::Leave(status, detail)) => {
                return ChangeResult::without_effect(change, status, detail);
            }
            Err(error) => return ChangeResult::without_effect(change, ChangeStatus::Failed, error),
        };
        if let Err(error) = change.record(&self.journal, current.intended(false)) {
            // Without the journal no change can be undone, so none is started.
            self.concurrency.shutdown.request();
            return ChangeResult::without_effect(change, ChangeStatus::Failed, error);
        }
        self.request(change, &current).await
    }

    async fn request(&self, change: PlannedChange, current: &CurrentChange) -> ChangeResult {
        let (region, id) = (change.target.region.as_ref(), change.target.instance_id());
        let settings = Settings { http_tokens: HttpTokens::Required, hop_limit: current.raise_hop_limit_to };
        let requested_at = self.recheck.clock.now();
        match instance::modify(region, id, &settings).await {
            Modified::Accepted => self.verify(change, current, requested_at).await,
            Modified::Refused(error) => {
                let error = error.to_string();
                let recorded = change.record(&self.journal, Step::Refused { error: error.clone() });
                let detail = with_journal_error(error, recorded);
                ChangeResult::without_effect(change, ChangeStatus::Failed, detail)
            }
            Modified::Unknown(error) => self.find(change, current, &error).await,
        }
    }

    /// Concludes a change that EC2 did not respond to. If the instance requires tokens, that does not show who changed
    /// it: the journal keeps the intention, and `restore` says so in its plan.
    async fn find(&self, change: PlannedChange, current: &CurrentChange, error: &ApiError) -> ChangeResult {
        let (region, id) = (change.target.region.as_ref(), change.target.instance_id());
        let found = match instance::wait_until_applied(region, id, &current.wanted()).await {
            Ok(()) => "HttpTokens is required, by this change or by somebody else",
            Err(_) => "EC2 may still make the change",
        };
        let detail = format!("{error}; {found}");
        ChangeResult { change, status: ChangeStatus::Failed, effect: Effect::Uncertain, detail }
    }

    /// Records that EC2 accepted the change, and verifies it.
    async fn verify(
        &self,
        change: PlannedChange,
        current: &CurrentChange,
        requested_at: OffsetDateTime,
    ) -> ChangeResult {
        let effect = Effect::Changed { requested_at, changed_at: self.recheck.clock.now() };
        let recorded = change.record(&self.journal, Step::Changed);
        let (region, id) = (change.target.region.as_ref(), change.target.instance_id());
        let (status, detail) = match instance::wait_until_applied(region, id, &current.wanted()).await {
            Ok(()) => (ChangeStatus::Changed, "HttpTokens is required".to_owned()),
            Err(error) => {
                (ChangeStatus::Failed, format!("EC2 accepted the change, but it is not verified: {error}"))
            }
        };
        ChangeResult { change, status, effect, detail: with_journal_error(detail, recorded) }
    }
}

/// Asks EC2 whether each change would be allowed.
///
/// # Errors
/// Returns an error if a check panics.
pub(super) async fn check(
    changes: Vec<PlannedChange>,
    concurrency: &Concurrency,
    log: &mut ChangeLog<'_>,
) -> anyhow::Result<()> {
    let check = |change: PlannedChange| async move {
        let (region, id) = (change.target.region.as_ref(), change.target.instance_id());
        let settings = Settings { http_tokens: HttpTokens::Required, hop_limit: change.raise_hop_limit_to };
        let (status, detail) = match instance::check_modify(region, id, &settings).await {
            Ok(()) => (ChangeStatus::Allowed, change.description()),
            Err(error) => (ChangeStatus::Failed, error.to_string()),
        };
        ChangeResult::without_effect(change, status, detail)
    };
    run(changes, concurrency, log, check).await.context("a check panicked")
}

async fn run<F>(
    changes: Vec<PlannedChange>,
    concurrency: &Concurrency,
    log: &mut ChangeLog<'_>,
    work: impl Fn(PlannedChange) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = ChangeResult> + Send + 'static,
{
    let not_started = concurrency.run(changes, work, |result| log.add(result)).await?;
    log.add_not_started(not_started);
    Ok(())
}
