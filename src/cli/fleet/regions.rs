//! The Regions that are enabled in an account.

use aws_config::SdkConfig;

use crate::aws::ApiError;
use crate::aws::clients::ResourceClients;

/// Returns the Regions that are enabled in the account, sorted by name
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html>).
///
/// # Errors
/// Returns an error if EC2 does not respond.
pub(super) async fn enabled_regions(sdk: &SdkConfig) -> Result<Vec<String>, ApiError> {
    let response = ResourceClients::new(sdk).ec2.describe_regions().send().await;
    let response = response.map_err(|error| ApiError::new("DescribeRegions", &error))?;
    let names = response.regions.into_iter().flatten().filter_map(|region| region.region_name);
    let mut names: Vec<_> = names.collect();
    names.sort();
    Ok(names)
}
