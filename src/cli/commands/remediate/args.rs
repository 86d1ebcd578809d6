//! The options of `imdsv2 remediate`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use clap::builder::PossibleValue;
use clap::{Parser, ValueEnum};

use super::canary::CanarySize;
use crate::cli::filter::{Filter, FilterOptions, parameters_option};
use crate::cli::fleet::selection::Selection;
use crate::cli::output::changes::ChangeFormat;
use crate::cli::output::output_file;
use crate::rule::enforcement::{EnforcementPolicy, OnConcern};
use crate::rule::policy::Policy;
use crate::rule::resource::ResourceType;

/// Require IMDSv2 on non-compliant instances that do not use IMDSv1
///
/// Lists instances as `imdsv2 scan` does, asks CloudWatch for IMDSv1 calls, prints a plan, asks for
/// confirmation, and sets HttpTokens=required. An instance that made IMDSv1 calls, or of which
/// CloudWatch does not have enough data, is skipped. The IMDS endpoint is never enabled, and the hop
/// limit is never lowered. Each change is written to the journal, on disk, before it is made;
/// `imdsv2 restore` undoes it. Ctrl-C finishes the changes in progress and starts no more.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  imdsv2 remediate --region eu-central-1 --dry-run
  imdsv2 remediate --region eu-central-1 --instance-id i-0123456789abcdef0
  imdsv2 remediate --tag team=web --limit 20 --details
  imdsv2 remediate --from scan.json --canary 5% --soak 1h --journal monday.jsonl
  imdsv2 remediate --accounts-file roles.txt --hop-limit 2 --yes --format json
  imdsv2 remediate --automation imdsv2-config-rule-EnforceImdsv2 \\
      --automation-role arn:aws:iam::123456789012:role/imdsv2-config-rule-remediation-eu-central-1
  imdsv2 restore monday.jsonl

Exit status: 0 every instance requires IMDSv2, 1 some do not, 2 an error.")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) selection: Selection,

    /// An instance to remediate; may be repeated [default: all non-compliant instances]
    #[arg(help_heading = "Accounts and Regions")]
    #[arg(long = "instance-id", value_name = "ID", value_parser = instance_id)]
    pub(super) instance_ids: Vec<String>,

    /// Remediate what a scan found: a file that `imdsv2 scan --format json` wrote, or - for standard input
    #[arg(help_heading = "Accounts and Regions")]
    #[arg(long, value_name = "FILE", conflicts_with = "instance_ids")]
    pub(super) from: Option<PathBuf>,

    #[command(flatten)]
    pub(super) filter: FilterOptions,

    /// Change at most N instances
    #[arg(help_heading = "Resources")]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: Option<u32>,

    /// Accepted for commands that are shared with scan: only non-compliant instances are ever changed
    #[arg(help_heading = "Resources")]
    #[arg(long, value_name = "COMPLIANCE", value_parser = ["non-compliant"])]
    only: Option<String>,

    /// The look-back period for IMDSv1 calls, in days, at most 455; 0 does not check for calls
    #[arg(help_heading = "Conditions")]
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u16).range(..=455))]
    usage_days: u16,

    /// Report who makes IMDSv1 calls on skipped instances: a file that `imdsv2 callers --format json` wrote
    #[arg(help_heading = "Conditions")]
    #[arg(long, value_name = "FILE")]
    pub(super) callers: Option<PathBuf>,

    /// What to do with an instance of which CloudWatch does not have enough data
    #[arg(help_heading = "Conditions")]
    #[arg(long, value_enum, default_value_t = OnConcern::Stop)]
    on_unknown_usage: OnConcern,

    /// What to do with an instance that made IMDSv1 calls only within an hour of its last start
    #[arg(help_heading = "Conditions")]
    #[arg(long, value_enum, default_value_t = OnConcern::Stop)]
    on_boot_calls: OnConcern,

    /// Require IMDSv2 even if IMDSv1 is in use or its use is unknown. Software that uses IMDSv1 loses access
    #[arg(help_heading = "Conditions")]
    #[arg(long)]
    force: bool,

    /// Raise the hop limit to N, 1 to 64; containers often need 2. A higher hop limit is kept
    #[arg(help_heading = "Conditions")]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=64))]
    hop_limit: Option<i32>,

    /// The rule parameters, as a JSON object of strings; exempt instances are not changed
    #[arg(help_heading = "Conditions")]
    #[arg(long, value_name = "JSON", value_parser = Policy::from_rule_parameters)]
    parameters: Option<Policy>,

    /// Change nothing; ask EC2 whether each change would be allowed
    #[arg(help_heading = "Changes")]
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Apply without asking for confirmation
    #[arg(help_heading = "Changes")]
    #[arg(long)]
    pub(super) yes: bool,

    /// The number of instances to change concurrently
    #[arg(help_heading = "Changes")]
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) concurrency: u16,

    /// Change a few instances first, such as 5 or 10%, and the others only if these are refused no IMDSv1
    /// calls
    #[arg(help_heading = "Changes")]
    #[arg(long, value_name = "N|N%")]
    pub(super) canary: Option<CanarySize>,

    /// How long to watch the canary, such as 30m or 24h. CloudWatch data is some minutes late
    #[arg(help_heading = "Changes")]
    #[arg(long, value_name = "DURATION", default_value = "15m", requires = "canary")]
    #[arg(value_parser = humantime::parse_duration)]
    pub(super) soak: Duration,

    /// The journal to create [default: imdsv2-<time>.jsonl in the current directory]
    #[arg(help_heading = "Changes")]
    #[arg(long, value_name = "FILE")]
    pub(super) journal: Option<PathBuf>,

    /// The output format
    #[arg(help_heading = "Output")]
    #[arg(long, value_enum, default_value_t = ChangeFormat::Table)]
    pub(super) format: ChangeFormat,

    /// The output file; - is standard output [default: standard output]
    #[arg(help_heading = "Output")]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// List what is planned for each instance, on the terminal or as CSV in a file
    #[arg(help_heading = "Output")]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub(super) details: Option<PathBuf>,

    #[command(flatten)]
    pub(super) automation: AutomationArgs,
}

/// The options for changes by a runbook.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Changes by a runbook")]
pub(super) struct AutomationArgs {
    /// An Automation runbook of Systems Manager that makes the changes; its name or ARN
    #[arg(long = "automation", value_name = "DOCUMENT")]
    pub(super) document: Option<String>,

    /// The role that the runbook assumes
    #[arg(long = "automation-role", value_name = "ARN", requires = "document")]
    pub(super) role_arn: Option<String>,

    /// The number of instances that an automation changes concurrently, such as 10 or 10%
    #[arg(long, value_name = "N|N%", default_value = "10", requires = "document")]
    pub(super) max_concurrency: String,

    /// The number of failures after which an automation starts no more changes, such as 0 or 10%
    #[arg(long, value_name = "N|N%", default_value = "0", requires = "document")]
    pub(super) max_errors: String,
}

impl Args {
    /// Returns the conditions for a change.
    pub(super) fn policy(&self) -> EnforcementPolicy {
        EnforcementPolicy {
            lookback_days: self.usage_days,
            on_unknown_usage: self.on_unknown_usage,
            on_boot_calls: self.on_boot_calls,
            force: self.force,
            hop_limit: self.hop_limit,
        }
    }

    /// Returns the output file; `None` is standard output.
    pub(super) fn output_file(&self) -> Option<&Path> {
        output_file(self.output.as_deref())
    }

    /// Returns the file for what is planned for each instance, if it goes to one.
    pub(super) fn details_file(&self) -> Option<&Path> {
        output_file(self.details.as_deref())
    }

    /// Returns the options that select the same instances, for the next command.
    pub(super) fn options_for_next(&self) -> String {
        let parameters = parameters_option(self.parameters.as_ref());
        format!("{}{}{parameters}", self.selection.as_options(), self.filter.as_options())
    }

    /// Returns the filter of instances.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read, or the filter leaves out all instances.
    pub(super) fn instance_filter(&self) -> anyhow::Result<Filter> {
        let filter = self.filter.filter()?;
        ensure!(
            filter.includes_type(&ResourceType::Instance),
            "--type leaves out instances, but remediate changes instances only: pass --type instance, or leave it out"
        );
        Ok(filter)
    }

    /// Returns the rule parameters.
    pub(super) fn rule_policy(&self) -> Policy {
        self.parameters.clone().unwrap_or_default()
    }
}

/// Parses the id of an instance
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html>).
pub(crate) fn instance_id(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("i-").unwrap_or_default();
    let is_hexadecimal = digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    if is_hexadecimal && matches!(digits.len(), 8 | 17) {
        return Ok(text.to_owned());
    }
    Err("expected an instance id: i- and 8 or 17 digits or letters from a to f, such as i-0123456789abcdef0"
        .to_owned())
}

impl ValueEnum for OnConcern {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Stop, Self::Proceed]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Stop => PossibleValue::new("stop").help("Skip the instance"),
            Self::Proceed => PossibleValue::new("proceed").help("Require IMDSv2"),
        })
    }
}
