//! Findings for Security Hub: batches that `BatchImportFindings` takes as they are, one a line.
//!
//! A batch has the findings of one account and Region, at most 100
//! (<https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html>). The format is
//! the AWS Security Finding Format
//! (<https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format-syntax.html>).

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Evaluation, Output};
use crate::rule::verdict::{Compliance, Summary};

const BATCH: usize = 100;
/// Where a reader of a finding learns what to do.
const GUIDE: &str =
    "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html";

pub(crate) struct Asff<W> {
    writer: W,
    now: String,
    /// The findings of each account and Region that are not written yet.
    batches: BTreeMap<(String, String), Vec<Value>>,
}

impl<W: Write> Asff<W> {
    pub(crate) fn new(writer: W) -> Self {
        let now = OffsetDateTime::now_utc();
        // Milliseconds, as Security Hub writes them. A time of this age formats; if not, Security Hub says
        // what is wrong.
        let now = now.replace_millisecond(now.millisecond()).unwrap_or(now).format(&Rfc3339);
        let now = now.unwrap_or_default();
        Self { writer, now, batches: BTreeMap::new() }
    }

    fn write(&mut self, findings: &[Value]) -> io::Result<()> {
        serde_json::to_writer(&mut self.writer, &json!({"Findings": findings}))?;
        self.writer.write_all(b"\n")
    }
}

impl<W: Write> Output for Asff<W> {
    fn evaluation(&mut self, evaluation: &Evaluation<'_>) -> io::Result<()> {
        if !evaluation.is_judged_type {
            return Ok(());
        }
        let (Some(account), Some(region)) = (evaluation.account_id, evaluation.region) else {
            return Err(io::Error::other(format!(
                "a finding needs the account and the Region of {}, which its record does not have",
                evaluation.resource_id
            )));
        };
        let finding = finding(evaluation, account, region, &self.now);
        let batch = self.batches.entry((account.to_owned(), region.to_owned())).or_default();
        batch.push(finding);
        if batch.len() < BATCH {
            return Ok(());
        }
        let full = std::mem::take(batch);
        self.write(&full)
    }

    fn finish(&mut self, _: &Summary, _: &[String]) -> io::Result<()> {
        for batch in std::mem::take(&mut self.batches).into_values().filter(|batch| !batch.is_empty()) {
            self.write(&batch)?;
        }
        self.writer.flush()
    }
}

fn finding(evaluation: &Evaluation<'_>, account: &str, region: &str, now: &str) -> Value {
    let partition = partition(region);
    let resource = Resource::of(evaluation, partition, account, region);
    let (status, workflow, severity, record) = match evaluation.compliance {
        Compliance::NonCompliant => ("FAILED", "NEW", "HIGH", "ACTIVE"),
        Compliance::Compliant => ("PASSED", "RESOLVED", "INFORMATIONAL", "ACTIVE"),
        Compliance::NotApplicable => ("NOT_AVAILABLE", "RESOLVED", "INFORMATIONAL", "ARCHIVED"),
    };
    json!({
        "SchemaVersion": "2018-10-08",
        // The same at every scan, so that a scan updates the findings of the one before.
        "Id": format!("imdsv2/{account}/{region}/{}", evaluation.resource_id),
        "ProductArn": format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default"),
        "GeneratorId": "imdsv2",
        "AwsAccountId": account,
        "Region": region,
        "Types": ["Software and Configuration Checks/AWS Security Best Practices"],
        "CreatedAt": now,
        "UpdatedAt": now,
        "Severity": {"Label": severity},
        "Title": resource.title,
        "Description": evaluation.annotation,
        "Remediation": {"Recommendation": {"Text": "Require IMDSv2 (HttpTokens=required).", "Url": GUIDE}},
        "Resources": [{
            "Type": resource.asff_type, "Id": resource.arn, "Partition": partition, "Region": region,
        }],
        "Compliance": {"Status": status},
        "Workflow": {"Status": workflow},
        "RecordState": record,
    })
}

/// A resource in Security Hub's words.
struct Resource {
    asff_type: &'static str,
    arn: String,
    title: &'static str,
}

impl Resource {
    fn of(evaluation: &Evaluation<'_>, partition: &str, account: &str, region: &str) -> Self {
        let id = evaluation.resource_id;
        let ec2 = |kind| format!("arn:{partition}:ec2:{region}:{account}:{kind}/{id}");
        match evaluation.resource_type {
            "AWS::EC2::Instance" => Self {
                asff_type: "AwsEc2Instance",
                arn: ec2("instance"),
                title: "EC2 instances should require IMDSv2",
            },
            "AWS::EC2::LaunchTemplate" => Self {
                asff_type: "AwsEc2LaunchTemplate",
                arn: ec2("launch-template"),
                title: "EC2 launch templates should require IMDSv2",
            },
            "AWS::AutoScaling::LaunchConfiguration" => Self {
                asff_type: "AwsAutoScalingLaunchConfiguration",
                arn: id.to_owned(),
                title: "Launch configurations should require IMDSv2",
            },
            _ => Self {
                asff_type: "AwsAccount",
                arn: format!("AWS::::Account:{account}"),
                title: "New EC2 instances should require IMDSv2 by default",
            },
        }
    }
}

/// The partition that a Region is in
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>).
fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_is_told_by_the_region() {
        for (region, expected) in
            [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("", "aws")]
        {
            assert_eq!(partition(region), expected, "{region}");
        }
    }
}
