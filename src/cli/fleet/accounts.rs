//! The accounts and Regions that a command works in.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use aws_config::{Region, SdkConfig};
use clap::Args;
use clap_complete::{ArgValueCandidates, ArgValueCompleter};

use super::failures;
use super::profile;
use super::regions::{self, AccountRegions, RegionProblem};
use crate::aws::assume_role::assume_role;
use crate::aws::clients::{self, ResourceClients};
use crate::aws::{ApiError, RoleArn};
use crate::cli::clock::Clock;
use crate::cli::input::text;
use crate::cli::terminal::screen::Screen;
use crate::rule::instance::InstanceKey;
use crate::rule::remedy::shell_quoted;
use crate::rule::resource::Location;

/// The Region to ask for Regions if none is configured: every account of the partition has it.
const FALLBACK_REGION: &str = "us-east-1";
/// What errors call the account of the credentials in the environment.
const OWN_ACCOUNT: &str = "the account of the credentials";
/// The session name that CloudTrail shows for calls with an assumed role.
const SESSION_NAME: &str = "imdsv2";

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

    #[arg(skip)]
    pub(crate) environment: Environment,
}

/// What a command runs in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    pub(crate) clock: Clock,
    pub(crate) screen: Screen,
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

    /// Returns the name of the account, if the credentials may read it
    /// (<https://docs.aws.amazon.com/accounts/latest/reference/API_GetAccountInformation.html>).
    pub(crate) async fn account_name(&self) -> Option<String> {
        let response = clients::account(&self.sdk).get_account_information().send().await;
        response.map_err(|error| ApiError::new("GetAccountInformation", &error)).ok()?.account_name
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

    /// Describes the credentials that the selection works with.
    pub(crate) fn credentials(&self) -> String {
        let own = match &self.profile {
            Some(profile) => format!("profile {profile}"),
            None => "the credentials of the environment".to_owned(),
        };
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
        profile.chain(roles).chain(file).collect()
    }

    /// Enters the accounts, and finds their Regions. `command` is the command that works in them.
    ///
    /// # Errors
    /// Returns an error if the profile does not exist, the accounts file cannot be read or contains no role, or an
    /// account has no Region of a name that was passed. Accounts that cannot be entered are in the result.
    pub(crate) async fn fleet(&self, command: &'static str) -> anyhow::Result<Fleet> {
        self.enter(&self.regions, true, command).await
    }

    /// Enters the accounts in `regions`, or in those of them that `--region` names.
    ///
    /// # Errors
    /// As for [`Self::fleet`].
    pub(crate) async fn fleet_in(
        &self,
        regions: BTreeSet<String>,
        command: &'static str,
    ) -> anyhow::Result<Fleet> {
        let is_selected = |region: &String| self.regions.is_empty() || self.regions.contains(region);
        let regions: Vec<_> = regions.into_iter().filter(is_selected).collect();
        if regions.is_empty() { Ok(Fleet::default()) } else { self.enter(&regions, false, command).await }
    }

    /// Returns whether the selection includes a Region.
    pub(crate) fn includes_region(&self, region: &str) -> bool {
        self.regions.is_empty() || self.regions.iter().any(|selected| selected == region)
    }

    async fn enter(
        &self,
        regions: &[String],
        is_checked: bool,
        command: &'static str,
    ) -> anyhow::Result<Fleet> {
        let screen = &self.environment.screen;
        let status = screen.status("Reading AWS credentials");
        let roles = without_repetitions(&self.roles()?, "role", screen);
        let loader = clients::sdk_defaults();
        let own = match &self.profile {
            Some(name) => profile::load(loader, name).await?,
            None => loader.load().await,
        };
        #[cfg(test)]
        let own = self.environment.sdk.clone().unwrap_or(own);
        let regions = without_repetitions(regions, "Region", screen);
        let region = own.region().cloned().unwrap_or(Region::from_static(FALLBACK_REGION));
        let own = own.to_builder().region(region).build();

        let wanted = WantedRegions { names: &regions, is_checked, command };
        let (mut fleet, environment) = (Fleet::default(), &self.environment);
        if roles.is_empty() {
            status.set_status("Finding the Regions of the account");
            let name = match &self.profile {
                Some(profile) => format!("profile \"{profile}\""),
                None => OWN_ACCOUNT.to_owned(),
            };
            fleet.enter(&own, None, &name, &wanted, environment).await?;
        }
        for (number, role) in roles.iter().enumerate() {
            status.set_status(&format!("Entering account {} of {}", number + 1, roles.len()));
            let assumed = assume_role(&own, role, SESSION_NAME).await;
            fleet.enter(&assumed, Some(role), &role.to_string(), &wanted, environment).await?;
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

/// The Regions to work in.
struct WantedRegions<'a> {
    /// Their names; none stands for all that are enabled.
    names: &'a [String],
    /// Whether the account must have them.
    is_checked: bool,
    /// The command that works in them.
    command: &'static str,
}

impl WantedRegions<'_> {
    /// Returns the Regions of an account to work in, and what is wrong with the others.
    ///
    /// # Errors
    /// Returns an error if the account has no Region of a name.
    async fn of(&self, sdk: &SdkConfig) -> anyhow::Result<Result<(Vec<String>, Vec<String>), ApiError>> {
        if self.names.is_empty() {
            return Ok(AccountRegions::of(sdk).await.map(|regions| (regions.into_enabled(), Vec::new())));
        }
        // Credentials that may not list Regions may work in those that are named.
        let known = if self.is_checked { AccountRegions::of(sdk).await.ok() } else { None };
        let Some(known) = known else { return Ok(Ok((self.names.to_vec(), Vec::new()))) };
        let (mut regions, mut problems) = (Vec::new(), Vec::new());
        for name in self.names {
            match known.check(name) {
                Ok(()) => regions.push(name.clone()),
                Err(RegionProblem::NotEnabled) => {
                    problems.push(format!("the Region {name} is not enabled in the account"));
                }
                Err(RegionProblem::Unknown(Some(nearest))) => {
                    bail!("--region {name}: there is no such Region: did you mean {nearest}?")
                }
                Err(RegionProblem::Unknown(None)) => {
                    bail!("--region {name}: there is no such Region: expected a name such as eu-central-1")
                }
            }
        }
        Ok(Ok((regions, problems)))
    }
}

impl Fleet {
    /// Adds the account of `sdk`, unless it was entered before. `role` is the role that was assumed, if any.
    async fn enter(
        &mut self,
        sdk: &SdkConfig,
        role: Option<&RoleArn>,
        name: &str,
        wanted: &WantedRegions<'_>,
        environment: &Environment,
    ) -> anyhow::Result<()> {
        let account_id = match account_of(sdk).await {
            Ok(account_id) => account_id,
            Err(error) => {
                self.unreachable.push(cannot_enter(name, role, &error, wanted.command));
                return Ok(());
            }
        };
        if self.regions.iter().any(|region| region.location.account_id == account_id) {
            let note = format!("account {account_id} is reached by two roles: {name} is not used");
            environment.screen.note(&note);
            return Ok(());
        }
        match wanted.of(sdk).await? {
            Ok((regions, problems)) => {
                let clock = &environment.clock;
                let regions = regions.iter();
                self.regions
                    .extend(regions.map(|region| AccountRegion::new(&account_id, region, sdk, clock)));
                self.unreachable
                    .extend(problems.iter().map(|problem| format!("account {account_id}: {problem}")));
            }
            Err(error) => self.unreachable.push(cannot_enter(name, None, &error, wanted.command)),
        }
        Ok(())
    }
}

/// Describes why an account cannot be entered, and what to do about it.
fn cannot_enter(name: &str, role: Option<&RoleArn>, error: &ApiError, command: &str) -> String {
    match (role, error.credentials_failure()) {
        (Some(role), Some(reason)) => {
            let advice = if reason.contains("AccessDenied") {
                format!(
                    ": the trust policy of the role, in account {}, must allow the caller, and the caller's own \
                     policies must allow sts:AssumeRole",
                    role.account_id()
                )
            } else {
                String::new()
            };
            format!("cannot assume {role}: {}{advice}", reason.trim_end_matches('.'))
        }
        _ if error.is_without_credentials() && name == OWN_ACCOUNT => error.message.clone(),
        _ if error.is_without_credentials() => format!("{name}: {}", error.message),
        _ => format!("{name}: {}", failures::with_advice(error, command)),
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
