//! The IAM actions that calls need
//! (<https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>).

/// The operations whose IAM action is of another service than EC2, by that service.
const ACTIONS: [(&str, &str); 18] = [
    ("AssumeRole", "sts:AssumeRole"),
    ("DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingGroups"),
    ("DescribeAutomationExecutions", "ssm:DescribeAutomationExecutions"),
    ("DescribeAutomationStepExecutions", "ssm:DescribeAutomationStepExecutions"),
    ("DescribeDocument", "ssm:DescribeDocument"),
    ("DescribeLaunchConfigurations", "autoscaling:DescribeLaunchConfigurations"),
    ("DescribeScalingActivities", "autoscaling:DescribeScalingActivities"),
    ("GetAccountInformation", "account:GetAccountInformation"),
    ("GetAutomationExecution", "ssm:GetAutomationExecution"),
    ("GetCallerIdentity", "sts:GetCallerIdentity"),
    ("GetMetricData", "cloudwatch:GetMetricData"),
    ("ListAccounts", "organizations:ListAccounts"),
    ("ListAccountsForParent", "organizations:ListAccountsForParent"),
    ("ListMetrics", "cloudwatch:ListMetrics"),
    ("ListOrganizationalUnitsForParent", "organizations:ListOrganizationalUnitsForParent"),
    ("SelectAggregateResourceConfig", "config:SelectAggregateResourceConfig"),
    ("StartAutomationExecution", "ssm:StartAutomationExecution"),
    ("StopAutomationExecution", "ssm:StopAutomationExecution"),
];

/// Returns the IAM action that a call of `operation` needs.
#[must_use]
pub fn action(operation: &str) -> String {
    let other = ACTIONS.iter().find(|(name, _)| *name == operation);
    other.map_or_else(|| format!("ec2:{operation}"), |(_, action)| (*action).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_belong_to_services() {
        assert_eq!(action("DescribeInstances"), "ec2:DescribeInstances");
        assert_eq!(action("GetMetricData"), "cloudwatch:GetMetricData");
        assert!(ACTIONS.is_sorted(), "the table is sorted");
    }
}
