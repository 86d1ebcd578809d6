//! IMDSv1 calls, as CloudWatch counts them.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{self, Dimension, MetricDataQuery, MetricStat};

use crate::aws::ApiError;
use crate::rule::enforcement::Usage;

/// A metric of an instance
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_metrics_with_cloudwatch.html>).
struct Metric {
    /// The first letter of the ids of its series.
    prefix: char,
    name: &'static str,
    /// Whether it counts IMDSv1 calls.
    counts_calls: bool,
}

/// IMDSv1 calls that were answered.
const NO_TOKEN: Metric = Metric { prefix: 'a', name: "MetadataNoToken", counts_calls: true };
/// IMDSv1 calls that were refused, because tokens were required.
const NO_TOKEN_REJECTED: Metric = Metric { prefix: 'r', name: "MetadataNoTokenRejected", counts_calls: true };
/// Every running instance has it: where it has data and `NO_TOKEN_REJECTED` has none, nothing was refused.
const CPU_UTILIZATION: Metric = Metric { prefix: 'c', name: "CPUUtilization", counts_calls: false };

/// The metrics of all IMDSv1 calls. Refused ones are of instances whose enforcement was undone.
const CALLS: [Metric; 2] = [NO_TOKEN, NO_TOKEN_REJECTED];
/// The metrics that show whether a change refuses calls.
const REFUSALS: [Metric; 2] = [NO_TOKEN_REJECTED, CPU_UTILIZATION];
/// The number of instances in a request: CloudWatch accepts 500 series
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>).
const INSTANCES: usize = 500 / CALLS.len();
const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);

/// An instance whose usage is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) instance_id: &'a str,
    /// Whether software on the instance may be calling IMDS. If not, missing data means that there are no
    /// calls.
    pub(crate) may_call: bool,
}

/// Returns how each candidate used IMDSv1 in the last `days` days, in the order of the candidates.
///
/// # Errors
/// Returns an error if CloudWatch does not respond.
pub(crate) async fn imdsv1_usage(
    client: &Client,
    candidates: &[Candidate<'_>],
    days: u16,
) -> Result<Vec<Usage>, ApiError> {
    let mut usages = Vec::with_capacity(candidates.len());
    for candidates in candidates.chunks(INSTANCES) {
        let end = SystemTime::now();
        let half_way = DateTime::from(end - DAY * u32::from(days) / 2);
        let period = Period { start: end - DAY * u32::from(days), end, granularity: DAY };
        let mut data = metric_data(client, &CALLS, candidates, &period).await?;
        usages.extend(candidates.iter().enumerate().map(|(number, candidate)| match data.remove(&number) {
            Some(data) if data.calls > 0 => Usage::InUse(data.calls),
            Some(data) if data.oldest <= half_way => Usage::NotInUse,
            _ if candidate.may_call => Usage::Unknown,
            _ => Usage::NotInUse,
        }));
    }
    Ok(usages)
}

/// Returns the IMDSv1 calls that each candidate was refused since `start`, in the order of the candidates.
/// The usage is unknown if CloudWatch has no data at all of an instance that may call IMDS.
///
/// # Errors
/// Returns an error if CloudWatch does not respond.
pub(crate) async fn refused_calls(
    client: &Client,
    candidates: &[Candidate<'_>],
    start: SystemTime,
) -> Result<Vec<Usage>, ApiError> {
    let mut usages = Vec::with_capacity(candidates.len());
    for candidates in candidates.chunks(INSTANCES) {
        let period = Period { start, end: SystemTime::now(), granularity: MINUTE };
        let mut data = metric_data(client, &REFUSALS, candidates, &period).await?;
        usages.extend(candidates.iter().enumerate().map(|(number, candidate)| match data.remove(&number) {
            Some(data) if data.calls > 0 => Usage::InUse(data.calls),
            None if candidate.may_call => Usage::Unknown,
            _ => Usage::NotInUse,
        }));
    }
    Ok(usages)
}

/// The period that data is requested for.
struct Period {
    start: SystemTime,
    end: SystemTime,
    /// The period of each data point.
    granularity: Duration,
}

/// What CloudWatch has of an instance.
struct MetricData {
    calls: u64,
    oldest: DateTime,
}

/// Returns what CloudWatch has of each candidate, by its number. Candidates without data are absent.
async fn metric_data(
    client: &Client,
    metrics: &[Metric],
    candidates: &[Candidate<'_>],
    period: &Period,
) -> Result<HashMap<usize, MetricData>, ApiError> {
    let queries = candidates.iter().enumerate().flat_map(|(number, candidate)| {
        metrics.iter().map(move |metric| metric.query(number, candidate.instance_id, period.granularity))
    });
    let mut pages = client
        .get_metric_data()
        .set_metric_data_queries(Some(queries.collect()))
        .start_time(DateTime::from(period.start))
        .end_time(DateTime::from(period.end))
        .into_paginator()
        .send();
    let mut found = HashMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| ApiError::new("GetMetricData", &error))?;
        for series in page.metric_data_results.into_iter().flatten() {
            let Some((metric, number)) = series.id().and_then(|id| series_of(metrics, id)) else { continue };
            let Some(oldest) = series.timestamps().iter().min().copied() else { continue };
            let data = found.entry(number).or_insert(MetricData { calls: 0, oldest });
            data.oldest = data.oldest.min(oldest);
            if metric.counts_calls {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts; `as` saturates
                let calls = series.values().iter().sum::<f64>().ceil() as u64;
                data.calls += calls;
            }
        }
    }
    Ok(found)
}

impl Metric {
    /// Returns the query for this metric of an instance. Its id encodes both.
    fn query(&self, number: usize, instance_id: &str, granularity: Duration) -> MetricDataQuery {
        let instance = Dimension::builder().name("InstanceId").value(instance_id).build();
        let metric =
            types::Metric::builder().namespace("AWS/EC2").metric_name(self.name).dimensions(instance).build();
        let seconds = i32::try_from(granularity.as_secs()).unwrap_or(i32::MAX);
        let stat = MetricStat::builder().metric(metric).period(seconds).stat("Sum").build();
        MetricDataQuery::builder().id(format!("{}{number}", self.prefix)).metric_stat(stat).build()
    }
}

/// Returns the metric of a series, and the number of its instance.
fn series_of<'a>(metrics: &'a [Metric], id: &str) -> Option<(&'a Metric, usize)> {
    let metric = metrics.iter().find(|metric| id.starts_with(metric.prefix))?;
    Some((metric, id.strip_prefix(metric.prefix)?.parse().ok()?))
}
