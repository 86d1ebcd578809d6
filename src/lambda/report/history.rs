//! The recorded configuration items of a resource.

use std::borrow::Cow;

use aws_sdk_config::Client;
use aws_sdk_config::types::{ConfigurationItem as SdkItem, ResourceType};
use time::OffsetDateTime;

use super::date_time;
use crate::aws::ApiError;
use crate::rule::resource::Resource;
use crate::sources::config::configuration_item::{ConfigurationItem, ItemFields};

const OPERATION: &str = "GetResourceConfigHistory";
/// Capture times may lose their fraction of a second on the way through the API.
const CAPTURE_TIME_PRECISION: time::Duration = time::Duration::SECOND;

/// Returns the item of `resource` that AWS Config captured at `captured`
/// (<https://docs.aws.amazon.com/config/latest/APIReference/API_GetResourceConfigHistory.html>).
///
/// # Errors
/// Returns an error if the history cannot be read, or does not contain the item (yet).
pub async fn item_captured_at(
    client: &Client,
    resource: &Resource<'_>,
    captured: OffsetDateTime,
) -> Result<SdkItem, HistoryError> {
    let failed = |error| HistoryError {
        resource_type: resource.resource_type.name().to_owned(),
        resource_id: resource.resource_id.to_string(),
        error,
    };
    let response = client
        .get_resource_config_history()
        .resource_type(ResourceType::from(resource.resource_type.name()))
        .resource_id(resource.resource_id.as_ref())
        .later_time(date_time(captured))
        .limit(1)
        .send()
        .await
        .map_err(|error| failed(ApiError::new(OPERATION, &error)))?;
    let item = response.configuration_items.into_iter().flatten().next();
    let missing = |message: &str| failed(ApiError::unexpected_response(OPERATION, message));
    let item = item.ok_or_else(|| missing("the history is empty"))?;
    let oldest = date_time(captured - CAPTURE_TIME_PRECISION);
    match item.configuration_item_capture_time() {
        Some(found) if *found < oldest => Err(missing(&format!(
            "the newest item was captured at {found}, the item of the event at {captured}"
        ))),
        _ => Ok(item),
    }
}

/// Reads an item that the SDK returned.
#[must_use]
pub fn read(item: &SdkItem) -> ConfigurationItem<'_> {
    let tags = item.tags().into_iter().flatten();
    ConfigurationItem::from_fields(ItemFields {
        resource_type: item.resource_type().map(|name| name.as_str()),
        resource_id: item.resource_id(),
        account_id: item.account_id(),
        region: item.aws_region(),
        status: item.configuration_item_status().map(|status| status.as_str()),
        configuration: item.configuration().map(Cow::Borrowed),
        tags: tags.map(|(key, value)| (key.as_str(), value.as_str())).collect(),
    })
}

/// A configuration item that cannot be read from the history.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the configuration item of {resource_type} {resource_id}: {error}")]
pub struct HistoryError {
    resource_type: String,
    resource_id: String,
    error: ApiError,
}
