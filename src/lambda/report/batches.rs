//! Any number of evaluations, in full batches, several of them in flight.

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
use crate::lambda::accounts::AccountClients;

/// The largest number of evaluations in a request
/// (<https://docs.aws.amazon.com/config/latest/APIReference/API_PutEvaluations.html>).
const BATCH_SIZE: usize = 100;
/// The number of requests in flight, at first and at most.
const CONCURRENCY: std::ops::RangeInclusive<usize> = 4..=16;

/// Reports any number of evaluations. Its memory does not grow with them.
#[derive(Debug)]
pub struct Reporter {
    clients: AccountClients,
    result_token: String,
    until: Instant,
    batch: Vec<Evaluation>,
    requests: JoinSet<Result<usize, ReportError>>,
    limit: ConcurrencyLimit,
    failed_attempts: Arc<FailedAttempts>,
    reported: usize,
}

impl Reporter {
    /// Returns a reporter that stops at `until`.
    #[must_use]
    pub fn new(clients: &AccountClients, result_token: &str, until: Instant) -> Self {
        let failed_attempts = Arc::new(FailedAttempts::default());
        let interceptor = CountFailedAttempts(Arc::clone(&failed_attempts));
        let config = clients.config.config().to_builder().interceptor(interceptor).build();
        Self {
            clients: clients.with_config(Client::from_conf(config)),
            result_token: result_token.to_owned(),
            until,
            batch: Vec::with_capacity(BATCH_SIZE),
            requests: JoinSet::new(),
            limit: ConcurrencyLimit(*CONCURRENCY.start()),
            failed_attempts,
            reported: 0,
        }
    }

    /// Returns the number of evaluations that AWS Config accepted.
    #[must_use]
    pub fn reported(&self) -> usize {
        self.reported
    }

    /// Adds an evaluation. Waits while as many requests are in flight as AWS Config takes.
    ///
    /// # Errors
    /// Returns an error if an earlier batch could not be reported.
    pub async fn report(&mut self, evaluation: Evaluation) -> Result<(), ReportError> {
        self.batch.push(evaluation);
        if self.batch.len() == BATCH_SIZE { self.send().await } else { Ok(()) }
    }

    /// Sends the last batch, and waits until AWS Config has accepted every evaluation.
    ///
    /// # Errors
    /// Returns an error if a batch could not be reported.
    pub async fn finish(&mut self) -> Result<(), ReportError> {
        if !self.batch.is_empty() {
            self.send().await?;
        }
        self.settle().await
    }

    /// Waits for the requests in flight, and sends no more.
    ///
    /// # Errors
    /// Returns the first error of a batch that could not be reported.
    pub async fn settle(&mut self) -> Result<(), ReportError> {
        let mut outcome = Ok(());
        while !self.requests.is_empty() {
            outcome = outcome.and(self.next_response().await);
        }
        outcome
    }

    async fn send(&mut self) -> Result<(), ReportError> {
        while self.requests.len() >= self.limit.0 {
            self.next_response().await?;
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH_SIZE));
        let (clients, token, until) = (self.clients.clone(), self.result_token.clone(), self.until);
        self.requests.spawn(async move {
            let evaluations = batch.len();
            put_evaluations(&clients, batch, &token, until).await.map(|()| evaluations)
        });
        Ok(())
    }

    async fn next_response(&mut self) -> Result<(), ReportError> {
        let Some(response) = self.requests.join_next().await else { return Ok(()) };
        self.limit.adapt(self.failed_attempts.take());
        let response = response.unwrap_or_else(|panic| Err(ReportError::panicked(&panic)));
        self.reported += response.as_ref().map_or_else(ReportError::reported, |reported| *reported);
        response.map(|_| ())
    }
}

/// The number of requests that may be in flight (AIMD): one more after each success, half after a failed
/// attempt.
#[derive(Debug)]
struct ConcurrencyLimit(usize);

impl ConcurrencyLimit {
    fn adapt(&mut self, throttled: bool) {
        self.0 = if throttled { (self.0 / 2).max(1) } else { (self.0 + 1).min(*CONCURRENCY.end()) };
    }
}

/// The number of attempts that failed. The SDK retries them by itself, so only an interceptor sees them.
#[derive(Debug, Default)]
struct FailedAttempts(AtomicUsize);

impl FailedAttempts {
    /// Returns whether an attempt failed since the last call.
    fn take(&self) -> bool {
        self.0.swap(0, Ordering::Relaxed) > 0
    }
}

#[derive(Debug)]
struct CountFailedAttempts(Arc<FailedAttempts>);

impl Intercept for CountFailedAttempts {
    fn name(&self) -> &'static str {
        "CountFailedAttempts"
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
    fn the_limit_grows_by_one_and_is_halved() {
        let mut limit = ConcurrencyLimit(*CONCURRENCY.start());
        let seen: Vec<_> = [false, false, true, true, true, true, false]
            .into_iter()
            .map(|throttled| {
                limit.adapt(throttled);
                limit.0
            })
            .collect();
        assert_eq!(seen, [5, 6, 3, 1, 1, 1, 2]);
        (0..100).for_each(|_| limit.adapt(false));
        assert_eq!(limit.0, 16);
    }
}
