"""The template of the organization deploys the member template and the conformance pack."""

import pytest

from support.stack import ACCOUNT, Stack
from support.templates import as_list, load

RULE, MEMBER, PACK, ORGANIZATION = map(
    load, ("rule.yaml", "member.yaml", "conformance-pack.yaml", "organization.yaml")
)


def test_pack_gets_its_parameters():
    pack = Stack(ORGANIZATION).only("AWS::Config::OrganizationConformancePack")
    passed = pack["ConformancePackInputParameters"]
    passed = {each["ParameterName"]: str(each["ParameterValue"]) for each in passed}
    assert set(passed) == set(PACK["Parameters"])
    for name, rule in PACK["Parameters"].items():
        assert passed[name] == rule.get("Default", passed[name]), name
    shared = {name: rule for name, rule in RULE["Parameters"].items() if name in passed}
    assert shared == {name: ORGANIZATION["Parameters"][name] for name in shared}


@pytest.mark.parametrize(
    ("excluded", "expected"), [("", [ACCOUNT]), ("333333333333", [ACCOUNT, "333333333333"])]
)
def test_account_of_the_function_is_excluded_from_the_pack(excluded, expected):
    stack = Stack(ORGANIZATION, {"ExcludedAccounts": excluded})
    assert stack.only("AWS::Config::OrganizationConformancePack")["ExcludedAccounts"] == expected


def test_members_get_their_parameters():
    stack = Stack(ORGANIZATION, {"Regions": "us-east-1,eu-west-1"})
    members = stack.only("AWS::CloudFormation::StackSet")
    passed = {each["ParameterKey"]: each["ParameterValue"] for each in members["Parameters"]}
    assert passed == {
        "FunctionAccountId": ACCOUNT,
        "FunctionStackName": "imdsv2-config-rule",
        "HomeRegion": "us-east-1",
    }
    assert set(passed) == set(MEMBER["Parameters"])
    (group,) = members["StackInstancesGroup"]
    assert group["Regions"] == ["us-east-1", "eu-west-1"]
    assert members["TemplateURL"].endswith("/imdsv2-config-rule/member.yaml")


def test_members_are_deployed_from_one_region():
    assert Stack(ORGANIZATION).resources("AWS::CloudFormation::StackSet") == {}


def test_members_are_created_before_the_pack():
    dependencies = as_list(ORGANIZATION["Resources"]["Pack"]["DependsOn"])
    assert any("Members" in str(ORGANIZATION["Resources"][each].get("Metadata")) for each in dependencies)


def test_accounts_of_the_organization_may_invoke_the_function():
    parameters = {"OrganizationId": "o-a1b2c3d4e5", "MemberRoleName": "imdsv2-evaluator"}
    assert "SourceAccount" not in Stack(RULE, parameters).only("AWS::Lambda::Permission")
    assert Stack(RULE).only("AWS::Lambda::Permission")["SourceAccount"] == ACCOUNT
