//! `imdsv2 restore`: undoes what a journal says was done.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use clap::Parser;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::instance::{self, Options};
use super::journal::{self, Entry, Journal, Step};
use super::places::{Place, Selection};
use super::remediate::stop_on_interrupt;
use super::{Outcome, complain};

/// Undo what a journal of `imdsv2 remediate` says was done
///
/// Puts the options back that an instance had before it was changed, and verifies them. It never switches
/// the IMDS endpoint on. It can be interrupted and run again: what is restored already is passed over.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  imdsv2 restore imdsv2-20261123T180000Z.jsonl
  imdsv2 restore --accounts-file roles.txt monday.jsonl

Exit status: 0 everything is as it was, 2 an error.")]
pub(super) struct Args {
    /// The journal
    #[arg(value_name = "JOURNAL")]
    journal: PathBuf,

    #[command(flatten)]
    selection: Selection,

    /// How many instances are changed at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
}

type Key = (String, String, String);

pub(super) async fn run(args: &Args) -> anyhow::Result<Outcome> {
    let changes = unrestored(journal::read(&args.journal)?);
    if changes.is_empty() {
        anstream::eprintln!("{}: nothing to restore", args.journal.display());
        return Ok(Outcome::Clean);
    }
    let regions = changes.keys().map(|(_, region, _)| region.clone()).collect();
    let places = args.selection.places_in(regions).await?;
    let mut failed = places.closed.len();
    for closed in &places.closed {
        complain(closed);
    }
    let places: HashMap<_, _> = places
        .open
        .into_iter()
        .map(|place| ((place.account_id.to_string(), place.region.to_string()), Arc::new(place)))
        .collect();

    let journal = Arc::new(Journal::append(&args.journal)?);
    let (stop, slots) = (stop_on_interrupt(), Arc::new(Semaphore::new(usize::from(args.concurrency))));
    let mut tasks = JoinSet::new();
    for ((account_id, region, instance_id), before) in changes {
        let Some(place) = places.get(&(account_id.clone(), region.clone())) else {
            complain(&format!("{instance_id}: no credentials for account {account_id}: give --role-arn"));
            failed += 1;
            continue;
        };
        let (place, journal) = (Arc::clone(place), Arc::clone(&journal));
        let (stop, slots) = (Arc::clone(&stop), Arc::clone(&slots));
        tasks.spawn(async move {
            let _slot = slots.acquire().await;
            if stop.load(Ordering::Relaxed) {
                return Err(format!("{instance_id}: not begun; run the same command again"));
            }
            let outcome = restore(&place, &instance_id, &before).await;
            let outcome = outcome.and_then(|what| {
                let entry = Entry {
                    time: String::new(),
                    account_id,
                    region,
                    instance_id: instance_id.clone(),
                    step: Step::Restored,
                };
                journal.write(entry).map_err(|error| format!("the journal: {error}"))?;
                Ok(what)
            });
            match outcome {
                Ok(what) => {
                    anstream::println!("{}  {}  {instance_id}  {what}", place.account_id, place.region);
                    Ok(())
                }
                Err(error) => Err(format!("{instance_id}: {error}")),
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        if let Err(error) = task.context("an instance's restoration broke off")? {
            complain(&error);
            failed += 1;
        }
    }
    Ok(if failed > 0 { Outcome::Incomplete } else { Outcome::Clean })
}

/// How an instance was: tokens, the hop limit if it was changed, and the endpoint.
struct Before {
    http_tokens: String,
    hop_limit: Option<i32>,
    http_endpoint: String,
}

/// The changes that are not restored yet, each with how the instance was before the first of them.
fn unrestored(entries: Vec<Entry>) -> BTreeMap<Key, Before> {
    let mut changes = BTreeMap::new();
    for entry in entries {
        let key = (entry.account_id, entry.region, entry.instance_id);
        match entry.step {
            Step::Changing { http_tokens, http_put_response_hop_limit: hop_limit, http_endpoint } => {
                changes.entry(key).or_insert(Before { http_tokens, hop_limit, http_endpoint });
            }
            Step::Restored => {
                changes.remove(&key);
            }
            Step::Changed | Step::Failed { .. } => {}
        }
    }
    changes
}

async fn restore(place: &Place, instance_id: &str, before: &Before) -> Result<&'static str, String> {
    let ec2 = &place.clients.ec2;
    let Some(now) = instance::look(ec2, instance_id).await? else { return Ok("gone: nothing to do") };
    let now = now.options;
    let wanted = Options {
        // An instance without a word for it answered IMDSv1, which is what this one means.
        http_tokens: if before.http_tokens.is_empty() {
            "optional".to_owned()
        } else {
            before.http_tokens.clone()
        },
        hop_limit: before.hop_limit.unwrap_or(now.hop_limit),
        http_endpoint: now.http_endpoint.clone(),
    };
    if now == wanted {
        return Ok("as it was already");
    }
    if now.http_endpoint == "disabled" && before.http_endpoint != "disabled" {
        return Err(
            "its IMDS endpoint was disabled since, and is not switched on here; left as it is".to_owned()
        );
    }
    instance::set(ec2, instance_id, &wanted.http_tokens, before.hop_limit, false).await?;
    instance::settle(ec2, instance_id, &wanted).await?;
    Ok("as it was")
}
