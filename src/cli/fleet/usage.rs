//! Whether software on an instance still uses IMDSv1, as CloudWatch counts it.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{self, Dimension, MetricDataQuery, MetricStat};

use crate::aws::clients::explain;
use crate::rule::enforcement::Usage;

/// A metric of an instance.
struct Metric {
    /// What the ids of its series begin with.
    prefix: char,
    name: &'static str,
    /// Whether it counts IMDSv1 calls.
    counts: bool,
}

const ANSWERED: Metric = Metric { prefix: 'a', name: "MetadataNoToken", counts: true };
const REFUSED: Metric = Metric { prefix: 'r', name: "MetadataNoTokenRejected", counts: true };
/// Every running instance has it: where there is this without refusals, there were none.
const RUNNING: Metric = Metric { prefix: 'c', name: "CPUUtilization", counts: false };

/// IMDSv1 calls that were answered, and, while tokens were required, refused: the latter are of instances
/// whose enforcement was undone.
const CALLS: [Metric; 2] = [ANSWERED, REFUSED];
/// Whether a change that was made refuses calls.
const REFUSALS: [Metric; 2] = [REFUSED, RUNNING];
/// How many instances fit in a call: AWS takes 500 series
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>).
const INSTANCES: usize = 500 / CALLS.len();
const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);

/// An instance that is asked about: its id, and whether it may make calls as it is.
pub(crate) type Candidate<'a> = (&'a str, bool);

/// The usage of each candidate in the last `days`, in their order: the sum of both metrics
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_metrics_with_cloudwatch.html>).
///
/// # Errors
/// Where CloudWatch does not answer.
pub(crate) async fn look_up(
    client: &Client,
    candidates: &[Candidate<'_>],
    days: u16,
) -> Result<Vec<Usage>, String> {
    let mut usages = Vec::with_capacity(candidates.len());
    for candidates in candidates.chunks(INSTANCES) {
        let now = SystemTime::now();
        let half_way = DateTime::from(now - DAY * u32::from(days) / 2);
        let days = now - DAY * u32::from(days);
        let mut data = data(client, &CALLS, candidates, (days, now), DAY).await?;
        usages.extend(candidates.iter().enumerate().map(
            |(number, (_, may_call))| match data.remove(&number) {
                Some(data) if data.calls > 0 => Usage::InUse(data.calls),
                Some(data) if data.oldest <= half_way => Usage::Safe,
                _ if *may_call => Usage::Unknown,
                _ => Usage::Safe,
            },
        ));
    }
    Ok(usages)
}

/// What each candidate, in their order, was refused since then: calls, none, or unknown, where CloudWatch has no
/// data at all of an instance that may make calls.
///
/// # Errors
/// Where CloudWatch does not answer.
pub(crate) async fn refused(
    client: &Client,
    candidates: &[Candidate<'_>],
    since: SystemTime,
) -> Result<Vec<Usage>, String> {
    let mut usages = Vec::with_capacity(candidates.len());
    for candidates in candidates.chunks(INSTANCES) {
        let mut data = data(client, &REFUSALS, candidates, (since, SystemTime::now()), MINUTE).await?;
        usages.extend(candidates.iter().enumerate().map(
            |(number, (_, may_call))| match data.remove(&number) {
                Some(data) if data.calls > 0 => Usage::InUse(data.calls),
                None if *may_call => Usage::Unknown,
                _ => Usage::Safe,
            },
        ));
    }
    Ok(usages)
}

/// What CloudWatch has of an instance.
struct Data {
    calls: u64,
    oldest: DateTime,
}

/// What CloudWatch has of each candidate, by its number; nothing where it has no data.
async fn data(
    client: &Client,
    metrics: &[Metric],
    candidates: &[Candidate<'_>],
    (start, end): (SystemTime, SystemTime),
    period: Duration,
) -> Result<HashMap<usize, Data>, String> {
    let queries = candidates.iter().enumerate().flat_map(|(number, (instance_id, _))| {
        metrics.iter().map(move |metric| metric.query(number, instance_id, period))
    });
    let mut pages = client
        .get_metric_data()
        .set_metric_data_queries(Some(queries.collect()))
        .start_time(DateTime::from(start))
        .end_time(DateTime::from(end))
        .into_paginator()
        .send();
    let mut found = HashMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| format!("GetMetricData: {}", explain(&error)))?;
        for series in page.metric_data_results.into_iter().flatten() {
            let Some((metric, number)) = series.id().and_then(|id| series_of(metrics, id)) else { continue };
            let Some(oldest) = series.timestamps().iter().min().copied() else { continue };
            let data = found.entry(number).or_insert(Data { calls: 0, oldest });
            data.oldest = data.oldest.min(oldest);
            if metric.counts {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts; `as` saturates
                let calls = series.values().iter().sum::<f64>().ceil() as u64;
                data.calls += calls;
            }
        }
    }
    Ok(found)
}

impl Metric {
    /// The query for this metric of an instance; its id tells both.
    fn query(&self, number: usize, instance_id: &str, period: Duration) -> MetricDataQuery {
        let instance = Dimension::builder().name("InstanceId").value(instance_id).build();
        let metric =
            types::Metric::builder().namespace("AWS/EC2").metric_name(self.name).dimensions(instance).build();
        let seconds = i32::try_from(period.as_secs()).unwrap_or(i32::MAX);
        let stat = MetricStat::builder().metric(metric).period(seconds).stat("Sum").build();
        MetricDataQuery::builder().id(format!("{}{number}", self.prefix)).metric_stat(stat).build()
    }
}

/// The metric that a series is of, and the number of its instance.
fn series_of<'a>(metrics: &'a [Metric], id: &str) -> Option<(&'a Metric, usize)> {
    let metric = metrics.iter().find(|metric| id.starts_with(metric.prefix))?;
    Some((metric, id.strip_prefix(metric.prefix)?.parse().ok()?))
}
