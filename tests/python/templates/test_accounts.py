"""One function evaluates several accounts: who may invoke it, and which roles it may assume."""

import pytest

from support.stack import ACCOUNT, REGION, Stack
from support.templates import load, strings

FUNCTION, RULE, INVOCATION = map(load, ("function.yaml", "rule.yaml", "invocation.yaml"))
ELSEWHERE = "222222222222"
MEMBER = {"FunctionAccountId": ELSEWHERE}
ORGANIZATION = {"OrganizationId": "o-a1b2c3d4e5"}
ACCOUNTS = {"MemberAccounts": "333333333333,444444444444"}
# The statements that the function needs only in its own account.
ONLY_IN_THE_FUNCTIONS_ACCOUNT = {
    "Log",
    "SendDeadLetters",
    "EncryptDeadLetters",
    "WorkInOrganization",
    "WorkInAccounts",
}


def statements(template, role, parameters=None):
    """Returns the statements of a role with every option, by Sid."""
    return {each["Sid"]: each for each in Stack(template, parameters, conditions=True).statements(role)}


def test_function_has_the_same_permissions_in_a_member():
    home, member = statements(FUNCTION, "EvaluatorRole"), statements(RULE, "MemberRole", MEMBER)
    assert {sid: home[sid] for sid in set(home) - ONLY_IN_THE_FUNCTIONS_ACCOUNT} == member


def test_member_trusts_only_the_role_of_the_function_by_its_exact_name():
    """CloudFormation shortens stack names in the names of roles that it generates: no pattern fits all."""
    role = Stack(FUNCTION).resources("AWS::IAM::Role")["EvaluatorRole"]["RoleName"]
    (statement,) = Stack(RULE, MEMBER).resources("AWS::IAM::Role")["MemberRole"]["AssumeRolePolicyDocument"][
        "Statement"
    ]
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{ELSEWHERE}:root"}
    assert statement["Condition"] == {
        "ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{ELSEWHERE}:role/{role}"}
    }
    assert "*" not in str(statement["Condition"])


def test_account_of_the_function_needs_no_other_role():
    for own in ("", ACCOUNT):
        assert "MemberRole" not in Stack(RULE, {"FunctionAccountId": own}).resources("AWS::IAM::Role")


@pytest.mark.parametrize(
    ("parameters", "conditions"),
    [
        ({}, {}),
        (ORGANIZATION, {"WorkInOrganization": {"aws:ResourceOrgID": "o-a1b2c3d4e5"}}),
        (ACCOUNTS, {"WorkInAccounts": {"aws:ResourceAccount": ["333333333333", "444444444444"]}}),
        (
            ORGANIZATION | ACCOUNTS,
            {
                "WorkInOrganization": {"aws:ResourceOrgID": "o-a1b2c3d4e5"},
                "WorkInAccounts": {"aws:ResourceAccount": ["333333333333", "444444444444"]},
            },
        ),
    ],
)
def test_function_may_assume_only_the_role_of_named_accounts_or_the_organization(parameters, conditions):
    role = Stack(RULE, MEMBER).resources("AWS::IAM::Role")["MemberRole"]["RoleName"]
    stack = Stack(FUNCTION, parameters)
    allowed = [each for each in stack.statements("EvaluatorRole") if each["Action"] == "sts:AssumeRole"]
    assert {each["Sid"]: each["Condition"]["StringEquals"] for each in allowed} == conditions
    assert all(each["Resource"] == f"arn:aws:iam::*:role/{role}" for each in allowed)
    variables = stack.resources("AWS::Lambda::Function")["EvaluatorFunction"]["Environment"]["Variables"]
    assert variables == ({"MEMBER_ROLE_NAME": role} if parameters else {})


def test_function_alone_is_invoked_from_its_own_account_only():
    for parameters in ({}, ORGANIZATION, ACCOUNTS):
        permission = Stack(FUNCTION, parameters).only("AWS::Lambda::Permission")
        assert (permission["Principal"], permission["SourceAccount"]) == ("config.amazonaws.com", ACCOUNT)


@pytest.mark.parametrize(
    ("parameters", "accounts", "organization"),
    [
        ({}, [ACCOUNT], None),
        (ORGANIZATION, [ACCOUNT], "o-a1b2c3d4e5"),
        (ACCOUNTS, [ACCOUNT, "333333333333", "444444444444"], None),
        (ORGANIZATION | ACCOUNTS, [ACCOUNT, "333333333333", "444444444444"], "o-a1b2c3d4e5"),
    ],
)
def test_policy_limits_who_may_invoke_the_function(parameters, accounts, organization):
    """https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html"""
    policy = Stack(INVOCATION, parameters).only("AWS::Lambda::ResourcePolicy")
    statements = policy["PolicyDocument"]["Statement"]
    conditions = {each["Sid"]: each["Condition"]["StringEquals"] for each in statements}
    expected = {"InvokeFromAccounts": {"aws:SourceAccount": accounts}}
    if organization:
        expected["InvokeFromOrganization"] = {"aws:SourceOrgID": organization}
    assert conditions == expected
    arn = Stack(FUNCTION).get_att("EvaluatorFunction.Arn")
    assert policy["ResourceArn"] == arn
    for statement in statements:
        assert statement["Principal"] == {"Service": "config.amazonaws.com"}
        assert (statement["Effect"], statement["Action"]) == ("Allow", "lambda:InvokeFunction")
        assert statement["Resource"] == arn


def test_function_and_its_policy_have_the_same_parameters():
    declared = FUNCTION["Parameters"]
    for name, rule in INVOCATION["Parameters"].items():
        assert (rule["Default"], rule["AllowedPattern"]) == (
            declared[name]["Default"],
            declared[name]["AllowedPattern"],
        )


def test_function_can_be_deployed_where_resource_policies_cannot():
    """CloudFormation rejects a template with a type that the Region lacks, whatever its conditions are."""
    types = {resource["Type"] for resource in FUNCTION["Resources"].values()}
    assert "AWS::Lambda::ResourcePolicy" not in types


@pytest.mark.parametrize(("parameters", "account"), [({}, ACCOUNT), (MEMBER, ELSEWHERE)])
def test_rules_name_the_function_of_their_region(parameters, account):
    name = Stack(FUNCTION).only("AWS::Lambda::Function")["FunctionName"]
    for rule in Stack(RULE, parameters).resources("AWS::Config::ConfigRule").values():
        assert rule["Source"]["SourceIdentifier"] == f"arn:aws:lambda:{REGION}:{account}:function:{name}"


def test_rules_are_created_after_the_role_that_the_function_assumes():
    """AWS Config invokes the function as soon as a rule exists."""
    for name, resource in RULE["Resources"].items():
        if resource["Type"] == "AWS::Config::ConfigRule":
            assert resource["DependsOn"] == "MemberRoleFirst", name
    assert list(strings(RULE["Resources"]["MemberRoleFirst"]["Metadata"])).count("MemberRole") == 1
