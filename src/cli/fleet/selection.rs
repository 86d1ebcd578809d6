//! The options that select accounts and Regions.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use aws_config::{Region, SdkConfig};
use clap::Args;
use clap_complete::{ArgValueCandidates, ArgValueCompleter};

use super::accounts::{Account, Accounts, Environment, Fleet, WantedRegions};
use super::aggregator::Aggregator;
use super::organization::OrganizationOptions;
use super::{profile, regions};
use crate::aws::{CallsInFlight, RoleArn, clients};
use crate::cli::input::text;
use crate::cli::terminal::screen::Screen;
use crate::rule::remedy::shell_quoted;
use crate::rule::resource::ResourceType;

/// The Region to ask for Regions if none is configured: every account of the partition has it.
const FALLBACK_REGION: &str = "us-east-1";

/// The options that select accounts and Regions.
#[derive(Debug, Args)]
#[command(next_help_heading = "Accounts and Regions")]
pub(crate) struct Selection {
    /// A Region, or a list with commas; may be repeated [default: all Regions that are enabled in the account]
    #[arg(long = "region", value_name = "REGION", value_delimiter = ',', value_parser = region_name)]
    #[arg(add = ArgValueCompleter::new(regions::candidates))]
    regions: Vec<String>,

    /// A profile of the AWS configuration files; it takes precedence over access keys in the environment
    /// [default: the credentials of the environment]
    #[arg(long, value_name = "PROFILE", add = ArgValueCandidates::new(profile::candidates))]
    profile: Option<String>,

    /// A role to assume, to work in its account instead of your own; may be repeated
    #[arg(long = "role-arn", value_name = "ARN")]
    role_arns: Vec<RoleArn>,

    /// A file with a role ARN on each line, or - for standard input; empty lines and lines that begin with # are
    /// ignored
    #[arg(long, value_name = "FILE")]
    accounts_file: Option<PathBuf>,

    #[command(flatten)]
    organization: OrganizationOptions,

    #[arg(skip)]
    pub(crate) environment: Environment,
}

impl Selection {
    /// Returns the accounts file, if any: no output may replace it.
    pub(crate) fn accounts_file(&self) -> Option<&Path> {
        self.accounts_file.as_deref()
    }

    /// Returns whether the accounts are those of an organization, whose names are known.
    pub(crate) fn is_organization(&self) -> bool {
        self.organization.role().is_some()
    }

    /// Describes the credentials that the selection works with.
    pub(crate) fn credentials(&self) -> String {
        let own = match &self.profile {
            Some(profile) => format!("profile {profile}"),
            None => "the credentials of the environment".to_owned(),
        };
        if let Some(role) = self.organization.role() {
            return format!("{own}, and the role {role} in each other account of the organization");
        }
        match (self.role_arns.as_slice(), &self.accounts_file) {
            ([], None) => own,
            ([role], None) => format!("{role}, by {own}"),
            (roles, None) => format!("{} roles, by {own}", roles.len()),
            (_, Some(file)) => format!("the roles in {}, by {own}", file.display()),
        }
    }

    /// Returns the options that select the same accounts and Regions, for a command to run next.
    pub(crate) fn as_options(&self) -> String {
        let regions = (!self.regions.is_empty()).then(|| format!(" --region {}", self.regions.join(",")));
        self.credential_options() + &regions.unwrap_or_default()
    }

    /// Returns the options that select the same accounts.
    pub(crate) fn credential_options(&self) -> String {
        let option = |name: &str, value: &str| format!(" {name} {}", shell_quoted(value));
        let profile = self.profile.iter().map(|profile| option("--profile", profile));
        let roles = self.role_arns.iter().map(|role| option("--role-arn", &role.to_string()));
        let file = self.accounts_file.iter();
        let file = file.map(|file| option("--accounts-file", &file.display().to_string()));
        let options: String = profile.chain(roles).chain(file).collect();
        options + &self.organization.as_options()
    }

    /// Returns the accounts, to be entered one by one. `command` is the command that works in them.
    ///
    /// # Errors
    /// Returns an error if the profile does not exist, or the accounts file cannot be read or contains no role.
    pub(crate) async fn accounts(&self, command: &'static str) -> anyhow::Result<Accounts> {
        self.accounts_in(&self.regions, true, command).await
    }

    /// Enters the accounts, and finds their Regions. `command` is the command that works in them.
    ///
    /// # Errors
    /// As for [`Self::accounts`], and if an account has no Region of a name that was passed. Accounts that cannot be
    /// entered are in the result.
    pub(crate) async fn fleet(&self, command: &'static str) -> anyhow::Result<Fleet> {
        self.accounts(command).await?.enter_all(&self.environment.screen).await
    }

    /// Enters those of the accounts that are among `accounts`, in `regions`, or in those of them that `--region` names.
    ///
    /// # Errors
    /// As for [`Self::fleet`].
    pub(crate) async fn fleet_in(
        &self,
        accounts: &BTreeSet<String>,
        regions: BTreeSet<String>,
        command: &'static str,
    ) -> anyhow::Result<Fleet> {
        let regions: Vec<_> = regions.into_iter().filter(|region| self.includes_region(region)).collect();
        if regions.is_empty() {
            return Ok(Fleet::default());
        }
        let mut selected = self.accounts_in(&regions, false, command).await?;
        selected.accounts.retain(|account| account.may_be_in(accounts));
        selected.enter_all(&self.environment.screen).await
    }

    /// Returns the aggregator `name`, in the Region of the credentials, asked for resources of these types.
    ///
    /// # Errors
    /// Returns an error if the profile does not exist.
    pub(crate) async fn aggregator(
        &self,
        name: &str,
        types: &[ResourceType<'_>],
    ) -> anyhow::Result<Aggregator> {
        let client = clients::config(&self.own_credentials().await?, &CallsInFlight::default());
        Ok(Aggregator::new(client, name, types, &self.regions))
    }

    /// Returns whether the selection includes a Region.
    pub(crate) fn includes_region(&self, region: &str) -> bool {
        self.regions.is_empty() || self.regions.iter().any(|selected| selected == region)
    }

    async fn accounts_in(
        &self,
        regions: &[String],
        is_checked: bool,
        command: &'static str,
    ) -> anyhow::Result<Accounts> {
        let screen = &self.environment.screen;
        let status = screen.status("Reading AWS credentials");
        let roles = without_repetitions(&self.roles()?, "role", screen);
        let own = self.own_credentials().await?;
        let accounts = if let Some(role) = self.organization.role() {
            status.set_status("Listing the accounts of the organization");
            let listed = self.organization.accounts(&own, role).await?;
            Account::of_organization(&own, self.profile.as_deref(), listed).await?
        } else if roles.is_empty() {
            vec![Account::own(&own, self.profile.as_deref())]
        } else {
            Account::of_roles(&own, roles)
        };
        let names = without_repetitions(regions, "Region", screen);
        let wanted = WantedRegions { names, is_checked, command };
        Ok(Accounts::new(accounts, wanted, &self.environment))
    }

    async fn own_credentials(&self) -> anyhow::Result<SdkConfig> {
        let loader = clients::sdk_defaults()?;
        let own = match &self.profile {
            Some(name) => profile::load(loader, name).await?,
            None => loader.load().await,
        };
        #[cfg(test)]
        let own = self.environment.sdk.clone().unwrap_or(own);
        let region = own.region().cloned().unwrap_or(Region::from_static(FALLBACK_REGION));
        Ok(own.to_builder().region(region).build())
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

/// Reads a file with a role ARN on each line.
fn read_roles(path: &Path) -> anyhow::Result<Vec<RoleArn>> {
    let text = text::read(path)?;
    let roles = text::items(&text).map(str::parse).collect::<Result<Vec<_>, _>>();
    let roles = roles.with_context(|| format!("{}", path.display()))?;
    ensure!(!roles.is_empty(), "{} contains no role: expected a role ARN on each line", path.display());
    Ok(roles)
}

/// Returns the items in order, each of them once, and prints those that are repeated.
fn without_repetitions<T: Clone + PartialEq + fmt::Display>(
    items: &[T],
    kind: &str,
    screen: &Screen,
) -> Vec<T> {
    let mut unique: Vec<T> = Vec::with_capacity(items.len());
    for item in items {
        if unique.contains(item) {
            screen.note(&format!("{kind} {item} is named more than once: it is used once"));
        } else {
            unique.push(item.clone());
        }
    }
    unique
}
