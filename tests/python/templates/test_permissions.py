"""Each role allows the operations that were called with it in the tests, and no others.

The tests of the function and of the runbooks write these operations to target/calls/, for example
ec2:DescribeInstances, one a line.
"""

import pytest

from support.repository import CALLS, ROOT
from support.runbooks import load as load_runbook
from support.stack import Stack
from support.templates import as_list, load

# The operations that AWS calls with the role of the function, which no test observes.
BY_LAMBDA = {
    "logs:CreateLogStream": "Lambda writes what the function prints",
    "logs:PutLogEvents": "Lambda writes what the function prints",
    "sqs:SendMessage": "Lambda sends an event that failed for the last time",
    "kms:Decrypt": "SQS encrypts the event with the permissions of the sender",
    "kms:GenerateDataKey": "SQS encrypts the event with the permissions of the sender",
}
# The operation that depends on parameters of the stack.
IN_MEMBERS = {"sts:AssumeRole"}
RUNBOOKS = {
    "RemediationRole": ["EnforceImdsv2"],
    "RestorationRole": ["RestoreMetadataOptions"],
    "PreventionRole": ["EnforceImdsv2AccountDefaults", "EnforceImdsv2LaunchTemplate"],
}


def calls(*names):
    """Returns the operations that the tests observed."""
    operations = set()
    for name in names:
        path = CALLS / f"{name}.txt"
        if not path.exists():
            pytest.fail(f"{path.relative_to(ROOT)} is missing: run `make test`, which creates it")
        operations |= set(path.read_text().split())
    return operations


def template(role):
    """Returns the template that contains a role."""
    return load("function.yaml" if role == "EvaluatorRole" else "rule.yaml")


def allowed(role, parameters=None, conditions=None):
    """Returns the operations that a role of the stack allows."""
    statements = Stack(template(role), parameters, conditions).statements(role)
    assert all(statement["Effect"] == "Allow" for statement in statements)
    return {action for statement in statements for action in as_list(statement["Action"])}


def differences(allowed, called):
    """Returns a sentence for each operation that is only allowed or only called."""
    unused = [f"{operation} is allowed but never called" for operation in sorted(allowed - called)]
    return unused + [f"{operation} is called but not allowed" for operation in sorted(called - allowed)]


def test_function_may_call_what_it_calls_and_nothing_else():
    assert differences(allowed("EvaluatorRole", conditions=True), calls("bootstrap") | set(BY_LAMBDA)) == []


def test_function_may_not_call_what_unused_options_need():
    needed = calls("bootstrap") - IN_MEMBERS
    by_lambda = {action for action in BY_LAMBDA if not action.startswith("kms:")}
    assert differences(allowed("EvaluatorRole"), needed | by_lambda) == []


@pytest.mark.parametrize(
    ("parameters", "added"),
    [
        ({"OrganizationId": "o-a1b2c3d4e5"}, IN_MEMBERS),
        ({"MemberAccounts": "222222222222"}, IN_MEMBERS),
        (
            {"QueueKmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1"},
            {"kms:Decrypt", "kms:GenerateDataKey"},
        ),
    ],
)
def test_option_allows_what_it_needs(parameters, added):
    assert allowed("EvaluatorRole", parameters) - allowed("EvaluatorRole") == added


@pytest.mark.parametrize("role", RUNBOOKS)
def test_role_allows_what_its_runbooks_call_and_nothing_else(role):
    assert differences(allowed(role), calls(*RUNBOOKS[role])) == []


def changes(runbook):
    """Returns the inputs of the steps in which a runbook changes the metadata options of an instance."""
    inputs = [step["inputs"] for step in load_runbook(runbook)["mainSteps"]]
    return [each for each in inputs if each.get("Api") == "ModifyInstanceMetadataOptions"]


def allows(role, request):
    """Returns whether a role allows a request to change the metadata options of an instance.

    The value of the condition key ec2:Attribute/NAME is that of the parameter NAME of the request:
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ExamplePolicies_EC2.html
    """
    (statement,) = [
        statement
        for statement in Stack(template(role)).statements(role)
        if "ec2:ModifyInstanceMetadataOptions" in as_list(statement["Action"])
    ]
    conditions = statement.get("Condition", {"StringEquals": {}})
    assert set(conditions) == {"StringEquals"}
    return all(
        request.get(key.removeprefix("ec2:Attribute/")) == value
        for key, value in conditions["StringEquals"].items()
    )


def test_only_the_role_that_restores_options_may_make_tokens_optional():
    assert all(allows("RemediationRole", request) for request in changes("EnforceImdsv2"))
    assert not any(allows("RemediationRole", request) for request in changes("RestoreMetadataOptions"))
    assert not allows("RemediationRole", {"HttpTokens": "optional"})
    assert not allows("RemediationRole", {"HttpEndpoint": "disabled"})
    assert all(allows("RestorationRole", request) for request in changes("RestoreMetadataOptions"))


@pytest.mark.parametrize("role", ["EvaluatorRole", *RUNBOOKS])
def test_comparison_finds_differences(role):
    operations = allowed(role, conditions=True)
    assert differences(operations, operations) == []
    for each in operations:
        assert differences(operations - {each}, operations) == [f"{each} is called but not allowed"]
    more = operations | {"ec2:TerminateInstances"}
    assert differences(more, operations) == ["ec2:TerminateInstances is allowed but never called"]
