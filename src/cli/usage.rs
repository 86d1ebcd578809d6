//! Whether software on an instance still uses IMDSv1, as CloudWatch counts it.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};

use crate::aws::explain;

/// How many series AWS takes in a call
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>).
const SERIES: usize = 500;
const DAY: Duration = Duration::from_hours(24);

/// What is known of an instance's use of IMDSv1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    /// So many calls in the look-back.
    InUse(u64),
    /// CloudWatch has nothing on an instance that may make calls: no data is not zero.
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

/// The usage of each candidate in the last `days`, in their order: the sum of the metric `MetadataNoToken`
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
    for candidates in candidates.chunks(SERIES) {
        let mut sums = sums(client, candidates, days).await?;
        usages.extend(candidates.iter().enumerate().map(|(number, (_, may_call))| {
            match sums.remove(&id(number)) {
                Some(calls) if calls > 0 => Usage::InUse(calls),
                None if *may_call => Usage::Unknown,
                Some(_) | None => Usage::Safe,
            }
        }));
    }
    Ok(usages)
}

/// The id of a series in a call.
fn id(number: usize) -> String {
    format!("i{number}")
}

/// The sum of each series that has data.
async fn sums(
    client: &Client,
    candidates: &[Candidate<'_>],
    days: u16,
) -> Result<HashMap<String, u64>, String> {
    let now = SystemTime::now();
    let queries = candidates.iter().enumerate().map(|(number, (instance_id, _))| {
        let instance = Dimension::builder().name("InstanceId").value(*instance_id).build();
        let metric = Metric::builder()
            .namespace("AWS/EC2")
            .metric_name("MetadataNoToken")
            .dimensions(instance)
            .build();
        let stat = MetricStat::builder().metric(metric).period(86_400).stat("Sum").build();
        MetricDataQuery::builder().id(id(number)).metric_stat(stat).build()
    });
    let mut pages = client
        .get_metric_data()
        .set_metric_data_queries(Some(queries.collect()))
        .start_time(DateTime::from(now - DAY * u32::from(days)))
        .end_time(DateTime::from(now))
        .into_paginator()
        .send();
    let mut sums = HashMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| format!("GetMetricData: {}", explain(&error)))?;
        for series in page.metric_data_results.into_iter().flatten() {
            let values = series.values.unwrap_or_default();
            if let Some(id) = series.id.filter(|_| !values.is_empty()) {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts; `as` saturates
                let calls = values.iter().sum::<f64>().ceil() as u64;
                *sums.entry(id).or_default() += calls;
            }
        }
    }
    Ok(sums)
}
