//! `imdsv2 restore`: undoes the changes in a journal.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;

use super::remediate::no_credentials;
use crate::cli::concurrency::Concurrency;
use crate::cli::exit::Completion;
use crate::cli::fleet::accounts::{AccountRegion, Selection};
use crate::cli::fleet::instance::{self, has_settings_of};
use crate::cli::journal::{self, Entry, Journal, Step};
use crate::cli::output::changes::{Change, ChangeFormat, ChangeReport, ChangeStatus};
use crate::cli::terminal::messages;
use crate::cli::terminal::progress::Progress;
use crate::cli::terminal::shutdown::Shutdown;
use crate::rule::resource::{HttpEndpoint, HttpTokens, InstanceKey, Location, MetadataOptions};

/// Undo the changes in a journal of `imdsv2 remediate`
///
/// Sets the metadata options that an instance had before it was changed, and verifies them. The IMDS
/// endpoint is never enabled. The command can be interrupted and run again: instances that are restored
/// already are not changed.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  imdsv2 restore imdsv2-20261123T180000Z.jsonl
  imdsv2 restore --accounts-file roles.txt monday.jsonl

Exit status: 0 every instance has its previous options, 2 an error.")]
pub(crate) struct Args {
    /// The journal
    #[arg(value_name = "JOURNAL")]
    journal: PathBuf,

    #[command(flatten)]
    selection: Selection,

    /// The number of instances to change concurrently
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,

    /// The output format
    #[arg(long, value_enum, default_value_t = ChangeFormat::Table)]
    format: ChangeFormat,

    /// The output file [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<Completion> {
    let changes = unrestored(journal::read(&args.journal)?);
    if changes.is_empty() {
        messages::note(&format!("{}: nothing to restore", args.journal.display()));
    }
    let regions = changes.keys().map(|key| key.location.region.clone()).collect();
    let fleet = args.selection.fleet_in(regions).await?;
    for failure in &fleet.unreachable {
        messages::error(failure);
    }
    let regions =
        fleet.regions.into_iter().map(|region| (region.location.clone(), Arc::new(region))).collect();

    let mut report = ChangeReport::open(args.format, args.output.as_deref())?;
    let written = restore_all(args, changes, &regions, &mut report).await?;
    written.and_then(|()| report.finish(None)).context("cannot write the output")?;
    let not_started = report.count(ChangeStatus::NotStarted);
    if not_started > 0 {
        messages::note(&format!("{not_started} not started. To continue: run the same command again."));
    }
    let errors = fleet.unreachable.len() + report.count(ChangeStatus::Failed) + not_started;
    Ok(Completion::of(errors, 0))
}

/// Restores instances concurrently. If the output cannot be written, no more are started; the inner result is
/// that error.
async fn restore_all(
    args: &Args,
    changes: BTreeMap<InstanceKey, Before>,
    regions: &HashMap<Location, Arc<AccountRegion>>,
    report: &mut ChangeReport,
) -> anyhow::Result<io::Result<()>> {
    if changes.is_empty() {
        return Ok(Ok(()));
    }
    let journal = Arc::new(Journal::append(&args.journal)?);
    let concurrency = Concurrency { limit: args.concurrency, shutdown: Shutdown::listen() };
    let progress = Progress::over_instances(changes.len());
    let mut written = Ok(());
    let mut add = |change: Change| {
        let added = progress.suspend(|| {
            if change.status == ChangeStatus::Failed {
                messages::error(&format!("{}: {}", change.instance.instance_id, change.detail));
            }
            report.add(&change)
        });
        progress.step();
        if added.is_err() && written.is_ok() {
            concurrency.shutdown.request();
            written = added;
        }
    };
    let restore = |(instance, before): (InstanceKey, Before)| {
        let region = regions.get(&instance.location).cloned();
        let journal = Arc::clone(&journal);
        async move {
            let (status, detail) = match region {
                None => (ChangeStatus::Failed, no_credentials(&instance.location.account_id)),
                Some(region) => match restore_instance(&region, &instance, &before, &journal).await {
                    Ok((status, detail)) => (status, detail.to_owned()),
                    Err(error) => (ChangeStatus::Failed, error),
                },
            };
            Change { instance, status, detail }
        }
    };
    let not_started = concurrency.run(changes.into_iter().collect(), restore, &mut add).await;
    let not_started = not_started.context("the restoration of an instance panicked")?;
    for (instance, _) in not_started {
        add(Change { instance, status: ChangeStatus::NotStarted, detail: String::new() });
    }
    progress.finish();
    Ok(written)
}

/// Restores an instance, and writes that to the journal.
async fn restore_instance(
    region: &AccountRegion,
    instance: &InstanceKey,
    before: &Before,
    journal: &Journal,
) -> Result<(ChangeStatus, &'static str), String> {
    let restored = restore(region, &instance.instance_id, before).await?;
    let written = journal.write(instance, Step::Restored);
    written.map_err(|error| format!("cannot write to the journal: {error}"))?;
    Ok(restored)
}

/// The options of an instance before it was changed.
struct Before {
    http_tokens: HttpTokens<'static>,
    http_endpoint: HttpEndpoint,
    /// The hop limit, if it was changed.
    hop_limit: Option<i32>,
}

/// Returns the changes that are not restored yet, with the options from before the first change of each
/// instance.
fn unrestored(entries: Vec<Entry>) -> BTreeMap<InstanceKey, Before> {
    let mut changes = BTreeMap::new();
    for (instance, step) in entries.into_iter().map(Entry::into_parts) {
        match step {
            Step::Changing { http_tokens, http_put_response_hop_limit, http_endpoint } => {
                changes.entry(instance).or_insert_with(|| Before {
                    http_tokens: tokens_before(http_tokens),
                    http_endpoint: HttpEndpoint::from_api(Some(&http_endpoint)),
                    hop_limit: http_put_response_hop_limit,
                });
            }
            Step::Restored => {
                changes.remove(&instance);
            }
            Step::Changed | Step::Failed { .. } => {}
        }
    }
    changes
}

/// An instance without a value accepted IMDSv1, which is what `optional` means.
fn tokens_before(value: String) -> HttpTokens<'static> {
    if value.is_empty() { HttpTokens::Optional } else { HttpTokens::from_api(Some(value.into())) }
}

async fn restore(
    region: &AccountRegion,
    instance_id: &str,
    before: &Before,
) -> Result<(ChangeStatus, &'static str), String> {
    let ec2 = &region.resources.ec2;
    let current = instance::describe(ec2, instance_id).await.map_err(|error| error.to_string())?;
    let Some(current) = current.map(|current| current.options) else {
        return Ok((ChangeStatus::Unchanged, "the instance no longer exists"));
    };
    let wanted = MetadataOptions {
        http_tokens: before.http_tokens.clone(),
        hop_limit: before.hop_limit.map(i64::from).or(current.hop_limit),
        ..current.clone()
    };
    if has_settings_of(&current, &wanted) {
        return Ok((ChangeStatus::Unchanged, "the instance already has its previous options"));
    }
    let is_disabled = current.http_endpoint == HttpEndpoint::Disabled;
    if is_disabled && before.http_endpoint != HttpEndpoint::Disabled {
        return Err(
            "the IMDS endpoint was disabled after the change, and is never enabled by this command; \
                    the instance was not changed"
                .to_owned(),
        );
    }
    let modified = instance::modify(ec2, instance_id, &wanted.http_tokens, before.hop_limit).await;
    modified.map_err(|error| error.to_string())?;
    let verified = instance::wait_until_applied(ec2, instance_id, &wanted).await;
    verified.map_err(|error| error.to_string())?;
    Ok((ChangeStatus::Restored, "the instance has its previous options"))
}
