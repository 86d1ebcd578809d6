//! What is checked of each type of resource, in the words of reports: an id, a title, and how to fix it.

use crate::rule::controls::{Control, control_of};
use crate::rule::printable::printable;

/// The page on how to fix a finding.
pub(super) const GUIDE: &str =
    "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html";
/// What to do, in a few words.
pub(super) const REMEDIATION: &str = "Require IMDSv2 (HttpTokens=required).";

/// What is checked of a type of resource.
pub(super) struct Check {
    pub(super) id: &'static str,
    pub(super) resource_type: &'static str,
    pub(super) title: &'static str,
}

/// All checks. The last one is of account-level defaults.
pub(super) const CHECKS: [Check; 5] = [
    Check {
        id: "imdsv2-instance",
        resource_type: "AWS::EC2::Instance",
        title: "EC2 instances should require IMDSv2",
    },
    Check {
        id: "imdsv2-launch-template",
        resource_type: "AWS::EC2::LaunchTemplate",
        title: "EC2 launch templates should require IMDSv2",
    },
    Check {
        id: "imdsv2-launch-configuration",
        resource_type: "AWS::AutoScaling::LaunchConfiguration",
        title: "Launch configurations should require IMDSv2",
    },
    Check {
        id: "imdsv2-auto-scaling-group",
        resource_type: "AWS::AutoScaling::AutoScalingGroup",
        title: "Auto Scaling groups should launch instances that require IMDSv2",
    },
    Check {
        id: "imdsv2-account-defaults",
        resource_type: "AWS::::Account",
        title: "New EC2 instances should require IMDSv2 by default",
    },
];

impl Check {
    /// Returns the check of a type, with its number. Types that are not judged have none.
    pub(super) fn of(resource_type: &str) -> Option<(usize, &'static Self)> {
        CHECKS.iter().enumerate().find(|(_, check)| check.resource_type == resource_type)
    }

    /// Returns the control of Security Hub that checks the same, if there is one.
    pub(super) fn control(&self) -> Option<&'static Control> {
        control_of(self.resource_type)
    }
}

/// Returns text from outside, as it may be shown. XML has no way to write the last two characters.
pub(super) fn shown(text: &str) -> String {
    printable(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
