//! Where the command line works: accounts, and Regions in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use aws_config::sts::AssumeRoleProvider;
use aws_config::{Region, SdkConfig};
use aws_sdk_config::config::SharedCredentialsProvider;
use clap::Args;

use crate::aws::clients::{self, Clients, explain};

/// Where to ask which Regions there are, if nothing says so: every account of the partition has it.
const FALLBACK_REGION: &str = "us-east-1";
/// The name that CloudTrail shows for what is done with an assumed role.
const SESSION_NAME: &str = "imdsv2";

/// Which accounts and Regions.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub(crate) struct Selection {
    /// A Region; may be repeated. Without it: all that are enabled in the account
    #[arg(long = "region", value_name = "REGION")]
    regions: Vec<String>,

    /// A profile of the AWS configuration files. Without it: the credentials that the environment gives
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,

    /// A role to assume, to work in its account instead of one's own; may be repeated
    #[arg(long = "role-arn", value_name = "ARN")]
    role_arns: Vec<String>,

    /// A file with a role ARN on each line; empty lines, and those that begin with #, are passed over
    #[arg(long, value_name = "FILE")]
    accounts_file: Option<PathBuf>,
}

/// An account in a Region.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) account_id: Arc<str>,
    pub(crate) region: Arc<str>,
    pub(crate) clients: Clients,
    pub(crate) sdk: SdkConfig,
}

/// The places of a selection, and the accounts that could not be entered, each with the reason.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub(crate) open: Vec<Place>,
    pub(crate) closed: Vec<String>,
}

impl Selection {
    /// Enters the accounts, and finds their Regions.
    ///
    /// # Errors
    /// Where the accounts file cannot be read. An account that cannot be entered is in the answer.
    pub(crate) async fn places(&self) -> anyhow::Result<Places> {
        self.enter(&self.regions).await
    }

    /// The same, in the Regions given; `--region` narrows them.
    ///
    /// # Errors
    /// As for [`Self::places`].
    pub(crate) async fn places_in(&self, regions: BTreeSet<String>) -> anyhow::Result<Places> {
        let asked = |region: &String| self.regions.is_empty() || self.regions.contains(region);
        let regions: Vec<_> = regions.into_iter().filter(asked).collect();
        if regions.is_empty() { Ok(Places::default()) } else { self.enter(&regions).await }
    }

    async fn enter(&self, regions: &[String]) -> anyhow::Result<Places> {
        let mut loader = clients::sdk_defaults();
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        let own = loader.load().await;
        let region = own.region().cloned().unwrap_or(Region::from_static(FALLBACK_REGION));
        let own = own.to_builder().region(region).build();

        let roles = self.roles()?;
        let mut places = Places::default();
        if roles.is_empty() {
            places.enter(&own, regions, "the account of the credentials").await;
        }
        for role in &roles {
            let provider =
                AssumeRoleProvider::builder(role).session_name(SESSION_NAME).configure(&own).build().await;
            let assumed =
                own.to_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build();
            places.enter(&assumed, regions, role).await;
        }
        Ok(places)
    }

    fn roles(&self) -> anyhow::Result<Vec<String>> {
        let mut roles = self.role_arns.clone();
        if let Some(path) = &self.accounts_file {
            roles.extend(read_roles(path)?);
        }
        for role in &roles {
            if !(role.starts_with("arn:") && role.contains(":role/")) {
                bail!("\"{role}\" is no role; expected arn:<partition>:iam::<account>:role/<name>");
            }
        }
        Ok(roles)
    }
}

fn read_roles(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

impl Places {
    async fn enter(&mut self, sdk: &SdkConfig, regions: &[String], name: &str) {
        match Self::of_account(sdk, regions).await {
            Ok(places) => self.open.extend(places),
            Err(reason) => self.closed.push(format!("{name}: {reason}")),
        }
    }

    async fn of_account(sdk: &SdkConfig, regions: &[String]) -> Result<Vec<Place>, String> {
        let identity = aws_sdk_sts::Client::new(sdk).get_caller_identity().send().await;
        let identity = identity.map_err(|error| format!("GetCallerIdentity: {}", explain(&error)))?;
        let account_id: Arc<str> = identity.account().unwrap_or_default().into();
        let regions = if regions.is_empty() { enabled_regions(sdk).await? } else { regions.to_vec() };
        let place = |region: String| {
            let sdk = sdk.to_builder().region(Region::new(region.clone())).build();
            let account_id = Arc::clone(&account_id);
            Place { account_id, region: region.into(), clients: Clients::new(&sdk), sdk }
        };
        Ok(regions.into_iter().map(place).collect())
    }
}

/// The Regions that are enabled in the account
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html>).
async fn enabled_regions(sdk: &SdkConfig) -> Result<Vec<String>, String> {
    let answer = aws_sdk_ec2::Client::new(sdk).describe_regions().send().await;
    let answer = answer.map_err(|error| format!("DescribeRegions: {}", explain(&error)))?;
    let names = answer.regions.into_iter().flatten().filter_map(|region| region.region_name);
    let mut names: Vec<_> = names.collect();
    names.sort();
    Ok(names)
}
