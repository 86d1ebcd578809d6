//! Accounts that were not entered, as one line for each cause: a role that hundreds of accounts lack is one cause.

use std::collections::BTreeMap;

use super::failures;
use crate::aws::{ApiError, RoleArn};

/// Why an account, or a part of it, was not entered.
#[derive(Clone, Debug)]
pub(crate) enum Unreachable {
    /// A call failed that was made with a role in the account, or for its credentials.
    Role(RoleArn, ApiError),
    /// The command was interrupted before the turn of this account.
    Interrupted(String),
    /// Something else, as a sentence.
    Other(String),
}

/// Returns a line for each cause, sorted. `command` is the command that prints them.
pub(crate) fn lines(unreachable: &[Unreachable], command: &str) -> Vec<String> {
    let mut causes: BTreeMap<_, Vec<(&RoleArn, &ApiError)>> = BTreeMap::new();
    let (mut lines, mut interrupted) = (Vec::new(), Vec::new());
    for each in unreachable {
        match each {
            Unreachable::Role(role, error) => {
                let cause = (role.name(), error.operation, error.code.as_deref().unwrap_or(&error.message));
                causes.entry(cause).or_default().push((role, error));
            }
            Unreachable::Interrupted(account) => interrupted.push(account),
            Unreachable::Other(sentence) => lines.push(sentence.clone()),
        }
    }
    match interrupted.as_slice() {
        [] => {}
        [account] => lines.push(format!("{account}: not scanned: interrupted")),
        accounts => lines.push(format!("{} accounts were not scanned: interrupted", accounts.len())),
    }
    lines.extend(causes.into_values().filter_map(|same| line(&same, command)));
    lines.sort();
    lines
}

/// Describes one cause. The message of AWS is that of the first account; those of the others name these instead.
fn line(same: &[(&RoleArn, &ApiError)], command: &str) -> Option<String> {
    let (role, error) = same.first()?;
    let mut accounts: Vec<_> = same.iter().map(|(role, _)| role.account_id()).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let (place, which) = if let [account] = accounts.as_slice() {
        (role.to_string(), format!("in account {account},"))
    } else {
        // All of them: who has to create the role needs the list.
        let place =
            format!("the role {} in {} accounts ({})", role.name(), accounts.len(), accounts.join(", "));
        (place, "in each of these accounts,".to_owned())
    };
    if !error.is_from_assuming_a_role() {
        return Some(format!("{place}: {}", failures::with_advice(error, command)));
    }
    let reason = error.reason();
    let reason = reason.trim_end_matches('.');
    Some(if error.is_access_denied() {
        format!(
            "cannot assume {place}: {reason}: the trust policy of the role, {which} must allow the caller, and the \
             caller's own policies must allow sts:AssumeRole"
        )
    } else {
        format!("cannot assume {place}: {reason}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(account: &str) -> Unreachable {
        let role = RoleArn::new("aws", account, "path/scanner");
        let message = format!("not authorized on {role}.");
        let code = Some("AccessDenied".to_owned());
        Unreachable::Role(role, ApiError { operation: "AssumeRole", code, message, unanswered: false })
    }

    #[test]
    fn a_cause_in_many_accounts_is_one_line_that_names_them() {
        let other = Unreachable::Other("account 4: the Region us-x is not enabled".to_owned());
        let found = lines(&[denied("2"), denied("1"), other, denied("3")], "scan");
        assert_eq!(
            found,
            [
                "account 4: the Region us-x is not enabled",
                "cannot assume the role path/scanner in 3 accounts (1, 2, 3): AccessDenied: not authorized on \
                 arn:aws:iam::2:role/path/scanner: the trust policy of the role, in each of these accounts, must allow \
                 the caller, and the caller's own policies must allow sts:AssumeRole",
            ]
        );
    }
}
