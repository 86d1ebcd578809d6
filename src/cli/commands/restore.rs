//! `imdsv2 restore`: undoes what a journal says was done.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;

use crate::cli::concurrency::side_by_side;
use crate::cli::fleet::accounts::{Place, Selection};
use crate::cli::fleet::instance::{self, Options};
use crate::cli::journal::{self, Entry, Journal, Step};
use crate::cli::output::changes::{Change, ChangeFormat, Changes, Outcome as Came};
use crate::cli::terminal::progress::Progress;
use crate::cli::terminal::shutdown::Interrupt;
use crate::cli::{Outcome, complain};

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
pub(crate) struct Args {
    /// The journal
    #[arg(value_name = "JOURNAL")]
    journal: PathBuf,

    #[command(flatten)]
    selection: Selection,

    /// How many instances are changed at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,

    /// How to show what came of each instance
    #[arg(long, value_enum, default_value_t = ChangeFormat::Table)]
    format: ChangeFormat,

    /// Where to write it instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// An account, a Region and an instance in it.
type Key = (String, String, String);

pub(crate) async fn run(args: &Args) -> anyhow::Result<Outcome> {
    let before = unrestored(journal::read(&args.journal)?);
    if before.is_empty() {
        anstream::eprintln!("{}: nothing to restore", args.journal.display());
    }
    let regions = before.keys().map(|(_, region, _)| region.clone()).collect();
    let places = args.selection.places_in(regions).await?;
    for closed in &places.closed {
        complain(closed);
    }
    let closed = places.closed.len();
    let key = |place: &Place| (place.account_id.to_string(), place.region.to_string());
    let places: HashMap<_, _> = places.open.into_iter().map(|place| (key(&place), Arc::new(place))).collect();

    let mut changes = Changes::open(args.format, args.output.as_deref())?;
    let written = restore_all(args, before, &places, &mut changes).await?;
    written.and_then(|()| changes.finish(None)).context("cannot write the output")?;
    let undone = closed + changes.count(Came::Failed) + changes.count(Came::NotBegun);
    if changes.count(Came::NotBegun) > 0 {
        anstream::eprintln!("{} not begun. To go on: the same command.", changes.count(Came::NotBegun));
    }
    Ok(if undone > 0 { Outcome::Incomplete } else { Outcome::Clean })
}

/// Restores what can be, several instances at once. Where the output cannot be written, what is under way is
/// finished; that is what the inner result tells.
async fn restore_all(
    args: &Args,
    before: BTreeMap<Key, Before>,
    places: &HashMap<(String, String), Arc<Place>>,
    changes: &mut Changes,
) -> anyhow::Result<io::Result<()>> {
    if before.is_empty() {
        return Ok(Ok(()));
    }
    let (journal, interrupt) = (Arc::new(Journal::append(&args.journal)?), Interrupt::listen());
    let progress = Progress::over_instances(before.len());
    let mut written = Ok(());
    let mut tell = |change: Change| {
        let told = progress.aside(|| {
            if change.outcome == Came::Failed {
                complain(&format!("{}: {}", change.instance_id, change.detail));
            }
            changes.add(&change)
        });
        progress.step();
        if told.is_err() && written.is_ok() {
            interrupt.tell();
            written = told;
        }
    };
    let work = |(key, before): (Key, Before)| {
        let place = places.get(&(key.0.clone(), key.1.clone())).cloned();
        let journal = Arc::clone(&journal);
        async move {
            let (outcome, detail) = match place {
                None => (Came::Failed, format!("no credentials for account {}: give --role-arn", key.0)),
                Some(place) => match restore_one(&place, &key, &before, &journal).await {
                    Ok((outcome, detail)) => (outcome, detail.to_owned()),
                    Err(error) => (Came::Failed, error),
                },
            };
            change(key, outcome, detail)
        }
    };
    let all = before.into_iter().collect();
    for (key, _) in side_by_side(all, args.concurrency, &interrupt, work, &mut tell).await? {
        tell(change(key, Came::NotBegun, "not begun".to_owned()));
    }
    progress.finish();
    Ok(written)
}

fn change((account_id, region, instance_id): Key, outcome: Came, detail: String) -> Change {
    Change { account_id, region, instance_id, outcome, detail }
}

/// Restores an instance, and writes that into the journal.
async fn restore_one(
    place: &Place,
    (account_id, region, instance_id): &Key,
    before: &Before,
    journal: &Journal,
) -> Result<(Came, &'static str), String> {
    let restored = restore(place, instance_id, before).await?;
    let entry = Entry {
        time: String::new(),
        account_id: account_id.clone(),
        region: region.clone(),
        instance_id: instance_id.clone(),
        step: Step::Restored,
    };
    journal.write(entry).map_err(|error| format!("the journal: {error}"))?;
    Ok(restored)
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

async fn restore(place: &Place, instance_id: &str, before: &Before) -> Result<(Came, &'static str), String> {
    let ec2 = &place.clients.ec2;
    let Some(now) = instance::look(ec2, instance_id).await? else {
        return Ok((Came::Unneeded, "gone: nothing to do"));
    };
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
        return Ok((Came::Unneeded, "as it was already"));
    }
    if now.http_endpoint == "disabled" && before.http_endpoint != "disabled" {
        return Err(
            "its IMDS endpoint was disabled since, and is not switched on here; left as it is".to_owned()
        );
    }
    instance::set(ec2, instance_id, &wanted.http_tokens, before.hop_limit, false).await?;
    instance::settle(ec2, instance_id, &wanted).await?;
    Ok((Came::Restored, "as it was"))
}
