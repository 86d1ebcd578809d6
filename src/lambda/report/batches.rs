//! Many evaluations: gathered into full batches, several of them on their way at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_config::Client;
use aws_sdk_config::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_config::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_config::error::BoxError;
use aws_sdk_config::types::Evaluation;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::put::{ReportError, put_evaluations};

/// How many evaluations AWS takes in a call
/// (<https://docs.aws.amazon.com/config/latest/APIReference/API_PutEvaluations.html>).
const BATCH: usize = 100;
/// How many calls are under way at once, at first and at most.
const OVERLAP: std::ops::RangeInclusive<usize> = 4..=16;

/// Reports any number of evaluations in memory that does not grow with them.
#[derive(Debug)]
pub struct Reporter {
    client: Client,
    result_token: String,
    until: Instant,
    batch: Vec<Evaluation>,
    calls: JoinSet<Result<usize, ReportError>>,
    overlap: Overlap,
    strain: Arc<Strain>,
    reported: usize,
}

impl Reporter {
    /// A reporter that has reported nothing yet, and gives up at `until`.
    #[must_use]
    pub fn new(client: &Client, result_token: &str, until: Instant) -> Self {
        let strain = Arc::new(Strain::default());
        let watched = client.config().to_builder().interceptor(Watch(Arc::clone(&strain))).build();
        Self {
            client: Client::from_conf(watched),
            result_token: result_token.to_owned(),
            until,
            batch: Vec::with_capacity(BATCH),
            calls: JoinSet::new(),
            overlap: Overlap(*OVERLAP.start()),
            strain,
            reported: 0,
        }
    }

    /// How many evaluations AWS Config has accepted.
    #[must_use]
    pub fn reported(&self) -> usize {
        self.reported
    }

    /// Takes an evaluation. Waits while as many calls are under way as AWS bears.
    ///
    /// # Errors
    /// Where an earlier batch could not be reported.
    pub async fn report(&mut self, evaluation: Evaluation) -> Result<(), ReportError> {
        self.batch.push(evaluation);
        if self.batch.len() == BATCH { self.send().await } else { Ok(()) }
    }

    /// Sends what is left, and waits until everything is accepted.
    ///
    /// # Errors
    /// Where a batch could not be reported.
    pub async fn finish(&mut self) -> Result<(), ReportError> {
        if !self.batch.is_empty() {
            self.send().await?;
        }
        self.settle().await
    }

    /// Waits for the calls that are under way, and sends nothing more.
    ///
    /// # Errors
    /// Where a batch could not be reported: the first of these errors.
    pub async fn settle(&mut self) -> Result<(), ReportError> {
        let mut outcome = Ok(());
        while !self.calls.is_empty() {
            outcome = outcome.and(self.next_answer().await);
        }
        outcome
    }

    async fn send(&mut self) -> Result<(), ReportError> {
        while self.calls.len() >= self.overlap.0 {
            self.next_answer().await?;
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let (client, token, until) = (self.client.clone(), self.result_token.clone(), self.until);
        self.calls.spawn(async move {
            let evaluations = batch.len();
            put_evaluations(&client, batch, &token, until).await.map(|()| evaluations)
        });
        Ok(())
    }

    async fn next_answer(&mut self) -> Result<(), ReportError> {
        let Some(answer) = self.calls.join_next().await else { return Ok(()) };
        self.overlap.adapt(self.strain.take());
        let answer = answer.unwrap_or_else(|panic| Err(ReportError::lost(&panic)));
        self.reported += answer.as_ref().map_or_else(ReportError::reported, |reported| *reported);
        answer.map(|_| ())
    }
}

/// How many calls may be under way: one more after each that went well, half after one that did not.
#[derive(Debug)]
struct Overlap(usize);

impl Overlap {
    fn adapt(&mut self, strained: bool) {
        self.0 = if strained { (self.0 / 2).max(1) } else { (self.0 + 1).min(*OVERLAP.end()) };
    }
}

/// How many tries failed: the SDK repeats them, and only its interceptors see them.
#[derive(Debug, Default)]
struct Strain(AtomicUsize);

impl Strain {
    fn take(&self) -> bool {
        self.0.swap(0, Ordering::Relaxed) > 0
    }
}

#[derive(Debug)]
struct Watch(Arc<Strain>);

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "WatchFailedTries"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.output_or_error().is_some_and(|outcome| outcome.is_err()) {
            self.0.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_grows_by_one_and_is_halved() {
        let mut overlap = Overlap(*OVERLAP.start());
        let seen: Vec<_> = [false, false, true, true, true, true, false]
            .into_iter()
            .map(|strained| {
                overlap.adapt(strained);
                overlap.0
            })
            .collect();
        assert_eq!(seen, [5, 6, 3, 1, 1, 1, 2]);
        (0..100).for_each(|_| overlap.adapt(false));
        assert_eq!(overlap.0, 16);
    }
}
