"""The template of the member accounts has the runbooks and the permissions of the function's account."""

import re

import pytest

from support.runbooks import runbooks
from support.stack import Stack
from support.templates import load, of_type, strings

RULE, MEMBER = load("rule.yaml"), load("member.yaml")
RUNBOOKS = runbooks()
FUNCTION_ACCOUNT = "222222222222"
PARAMETERS = {"FunctionAccountId": FUNCTION_ACCOUNT, "HomeRegion": "us-east-1"}
# The statements that the function needs only in its own account.
ONLY_IN_THE_FUNCTIONS_ACCOUNT = {"Log", "SendDeadLetters", "EncryptDeadLetters", "WorkInMembers"}


def statements(template, role, parameters=None):
    """Returns the statements of a role with every option, by Sid."""
    return {each["Sid"]: each for each in Stack(template, parameters, conditions=True).statements(role)}


def trust(template, role):
    return Stack(template, conditions=True).resources("AWS::IAM::Role")[role]["AssumeRolePolicyDocument"]


def test_member_has_the_runbooks_under_fixed_names():
    documents = of_type(MEMBER, "AWS::SSM::Document")
    assert {name: document["Content"] for name, document in documents.items()} == RUNBOOKS
    names = {name: document["Name"] for name, document in documents.items()}
    assert names == {name: f"imdsv2-{name}" for name in RUNBOOKS}


def test_function_has_the_same_permissions_in_a_member():
    home, member = statements(RULE, "EvaluatorRole"), statements(MEMBER, "EvaluatorRole", PARAMETERS)
    assert set(home) - ONLY_IN_THE_FUNCTIONS_ACCOUNT == set(member)
    for sid, statement in member.items():
        assert statement["Action"] == home[sid]["Action"], sid


@pytest.mark.parametrize("role", ["RemediationRole", "RestorationRole", "PreventionRole"])
def test_runbooks_have_the_same_permissions_in_a_member(role):
    home, member = statements(RULE, role), statements(MEMBER, role, PARAMETERS)
    assert set(home) == set(member)
    for sid, statement in member.items():
        resource = str(home[sid]["Resource"]).replace(":us-east-1:", ":*:")  # a member's role is global
        assert str(statement["Resource"]) == resource, sid
        assert {**statement, "Resource": None} == {**home[sid], "Resource": None}, sid
    assert trust(MEMBER, role) == trust(RULE, role)


def test_member_trusts_only_the_role_of_the_function():
    roles = Stack(MEMBER, PARAMETERS).resources("AWS::IAM::Role")
    (statement,) = roles["EvaluatorRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{FUNCTION_ACCOUNT}:root"}
    (pattern,) = statement["Condition"]["ArnLike"].values()
    pattern = re.compile(re.escape(pattern).replace(r"\*", ".*"))
    generated = f"arn:aws:iam::{FUNCTION_ACCOUNT}:role/imdsv2-config-rule-EvaluatorRole-1AB2CD3EF4GH5"
    assert pattern.fullmatch(generated), "CloudFormation names a role after its stack and its logical id"
    assert "RoleName" not in RULE["Resources"]["EvaluatorRole"]["Properties"]
    assert not pattern.fullmatch(f"arn:aws:iam::{FUNCTION_ACCOUNT}:role/admin")
    assert not pattern.fullmatch(generated.replace(FUNCTION_ACCOUNT, "333333333333"))


def test_roles_are_created_in_one_region():
    elsewhere = Stack(MEMBER, {**PARAMETERS, "HomeRegion": "eu-west-1"})
    assert elsewhere.resources("AWS::IAM::Role") == {}
    assert len(elsewhere.resources("AWS::SSM::Document")) == len(RUNBOOKS)


def test_member_can_be_deployed_by_service_managed_stack_sets():
    assert "Transform" not in MEMBER
    assert not any("Transform" in text or "AWS::Include" in text for text in strings(MEMBER))
    types = {resource["Type"] for resource in MEMBER["Resources"].values()}
    assert types == {"AWS::IAM::Role", "AWS::SSM::Document"}


def test_function_may_assume_only_roles_of_the_organization():
    role = Stack(MEMBER, PARAMETERS).resources("AWS::IAM::Role")["EvaluatorRole"]["RoleName"]
    stack = Stack(RULE, {"OrganizationId": "o-a1b2c3d4e5", "MemberRoleName": role})
    (statement,) = [each for each in stack.statements("EvaluatorRole") if each["Sid"] == "WorkInMembers"]
    assert statement["Resource"] == f"arn:aws:iam::*:role/{role}"
    assert statement["Condition"] == {"StringEquals": {"aws:ResourceOrgID": "o-a1b2c3d4e5"}}


def test_organization_without_a_role_is_rejected():
    (rule,) = RULE["Rules"].values()
    (assertion,) = rule["Assertions"]
    for parameters, rejected in [
        ({}, False),
        ({"OrganizationId": "o-a1b2c3d4e5"}, True),
        ({"OrganizationId": "o-a1b2c3d4e5", "MemberRoleName": "role"}, False),
    ]:
        stack = Stack(RULE, parameters)
        applies = stack.holds(rule["RuleCondition"])
        assert (applies and not stack.holds(assertion["Assert"])) == rejected, parameters
    (name,) = re.findall(r"The role in member.yaml is named ([\w-]+)\.", assertion["AssertDescription"])
    assert name == Stack(MEMBER, PARAMETERS).resources("AWS::IAM::Role")["EvaluatorRole"]["RoleName"]
