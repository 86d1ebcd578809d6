//! An AWS Config aggregator: what AWS Config has recorded in many accounts and Regions, read in one.

use std::collections::BTreeSet;

use anyhow::anyhow;
use aws_sdk_config::Client;
use serde::Deserialize;

use crate::aws::{ApiError, iam};
use crate::rule::resource::ResourceType;

const OPERATION: &str = "SelectAggregateResourceConfig";
/// The largest page
/// (<https://docs.aws.amazon.com/config/latest/APIReference/API_SelectAggregateResourceConfig.html>).
const PAGE_SIZE: i32 = 100;
/// The fields that a verdict depends on
/// (<https://docs.aws.amazon.com/config/latest/developerguide/query-components.html>).
const FIELDS: &str = "accountId, awsRegion, resourceId, resourceName, resourceType, tags, configuration, \
                      configurationItemStatus, configurationItemCaptureTime";

/// An aggregator, and which of its resources are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Aggregator {
    client: Client,
    name: String,
    condition: String,
}

/// A query, and how far it was read.
#[derive(Debug)]
pub(crate) struct Query {
    expression: String,
    next: Next,
}

/// The next page of a query.
#[derive(Debug)]
enum Next {
    First,
    Token(String),
    None,
}

/// A group of resources, as `GROUP BY accountId` returns it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountGroup {
    account_id: String,
}

impl Aggregator {
    /// Asks for resources of these types, in these Regions, or in all if there are none.
    pub(crate) fn new(client: Client, name: &str, types: &[ResourceType<'_>], regions: &[String]) -> Self {
        let list = |names: Vec<&str>| format!("('{}')", names.join("', '"));
        let mut condition =
            format!("resourceType IN {}", list(types.iter().map(ResourceType::name).collect()));
        if !regions.is_empty() {
            let regions = list(regions.iter().map(String::as_str).collect());
            condition = format!("{condition} AND awsRegion IN {regions}");
        }
        Self { client, name: name.to_owned(), condition }
    }

    /// Returns the accounts that have any of the resources.
    ///
    /// # Errors
    /// Returns an error if there is no such aggregator, or AWS Config does not respond.
    pub(crate) async fn accounts(&self) -> anyhow::Result<BTreeSet<String>> {
        let expression = format!("SELECT accountId, COUNT(*) WHERE {} GROUP BY accountId", self.condition);
        let mut accounts = BTreeSet::new();
        let mut query = Query { expression, next: Next::First };
        while let Some(results) = self.page(&mut query).await.map_err(|error| self.explained(&error))? {
            for json in results {
                let group = serde_json::from_str::<AccountGroup>(&json);
                let group = group.map_err(|error| self.explained(&unexpected(&error)))?;
                accounts.insert(group.account_id);
            }
        }
        Ok(accounts)
    }

    /// Returns the query for the resources of an account.
    pub(crate) fn resources_of(&self, account_id: &str) -> Query {
        // It came from AWS Config, but it becomes part of a query.
        let account_id: String = account_id.chars().filter(char::is_ascii_digit).collect();
        let expression = format!("SELECT {FIELDS} WHERE {} AND accountId = '{account_id}'", self.condition);
        Query { expression, next: Next::First }
    }

    /// Returns the next page of a query, each result as JSON; `None` after the last one.
    ///
    /// # Errors
    /// Returns an error if AWS Config does not return the page.
    pub(crate) async fn page(&self, query: &mut Query) -> Result<Option<Vec<String>>, ApiError> {
        let token = match std::mem::replace(&mut query.next, Next::None) {
            Next::First => None,
            Next::Token(token) => Some(token),
            Next::None => return Ok(None),
        };
        let page = self
            .client
            .select_aggregate_resource_config()
            .configuration_aggregator_name(&self.name)
            .expression(&query.expression)
            .limit(PAGE_SIZE)
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| ApiError::new(OPERATION, &error))?;
        query.next = page.next_token.filter(|token| !token.is_empty()).map_or(Next::None, Next::Token);
        Ok(Some(page.results.unwrap_or_default()))
    }

    fn explained(&self, error: &ApiError) -> anyhow::Error {
        let name = &self.name;
        if error.has_code("NoSuchConfigurationAggregatorException") {
            let region =
                self.client.config().region().map_or_else(|| "this Region".to_owned(), ToString::to_string);
            return anyhow!(
                "--aggregator {name}: there is no such aggregator in {region}: set AWS_REGION to the Region that has it"
            );
        }
        let advice = if error.is_access_denied() {
            format!(": allow {}", iam::action(OPERATION))
        } else {
            String::new()
        };
        anyhow!("--aggregator {name}: {error}{advice}")
    }
}

/// Describes a result that is not what AWS documents.
fn unexpected(error: &impl ToString) -> ApiError {
    ApiError::unexpected_response(OPERATION, &error.to_string())
}
