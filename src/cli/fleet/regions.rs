//! The Regions of an account.

use std::ffi::OsStr;

use aws_config::SdkConfig;
use clap_complete::CompletionCandidate;

use crate::aws::clients::ResourceClients;
use crate::aws::{ApiError, CallsInFlight};

/// The least similarity of a name that is proposed for one that is unknown.
const SIMILAR: f64 = 0.8;

/// The Regions that shells complete, of all partitions
/// (<https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>). Others work, too.
const KNOWN: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// Returns the Regions that complete the last name of a list with commas.
pub(super) fn candidates(current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_str().unwrap_or_default();
    let (before, last) = current.rsplit_once(',').map_or(("", current), |(before, last)| (before, last));
    let before = if before.is_empty() { String::new() } else { format!("{before},") };
    let matching = KNOWN.iter().filter(|region| region.starts_with(last));
    matching.map(|region| CompletionCandidate::new(format!("{before}{region}"))).collect()
}

/// The Regions of an account, by name, sorted.
#[derive(Debug)]
pub(super) struct AccountRegions {
    enabled: Vec<String>,
    disabled: Vec<String>,
}

/// What is wrong with a Region that was named.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RegionProblem {
    /// The account has no Region of this name; the most similar one, if there is one.
    Unknown(Option<String>),
    /// It is not enabled in the account.
    NotEnabled,
}

impl AccountRegions {
    /// Reads the Regions of the account
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html>).
    ///
    /// # Errors
    /// Returns an error if EC2 does not respond.
    pub(super) async fn of(sdk: &SdkConfig) -> Result<Self, ApiError> {
        let response = ResourceClients::new(sdk, &CallsInFlight::default())
            .ec2
            .describe_regions()
            .all_regions(true)
            .send()
            .await;
        let response = response.map_err(|error| ApiError::new("DescribeRegions", &error))?;
        let mut regions = Self { enabled: Vec::new(), disabled: Vec::new() };
        for region in response.regions.into_iter().flatten() {
            let is_disabled = region.opt_in_status() == Some("not-opted-in");
            let names = if is_disabled { &mut regions.disabled } else { &mut regions.enabled };
            names.extend(region.region_name);
        }
        regions.enabled.sort();
        Ok(regions)
    }

    /// Returns the Regions that are enabled.
    pub(super) fn into_enabled(self) -> Vec<String> {
        self.enabled
    }

    /// Checks that a Region exists and is enabled.
    ///
    /// # Errors
    /// Returns what is wrong with it otherwise.
    pub(super) fn check(&self, name: &str) -> Result<(), RegionProblem> {
        let is = |names: &[String]| names.iter().any(|each| each == name);
        if is(&self.enabled) {
            return Ok(());
        }
        if is(&self.disabled) {
            return Err(RegionProblem::NotEnabled);
        }
        let similar =
            self.enabled.iter().chain(&self.disabled).map(|each| (strsim::jaro_winkler(name, each), each));
        let nearest =
            similar.max_by(|(a, _), (b, _)| a.total_cmp(b)).filter(|(similarity, _)| *similarity > SIMILAR);
        Err(RegionProblem::Unknown(nearest.map(|(_, each)| each.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_checked_and_the_nearest_name_proposed() {
        let regions = AccountRegions {
            enabled: ["eu-central-1", "us-east-1", "us-east-2"].map(str::to_owned).to_vec(),
            disabled: vec!["me-south-1".to_owned()],
        };
        let unknown = |name: &str| Err(RegionProblem::Unknown(Some(name.to_owned())));
        for (name, expected) in [
            ("eu-central-1", Ok(())),
            ("me-south-1", Err(RegionProblem::NotEnabled)),
            ("eu-centrl-1", unknown("eu-central-1")),
            ("us-east2", unknown("us-east-2")),
            ("frankfurt", Err(RegionProblem::Unknown(None))),
        ] {
            assert_eq!(regions.check(name), expected, "{name}");
        }
    }
}
