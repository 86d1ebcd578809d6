//! The IMDSv1 calls of instances that no longer exist.
//!
//! Spot instances and those of Auto Scaling groups are gone before anybody looks at them. CloudWatch still knows their
//! metrics, and the activities of Auto Scaling groups name what launched them.

use std::collections::{BTreeSet, HashMap, HashSet};

use aws_sdk_cloudwatch::Client;
use time::OffsetDateTime;

use super::accounts::AccountRegion;
use super::usage::{self, Candidate};
use crate::aws::ApiError;
use crate::cli::output::terminated::Terminated;
use crate::rule::enforcement::Usage;
use crate::rule::launched_by::LaunchedBy;

/// The most pages of activities that are read in a Region, with 100 activities each.
const MAX_PAGES: usize = 500;
/// The largest page of activities
/// (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeScalingActivities.html>).
const ACTIVITIES_PAGE: i32 = 100;

/// The terminated instances that made IMDSv1 calls, and why not all of them are known.
pub(crate) struct Callers {
    pub(crate) found: Vec<Terminated>,
    pub(crate) failure: Option<ApiError>,
}

/// Returns the instances that made IMDSv1 calls in the last `days` days, have had metrics in the last two weeks, and do
/// not exist any more. What is known is returned even if a call fails.
pub(crate) async fn callers(
    region: &AccountRegion,
    existing: &HashSet<String>,
    days: u16,
    now: OffsetDateTime,
) -> Callers {
    let (calls, failure) = match calls(region, existing, days, now).await {
        Ok(counted) => counted,
        Err(error) => return Callers { found: Vec::new(), failure: Some(error) },
    };
    let mut groups = HashMap::new();
    let listed = find_groups(region, calls.keys().cloned().collect(), &mut groups).await;
    let mut found: Vec<_> = calls
        .into_iter()
        .map(|(instance_id, imdsv1_calls)| Terminated {
            account_id: region.location.account_id.clone(),
            region: region.location.region.clone(),
            launched_by: groups.remove(&instance_id).map(LaunchedBy::auto_scaling_group),
            instance_id,
            imdsv1_calls,
        })
        .collect();
    found.sort_by(|a, b| a.instance_id.cmp(&b.instance_id));
    Callers { found, failure: failure.or(listed.err()) }
}

/// Returns the number of calls of each terminated instance that made any, and an error if CloudWatch returned incomplete
/// data of others.
async fn calls(
    region: &AccountRegion,
    existing: &HashSet<String>,
    days: u16,
    now: OffsetDateTime,
) -> Result<(HashMap<String, u64>, Option<ApiError>), ApiError> {
    let client = region.cloudwatch();
    let mut gone = BTreeSet::new();
    for metric in usage::CALL_METRICS {
        gone.extend(instances_with(&client, metric, existing).await?);
    }
    let candidate = |instance_id| Candidate { instance_id, launched_at: None };
    let candidates: Vec<_> = gone.into_iter().map(candidate).collect();
    let usages = usage::imdsv1_usage(&client, &candidates, days, now).await?;
    let (mut calls, mut incomplete) = (HashMap::new(), 0);
    for (candidate, usage) in candidates.into_iter().zip(usages) {
        match usage {
            Usage::Checked(evidence) => {
                // Software ran on it while it existed.
                let made = evidence.state(true).calls().filter(|calls| *calls > 0);
                calls.extend(made.map(|made| (candidate.instance_id, made)));
            }
            Usage::Incomplete => incomplete += 1,
            Usage::NotChecked => {}
        }
    }
    let failure = (incomplete > 0).then(|| {
        let message = format!("CloudWatch returned incomplete data of {incomplete} terminated instances");
        ApiError::unexpected_response("GetMetricData", &message)
    });
    Ok((calls, failure))
}

/// Returns the instances that have had a metric in the last two weeks, except those that exist
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html>).
async fn instances_with(
    client: &Client,
    metric: &str,
    existing: &HashSet<String>,
) -> Result<Vec<String>, ApiError> {
    let request = client.list_metrics().namespace("AWS/EC2").metric_name(metric);
    let mut pages = request.into_paginator().stop_on_duplicate_token(false).send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| ApiError::new("ListMetrics", &error))?;
        for metric in page.metrics() {
            // Only the metrics of single instances have this one dimension.
            if let [dimension] = metric.dimensions()
                && dimension.name() == Some("InstanceId")
                && let Some(id) = dimension.value().filter(|id| !existing.contains(*id))
            {
                found.push(id.to_owned());
            }
        }
    }
    Ok(found)
}

/// Finds the Auto Scaling groups that launched or terminated these instances, by the id of the instance. What was found is
/// kept if a call fails. EC2 Auto Scaling keeps activities for six weeks, and names an instance in the description of an
/// activity only.
async fn find_groups(
    region: &AccountRegion,
    mut wanted: HashSet<String>,
    found: &mut HashMap<String, String>,
) -> Result<(), ApiError> {
    const OPERATION: &str = "DescribeScalingActivities";
    if wanted.is_empty() {
        return Ok(());
    }
    let request = region.resources.autoscaling.describe_scaling_activities();
    let request = request.include_deleted_groups(true).max_records(ACTIVITIES_PAGE);
    let mut pages = request.into_paginator().stop_on_duplicate_token(false).send();
    for _ in 0..MAX_PAGES {
        let Some(page) = pages.next().await else { return Ok(()) };
        let page = page.map_err(|error| ApiError::new(OPERATION, &error))?;
        for activity in page.activities() {
            let description = activity.description().unwrap_or_default();
            if let (Some(id), Some(group)) = (instance_id(description), activity.auto_scaling_group_name())
                && wanted.remove(id)
            {
                found.insert(id.to_owned(), group.to_owned());
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
    }
    let message = format!("the sources of {} instances are not among the newest activities", wanted.len());
    Err(ApiError::unexpected_response(OPERATION, &message))
}

/// Returns the instance that the description of an activity names, such as `Launching a new EC2 instance: i-0123…`.
fn instance_id(description: &str) -> Option<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    description.split(|c| !is_word(c)).find(|word| {
        let number = word.strip_prefix("i-").unwrap_or_default();
        number.len() >= 8 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_name_an_instance() {
        for (description, expected) in [
            ("Launching a new EC2 instance: i-0123456789abcdef0", Some("i-0123456789abcdef0")),
            (
                "Launching a new EC2 instance: i-0123456789abcdef0.  Status Reason: none",
                Some("i-0123456789abcdef0"),
            ),
            (
                "Terminating EC2 instance: i-12345678 - Waiting For ELB connection draining.",
                Some("i-12345678"),
            ),
            ("Updating load balancers/target groups", None),
            ("", None),
        ] {
            assert_eq!(instance_id(description), expected, "{description}");
        }
    }
}
