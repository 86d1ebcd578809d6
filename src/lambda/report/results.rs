//! The results that AWS Config has of the rule. Stale ones are found among them.

use aws_sdk_config::Client;
use aws_sdk_config::primitives::DateTime;
use aws_sdk_config::types::ComplianceType;
use tokio::task::JoinSet;

use crate::aws::ApiError;

const OPERATION: &str = "GetComplianceDetailsByConfigRule";
/// The largest page
/// (<https://docs.aws.amazon.com/config/latest/APIReference/API_GetComplianceDetailsByConfigRule.html>).
const PAGE_SIZE: i32 = 100;

/// A result of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleResult<'a> {
    /// The type of the resource, by its name.
    pub resource_type: &'a str,
    /// The id under which AWS Config records the resource.
    pub resource_id: &'a str,
    /// The time by which AWS Config orders the results of a resource.
    pub ordering_timestamp: Option<DateTime>,
}

/// Calls `visit` for every result of the rule. Compliant and non-compliant results are paged concurrently, in
/// tasks of their own: each page names the next, so listing takes as long as its round trips.
///
/// # Errors
/// Returns an error if AWS Config does not return a page.
pub async fn each_result(
    client: &Client,
    rule_name: &str,
    visit: impl Fn(RuleResult<'_>) + Clone + Send + 'static,
) -> Result<(), ResultsError> {
    let mut lists = JoinSet::new();
    for compliance in [ComplianceType::Compliant, ComplianceType::NonCompliant] {
        lists.spawn(each_result_of(client.clone(), rule_name.to_owned(), compliance, visit.clone()));
    }
    while let Some(list) = lists.join_next().await {
        list.map_err(|panic| ResultsError(ApiError::unexpected_response(OPERATION, &panic.to_string())))??;
    }
    Ok(())
}

async fn each_result_of(
    client: Client,
    rule_name: String,
    compliance: ComplianceType,
    visit: impl Fn(RuleResult<'_>),
) -> Result<(), ResultsError> {
    let mut pages = client
        .get_compliance_details_by_config_rule()
        .config_rule_name(rule_name)
        .compliance_types(compliance)
        .limit(PAGE_SIZE)
        .into_paginator()
        .stop_on_duplicate_token(false) // a repeated token must not look like the end of the list
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| ResultsError(ApiError::new(OPERATION, &error)))?;
        for result in page.evaluation_results() {
            let identifier = result.evaluation_result_identifier();
            let Some(of) = identifier.and_then(|identifier| identifier.evaluation_result_qualifier()) else {
                continue;
            };
            if let (Some(resource_type), Some(resource_id)) = (of.resource_type(), of.resource_id()) {
                let ordering_timestamp = identifier.and_then(|of| of.ordering_timestamp()).copied();
                visit(RuleResult { resource_type, resource_id, ordering_timestamp });
            }
        }
    }
    Ok(())
}

/// The results of the rule could not be listed.
#[derive(Debug, thiserror::Error)]
#[error("cannot list the results of the rule: {0}")]
pub struct ResultsError(ApiError);
