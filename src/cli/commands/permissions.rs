//! `imdsv2 permissions`: the IAM policy that a command needs.

use std::io::{self, Write};

use clap::{Parser, ValueEnum};
use serde::Serialize;
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
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeLaunchConfigurations",
    "autoscaling:DescribeScalingActivities",
    "cloudwatch:GetMetricData",
    "cloudwatch:ListMetrics",
    "ec2:DescribeImages",
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
    "ec2:DescribeImages",
    "ec2:DescribeInstances",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeRegions",
    "ec2:GetInstanceMetadataDefaults",
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

/// An IAM policy
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyDocument<'a> {
    version: &'static str,
    statement: Vec<Statement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    sid: &'static str,
    effect: &'static str,
    action: &'a [&'a str],
    resource: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Value>,
}

impl<'a> Statement<'a> {
    fn allow(sid: &'static str, action: &'a [&'a str]) -> Self {
        Self { sid, effect: "Allow", action, resource: "*", condition: None }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Completion> {
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&policy(args))?)?;
    Ok(Completion::Clean)
}

fn policy(args: &Args) -> PolicyDocument<'_> {
    let mut statement = vec![match args.command {
        CommandName::Scan => Statement::allow("Read", SCAN),
        CommandName::Remediate => Statement::allow("Read", PLAN),
        CommandName::Restore => Statement::allow("Read", UNDO),
    }];
    match (args.command, &args.automation_role) {
        (CommandName::Scan, _) => {}
        (CommandName::Remediate, Some(role)) => {
            statement.push(Statement::allow("RunTheRunbook", AUTOMATION));
            statement.push(Statement {
                resource: role,
                condition: Some(json!({"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}})),
                ..Statement::allow("PassItsRole", &["iam:PassRole"])
            });
        }
        (CommandName::Remediate | CommandName::Restore, _) => {
            statement.push(Statement::allow("Change", CHANGE));
        }
    }
    PolicyDocument { version: "2012-10-17", statement }
}
