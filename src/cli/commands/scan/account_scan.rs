//! The scan of accounts: each is entered and scanned while others are.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use super::region_scan::{Message, RegionScan};
use crate::cli::fleet::accounts::{Account, EnteredAccount, Entrance};
use crate::cli::fleet::unreachable::Unreachable;

/// The number of Regions that are scanned for each account that is in memory. An account has some 17 Regions.
const REGIONS_PER_ACCOUNT: usize = 4;

/// How every account is scanned.
pub(super) struct AccountScan {
    entrance: Arc<Entrance>,
    regions: Arc<RegionScan>,
    /// The accounts that may be in memory.
    slots: Semaphore,
}

impl AccountScan {
    /// Returns a scan of at most `concurrency` Regions at a time, as `regions` has slots.
    pub(super) fn new(entrance: Arc<Entrance>, regions: Arc<RegionScan>, concurrency: usize) -> Self {
        let slots = Semaphore::new(concurrency.div_ceil(REGIONS_PER_ACCOUNT));
        Self { entrance, regions, slots }
    }

    /// Enters an account and scans its Regions. What is found is sent, and so is why it cannot be entered.
    pub(super) async fn run(&self, account: Account, sender: &Sender<Message>) {
        let Ok(_slot) = self.slots.acquire().await else { return };
        let message = match self.enter(account).await {
            Ok(Ok(account)) => return self.regions_of(account, sender).await,
            Ok(Err(reasons)) => Message::Unreachable(reasons),
            Err(error) => Message::Invalid(error),
        };
        let _ = sender.send(message).await; // without a receiver, the output has failed
    }

    async fn enter(&self, account: Account) -> anyhow::Result<Result<EnteredAccount, Vec<Unreachable>>> {
        let _slot = self.regions.slots.acquire().await;
        if self.regions.shutdown.is_requested() {
            return Ok(Err(vec![Unreachable::Interrupted(account.to_string())]));
        }
        self.entrance.enter(account).await
    }

    async fn regions_of(&self, mut account: EnteredAccount, sender: &Sender<Message>) {
        let (locations, problems) = (account.locations(), std::mem::take(&mut account.problems));
        if !locations.is_empty() {
            self.regions.shutdown.begin_work();
        }
        let name = account.name.take();
        for message in [Message::Entered(locations, name), Message::Unreachable(problems)] {
            if sender.send(message).await.is_err() {
                return;
            }
        }
        let names = std::mem::take(&mut account.regions);
        let account = Arc::new(account);
        let mut tasks = JoinSet::new();
        for name in names {
            let (scan, account, sender) = (Arc::clone(&self.regions), Arc::clone(&account), sender.clone());
            tasks.spawn(async move { scan.run(&account, &name, &sender).await });
        }
        while let Some(result) = tasks.join_next().await {
            if let Err(error) = result {
                let error = anyhow::Error::new(error).context("the scan of a Region panicked");
                let _ = sender.send(Message::Invalid(error)).await;
            }
        }
    }
}
