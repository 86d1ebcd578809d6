//! The scan of what an AWS Config aggregator has recorded.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use super::region_scan::{Listing, Message, RegionScan, Scanned, judges};
use crate::aws::ApiError;
use crate::cli::fleet::aggregator::Aggregator;
use crate::cli::fleet::failures::Failure;
use crate::cli::output::{Finding, FindingContext};
use crate::rule::resource::{Location, Resource};
use crate::rule::verdict::evaluate;
use crate::sources::config::configuration_item::ConfigurationItem;
use crate::sources::recorded_launches::RecordedLaunches;

/// How the accounts of an aggregator are scanned.
pub(super) struct AggregatedScan {
    aggregator: Aggregator,
    regions: Arc<RegionScan>,
    ages: Arc<Mutex<Ages>>,
    /// The accounts that may be read.
    slots: Semaphore,
}

/// The number of accounts that are read concurrently. AWS Config throttles all of these calls together.
const CONCURRENT_ACCOUNTS: usize = 8;

/// When the newest record was captured.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ages(Option<OffsetDateTime>);

impl Ages {
    fn add(&mut self, captured: OffsetDateTime) {
        self.0 = self.0.max(Some(captured));
    }

    /// Says how old the records are. AWS Config captures a resource when it changes.
    pub(super) fn describe(self) -> Option<String> {
        Some(format!(
            "The newest of these records is from {} (UTC); changes that AWS Config has not recorded yet are not included",
            minutes(self.0?)
        ))
    }
}

fn minutes(time: OffsetDateTime) -> String {
    let time = time.to_offset(time::UtcOffset::UTC);
    format!("{} {:02}:{:02}", time.date(), time.hour(), time.minute())
}

/// What ends the scan of an account.
enum Stop {
    Api(ApiError),
    Interrupted,
    /// The receiver is gone: the output has failed.
    NoReceiver,
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl AggregatedScan {
    pub(super) fn new(aggregator: Aggregator, regions: Arc<RegionScan>, ages: Arc<Mutex<Ages>>) -> Self {
        Self { aggregator, regions, ages, slots: Semaphore::new(CONCURRENT_ACCOUNTS) }
    }

    /// Scans accounts concurrently: the pages of each follow one another.
    pub(super) async fn run(self: Arc<Self>, accounts: BTreeSet<String>, sender: Sender<Message>) {
        self.regions.shutdown.begin_work();
        let mut tasks = JoinSet::new();
        for account_id in accounts {
            let (scan, sender) = (Arc::clone(&self), sender.clone());
            tasks.spawn(async move { scan.account(account_id, &sender).await });
        }
        while let Some(result) = tasks.join_next().await {
            if let Err(error) = result {
                let error = anyhow::Error::new(error).context("the scan of an account panicked");
                let _ = sender.send(Message::Invalid(error)).await;
            }
        }
    }

    async fn account(&self, account_id: String, sender: &Sender<Message>) {
        let Ok(_slot) = self.slots.acquire().await else { return };
        let mut judge = Judge {
            scan: self,
            sender,
            account_id,
            places: BTreeSet::new(),
            failures: Vec::new(),
            launches: RecordedLaunches::default(),
            held: Vec::new(),
        };
        let listed = judge.account().await;
        // What was read before a page failed is judged.
        let held = judge.judge_held().await;
        match listed.and(held) {
            Ok(()) => {}
            Err(Stop::Api(error)) => judge.failed("cannot read the aggregator", Some(error)),
            Err(Stop::Interrupted) => judge.failed("not scanned completely: interrupted", None),
            Err(Stop::NoReceiver) => return,
        }
        if judge.report_failures().await.is_err() {
            return; // the output has failed
        }
        for _ in &judge.places {
            let _ = sender.send(Message::Done).await;
        }
    }
}

/// Judges the records of an account.
struct Judge<'a> {
    scan: &'a AggregatedScan,
    sender: &'a Sender<Message>,
    account_id: String,
    /// The places of the records so far.
    places: BTreeSet<Location>,
    /// What failed so far.
    failures: Vec<(String, Option<ApiError>)>,
    launches: RecordedLaunches,
    /// What launches instances and depends on other records.
    held: Vec<Resource<'static>>,
}

impl Judge<'_> {
    async fn account(&mut self) -> Result<(), Stop> {
        let mut query = self.scan.aggregator.resources_of(&self.account_id);
        self.go_on()?;
        while let Some(items) = self.scan.aggregator.page(&mut query).await? {
            for item in items {
                self.item(&item).await?;
            }
        }
        Ok(())
    }

    fn go_on(&self) -> Result<(), Stop> {
        if self.scan.regions.shutdown.is_requested() { Err(Stop::Interrupted) } else { Ok(()) }
    }

    async fn item(&mut self, json: &str) -> Result<(), Stop> {
        self.go_on()?;
        let item = ConfigurationItem::from_json("record", json);
        let resource = item.as_ref().map_err(ToString::to_string);
        match resource.and_then(|item| item.resource(false).map_err(|error| error.to_string())) {
            Ok(resource) => {
                let captured = item.as_ref().ok().and_then(|item| item.capture_time().ok());
                self.resource(resource, captured).await
            }
            // The others can be read.
            Err(problem) => {
                self.failed(&format!("cannot read a record of the aggregator: {problem}"), None);
                Ok(())
            }
        }
    }

    async fn resource(
        &mut self,
        resource: Resource<'_>,
        captured: Option<OffsetDateTime>,
    ) -> Result<(), Stop> {
        if let Some(captured) = captured {
            self.scan.ages.lock().unwrap_or_else(PoisonError::into_inner).add(captured);
        }
        self.enter(&resource).await?;
        self.launches.remember(&resource, captured);
        if resource.is_judged() && resource.depends_on_other_records() {
            self.launches.expect(&resource);
            self.held.push(resource.into_owned());
            return Ok(());
        }
        self.judge(&resource).await
    }

    fn failed(&mut self, what: &str, error: Option<ApiError>) {
        self.failures.push((what.to_owned(), error));
    }

    /// Reports the failures in every Region that was seen: resources may be missing from all of them.
    async fn report_failures(&mut self) -> Result<(), Stop> {
        let nowhere = Location { account_id: self.account_id.clone(), region: "all Regions".to_owned() };
        let places: Vec<_> =
            if self.places.is_empty() { vec![nowhere] } else { self.places.iter().cloned().collect() };
        for (what, error) in std::mem::take(&mut self.failures) {
            for place in &places {
                let failure = Failure::new(place, &what, error.clone());
                self.send(Message::Failed(failure, Listing::Incomplete)).await?;
            }
        }
        Ok(())
    }

    /// Reports the account and Region of a resource, once.
    async fn enter(&mut self, resource: &Resource<'_>) -> Result<(), Stop> {
        let (Some(account_id), Some(region)) = (&resource.account_id, &resource.region) else {
            return Ok(());
        };
        let place = Location { account_id: account_id.to_string(), region: region.to_string() };
        if self.places.insert(place.clone()) {
            self.send(Message::Entered(vec![place], None)).await?;
        }
        Ok(())
    }

    async fn judge_held(&mut self) -> Result<(), Stop> {
        for mut resource in std::mem::take(&mut self.held) {
            self.launches.complete(&mut resource);
            self.judge(&resource).await?;
        }
        Ok(())
    }

    async fn judge(&mut self, resource: &Resource<'_>) -> Result<(), Stop> {
        let RegionScan { policy, filter, today, .. } = &*self.scan.regions;
        if !judges(policy, &resource.resource_type) || !filter.includes(resource) {
            return Ok(()); // it was read for the sake of a group
        }
        let verdict = evaluate(resource, policy, *today);
        let context = FindingContext { policy, owner_tag: filter.owner_tag.as_deref() };
        let finding = Finding::new(resource, &verdict, context).into_owned();
        self.send(Message::Scanned(Box::new(Scanned { finding, usage: None, may_call: false }))).await
    }

    async fn send(&self, message: Message) -> Result<(), Stop> {
        self.sender.send(message).await.map_err(|_| Stop::NoReceiver)
    }
}
