//! The results that AWS Config has of the rule, from which stale ones are told.

use aws_sdk_config::Client;
use aws_sdk_config::primitives::DateTime;
use aws_sdk_config::types::ComplianceType;
use tokio::task::JoinSet;

use crate::aws::clients::explain;

/// The most that AWS gives in a page
/// (<https://docs.aws.amazon.com/config/latest/APIReference/API_GetComplianceDetailsByConfigRule.html>).
const PAGE: i32 = 100;

/// What a result is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultOf<'a> {
    /// The resource's type, by its name.
    pub resource_type: &'a str,
    /// The id that AWS Config knows the resource by.
    pub resource_id: &'a str,
    /// The time by which the result is ordered.
    pub ordering_timestamp: Option<DateTime>,
}

/// Calls `visit` for every result of the rule. Compliant and non-compliant ones are paged side by side, in
/// tasks of their own: a page names the next, so that a list takes as long as its round trips.
///
/// # Errors
/// Where AWS Config does not answer.
pub async fn each_result(
    client: &Client,
    rule_name: &str,
    visit: impl Fn(ResultOf<'_>) + Clone + Send + 'static,
) -> Result<(), ResultsError> {
    let mut lists = JoinSet::new();
    for compliance in [ComplianceType::Compliant, ComplianceType::NonCompliant] {
        lists.spawn(each_result_of(client.clone(), rule_name.to_owned(), compliance, visit.clone()));
    }
    while let Some(list) = lists.join_next().await {
        list.map_err(|panic| ResultsError(panic.to_string()))??;
    }
    Ok(())
}

async fn each_result_of(
    client: Client,
    rule_name: String,
    compliance: ComplianceType,
    visit: impl Fn(ResultOf<'_>),
) -> Result<(), ResultsError> {
    let mut pages = client
        .get_compliance_details_by_config_rule()
        .config_rule_name(rule_name)
        .compliance_types(compliance)
        .limit(PAGE)
        .into_paginator()
        .stop_on_duplicate_token(false) // it would look like the end of the list
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| ResultsError(explain(&error)))?;
        for result in page.evaluation_results() {
            let identifier = result.evaluation_result_identifier();
            let Some(of) = identifier.and_then(|identifier| identifier.evaluation_result_qualifier()) else {
                continue;
            };
            if let (Some(resource_type), Some(resource_id)) = (of.resource_type(), of.resource_id()) {
                let ordering_timestamp = identifier.and_then(|of| of.ordering_timestamp()).copied();
                visit(ResultOf { resource_type, resource_id, ordering_timestamp });
            }
        }
    }
    Ok(())
}

/// The rule's results cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("could not list the rule's results (GetComplianceDetailsByConfigRule): {0}")]
pub struct ResultsError(String);
