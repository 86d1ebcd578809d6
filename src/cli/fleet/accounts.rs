//! The accounts and Regions that a command works in.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use aws_config::{Region, SdkConfig};
use clap::Args;

use super::profile;
use super::regions::enabled_regions;
use crate::aws::assume_role::assume_role;
use crate::aws::clients::{self, ResourceClients};
use crate::aws::{ApiError, RoleArn};
use crate::cli::clock::Clock;
use crate::cli::terminal::messages;
use crate::rule::resource::{InstanceKey, Location};

/// The Region to ask for Regions if none is configured: every account of the partition has it.
const FALLBACK_REGION: &str = "us-east-1";
/// The session name that CloudTrail shows for calls with an assumed role.
const SESSION_NAME: &str = "imdsv2";

/// The options that select accounts and Regions.
#[derive(Debug, Args)]
#[command(next_help_heading = "Accounts and Regions")]
pub(crate) struct Selection {
    /// A Region, or a list with commas; may be repeated [default: all Regions that are enabled in the account]
    #[arg(long = "region", value_name = "REGION", value_delimiter = ',', value_parser = region_name)]
    regions: Vec<String>,

    /// A profile of the AWS configuration files; it takes precedence over access keys in the environment
    /// [default: the credentials of the environment]
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,

    /// A role to assume, to work in its account instead of your own; may be repeated
    #[arg(long = "role-arn", value_name = "ARN")]
    role_arns: Vec<RoleArn>,

    /// A file with a role ARN on each line; empty lines and lines that begin with # are ignored
    #[arg(long, value_name = "FILE")]
    accounts_file: Option<PathBuf>,

    #[arg(skip)]
    pub(crate) environment: Environment,
}

/// What a command runs in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    pub(crate) clock: Clock,
    /// The configuration of the SDK, instead of that of the environment.
    #[cfg(test)]
    pub(crate) sdk: Option<SdkConfig>,
}

/// An account in a Region, with the clients to work there.
#[derive(Clone, Debug)]
pub(crate) struct AccountRegion {
    pub(crate) location: Location,
    pub(crate) resources: ResourceClients,
    pub(crate) clock: Clock,
    sdk: SdkConfig,
}

impl AccountRegion {
    fn new(account_id: &str, region: &str, sdk: &SdkConfig, clock: &Clock) -> Self {
        let sdk = sdk.to_builder().region(Region::new(region.to_owned())).build();
        let location = Location { account_id: account_id.to_owned(), region: region.to_owned() };
        Self { location, resources: ResourceClients::new(&sdk), clock: clock.clone(), sdk }
    }

    /// Returns a client of CloudWatch.
    pub(crate) fn cloudwatch(&self) -> aws_sdk_cloudwatch::Client {
        clients::cloudwatch(&self.sdk)
    }

    /// Returns a client of Systems Manager.
    pub(crate) fn ssm(&self) -> aws_sdk_ssm::Client {
        clients::ssm(&self.sdk)
    }

    /// Names an instance in this account and Region.
    pub(crate) fn key(&self, instance_id: &str) -> InstanceKey {
        InstanceKey { location: self.location.clone(), instance_id: instance_id.to_owned() }
    }
}

/// The accounts and Regions of a selection.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    pub(crate) regions: Vec<AccountRegion>,
    /// The accounts that could not be entered, each with the reason.
    pub(crate) unreachable: Vec<String>,
}

impl Selection {
    /// Returns the accounts file, if any: no output may replace it.
    pub(crate) fn accounts_file(&self) -> Option<&Path> {
        self.accounts_file.as_deref()
    }

    /// Enters the accounts, and finds their Regions.
    ///
    /// # Errors
    /// Returns an error if the profile does not exist, or the accounts file cannot be read or contains no
    /// role. Accounts that cannot be entered are in the result.
    pub(crate) async fn fleet(&self) -> anyhow::Result<Fleet> {
        self.enter(&self.regions).await
    }

    /// Enters the accounts in `regions`, or in those of them that `--region` names.
    ///
    /// # Errors
    /// As for [`Self::fleet`].
    pub(crate) async fn fleet_in(&self, regions: BTreeSet<String>) -> anyhow::Result<Fleet> {
        let is_selected = |region: &String| self.regions.is_empty() || self.regions.contains(region);
        let regions: Vec<_> = regions.into_iter().filter(is_selected).collect();
        if regions.is_empty() { Ok(Fleet::default()) } else { self.enter(&regions).await }
    }

    /// Returns whether the selection includes a Region.
    pub(crate) fn includes_region(&self, region: &str) -> bool {
        self.regions.is_empty() || self.regions.iter().any(|selected| selected == region)
    }

    async fn enter(&self, regions: &[String]) -> anyhow::Result<Fleet> {
        let roles = without_repetitions(&self.roles()?, "role");
        let loader = clients::sdk_defaults();
        let own = match &self.profile {
            Some(name) => profile::load(loader, name).await?,
            None => loader.load().await,
        };
        #[cfg(test)]
        let own = self.environment.sdk.clone().unwrap_or(own);
        let regions = without_repetitions(regions, "Region");
        let region = own.region().cloned().unwrap_or(Region::from_static(FALLBACK_REGION));
        let own = own.to_builder().region(region).build();

        let (mut fleet, clock) = (Fleet::default(), &self.environment.clock);
        if roles.is_empty() {
            let name = match &self.profile {
                Some(profile) => format!("profile \"{profile}\""),
                None => "the account of the credentials".to_owned(),
            };
            fleet.enter(&own, &regions, &name, clock).await;
        }
        for role in &roles {
            let assumed = assume_role(&own, role, SESSION_NAME).await;
            fleet.enter(&assumed, &regions, &role.to_string(), clock).await;
        }
        Ok(fleet)
    }

    fn roles(&self) -> anyhow::Result<Vec<RoleArn>> {
        let mut roles = self.role_arns.clone();
        if let Some(path) = &self.accounts_file {
            roles.extend(read_roles(path)?);
        }
        Ok(roles)
    }
}

/// Parses the name of a Region. It becomes part of the names of AWS's hosts.
fn region_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(is_name) {
        return Err("expected the name of a Region, such as eu-central-1".to_owned());
    }
    Ok(name.to_owned())
}

/// Reads a file with a role ARN on each line. Windows programs begin text with a byte order mark.
fn read_roles(path: &Path) -> anyhow::Result<Vec<RoleArn>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let roles = lines.map(str::parse).collect::<Result<Vec<_>, _>>();
    let roles = roles.with_context(|| format!("{}", path.display()))?;
    ensure!(!roles.is_empty(), "{} contains no role: expected a role ARN on each line", path.display());
    Ok(roles)
}

/// Returns the items in order, each of them once, and prints those that are repeated.
fn without_repetitions<T: Clone + PartialEq + fmt::Display>(items: &[T], kind: &str) -> Vec<T> {
    let mut unique: Vec<T> = Vec::with_capacity(items.len());
    for item in items {
        if unique.contains(item) {
            messages::note(&format!("{kind} {item} is named more than once: it is used once"));
        } else {
            unique.push(item.clone());
        }
    }
    unique
}

impl Fleet {
    /// Adds the account of `sdk`, unless it was entered before.
    async fn enter(&mut self, sdk: &SdkConfig, regions: &[String], name: &str, clock: &Clock) {
        let account_id = match account_of(sdk).await {
            Ok(account_id) => account_id,
            Err(error) => return self.unreachable.push(format!("{name}: {error}")),
        };
        if self.regions.iter().any(|region| region.location.account_id == account_id) {
            messages::note(&format!("account {account_id} is reached by two roles: {name} is not used"));
            return;
        }
        let regions = if regions.is_empty() { enabled_regions(sdk).await } else { Ok(regions.to_vec()) };
        match regions {
            Ok(regions) => {
                let regions = regions.iter();
                self.regions
                    .extend(regions.map(|region| AccountRegion::new(&account_id, region, sdk, clock)));
            }
            Err(error) => self.unreachable.push(format!("{name}: {error}")),
        }
    }
}

/// Returns the id of the account that credentials belong to
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>).
async fn account_of(sdk: &SdkConfig) -> Result<String, ApiError> {
    const OPERATION: &str = "GetCallerIdentity";
    let identity = clients::sts(sdk).get_caller_identity().send().await;
    let identity = identity.map_err(|error| ApiError::new(OPERATION, &error))?;
    identity.account.ok_or_else(|| ApiError::unexpected_response(OPERATION, "the response has no account"))
}
