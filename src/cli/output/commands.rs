//! A shell script of AWS CLI commands that make resources compliant. It does nothing until its first line is
//! removed.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{Conclusion, Finding, Output};
use crate::rule::printable::printable;
use crate::rule::reason::Reason;
use crate::rule::usage::UsageState;
use crate::rule::verdict::Compliance;

const HEADER: &str = "\
exit 1 # Remove this line to run the commands below.
# AWS CLI commands that require IMDSv2. Software that uses IMDSv1 loses access: `imdsv2 remediate` checks for calls
# and can be undone, these commands do not check and cannot. Run the script with the credentials of each account.
set -eu
account=$(aws sts get-caller-identity --query Account --output text)
";

pub(super) struct Commands<W> {
    writer: W,
    /// Whether CloudWatch was asked for IMDSv1 calls.
    with_usage: bool,
    /// The lines for each account.
    accounts: BTreeMap<String, Vec<String>>,
}

impl<W> Commands<W> {
    pub(super) fn new(writer: W, with_usage: bool) -> Self {
        Self { writer, with_usage, accounts: BTreeMap::new() }
    }
}

impl<W: Write> Output for Commands<W> {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        if finding.compliance == Compliance::NonCompliant && finding.is_judged_type {
            let account = finding.account_id.as_deref().unwrap_or_default();
            self.accounts.entry(account.to_owned()).or_default().push(lines(finding, self.with_usage));
        }
        Ok(())
    }

    fn finish(&mut self, _: &Conclusion<'_>) -> io::Result<()> {
        self.writer.write_all(HEADER.as_bytes())?;
        for (account, mut lines) in std::mem::take(&mut self.accounts) {
            lines.sort_unstable();
            // An account id is 12 digits; a record may contain anything.
            let is_account = !account.is_empty() && account.chars().all(|c| c.is_ascii_digit());
            if is_account {
                writeln!(self.writer, "\nif [ \"$account\" = {account} ]; then :")?;
            } else {
                writeln!(
                    self.writer,
                    "\n# The records do not name the account of these resources.\nif true; then :"
                )?;
            }
            writeln!(self.writer, "{}\nfi", lines.join("\n"))?;
        }
        self.writer.flush()
    }
}

/// Returns the lines for a finding: a comment, and the command. It is commented out if the instance uses IMDSv1, or if
/// CloudWatch was asked whether it does, and did not say.
fn lines(finding: &Finding<'_>, with_usage: bool) -> String {
    let name = finding.name.as_deref().map_or_else(String::new, |name| format!(" ({name})"));
    let region = finding.region.as_deref().unwrap_or("unknown Region");
    let is_instance = finding.resource_type == "AWS::EC2::Instance";
    let needs_usage = with_usage && is_instance && finding.reason != Reason::HopLimit;
    let usage = match finding.imdsv1_phrase() {
        _ if needs_usage && finding.imdsv1_use.is_none() => "; IMDSv1: not checked".to_owned(),
        usage if usage.is_empty() => usage,
        usage => format!("; IMDSv1: {usage}"),
    };
    let comment = format!("{region}: {}{name}: {}{usage}", finding.short_id(), finding.reason);
    let is_safe = match finding.usage {
        None => !needs_usage,
        Some(usage) => usage == UsageState::NotInUse,
    };
    let command = match finding.command.as_deref() {
        None => format!("# no command: {}", printable(&finding.annotation)),
        Some(command) if is_safe => command.to_owned(),
        Some(command) => format!("# {}", printable(command)),
    };
    format!("  # {}\n  {command}", printable(&comment))
}
