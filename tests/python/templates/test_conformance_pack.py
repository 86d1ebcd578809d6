"""The conformance pack has the rule and the remediation of the stack."""

import re

import pytest

from support.repository import TEMPLATES
from support.runbooks import load as load_runbook
from support.stack import Stack
from support.templates import load

RULE, MEMBER, PACK = map(load, ("rule.yaml", "member.yaml", "conformance-pack.yaml"))
TYPES = {"AWS::Config::ConfigRule", "AWS::Config::RemediationConfiguration"}
FUNCTION = {"FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:evaluator"}
# The limits of PutConformancePack and PutConfigRule (AWS Config API Reference).
LARGEST_TEMPLATE, MOST_PARAMETERS, LONGEST_NAME = 51_200, 60, 64


def as_text(value):
    """Returns the value with text instead of numbers. The parameters of a pack are text."""
    if isinstance(value, dict):
        return {key: as_text(each) for key, each in value.items()}
    return [as_text(each) for each in value] if isinstance(value, list) else str(value)


def test_pack_has_only_supported_parts():
    assert set(PACK) <= {"Parameters", "Conditions", "Resources"}
    assert {resource["Type"] for resource in PACK["Resources"].values()} == TYPES
    assert (TEMPLATES / "conformance-pack.yaml").stat().st_size <= LARGEST_TEMPLATE
    assert len(PACK["Parameters"]) <= MOST_PARAMETERS


def test_rule_is_that_of_the_stack():
    options = {
        "Schedule": "Six_Hours",
        "MaxHopLimit": "2",
        "ExemptionTagKey": "until",
        "AccountDefaults": "true",
    }
    for parameters in ({}, options):
        packed = Stack(PACK, FUNCTION | parameters).only("AWS::Config::ConfigRule")
        rule = Stack(RULE, parameters).only("AWS::Config::ConfigRule")
        assert packed["Scope"] == rule["Scope"]
        assert packed["Source"]["SourceDetails"] == rule["Source"]["SourceDetails"]
        # The function evaluates all types without the parameter.
        del rule["InputParameters"]["resourceTypes"]
        assert packed["InputParameters"] == rule["InputParameters"]


def test_name_of_the_rule_is_literal_and_short_enough_for_the_suffix():
    (name,) = {each["Properties"]["ConfigRuleName"] for each in PACK["Resources"].values()}
    assert len(f"{name}-conformance-pack-abcdefghi") <= LONGEST_NAME


@pytest.mark.parametrize("options", [{}, {"ExemptionTagKey": "until", "OnBootCalls": "Proceed"}])
def test_remediation_is_that_of_the_stack_with_fixed_names(options):
    packed = Stack(PACK, FUNCTION | options).only("AWS::Config::RemediationConfiguration")
    remediation = Stack(RULE, options).only("AWS::Config::RemediationConfiguration")
    member = Stack(MEMBER, {"FunctionAccountId": "222222222222", "HomeRegion": "us-east-1"})
    assert packed["TargetId"] == member.name("EnforceImdsv2")
    (role,) = packed["Parameters"]["AutomationAssumeRole"]["StaticValue"]["Values"]
    name = member.resources()["RemediationRole"]["RoleName"]
    assert role == "arn:aws:iam::{{global:ACCOUNT_ID}}:role/" + name
    parameters = load_runbook("EnforceImdsv2")["parameters"]
    assert re.search(parameters["AutomationAssumeRole"]["allowedPattern"], role)
    for each in (packed, remediation):
        del each["Parameters"]["AutomationAssumeRole"]
    assert as_text(packed["Parameters"]) == as_text(remediation["Parameters"])
    for name in ("ResourceType", "TargetType"):
        assert packed[name] == remediation[name]


@pytest.mark.parametrize(
    ("options", "on_boot_calls", "tag_key"),
    [
        ({}, "Stop", None),
        ({"ExemptionTagKey": "until", "OnBootCalls": "Proceed"}, "Proceed", "until"),
    ],
)
def test_remediation_passes_the_options_of_the_stack(options, on_boot_calls, tag_key):
    """AWS Config rejects an empty value, so the key of a tag is passed only if there is one."""
    parameters = Stack(RULE, options).only("AWS::Config::RemediationConfiguration")["Parameters"]
    assert parameters["OnBootCalls"] == {"StaticValue": {"Values": [on_boot_calls]}}
    passed = {"StaticValue": {"Values": [tag_key]}} if tag_key else None
    assert parameters.get("ExemptionTagKey") == passed
