//! Changes that the command line makes itself.

use std::future::Future;
use std::sync::Arc;

use anyhow::Context;

use super::change::{ChangeResult, PlannedChange};
use super::change_log::ChangeLog;
use crate::cli::concurrency::Concurrency;
use crate::cli::fleet::instance;
use crate::cli::journal::Journal;
use crate::cli::output::changes::ChangeStatus;
use crate::rule::resource::HttpTokens;

/// Makes the changes. Each is written to the journal first.
///
/// # Errors
/// Returns an error if a change panics. The journal contains the options from before.
pub(super) async fn apply(
    changes: Vec<PlannedChange>,
    concurrency: &Concurrency,
    journal: &Arc<Journal>,
    log: &mut ChangeLog<'_>,
) -> anyhow::Result<()> {
    let enforce = |change: PlannedChange| {
        let journal = Arc::clone(journal);
        async move {
            let (status, detail) = match enforce(&change, &journal).await {
                Ok((status, detail)) => (status, detail.to_owned()),
                Err(error) => (ChangeStatus::Failed, error),
            };
            ChangeResult { change, status, detail }
        }
    };
    let applied = run(changes, concurrency, log, enforce).await;
    applied.with_context(|| {
        format!("a change panicked; {} contains the options from before", journal.path().display())
    })
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
        let (ec2, id) = (&change.target.region.resources.ec2, change.target.instance_id());
        let allowed = instance::check_modify(ec2, id, &HttpTokens::Required, change.raise_hop_limit_to).await;
        let (status, detail) = match allowed {
            Ok(()) => (ChangeStatus::Allowed, change.description()),
            Err(error) => (ChangeStatus::Failed, error.to_string()),
        };
        ChangeResult { change, status, detail }
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

/// Requires tokens on an instance. It is described once more: the plan may be outdated.
async fn enforce(change: &PlannedChange, journal: &Journal) -> Result<(ChangeStatus, &'static str), String> {
    let (ec2, id) = (&change.target.region.resources.ec2, change.target.instance_id());
    let current = instance::describe(ec2, id).await.map_err(|error| error.to_string())?;
    let Some(before) = current.map(|current| current.options) else {
        return Ok((ChangeStatus::Unchanged, "the instance no longer exists"));
    };
    if before.http_tokens == HttpTokens::Required {
        return Ok((ChangeStatus::Unchanged, "HttpTokens is already required"));
    }
    change.record_before(journal, &before)?;
    let hop_limit = change.hop_limit_to_set(&before);
    let mut result =
        instance::modify(ec2, id, &HttpTokens::Required, hop_limit).await.map_err(|error| error.to_string());
    if result.is_ok() {
        let verified = instance::wait_until_applied(ec2, id, &change.wanted(&before)).await;
        result = verified.map_err(|error| error.to_string());
    }
    change.record_after(journal, &result)?;
    result.map(|()| (ChangeStatus::Changed, "HttpTokens is required"))
}
