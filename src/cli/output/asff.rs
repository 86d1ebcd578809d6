//! Findings for Security Hub, in batches that are input of `BatchImportFindings`: on each line, or in each file of a
//! directory.
//!
//! A batch contains findings of one account and Region, at most 100
//! (<https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html>). The format is
//! the AWS Security Finding Format
//! (<https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format-syntax.html>).

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::batch_directory::BatchDirectory;
use super::checks::{Check, GUIDE, REMEDIATION};
use super::{Conclusion, Finding, Output};
use crate::rule::resource::Location;
use crate::rule::verdict::Compliance;

const BATCH_SIZE: usize = 100;

pub(super) struct Asff {
    target: Target,
    now: String,
    /// The findings that are not written yet.
    batches: BTreeMap<Location, Vec<Value>>,
}

/// Where batches go.
pub(super) enum Target {
    /// Each to a line.
    Lines(Box<dyn Write + Send>),
    /// Each to a file.
    Directory(BatchDirectory),
}

impl Asff {
    pub(super) fn new(target: Target) -> Self {
        Self { target, now: timestamp(OffsetDateTime::now_utc()), batches: BTreeMap::new() }
    }

    fn write(&mut self, location: &Location, findings: &[Value]) -> io::Result<()> {
        let mut batch = Vec::new();
        super::json::write(&mut batch, &json!({"Findings": findings}))?;
        batch.push(b'\n');
        match &mut self.target {
            Target::Lines(writer) => writer.write_all(&batch),
            Target::Directory(directory) => directory.write(location, &batch),
        }
    }
}

impl Output for Asff {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        let Some((_, check)) = Check::of(&finding.resource_type) else { return Ok(()) };
        let Some(location) = finding.location() else {
            return Err(io::Error::other(format!(
                "ASFF requires the account and Region of {}, but its record does not contain them{}",
                finding.resource_id,
                if finding.file.is_some() { ": use --format ocsf for what is not deployed yet" } else { "" }
            )));
        };
        let asff_finding = asff_finding(finding, check, &location, &self.now);
        let batch = self.batches.entry(location.clone()).or_default();
        batch.push(asff_finding);
        if batch.len() < BATCH_SIZE {
            return Ok(());
        }
        let full = std::mem::take(batch);
        self.write(&location, &full)
    }

    fn finish(&mut self, _: &Conclusion<'_>) -> io::Result<()> {
        for (location, batch) in std::mem::take(&mut self.batches) {
            if !batch.is_empty() {
                self.write(&location, &batch)?;
            }
        }
        match &mut self.target {
            Target::Lines(writer) => writer.flush(),
            Target::Directory(directory) => directory.finish(),
        }
    }
}

/// Returns a time in UTC with milliseconds, as Security Hub writes times. All have the same width, so that their
/// alphabetical order is their order in time.
fn timestamp(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    // A current time can always be formatted. If not, Security Hub rejects the finding.
    time.format(format).unwrap_or_default()
}

fn asff_finding(finding: &Finding<'_>, check: &Check, location: &Location, now: &str) -> Value {
    let Location { account_id: account, region } = location;
    let partition = partition(region);
    let resource = AsffResource::of(finding, partition, account, region);
    let (status, workflow, severity, record) = match finding.compliance {
        Compliance::NonCompliant => ("FAILED", "NEW", "HIGH", "ACTIVE"),
        Compliance::Compliant => ("PASSED", "RESOLVED", "INFORMATIONAL", "ACTIVE"),
        Compliance::NotApplicable => ("NOT_AVAILABLE", "RESOLVED", "INFORMATIONAL", "ARCHIVED"),
    };
    let types = ["Software and Configuration Checks/AWS Security Best Practices"];
    let compliance = match check.control() {
        None => json!({"Status": status}),
        Some(control) => {
            // At most 32: https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_Compliance.html
            let requirements: Vec<_> = control.requirement_names().collect();
            json!({"Status": status, "RelatedRequirements": requirements})
        }
    };
    json!({
        "SchemaVersion": "2018-10-08",
        // The same in every scan, so that a scan updates the findings of the previous one.
        "Id": finding.stable_id(),
        "ProductArn": format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default"),
        "GeneratorId": "imdsv2",
        "AwsAccountId": account,
        "Region": region,
        "Types": types,
        "CreatedAt": now,
        "UpdatedAt": now,
        "Severity": {"Label": severity},
        // Security Hub updates severity and types from here, so that the changes of customers persist:
        // https://docs.aws.amazon.com/securityhub/latest/userguide/finding-update-batchimportfindings.html
        "FindingProviderFields": {"Severity": {"Label": severity}, "Types": types},
        "Title": check.title,
        "Description": finding.annotation,
        "Remediation": {"Recommendation": {"Text": REMEDIATION, "Url": GUIDE}},
        "Resources": [{
            "Type": resource.asff_type, "Id": resource.arn, "Partition": partition, "Region": region,
        }],
        "Compliance": compliance,
        "Workflow": {"Status": workflow},
        "RecordState": record,
    })
}

/// A resource in the terms of Security Hub.
struct AsffResource {
    asff_type: &'static str,
    arn: String,
}

impl AsffResource {
    fn of(finding: &Finding<'_>, partition: &str, account: &str, region: &str) -> Self {
        let id = finding.resource_id.as_ref();
        let ec2 = |kind| format!("arn:{partition}:ec2:{region}:{account}:{kind}/{id}");
        match finding.resource_type.as_ref() {
            "AWS::EC2::Instance" => Self { asff_type: "AwsEc2Instance", arn: ec2("instance") },
            "AWS::EC2::LaunchTemplate" => {
                Self { asff_type: "AwsEc2LaunchTemplate", arn: ec2("launch-template") }
            }
            "AWS::AutoScaling::LaunchConfiguration" => {
                Self { asff_type: "AwsAutoScalingLaunchConfiguration", arn: id.to_owned() }
            }
            "AWS::AutoScaling::AutoScalingGroup" => {
                Self { asff_type: "AwsAutoScalingAutoScalingGroup", arn: id.to_owned() }
            }
            _ => Self { asff_type: "AwsAccount", arn: format!("AWS::::Account:{account}") },
        }
    }
}

/// Returns the partition of a Region
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
    use time::macros::datetime;

    use super::*;

    #[test]
    fn partition_is_derived_from_the_region() {
        for (region, expected) in
            [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("", "aws")]
        {
            assert_eq!(partition(region), expected, "{region}");
        }
    }

    #[test]
    fn times_have_three_digits_of_milliseconds() {
        assert_eq!(timestamp(datetime!(2026-11-26 11:52:52.6004 UTC)), "2026-11-26T11:52:52.600Z");
        assert_eq!(timestamp(datetime!(2026-01-02 03:04:05 UTC)), "2026-01-02T03:04:05.000Z");
    }
}
