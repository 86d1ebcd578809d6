//! IMDSv1 calls, as CloudWatch counts them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{self, Dimension, MetricDataQuery, MetricStat, StatusCode};
use time::OffsetDateTime;
use tokio::task::JoinSet;

use crate::aws::ApiError;
use crate::rule::enforcement::Usage;
use crate::rule::usage::{BootWindow, DataPoint, Evidence, LookBack, PERIOD, RETENTION};

const OPERATION: &str = "GetMetricData";

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
/// IMDSv1 calls that were rejected, because tokens were required.
const NO_TOKEN_REJECTED: Metric = Metric { prefix: 'r', name: "MetadataNoTokenRejected", counts_calls: true };
/// Every running instance has it: if it has data and `NO_TOKEN_REJECTED` has none, nothing was rejected.
const CPU_UTILIZATION: Metric = Metric { prefix: 'c', name: "CPUUtilization", counts_calls: false };

/// The names of the metrics that count IMDSv1 calls.
pub(crate) const CALL_METRICS: [&str; 2] = [NO_TOKEN.name, NO_TOKEN_REJECTED.name];
/// The metrics of all IMDSv1 calls. Rejected ones are of instances whose enforcement was undone.
const CALLS: &[Metric] = &[NO_TOKEN, NO_TOKEN_REJECTED];
/// The metrics that show whether a change rejects calls.
const REJECTIONS: &[Metric] = &[NO_TOKEN_REJECTED, CPU_UTILIZATION];
/// The number of instances in a request: CloudWatch accepts 500 series
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>).
const INSTANCES: usize = 500 / CALLS.len();
/// The number of boot windows that are requested concurrently.
const CONCURRENT_WINDOWS: usize = 8;

/// An instance whose usage is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) instance_id: String,
    /// When the instance was last started.
    pub(crate) launched_at: Option<OffsetDateTime>,
}

/// Returns how each candidate used IMDSv1 in the last `days` days and when it was last started, in the order of the
/// candidates.
///
/// # Errors
/// Returns an error if CloudWatch does not respond.
pub(crate) async fn imdsv1_usage(
    client: &Client,
    candidates: &[Candidate],
    days: u16,
    now: OffsetDateTime,
) -> Result<Vec<Usage>, ApiError> {
    let look_back = LookBack::new(now, days);
    let mut series = Collected::default();
    for chunk in candidates.chunks(INSTANCES) {
        let ids = chunk.iter().map(|candidate| candidate.instance_id.clone()).collect();
        let window = Window { start: look_back.start, end: now, granularity: PERIOD.unsigned_abs() };
        series.extend(metric_data(client.clone(), CALLS, ids, window).await?);
    }
    for data in boot_windows(client, candidates, &look_back).await? {
        series.extend(data);
    }
    Ok(candidates.iter().map(|candidate| series.usage(candidate, &look_back)).collect())
}

/// Returns the most metrics that are requested for this number of instances: those of the look-back period, and those
/// of the last start.
pub(crate) fn metrics_requested(instances: usize) -> usize {
    instances.saturating_mul(2 * CALLS.len())
}

/// Requests the boot windows that lie before the look-back period. Instances that were started in the same hour
/// share a request.
async fn boot_windows(
    client: &Client,
    candidates: &[Candidate],
    look_back: &LookBack,
) -> Result<Vec<Collected>, ApiError> {
    let oldest = look_back.end.saturating_sub(RETENTION);
    let mut windows: BTreeMap<BootWindow, Vec<String>> = BTreeMap::new();
    for candidate in candidates {
        let window = candidate.launched_at.map(BootWindow::of_launch);
        if let Some(window) = window.filter(|window| window.start < look_back.start && window.start > oldest)
        {
            windows.entry(window).or_default().push(candidate.instance_id.clone());
        }
    }
    let mut requests = Vec::new();
    for (boot, ids) in windows {
        for ids in ids.chunks(INSTANCES) {
            let window = Window { start: boot.start, end: boot.end(), granularity: PERIOD.unsigned_abs() };
            requests.push((ids.to_vec(), window));
        }
    }
    let (mut waiting, mut running, mut collected) = (requests.into_iter(), JoinSet::new(), Vec::new());
    loop {
        while running.len() < CONCURRENT_WINDOWS
            && let Some((ids, window)) = waiting.next()
        {
            running.spawn(metric_data(client.clone(), CALLS, ids, window));
        }
        match running.join_next().await {
            None => return Ok(collected),
            Some(Ok(data)) => collected.push(data?),
            Some(Err(panic)) => return Err(ApiError::unexpected_response(OPERATION, &panic.to_string())),
        }
    }
}

/// What a canary shows about an instance since its change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    /// The number of IMDSv1 calls that were rejected.
    pub(crate) rejected: u64,
    /// Whether the instance reported any metric of a time that began after its change.
    pub(crate) has_reported: bool,
}

/// An instance that was changed, and is observed.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) instance_id: String,
    /// When the change was requested: it was not made before.
    pub(crate) requested_at: OffsetDateTime,
    /// When the change was known to be made: it was not made later.
    pub(crate) changed_at: OffsetDateTime,
}

/// Returns what each instance was rejected since five minutes before the first request, in their order.
///
/// # Errors
/// Returns an error if CloudWatch does not respond, or returns incomplete data.
pub(crate) async fn observe(
    client: &Client,
    observed: &[Observed],
    now: OffsetDateTime,
) -> Result<Vec<Observation>, ApiError> {
    const BEFORE: time::Duration = time::Duration::minutes(5);
    const MINUTE: time::Duration = time::Duration::minutes(1);
    let mut observations = Vec::with_capacity(observed.len());
    for chunk in observed.chunks(INSTANCES) {
        let first = chunk.iter().map(|each| each.requested_at).min().unwrap_or(now);
        let start = first.saturating_sub(BEFORE);
        let start = start.replace_nanosecond(0).and_then(|start| start.replace_second(0)).unwrap_or(start);
        let window = Window { start, end: now, granularity: MINUTE.unsigned_abs() };
        let ids = chunk.iter().map(|each| each.instance_id.clone()).collect();
        let data = metric_data(client.clone(), REJECTIONS, ids, window).await?;
        for each in chunk {
            if data.incomplete.contains(&each.instance_id) {
                let message = format!("CloudWatch returned incomplete data of {}", each.instance_id);
                return Err(ApiError::unexpected_response(OPERATION, &message));
            }
            let points = data.points.get(&each.instance_id).map(Vec::as_slice).unwrap_or_default();
            observations.push(Observation {
                rejected: points.iter().map(|point| point.calls).sum(),
                has_reported: points.iter().any(|point| point.start >= each.changed_at),
            });
        }
    }
    Ok(observations)
}

/// The window that data is requested for.
#[derive(Clone, Copy)]
struct Window {
    start: OffsetDateTime,
    end: OffsetDateTime,
    /// The period of each data point.
    granularity: Duration,
}

/// What CloudWatch returned.
#[derive(Default)]
struct Collected {
    points: HashMap<String, Vec<DataPoint>>,
    /// The instances of which a series is missing or incomplete.
    incomplete: HashSet<String>,
}

impl Collected {
    fn extend(&mut self, other: Self) {
        for (id, points) in other.points {
            self.points.entry(id).or_default().extend(points);
        }
        self.incomplete.extend(other.incomplete);
    }

    fn usage(&self, candidate: &Candidate, look_back: &LookBack) -> Usage {
        if self.incomplete.contains(&candidate.instance_id) {
            return Usage::Incomplete;
        }
        let points = self.points.get(&candidate.instance_id).into_iter().flatten().copied();
        Usage::Checked(Evidence::of(points, look_back, candidate.launched_at))
    }
}

/// Requests the metrics of these instances. A series counts only if CloudWatch returned it completely.
async fn metric_data(
    client: Client,
    metrics: &'static [Metric],
    ids: Vec<String>,
    window: Window,
) -> Result<Collected, ApiError> {
    let queries = ids.iter().enumerate().flat_map(|(number, id)| {
        metrics.iter().map(move |metric| metric.query(number, id, window.granularity))
    });
    let mut pages = client
        .get_metric_data()
        .set_metric_data_queries(Some(queries.collect()))
        .start_time(date_time(window.start))
        .end_time(date_time(window.end))
        .into_paginator()
        .send();
    let mut complete: HashSet<String> = HashSet::new();
    let mut collected = Collected::default();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| ApiError::new(OPERATION, &error))?;
        for result in page.metric_data_results.into_iter().flatten() {
            let Some(id) = result.id() else { continue };
            // Of the statuses on several pages, the last one counts.
            if result.status_code().is_none_or(|status| *status == StatusCode::Complete) {
                complete.insert(id.to_owned());
            } else {
                complete.remove(id);
            }
            let Some(series) = series_of(metrics, id) else { continue };
            let Some(instance_id) = ids.get(series.number) else { continue };
            let points = result.timestamps().iter().zip(result.values());
            let points = points.filter_map(|(at, value)| series.metric.data_point(at, *value));
            collected.points.entry(instance_id.clone()).or_default().extend(points);
        }
    }
    for (number, id) in ids.into_iter().enumerate() {
        if metrics.iter().any(|metric| !complete.contains(&metric.series_id(number))) {
            collected.incomplete.insert(id);
        }
    }
    Ok(collected)
}

impl Metric {
    /// Returns the query for this metric of an instance.
    fn query(&self, number: usize, instance_id: &str, granularity: Duration) -> MetricDataQuery {
        let instance = Dimension::builder().name("InstanceId").value(instance_id).build();
        let metric =
            types::Metric::builder().namespace("AWS/EC2").metric_name(self.name).dimensions(instance).build();
        let seconds = i32::try_from(granularity.as_secs()).unwrap_or(i32::MAX);
        let stat = MetricStat::builder().metric(metric).period(seconds).stat("Sum").build();
        MetricDataQuery::builder().id(self.series_id(number)).metric_stat(stat).build()
    }

    fn series_id(&self, number: usize) -> String {
        format!("{}{number}", self.prefix)
    }

    fn data_point(&self, at: &DateTime, value: f64) -> Option<DataPoint> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts; `as` saturates
        let calls = if self.counts_calls { value.ceil() as u64 } else { 0 };
        Some(DataPoint { start: OffsetDateTime::from_unix_timestamp(at.secs()).ok()?, calls })
    }
}

struct Series<'a> {
    metric: &'a Metric,
    /// The number of the instance.
    number: usize,
}

/// Returns the metric and the number of the instance of a series.
fn series_of<'a>(metrics: &'a [Metric], id: &str) -> Option<Series<'a>> {
    let metric = metrics.iter().find(|metric| id.starts_with(metric.prefix))?;
    Some(Series { metric, number: id.strip_prefix(metric.prefix)?.parse().ok()? })
}

fn date_time(at: OffsetDateTime) -> DateTime {
    DateTime::from_secs(at.unix_timestamp())
}
