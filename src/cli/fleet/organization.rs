//! The accounts of an organization, by AWS Organizations.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{bail, ensure};
use aws_config::SdkConfig;
use aws_sdk_organizations::Client;
use aws_sdk_organizations::types::{Account, AccountState, AccountStatus};
use clap::Args;

use crate::aws::{ApiError, RoleArn, clients, iam};
use crate::rule::remedy::shell_quoted;

/// The options that select accounts of an organization.
#[derive(Debug, Args)]
pub(crate) struct OrganizationOptions {
    /// Work in all active accounts of the organization: in your own with your credentials, in each other one with the
    /// role that --role-name names. Needs the management account or a delegated administrator
    #[arg(long, requires = "role_name", conflicts_with_all = ["role_arns", "accounts_file"])]
    organization: bool,

    /// The name of the role to assume in each account of the organization, with its path if it has one
    #[arg(long, value_name = "NAME", requires = "organization", value_parser = role_name)]
    role_name: Option<String>,

    /// Only accounts in this organizational unit, or in one below it; may be repeated
    #[arg(long = "ou", value_name = "ID", requires = "organization", value_parser = unit_id)]
    units: Vec<String>,

    /// Leave out this account of the organization, or a list with commas; may be repeated
    #[arg(long = "exclude-account", value_name = "ID", value_delimiter = ',', requires = "organization")]
    #[arg(value_parser = account_id)]
    excluded: Vec<String>,
}

/// An active account of the organization.
#[derive(Debug)]
pub(super) struct OrganizationAccount {
    pub(super) id: String,
    pub(super) name: Option<String>,
    /// The role to assume in it.
    pub(super) role: RoleArn,
}

impl OrganizationOptions {
    /// Returns the name of the role, if the accounts are those of the organization.
    pub(super) fn role(&self) -> Option<&str> {
        self.role_name.as_deref().filter(|_| self.organization)
    }

    /// Returns the options that select the same accounts.
    pub(super) fn as_options(&self) -> String {
        let Some(role) = self.role() else { return String::new() };
        let role = format!(" --organization --role-name {}", shell_quoted(role));
        let units = self.units.iter().map(|unit| format!(" --ou {unit}"));
        let excluded = self.excluded.iter().map(|account| format!(" --exclude-account {account}"));
        std::iter::once(role).chain(units).chain(excluded).collect()
    }

    /// Lists the accounts that are active and selected.
    ///
    /// # Errors
    /// Returns an error if AWS Organizations does not list them, or if an account that is to be left out is not among
    /// them.
    pub(super) async fn accounts(
        &self,
        own: &SdkConfig,
        role: &str,
    ) -> anyhow::Result<Vec<OrganizationAccount>> {
        let client = clients::organizations(own);
        let listed = if self.units.is_empty() {
            all_accounts(&client).await
        } else {
            accounts_in(&client, self.units.clone()).await
        };
        let mut accounts = match listed {
            Ok(accounts) => accounts,
            Err(error) if error.has_code("AWSOrganizationsNotInUseException") => {
                bail!("--organization: the account of the credentials is in no organization")
            }
            Err(error) if error.is_access_denied() => bail!(
                "--organization: {error}: allow {}; only the management account and delegated administrators may list \
                 the accounts",
                iam::action(error.operation)
            ),
            Err(error) => bail!("--organization: {error}"),
        };
        for excluded in self.excluded.iter().collect::<BTreeSet<_>>() {
            ensure!(
                accounts.remove(excluded).is_some(),
                "--exclude-account {excluded}: the account is not among the selected ones of the organization"
            );
        }
        let active = accounts.into_values().filter(is_active);
        let active: Vec<_> = active.filter_map(|account| selected(account, role)).collect();
        ensure!(!active.is_empty(), "--organization: no active account is selected");
        Ok(active)
    }
}

fn selected(account: Account, role: &str) -> Option<OrganizationAccount> {
    let id = account.id?;
    let partition = account.arn.as_deref().and_then(|arn| arn.split(':').nth(1)).unwrap_or("aws");
    let role = RoleArn::new(partition, &id, role);
    Some(OrganizationAccount { id, name: account.name, role })
}

/// `State` replaces `Status` in 2026, and either may be missing
/// (<https://docs.aws.amazon.com/organizations/latest/APIReference/API_Account.html>).
fn is_active(account: &Account) -> bool {
    match (&account.state, status(account)) {
        (Some(state), _) => *state == AccountState::Active,
        (None, status) => status == Some(&AccountStatus::Active),
    }
}

#[allow(deprecated)] // until the SDK has it no more
fn status(account: &Account) -> Option<&AccountStatus> {
    account.status.as_ref()
}

/// The accounts, by id.
type Accounts = BTreeMap<String, Account>;

fn add(accounts: &mut Accounts, page: Vec<Account>) {
    accounts.extend(page.into_iter().filter_map(|account| Some((account.id.clone()?, account))));
}

async fn all_accounts(client: &Client) -> Result<Accounts, ApiError> {
    let mut accounts = Accounts::new();
    let mut pages = client.list_accounts().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| ApiError::new("ListAccounts", &error))?;
        add(&mut accounts, page.accounts.unwrap_or_default());
    }
    Ok(accounts)
}

/// Lists the accounts in organizational units, and in all units below these.
async fn accounts_in(client: &Client, units: Vec<String>) -> Result<Accounts, ApiError> {
    let (mut accounts, mut pending) = (Accounts::new(), units);
    while let Some(unit) = pending.pop() {
        let mut pages = client.list_accounts_for_parent().parent_id(&unit).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| ApiError::new("ListAccountsForParent", &error))?;
            add(&mut accounts, page.accounts.unwrap_or_default());
        }
        let below = client.list_organizational_units_for_parent().parent_id(&unit);
        let mut pages = below.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| ApiError::new("ListOrganizationalUnitsForParent", &error))?;
            pending.extend(page.organizational_units.into_iter().flatten().filter_map(|unit| unit.id));
        }
    }
    Ok(accounts)
}

/// Parses the name of a role, with its path
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
fn role_name(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-/".contains(c);
    let name = text.strip_prefix('/').unwrap_or(text);
    if name.is_empty() || name.ends_with('/') || !name.chars().all(is_allowed) {
        return Err("expected the name of a role, not its ARN, such as imdsv2-scanner".to_owned());
    }
    Ok(name.to_owned())
}

/// Parses the id of an organizational unit or of the root
/// (<https://docs.aws.amazon.com/organizations/latest/APIReference/API_OrganizationalUnit.html>).
fn unit_id(text: &str) -> Result<String, String> {
    let is_id = text.starts_with("ou-") || text.starts_with("r-");
    if is_id && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return Ok(text.to_owned());
    }
    Err("expected the id of an organizational unit, such as ou-a1b2-c3d4e5f6".to_owned())
}

fn account_id(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err("expected the id of an account: 12 digits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_state_or_status_says_whether_an_account_is_active() {
        let account = |state: Option<AccountState>, status: Option<AccountStatus>| {
            #[allow(deprecated)]
            Account::builder().set_state(state).set_status(status).build()
        };
        for (state, status, expected) in [
            (Some(AccountState::Active), None, true),
            (None, Some(AccountStatus::Active), true),
            (Some(AccountState::Active), Some(AccountStatus::Active), true),
            (Some(AccountState::Closed), Some(AccountStatus::Active), false),
            (Some(AccountState::Suspended), None, false),
            (None, Some(AccountStatus::Suspended), false),
            (None, Some(AccountStatus::PendingClosure), false),
            (None, None, false),
        ] {
            assert_eq!(is_active(&account(state.clone(), status.clone())), expected, "{state:?} {status:?}");
        }
    }

    #[test]
    fn arguments_are_checked() {
        for name in ["scanner", "/path/scanner", "path/scanner", "a+=,.@-_b"] {
            assert!(role_name(name).is_ok(), "{name}");
        }
        for name in ["", "/", "path/", "arn:aws:iam::123456789012:role/x", "a b"] {
            assert!(role_name(name).is_err(), "{name}");
        }
        assert!(unit_id("ou-a1b2-c3d4e5f6").is_ok() && unit_id("r-a1b2").is_ok());
        assert!(unit_id("Sandbox").is_err() && unit_id("ou-A").is_err());
        assert!(account_id("123456789012").is_ok() && account_id("12345678901").is_err());
    }
}
