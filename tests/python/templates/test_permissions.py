"""Each role may do what was done with it in the tests, and no more.

The tests of the function and of the runbooks write the operations that they saw asked for to target/calls/, a line
each, such as ec2:DescribeInstances.
"""

import pytest
import yaml

from support import repository
from support.repository import CALLS, ROOT
from support.stack import Stack
from support.templates import as_list, load

# What a role is used for by AWS itself, and no test here can see.
BY_LAMBDA = {
    "logs:CreateLogStream": "Lambda writes what the function prints",
    "logs:PutLogEvents": "Lambda writes what the function prints",
    "sqs:SendMessage": "Lambda sends an event that it gives up",
    "kms:Decrypt": "SQS encrypts it, in the name of who sends it",
    "kms:GenerateDataKey": "SQS encrypts it, in the name of who sends it",
}
# What the function does by the stack's parameters only.
ON_A_SCHEDULE = {
    "autoscaling:DescribeLaunchConfigurations",
    "config:GetComplianceDetailsByConfigRule",
    "ec2:DescribeLaunchTemplates",
    "ec2:GetInstanceMetadataDefaults",
}
IN_MEMBERS = {"sts:AssumeRole"}
TEMPLATE = load("rule.yaml")
RUNBOOKS = {
    "RemediationRole": ["EnforceImdsv2"],
    "RestorationRole": ["RestoreMetadataOptions"],
    "PreventionRole": ["EnforceImdsv2AccountDefaults", "EnforceImdsv2LaunchTemplate"],
}


def calls(*names):
    """What the tests saw asked for."""
    found = set()
    for name in names:
        path = CALLS / f"{name}.txt"
        if not path.exists():
            pytest.fail(
                f"{path.relative_to(ROOT)} is missing: `make test` runs the tests that write it before this"
            )
        found |= set(path.read_text().split())
    return found


def allowed(role, parameters=None, conditions=None):
    """The actions that a role of the stack may take."""
    policies = Stack(TEMPLATE, parameters, conditions).resources("AWS::IAM::Role")[role]["Policies"]
    statements = [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]
    assert all(statement["Effect"] == "Allow" for statement in statements)
    return {action for statement in statements for action in as_list(statement["Action"])}


def differences(allows, made):
    """Where what is allowed and what is done differ, a sentence each."""
    return [f"{action} is allowed, and never asked for" for action in sorted(allows - made)] + [
        f"{action} is asked for, and not allowed" for action in sorted(made - allows)
    ]


def test_the_function_may_do_what_it_does_and_no_more():
    assert differences(allowed("EvaluatorRole", conditions=True), calls("bootstrap") | set(BY_LAMBDA)) == []


def test_without_options_the_function_may_not_do_what_they_need():
    needed = calls("bootstrap") - ON_A_SCHEDULE - IN_MEMBERS
    by_lambda = {action for action in BY_LAMBDA if not action.startswith("kms:")}
    assert differences(allowed("EvaluatorRole"), needed | by_lambda) == []


@pytest.mark.parametrize(
    ("parameters", "added"),
    [
        ({"Schedule": "One_Hour"}, ON_A_SCHEDULE),
        ({"MemberRoleName": "imdsv2-evaluator"}, IN_MEMBERS),
        (
            {"QueueKmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1"},
            {"kms:Decrypt", "kms:GenerateDataKey"},
        ),
    ],
)
def test_an_option_allows_what_it_needs(parameters, added):
    assert allowed("EvaluatorRole", parameters) - allowed("EvaluatorRole") == added


@pytest.mark.parametrize("role", RUNBOOKS)
def test_a_role_may_do_what_its_runbooks_did_and_no_more(role):
    assert differences(allowed(role), calls(*RUNBOOKS[role])) == []


def changes(runbook):
    """What a runbook sends to ModifyInstanceMetadataOptions."""
    document = yaml.safe_load((repository.RUNBOOKS / f"{runbook}.yaml").read_text())
    inputs = [step["inputs"] for step in document["mainSteps"]]
    return [each for each in inputs if each.get("Api") == "ModifyInstanceMetadataOptions"]


def allows(role, request):
    """Whether a role may send a request to ModifyInstanceMetadataOptions. ec2:Attribute/NAME is the request's
    NAME: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ExamplePolicies_EC2.html"""
    policies = Stack(TEMPLATE).resources("AWS::IAM::Role")[role]["Policies"]
    (statement,) = [
        statement
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        if "ec2:ModifyInstanceMetadataOptions" in as_list(statement["Action"])
    ]
    conditions = statement.get("Condition", {"StringEquals": {}})
    assert set(conditions) == {"StringEquals"}
    return all(
        request.get(key.removeprefix("ec2:Attribute/")) == value
        for key, value in conditions["StringEquals"].items()
    )


def test_only_the_role_that_restores_may_make_tokens_optional():
    assert all(allows("RemediationRole", request) for request in changes("EnforceImdsv2"))
    assert not any(allows("RemediationRole", request) for request in changes("RestoreMetadataOptions"))
    assert not allows("RemediationRole", {"HttpTokens": "optional"})
    assert not allows("RemediationRole", {"HttpEndpoint": "disabled"})
    assert all(allows("RestorationRole", request) for request in changes("RestoreMetadataOptions"))


@pytest.mark.parametrize("role", ["EvaluatorRole", *RUNBOOKS])
def test_the_comparison_is_shown_to_fail(role):
    allows = allowed(role, conditions=True)
    assert differences(allows, allows) == []
    for action in allows:
        assert differences(allows - {action}, allows) == [f"{action} is asked for, and not allowed"]
    more = allows | {"ec2:TerminateInstances"}
    assert differences(more, allows) == ["ec2:TerminateInstances is allowed, and never asked for"]
