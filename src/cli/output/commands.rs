//! A shell script of AWS CLI commands that make resources compliant. It does nothing until its first line is
//! removed.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{Conclusion, Finding, Output};
use crate::cli::terminal::printable::printable;
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
    /// The lines for each account.
    accounts: BTreeMap<String, Vec<String>>,
}

impl<W> Commands<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer, accounts: BTreeMap::new() }
    }
}

impl<W: Write> Output for Commands<W> {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        if finding.compliance == Compliance::NonCompliant && finding.is_judged_type {
            let account = finding.account_id.as_deref().unwrap_or_default();
            self.accounts.entry(account.to_owned()).or_default().push(lines(finding));
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

/// Returns the lines for a finding: a comment, and the command, commented out if the instance uses IMDSv1.
fn lines(finding: &Finding<'_>) -> String {
    let name = finding.name.as_deref().map_or_else(String::new, |name| format!(" ({name})"));
    let region = finding.region.as_deref().unwrap_or("unknown Region");
    let usage = match (finding.imdsv1_use, finding.imdsv1_calls) {
        (None, _) => String::new(),
        (Some(usage), None) => format!("; IMDSv1: {usage}"),
        (Some(usage), Some(calls)) => format!("; IMDSv1: {usage}, {calls} calls"),
    };
    let comment = format!("{region}: {}{name}: {}{usage}", finding.short_id(), finding.reason);
    let is_safe = finding.imdsv1_use.is_none_or(|usage| usage == "safe to enforce");
    let command = match finding.command.as_deref() {
        None => format!("# no command: {}", printable(&finding.annotation)),
        Some(command) if is_safe => command.to_owned(),
        Some(command) => format!("# {}", printable(command)),
    };
    format!("  # {}\n  {command}", printable(&comment))
}
