//! The accounts that the function works in.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use aws_config::SdkConfig;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use tokio::sync::Mutex;

use crate::aws::assume_role::assume_role;
use crate::aws::clients::{self, ResourceClients};
use crate::aws::http::HttpError;
use crate::aws::{CallsInFlight, RoleArn};

/// The session name that CloudTrail shows for the function's calls in a member account.
const SESSION_NAME: &str = "imdsv2-config-rule";

/// The clients of one account.
#[derive(Clone, Debug)]
pub struct AccountClients {
    /// AWS Config.
    pub config: aws_sdk_config::Client,
    /// The calls of these clients that AWS has not answered yet.
    pub calls: CallsInFlight,
    /// Made when they are needed: most changes need none, and making them takes a tenth of a start.
    resources: Arc<OnceLock<ResourceClients>>,
    sdk: SdkConfig,
}

impl AccountClients {
    /// Returns clients with the credentials and the Region of `sdk`, which record their calls in `calls`.
    #[must_use]
    pub fn new(sdk: SdkConfig, calls: CallsInFlight) -> Self {
        Self { config: clients::config(&sdk, &calls), calls, resources: Arc::default(), sdk }
    }

    /// Returns these clients with another one of AWS Config.
    pub(super) fn with_config(&self, config: aws_sdk_config::Client) -> Self {
        Self { config, ..self.clone() }
    }

    /// Returns the clients of EC2 and EC2 Auto Scaling.
    #[must_use]
    pub fn resources(&self) -> &ResourceClients {
        self.resources.get_or_init(|| ResourceClients::new(&self.sdk, &self.calls))
    }
}

/// The number of member accounts whose clients, and with them their credentials, are kept. An organization may have
/// thousands of accounts, and the clients of each take some 40 kB.
const KEPT_MEMBERS: usize = 500;

/// The clients of the accounts that the function works in.
#[derive(Debug)]
pub struct Accounts {
    sdk: SdkConfig,
    own: AccountClients,
    member_role_name: Option<String>,
    /// Kept between invocations: the SDK caches the credentials of a role with its clients, and renews them
    /// before they expire.
    members: Mutex<RecentMembers>,
}

impl Accounts {
    /// Uses the credentials of the environment. `member_role_name` is the role to assume in every account
    /// other than the function's own.
    ///
    /// # Errors
    /// Returns an error if a variable names a file of certificate authorities that cannot be used.
    pub async fn from_environment(member_role_name: Option<String>) -> Result<Self, HttpError> {
        // Lambda has no other credentials, and the chain of providers that looks for them takes time to set up.
        let credentials = EnvironmentVariableCredentialsProvider::new();
        let sdk = clients::sdk_defaults()?.credentials_provider(credentials).load().await;
        let own = AccountClients::new(sdk.clone(), CallsInFlight::default());
        Ok(Self { sdk, own, member_role_name, members: Mutex::default() })
    }

    /// Returns the clients for `account_id`: with the function's own credentials in its own account, with
    /// those of the member role in any other.
    ///
    /// # Errors
    /// Returns an error if another account is asked for and no member role is configured, or if `account_id`
    /// is not an account id.
    pub async fn clients(
        &self,
        account_id: &str,
        function: &FunctionIdentity<'_>,
    ) -> Result<AccountClients, AccountError> {
        if account_id == function.account_id {
            return Ok(self.own.clone());
        }
        let role_name = self.member_role_name.as_deref().ok_or_else(|| AccountError::NoMemberRole {
            account_id: account_id.to_owned(),
            own: function.account_id.to_owned(),
        })?;
        if account_id.is_empty() || !account_id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AccountError::InvalidAccountId(account_id.to_owned()));
        }
        let mut members = self.members.lock().await;
        if let Some(clients) = members.find(account_id) {
            return Ok(clients);
        }
        let role = RoleArn::new(function.partition, account_id, role_name);
        let calls = CallsInFlight::default();
        let sdk = assume_role(&self.sdk, &role, SESSION_NAME, &calls).await;
        let clients = AccountClients::new(sdk, calls);
        members.add(account_id, clients.clone());
        Ok(clients)
    }
}

/// The clients of the member accounts that had the most recent events, in the order of these.
#[derive(Debug, Default)]
struct RecentMembers(VecDeque<(String, AccountClients)>);

impl RecentMembers {
    /// Returns the clients of an account, which becomes the most recent one.
    fn find(&mut self, account_id: &str) -> Option<AccountClients> {
        let place = self.0.iter().position(|(id, _)| id == account_id)?;
        let member = self.0.remove(place)?;
        let clients = member.1.clone();
        self.0.push_back(member);
        Some(clients)
    }

    /// Adds an account as the most recent one. The least recent one may have to leave.
    fn add(&mut self, account_id: &str, clients: AccountClients) {
        if self.0.len() == KEPT_MEMBERS {
            self.0.pop_front();
        }
        self.0.push_back((account_id.to_owned(), clients));
    }
}

/// The partition and account of the function, read from its ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionIdentity<'a> {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: &'a str,
    /// The account of the function.
    pub account_id: &'a str,
}

impl<'a> FunctionIdentity<'a> {
    /// Reads `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME`.
    ///
    /// # Errors
    /// Returns an error if `arn` does not have these parts.
    pub fn from_arn(arn: &'a str) -> Result<Self, AccountError> {
        let mut parts = arn.split(':');
        match (parts.next(), parts.next(), parts.nth(2)) {
            (Some("arn"), Some(partition), Some(account_id)) if !account_id.is_empty() => {
                Ok(Self { partition, account_id })
            }
            _ => Err(AccountError::InvalidFunctionArn(arn.to_owned())),
        }
    }
}

/// Why the function cannot work in an account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The event belongs to another account, and no role is configured for it.
    #[error(
        "the event belongs to account {account_id}, but the function runs in account {own}; set the environment \
         variable MEMBER_ROLE_NAME to the name of a role that the function may assume there"
    )]
    NoMemberRole {
        /// The account of the event.
        account_id: String,
        /// The account of the function.
        own: String,
    },
    /// `accountId` is not an account id.
    #[error("accountId is \"{0}\"; expected an AWS account id of 12 digits")]
    InvalidAccountId(String),
    /// The ARN in Lambda's context is not as documented.
    #[error("the ARN of the invoked function is \"{0}\"; expected arn:PARTITION:lambda:REGION:ACCOUNT:...")]
    InvalidFunctionArn(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_and_account_are_read_from_the_function_arn() {
        let arn = "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:rule";
        let expected = FunctionIdentity { partition: "aws-us-gov", account_id: "123456789012" };
        assert_eq!(FunctionIdentity::from_arn(arn).expect("valid"), expected);
        for bad in
            ["", "arn", "arn:aws:lambda:us-east-1", "arn:aws:lambda:us-east-1::function:x", "a:b:c:d:e"]
        {
            assert!(FunctionIdentity::from_arn(bad).is_err(), "{bad}");
        }
    }
}
