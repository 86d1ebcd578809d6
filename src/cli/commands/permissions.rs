//! `imdsv2 permissions`: the IAM policy that a command needs.

use std::io::{self, Write};

use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use crate::cli::exit::Completion;

/// Print the IAM policy that a command needs
///
/// Attach it to the credentials that the command works with: your own, or the role that --role-arn names. To assume
/// a role, your own credentials need sts:AssumeRole on it.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  imdsv2 permissions scan
  imdsv2 permissions remediate --automation-role \\
      arn:aws:iam::123456789012:role/imdsv2-config-rule-remediation-eu-central-1")]
pub(crate) struct Args {
    /// The command
    #[arg(value_enum)]
    command: CommandName,

    /// Add what `imdsv2 remediate --automation` needs, with the role that is passed to the runbook
    #[arg(long, value_name = "ARN")]
    automation_role: Option<String>,
}

/// A command that calls AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CommandName {
    Scan,
    Remediate,
    Restore,
}

/// The actions of `imdsv2 scan`.
const SCAN: &[&str] = &[
    "autoscaling:DescribeLaunchConfigurations",
    "cloudwatch:GetMetricData",
    "ec2:DescribeInstances",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeRegions",
    "ec2:GetInstanceMetadataDefaults",
];
/// The actions of `imdsv2 remediate` that change nothing.
const PLAN: &[&str] = &[
    "account:GetAccountInformation",
    "cloudwatch:GetMetricData",
    "ec2:DescribeInstances",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeRegions",
];
/// The actions of `imdsv2 restore` that change nothing.
const UNDO: &[&str] = &["ec2:DescribeInstances"];
const CHANGE: &[&str] = &["ec2:ModifyInstanceMetadataOptions"];
/// The actions of `imdsv2 remediate --automation`.
const AUTOMATION: &[&str] = &[
    "ssm:DescribeAutomationExecutions",
    "ssm:DescribeAutomationStepExecutions",
    "ssm:DescribeDocument",
    "ssm:GetAutomationExecution",
    "ssm:StartAutomationExecution",
    "ssm:StopAutomationExecution",
];

pub(crate) fn run(args: &Args) -> anyhow::Result<Completion> {
    let mut out = io::stdout();
    writeln!(out, "{:#}", policy(args))?;
    Ok(Completion::Clean)
}

/// Returns the policy
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>).
fn policy(args: &Args) -> Value {
    let mut statements = match args.command {
        CommandName::Scan => vec![statement("Read", SCAN)],
        CommandName::Remediate => vec![statement("Read", PLAN)],
        CommandName::Restore => vec![statement("Read", UNDO)],
    };
    match (args.command, &args.automation_role) {
        (CommandName::Scan, _) => {}
        (CommandName::Remediate, Some(role)) => {
            statements.push(statement("RunTheRunbook", AUTOMATION));
            statements.push(json!({
                "Sid": "PassItsRole",
                "Effect": "Allow",
                "Action": "iam:PassRole",
                "Resource": role,
                "Condition": {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}},
            }));
        }
        (CommandName::Remediate | CommandName::Restore, _) => statements.push(statement("Change", CHANGE)),
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn statement(id: &str, actions: &[&str]) -> Value {
    json!({"Sid": id, "Effect": "Allow", "Action": actions, "Resource": "*"})
}
