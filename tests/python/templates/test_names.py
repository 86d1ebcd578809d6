"""The names of resources are within the limits of AWS, for the longest names that the parameters allow."""

import re

import pytest

from support.stack import PSEUDO_PARAMETERS, Stack
from support.templates import load

# The longest names of the parameters, and the longest name of a Region.
LONGEST = {"FunctionName": "f" * 36, "RuleName": "r" * 53, "Schedule": "One_Hour", "QueryTagKey": "k" * 128}
LONGEST_REGION = "ap-southeast-1"
# The name of each type of resource, with its longest form in the API reference of the service.
NAMES = {
    "AWS::CloudWatch::Alarm": ("AlarmName", r".{1,255}"),
    "AWS::CloudWatch::Dashboard": ("DashboardName", r"[A-Za-z0-9_-]{1,255}"),
    "AWS::CloudFormation::StackSet": ("StackSetName", r"[A-Za-z][A-Za-z0-9-]{0,127}"),
    "AWS::Config::ConfigRule": ("ConfigRuleName", r"[A-Za-z0-9_-]{1,64}"),
    "AWS::Config::ConfigurationAggregator": ("ConfigurationAggregatorName", r"[\w-]{1,256}"),
    "AWS::Config::StoredQuery": ("QueryName", r"[A-Za-z0-9_-]{1,64}"),
    "AWS::IAM::Role": ("RoleName", r"[\w+=,.@-]{1,64}"),
    "AWS::Lambda::Function": ("FunctionName", r"[A-Za-z0-9_-]{1,64}"),
    "AWS::Logs::LogGroup": ("LogGroupName", r"[\w./#-]{1,512}"),
    "AWS::SSM::Document": ("Name", r"[\w.-]{3,128}"),
}


@pytest.fixture
def longest_region(monkeypatch):
    monkeypatch.setitem(PSEUDO_PARAMETERS, "AWS::Region", LONGEST_REGION)


@pytest.mark.usefixtures("longest_region")
def test_longest_names_are_accepted(template):
    parameters = {name: value for name, value in LONGEST.items() if name in template["Parameters"]}
    stack = Stack(template, parameters, conditions=True)
    for kind, (key, pattern) in NAMES.items():
        for resource, properties in stack.resources(kind).items():
            # Without a name, CloudFormation generates one that fits.
            name = properties.get(key, "generated")
            assert re.fullmatch(pattern, name), f"{resource}: {name} has {len(name)} characters"


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("function.yaml", "FunctionName"),
        ("rule.yaml", "FunctionName"),
        ("rule.yaml", "RuleName"),
        ("invocation.yaml", "FunctionName"),
        ("organization.yaml", "FunctionName"),
        ("organization.yaml", "RuleName"),
    ],
)
def test_parameter_allows_no_longer_name(name, parameter):
    pattern = load(name)["Parameters"][parameter]["AllowedPattern"]
    assert re.fullmatch(pattern, LONGEST[parameter])
    assert not re.fullmatch(pattern, LONGEST[parameter] + "x")
    if parameter == "FunctionName":
        # https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html
        assert not any(
            re.fullmatch(pattern, name) for name in ("aws-imdsv2", "AWSImdsv2", "amazon", "Amzn-1")
        )


def test_roles_of_different_regions_have_different_names(monkeypatch):
    def names():
        stacks = [Stack(load(name), conditions=True) for name in ("function.yaml", "rule.yaml")]
        return [role["RoleName"] for stack in stacks for role in stack.resources("AWS::IAM::Role").values()]

    here = names()
    monkeypatch.setitem(PSEUDO_PARAMETERS, "AWS::Region", "eu-west-1")
    assert len(here) == len(set(here)) == 5
    assert not set(here) & set(names())
