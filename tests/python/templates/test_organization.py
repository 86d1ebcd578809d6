"""An organization's templates fit together: names, roles, runbooks and parameters are the same in all of them."""

import re

import pytest
import yaml

from support import repository
from support.stack import ACCOUNT, Stack
from support.templates import as_list, load, of_type, strings

RULE, MEMBER, PACK, ORGANIZATION = map(
    load, ("rule.yaml", "member.yaml", "conformance-pack.yaml", "organization.yaml")
)
RUNBOOKS = {path.stem: yaml.safe_load(path.read_text()) for path in repository.RUNBOOKS.glob("*.yaml")}
FUNCTION_ACCOUNT = "222222222222"
HERE = {"FunctionAccountId": FUNCTION_ACCOUNT, "HomeRegion": "us-east-1"}


def statements(template, role, parameters=None):
    """What a role may do, by the names of the statements; with every option."""
    stack = Stack(template, parameters, conditions=True)
    (policy,) = stack.resources("AWS::IAM::Role")[role]["Policies"]
    return {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"]}


def as_text(value):
    """The same with text for numbers, which is all that a pack's parameters are."""
    if isinstance(value, dict):
        return {key: as_text(each) for key, each in value.items()}
    return [as_text(each) for each in value] if isinstance(value, list) else str(value)


def test_members_have_the_runbooks_as_they_are_under_fixed_names():
    documents = of_type(MEMBER, "AWS::SSM::Document")
    assert {name: document["Content"] for name, document in documents.items()} == RUNBOOKS
    assert {name: document["Name"] for name, document in documents.items()} == {
        name: f"imdsv2-{name}" for name in RUNBOOKS
    }


def test_the_function_may_do_in_a_member_what_it_may_at_home():
    of_its_own = {"Log", "SendDeadLetters", "EncryptDeadLetters", "WorkInMembers"}
    home, member = statements(RULE, "EvaluatorRole"), statements(MEMBER, "EvaluatorRole", HERE)
    assert set(home) - of_its_own == set(member)
    assert {sid: each["Action"] for sid, each in member.items()} == {
        sid: home[sid]["Action"] for sid in member
    }


@pytest.mark.parametrize("role", ["RemediationRole", "RestorationRole", "PreventionRole"])
def test_runbooks_may_do_in_a_member_what_they_may_at_home(role):
    home, member = statements(RULE, role), statements(MEMBER, role, HERE)
    everywhere = {
        sid: {**each, "Resource": str(each["Resource"]).replace(":us-east-1:", ":*:")}
        for sid, each in home.items()
    }
    assert {sid: {**each, "Resource": str(each["Resource"])} for sid, each in member.items()} == everywhere
    trusts = [
        Stack(each, conditions=True).resources("AWS::IAM::Role")[role]["AssumeRolePolicyDocument"]
        for each in (RULE, MEMBER)
    ]
    assert trusts[0] == trusts[1]


def test_a_member_trusts_the_functions_role_and_no_other():
    roles = Stack(MEMBER, HERE).resources("AWS::IAM::Role")
    (trust,) = roles["EvaluatorRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": f"arn:aws:iam::{FUNCTION_ACCOUNT}:root"}
    (pattern,) = trust["Condition"]["ArnLike"].values()
    pattern = re.compile(re.escape(pattern).replace(r"\*", ".*"))
    made_up = f"arn:aws:iam::{FUNCTION_ACCOUNT}:role/imdsv2-config-rule-EvaluatorRole-1AB2CD3EF4GH5"
    assert pattern.fullmatch(made_up), "CloudFormation names a role after its stack and its logical name"
    assert "RoleName" not in RULE["Resources"]["EvaluatorRole"]["Properties"]
    assert not pattern.fullmatch(f"arn:aws:iam::{FUNCTION_ACCOUNT}:role/admin")
    assert not pattern.fullmatch(made_up.replace(FUNCTION_ACCOUNT, "333333333333"))


def test_roles_are_made_in_one_region():
    elsewhere = Stack(MEMBER, {**HERE, "HomeRegion": "eu-west-1"})
    assert elsewhere.resources("AWS::IAM::Role") == {}
    assert len(elsewhere.resources("AWS::SSM::Document")) == len(RUNBOOKS)


def test_a_member_is_fit_for_service_managed_stack_sets():
    assert "Transform" not in MEMBER
    assert not any("Transform" in text or "AWS::Include" in text for text in strings(MEMBER))
    assert {resource["Type"] for resource in MEMBER["Resources"].values()} == {
        "AWS::IAM::Role",
        "AWS::SSM::Document",
    }


def test_the_function_enters_roles_of_the_organization_alone():
    member_role = Stack(MEMBER, HERE).resources("AWS::IAM::Role")["EvaluatorRole"]["RoleName"]
    given = {"OrganizationId": "o-a1b2c3d4e5", "MemberRoleName": member_role}
    stack = Stack(RULE, given)
    (policy,) = stack.resources("AWS::IAM::Role")["EvaluatorRole"]["Policies"]
    (enters,) = [each for each in policy["PolicyDocument"]["Statement"] if each["Sid"] == "WorkInMembers"]
    assert enters["Resource"] == f"arn:aws:iam::*:role/{member_role}"
    assert enters["Condition"] == {"StringEquals": {"aws:ResourceOrgID": "o-a1b2c3d4e5"}}
    (permission,) = stack.resources("AWS::Lambda::Permission").values()
    assert "SourceAccount" not in permission
    (permission,) = Stack(RULE).resources("AWS::Lambda::Permission").values()
    assert permission["SourceAccount"] == ACCOUNT


def test_an_organization_without_a_role_is_refused():
    (rule,) = RULE["Rules"].values()
    (assertion,) = rule["Assertions"]
    for given, refused in [
        ({}, False),
        ({"OrganizationId": "o-a1b2c3d4e5"}, True),
        ({"OrganizationId": "o-a1b2c3d4e5", "MemberRoleName": "role"}, False),
    ]:
        stack = Stack(RULE, given)
        assert (stack.holds(rule["RuleCondition"]) and not stack.holds(assertion["Assert"])) == refused
    (name,) = re.findall(r"The role in member.yaml is named ([\w-]+)\.", assertion["AssertDescription"])
    assert name == Stack(MEMBER, HERE).resources("AWS::IAM::Role")["EvaluatorRole"]["RoleName"]


def test_a_pack_has_what_packs_may_have():
    assert set(PACK) <= {"Parameters", "Conditions", "Resources"}
    assert {resource["Type"] for resource in PACK["Resources"].values()} == {
        "AWS::Config::ConfigRule",
        "AWS::Config::RemediationConfiguration",
    }
    assert (repository.TEMPLATES / "conformance-pack.yaml").stat().st_size <= 51_200
    assert len(PACK["Parameters"]) <= 60


def test_the_packs_rule_is_the_stacks_rule():
    function = {"FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:evaluator"}
    for given in (
        {},
        {"Schedule": "Six_Hours", "MaxHopLimit": "2", "ExemptionTagKey": "until", "AccountDefaults": "true"},
    ):
        (packed,) = Stack(PACK, function | given).resources("AWS::Config::ConfigRule").values()
        (rule,) = Stack(RULE, given).resources("AWS::Config::ConfigRule").values()
        assert packed["Scope"] == rule["Scope"]
        assert packed["Source"]["SourceDetails"] == rule["Source"]["SourceDetails"]
        # All types are judged where the parameter is not given.
        assert packed["InputParameters"] == {
            k: v for k, v in rule["InputParameters"].items() if k != "resourceTypes"
        }


def test_the_packs_name_is_literal_and_leaves_room_for_what_aws_config_adds():
    names = {each["Properties"]["ConfigRuleName"] for each in PACK["Resources"].values()}
    (name,) = names
    assert len(f"{name}-conformance-pack-abcdefghi") <= 64


@pytest.mark.parametrize("given", [{}, {"ExemptionTagKey": "until", "OnBootCalls": "Proceed"}])
def test_the_packs_remediation_is_the_stacks_with_exact_names(given):
    stacks = Stack(PACK, {"FunctionArn": "arn", **given}), Stack(RULE, given)
    packed, home = (
        remediation
        for stack in stacks
        for remediation in stack.resources("AWS::Config::RemediationConfiguration").values()
    )
    member = Stack(MEMBER, HERE)
    assert packed["TargetId"] == member.name("EnforceImdsv2")
    (role,) = packed["Parameters"]["AutomationAssumeRole"]["StaticValue"]["Values"]
    assert (
        role == "arn:aws:iam::{{global:ACCOUNT_ID}}:role/" + member.resources()["RemediationRole"]["RoleName"]
    )
    rules = RUNBOOKS["EnforceImdsv2"]["parameters"]
    assert re.search(rules["AutomationAssumeRole"]["allowedPattern"], role)
    for each in (packed, home):
        del each["Parameters"]["AutomationAssumeRole"]
    assert as_text(packed["Parameters"]) == as_text(home["Parameters"])
    for name in ("ExemptionTagKey", "OnBootCalls"):
        assert home["Parameters"].get(name) in (None, {"StaticValue": {"Values": [given.get(name, "Stop")]}})
    assert ("ExemptionTagKey" in home["Parameters"]) == ("ExemptionTagKey" in given), "no value may be empty"
    for name in ("ResourceType", "TargetType"):
        assert packed[name] == home[name]


def test_the_organizations_stack_gives_the_pack_its_parameters():
    (pack,) = Stack(ORGANIZATION).resources("AWS::Config::OrganizationConformancePack").values()
    given = {
        each["ParameterName"]: str(each["ParameterValue"]) for each in pack["ConformancePackInputParameters"]
    }
    assert set(given) == set(PACK["Parameters"])
    for name, rule in PACK["Parameters"].items():
        assert given[name] == rule.get("Default", given[name]), name
    described = {name: rule for name, rule in RULE["Parameters"].items() if name in given}
    assert described == {name: ORGANIZATION["Parameters"][name] for name in described}


@pytest.mark.parametrize(
    ("excluded", "expected"), [("", [ACCOUNT]), ("333333333333", [ACCOUNT, "333333333333"])]
)
def test_the_functions_own_account_has_the_rule_of_its_stack(excluded, expected):
    (pack,) = (
        Stack(ORGANIZATION, {"ExcludedAccounts": excluded})
        .resources("AWS::Config::OrganizationConformancePack")
        .values()
    )
    assert pack["ExcludedAccounts"] == expected


def test_members_are_made_before_the_pack_and_get_their_parameters():
    stack = Stack(ORGANIZATION, {"Regions": "us-east-1,eu-west-1"})
    (members,) = stack.resources("AWS::CloudFormation::StackSet").values()
    given = {each["ParameterKey"]: each["ParameterValue"] for each in members["Parameters"]}
    assert given == {
        "FunctionAccountId": ACCOUNT,
        "FunctionStackName": "imdsv2-config-rule",
        "HomeRegion": "us-east-1",
    }
    assert set(given) == set(MEMBER["Parameters"])
    (group,) = members["StackInstancesGroup"]
    assert group["Regions"] == ["us-east-1", "eu-west-1"]
    assert members["TemplateURL"].endswith("/imdsv2-config-rule/member.yaml")
    waits = as_list(ORGANIZATION["Resources"]["Pack"]["DependsOn"])
    assert any("Members" in str(ORGANIZATION["Resources"][each].get("Metadata")) for each in waits)
    assert Stack(ORGANIZATION).resources("AWS::CloudFormation::StackSet") == {}, "in the other Regions"
