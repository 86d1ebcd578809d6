//! Accounts that are entered, and their Regions.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use aws_config::{Region, SdkConfig};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::failures;
use super::organization::OrganizationAccount;
use super::regions::{AccountRegions, RegionProblem};
use super::unreachable::Unreachable;
use crate::aws::assume_role::assume_role;
use crate::aws::clients::{self, ResourceClients};
use crate::aws::{ApiError, CallsInFlight, RoleArn};
use crate::cli::clock::Clock;
use crate::cli::terminal::screen::Screen;
use crate::rule::instance::InstanceKey;
use crate::rule::resource::Location;

/// What errors call the account of the credentials in the environment.
const OWN_ACCOUNT: &str = "the account of the credentials";
/// The session name that CloudTrail shows for calls with an assumed role.
const SESSION_NAME: &str = "imdsv2";
/// The number of accounts that are entered concurrently.
const CONCURRENT_ACCOUNTS: usize = 32;

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
    /// The name of the account in its organization, if it is known.
    name: Option<String>,
    sdk: SdkConfig,
}

impl AccountRegion {
    /// Returns the name of the account, if it is known or the credentials may read it
    /// (<https://docs.aws.amazon.com/accounts/latest/reference/API_GetAccountInformation.html>).
    pub(crate) async fn account_name(&self) -> Option<String> {
        if self.name.is_some() {
            return self.name.clone();
        }
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
    pub(crate) unreachable: Vec<Unreachable>,
}

/// Accounts that are to be entered.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) accounts: Vec<Account>,
    pub(crate) entrance: Arc<Entrance>,
}

/// What is needed to enter any account.
#[derive(Debug)]
pub(crate) struct Entrance {
    wanted: WantedRegions,
    environment: Environment,
}

/// An account that is to be entered.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// Its name in the organization, if it is known.
    name: Option<String>,
    own: SdkConfig,
    credentials: Credentials,
}

/// The credentials to enter an account with.
#[derive(Clone, Debug)]
enum Credentials {
    /// Those of the environment or of a profile; what errors call the account, and its id, if it is known.
    Own(String, Option<String>),
    /// A role in the account. The others are used, in order, if it cannot be entered with that one.
    Role(RoleArn, Vec<RoleArn>),
}

/// An account that was entered.
#[derive(Debug)]
pub(crate) struct EnteredAccount {
    pub(crate) account_id: String,
    /// Its name in the organization, if it is known.
    pub(crate) name: Option<String>,
    /// The names of the Regions to work in.
    pub(crate) regions: Vec<String>,
    /// What is wrong with other Regions that were named.
    pub(crate) problems: Vec<Unreachable>,
    sdk: SdkConfig,
    clock: Clock,
}

impl EnteredAccount {
    /// Returns a Region of the account, with new clients.
    pub(crate) fn region(&self, name: &str) -> AccountRegion {
        let sdk = self.sdk.to_builder().region(Region::new(name.to_owned())).build();
        AccountRegion {
            location: Location { account_id: self.account_id.clone(), region: name.to_owned() },
            resources: ResourceClients::new(&sdk, &CallsInFlight::default()),
            clock: self.clock.clone(),
            name: self.name.clone(),
            sdk,
        }
    }

    /// Returns the place of each Region.
    pub(crate) fn locations(&self) -> Vec<Location> {
        let location =
            |region: &String| Location { account_id: self.account_id.clone(), region: region.clone() };
        self.regions.iter().map(location).collect()
    }
}

impl Accounts {
    pub(super) fn new(accounts: Vec<Account>, wanted: WantedRegions, environment: &Environment) -> Self {
        Self { accounts, entrance: Arc::new(Entrance { wanted, environment: environment.clone() }) }
    }

    /// Enters all accounts.
    ///
    /// # Errors
    /// Returns an error if an account has no Region of a name that was passed.
    pub(super) async fn enter_all(self, screen: &Screen) -> anyhow::Result<Fleet> {
        let Self { accounts, entrance } = self;
        let count = accounts.len();
        let status = screen.status("Finding the Regions of the account");
        let slots = Arc::new(Semaphore::new(CONCURRENT_ACCOUNTS));
        let mut tasks = JoinSet::new();
        for (number, account) in accounts.into_iter().enumerate() {
            let (entrance, slots) = (Arc::clone(&entrance), Arc::clone(&slots));
            tasks.spawn(async move {
                let _slot = slots.acquire().await;
                (number, entrance.enter(account).await)
            });
        }
        let mut entered = Vec::with_capacity(count);
        while let Some(result) = tasks.join_next().await {
            let (number, result) = result.context("entering an account panicked")?;
            entered.push((number, result?));
            if count > 1 {
                status.set_status(&format!("Entered {} of {count} accounts", entered.len()));
            }
        }
        entered.sort_by_key(|(number, _)| *number);
        let mut fleet = Fleet::default();
        for (_, result) in entered {
            fleet.add(result);
        }
        Ok(fleet)
    }
}

impl Fleet {
    fn add(&mut self, entered: Result<EnteredAccount, Vec<Unreachable>>) {
        match entered {
            Ok(account) => {
                self.regions.extend(account.regions.iter().map(|region| account.region(region)));
                self.unreachable.extend(account.problems);
            }
            Err(reasons) => self.unreachable.extend(reasons),
        }
    }
}

impl Account {
    /// Returns whether this may be one of these accounts. Which one the credentials of the environment belong to is
    /// known when it is entered.
    pub(super) fn may_be_in(&self, account_ids: &BTreeSet<String>) -> bool {
        match &self.credentials {
            Credentials::Own(..) => true,
            Credentials::Role(role, _) => account_ids.contains(role.account_id()),
        }
    }

    /// Returns the account of the credentials in the environment, or of a profile.
    pub(super) fn own(own: &SdkConfig, profile: Option<&str>) -> Self {
        Self { name: None, own: own.clone(), credentials: Credentials::Own(own_name(profile), None) }
    }

    /// Returns accounts of an organization. That of the credentials is entered with these.
    ///
    /// # Errors
    /// Returns an error if it is not known which account the credentials belong to.
    pub(super) async fn of_organization(
        own: &SdkConfig,
        profile: Option<&str>,
        accounts: Vec<OrganizationAccount>,
    ) -> anyhow::Result<Vec<Self>> {
        let own_id = account_of(own).await.map_err(|error| anyhow!("{OWN_ACCOUNT}: {error}"))?;
        let account = |OrganizationAccount { id, name, role }| {
            let credentials = if id == own_id {
                Credentials::Own(own_name(profile), Some(id))
            } else {
                Credentials::Role(role, Vec::new())
            };
            Self { name, own: own.clone(), credentials }
        };
        Ok(accounts.into_iter().map(account).collect())
    }

    /// Returns the accounts of roles, each once, in the order of the roles.
    pub(super) fn of_roles(own: &SdkConfig, roles: Vec<RoleArn>) -> Vec<Self> {
        let mut accounts: Vec<Self> = Vec::new();
        let mut places = HashMap::new();
        for role in roles {
            let place = *places.entry(role.account_id().to_owned()).or_insert(accounts.len());
            let known = accounts.get_mut(place).map(|account| &mut account.credentials);
            if let Some(Credentials::Role(_, others)) = known {
                others.push(role);
            } else {
                let credentials = Credentials::Role(role, Vec::new());
                accounts.push(Self { name: None, own: own.clone(), credentials });
            }
        }
        accounts
    }
}

/// Returns what errors call the account of the credentials in the environment, or of a profile.
fn own_name(profile: Option<&str>) -> String {
    profile.map_or_else(|| OWN_ACCOUNT.to_owned(), |profile| format!("profile \"{profile}\""))
}

/// The role, or what errors call the account of the credentials in the environment.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.credentials {
            Credentials::Own(name, _) => f.write_str(name),
            Credentials::Role(role, _) => role.fmt(f),
        }
    }
}

impl Entrance {
    /// Enters an account, and finds its Regions. The inner error has the reasons why it cannot be entered.
    ///
    /// # Errors
    /// Returns an error if the account has no Region of a name that was passed.
    pub(crate) async fn enter(
        &self,
        account: Account,
    ) -> anyhow::Result<Result<EnteredAccount, Vec<Unreachable>>> {
        let Account { name: account_name, own, credentials } = account;
        match credentials {
            Credentials::Own(name, known) => {
                let account_id = match known {
                    Some(account_id) => Ok(account_id),
                    None => account_of(&own).await,
                };
                let entered = match account_id {
                    Ok(account_id) => self.with_credentials(own, account_id, account_name, true).await?,
                    Err(error) => Err(error),
                };
                Ok(entered.map_err(|error| vec![cannot_enter_own(&name, &error, self.wanted.command)]))
            }
            Credentials::Role(first, others) => {
                let mut reasons = Vec::new();
                let mut roles = std::iter::once(first).chain(others);
                while let Some(role) = roles.next() {
                    let assumed = assume_role(&own, &role, SESSION_NAME, &CallsInFlight::default()).await;
                    let (account_id, name) = (role.account_id().to_owned(), account_name.clone());
                    match self.with_credentials(assumed, account_id, name, false).await? {
                        Ok(mut entered) => {
                            entered.problems.extend(reasons);
                            roles.for_each(|unused| self.note_unused(&entered.account_id, &unused));
                            return Ok(Ok(entered));
                        }
                        Err(error) => reasons.push(Unreachable::Role(role, error)),
                    }
                }
                Ok(Err(reasons))
            }
        }
    }

    fn note_unused(&self, account_id: &str, role: &RoleArn) {
        let note = format!("account {account_id} is reached by two roles: {role} is not used");
        self.environment.screen.note(&note);
    }

    /// Finds the Regions of an account. `is_valid` is whether the credentials are known to be valid.
    async fn with_credentials(
        &self,
        sdk: SdkConfig,
        account_id: String,
        name: Option<String>,
        is_valid: bool,
    ) -> anyhow::Result<Result<EnteredAccount, ApiError>> {
        Ok(self.wanted.of(&sdk, is_valid).await?.map(|(regions, problems)| EnteredAccount {
            problems: problems
                .iter()
                .map(|problem| Unreachable::Other(format!("account {account_id}: {problem}")))
                .collect(),
            account_id,
            name,
            regions,
            sdk,
            clock: self.environment.clock.clone(),
        }))
    }
}

/// The Regions to work in.
#[derive(Debug)]
pub(super) struct WantedRegions {
    /// Their names; none stands for all that are enabled.
    pub(super) names: Vec<String>,
    /// Whether the account must have them.
    pub(super) is_checked: bool,
    /// The command that works in them.
    pub(super) command: &'static str,
}

impl WantedRegions {
    /// Returns the Regions of an account to work in, and what is wrong with the others. The inner error says why the
    /// account cannot be entered.
    ///
    /// # Errors
    /// Returns an error if the account has no Region of a name.
    async fn of(
        &self,
        sdk: &SdkConfig,
        is_valid: bool,
    ) -> anyhow::Result<Result<(Vec<String>, Vec<String>), ApiError>> {
        if !self.names.is_empty() && !self.is_checked {
            let checked = if is_valid { Ok(()) } else { account_of(sdk).await.map(|_| ()) };
            return Ok(checked.map(|()| (self.names.clone(), Vec::new())));
        }
        let known = match AccountRegions::of(sdk).await {
            Ok(known) if self.names.is_empty() => return Ok(Ok((known.into_enabled(), Vec::new()))),
            Ok(known) => known,
            Err(error) if self.names.is_empty() || error.is_about_credentials() => return Ok(Err(error)),
            // Credentials that may not list Regions may work in those that are named.
            Err(_) => return Ok(Ok((self.names.clone(), Vec::new()))),
        };
        let (mut regions, mut problems) = (Vec::new(), Vec::new());
        for name in &self.names {
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

/// Describes why the account of the credentials in the environment or of a profile cannot be entered.
fn cannot_enter_own(name: &str, error: &ApiError, command: &str) -> Unreachable {
    Unreachable::Other(match error.is_without_credentials() {
        true if name == OWN_ACCOUNT => error.message.clone(),
        true => format!("{name}: {}", error.message),
        false => format!("{name}: {}", failures::with_advice(error, command)),
    })
}

/// Returns the id of the account that credentials belong to
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>).
async fn account_of(sdk: &SdkConfig) -> Result<String, ApiError> {
    const OPERATION: &str = "GetCallerIdentity";
    let identity = clients::sts(sdk).get_caller_identity().send().await;
    let identity = identity.map_err(|error| ApiError::new(OPERATION, &error))?;
    identity.account.ok_or_else(|| ApiError::unexpected_response(OPERATION, "the response has no account"))
}
