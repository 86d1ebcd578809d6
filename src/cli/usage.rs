//! Whether software on an instance still uses IMDSv1, as CloudWatch counts it.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};

use crate::aws::explain;

/// IMDSv1 calls that were answered, and, while tokens were required, refused. The latter are of instances
/// whose enforcement was undone.
const METRICS: [&str; 2] = ["MetadataNoToken", "MetadataNoTokenRejected"];
/// How many instances fit in a call: AWS takes 500 series
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>).
const INSTANCES: usize = 500 / METRICS.len();
const DAY: Duration = Duration::from_hours(24);

/// What is known of an instance's use of IMDSv1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    /// So many calls in the look-back.
    InUse(u64),
    /// CloudWatch's data of an instance that may make calls does not reach back half of the look-back: no
    /// data is not zero.
    Unknown,
    /// None.
    Safe,
}

impl Usage {
    /// How the output says it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::InUse(_) => "still in use",
            Self::Unknown => "unknown",
            Self::Safe => "safe to enforce",
        }
    }

    /// The number of calls, where there are any.
    pub(super) fn calls(self) -> Option<u64> {
        match self {
            Self::InUse(calls) => Some(calls),
            Self::Unknown | Self::Safe => None,
        }
    }
}

/// An instance that is asked about: its id, and whether it may make calls as it is.
pub(super) type Candidate<'a> = (&'a str, bool);

/// The usage of each candidate in the last `days`, in their order: the sum of both metrics
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_metrics_with_cloudwatch.html>).
///
/// # Errors
/// Where CloudWatch does not answer.
pub(super) async fn look_up(
    client: &Client,
    candidates: &[Candidate<'_>],
    days: u16,
) -> Result<Vec<Usage>, String> {
    let mut usages = Vec::with_capacity(candidates.len());
    for candidates in candidates.chunks(INSTANCES) {
        let now = SystemTime::now();
        let half_way = DateTime::from(now - DAY * u32::from(days) / 2);
        let mut data = data(client, candidates, now - DAY * u32::from(days), now).await?;
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

/// What CloudWatch has of an instance.
struct Data {
    calls: u64,
    oldest: DateTime,
}

/// What CloudWatch has of each candidate, by its number; nothing where it has no data.
async fn data(
    client: &Client,
    candidates: &[Candidate<'_>],
    start: SystemTime,
    end: SystemTime,
) -> Result<HashMap<usize, Data>, String> {
    let queries = candidates.iter().enumerate().flat_map(|(number, (instance_id, _))| {
        METRICS.iter().enumerate().map(move |(which, name)| query(number, which, instance_id, name))
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
            let Some(number) = series.id().and_then(number_of) else { continue };
            let Some(oldest) = series.timestamps().iter().min().copied() else { continue };
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts; `as` saturates
            let calls = series.values().iter().sum::<f64>().ceil() as u64;
            let data = found.entry(number).or_insert(Data { calls: 0, oldest });
            data.calls += calls;
            data.oldest = data.oldest.min(oldest);
        }
    }
    Ok(found)
}

/// The query for a metric of an instance. Its id is of the numbers of both.
fn query(number: usize, which: usize, instance_id: &str, metric_name: &str) -> MetricDataQuery {
    let instance = Dimension::builder().name("InstanceId").value(instance_id).build();
    let metric = Metric::builder().namespace("AWS/EC2").metric_name(metric_name).dimensions(instance).build();
    let stat = MetricStat::builder().metric(metric).period(86_400).stat("Sum").build();
    MetricDataQuery::builder().id(format!("i{number}_{which}")).metric_stat(stat).build()
}

/// The number of the instance that a series is of.
fn number_of(id: &str) -> Option<usize> {
    id.strip_prefix('i')?.split('_').next()?.parse().ok()
}
