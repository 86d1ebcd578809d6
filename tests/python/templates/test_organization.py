"""The template of the organization deploys rule.yaml, and nothing that makes its rules service-linked."""

import pytest

from support.stack import ACCOUNT, Stack
from support.templates import load, strings

FUNCTION, RULE, ORGANIZATION = map(load, ("function.yaml", "rule.yaml", "organization.yaml"))
REQUIRED = {
    "TemplateBucket": "templates",
    "OrganizationalUnitIds": "r-a1b2",
    "Regions": "us-east-1,eu-west-1",
}
# AWS Config does not send the results of service-linked rules to Security Hub, and accepts no remediation
# exceptions for them. Service-linked are the rules of conformance packs and of organization rules:
# https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-internal-providers.html
# https://docs.aws.amazon.com/config/latest/developerguide/service-linked-awsconfig-rules.html
MAKES_SERVICE_LINKED_RULES = {
    "AWS::Config::ConformancePack",
    "AWS::Config::OrganizationConformancePack",
    "AWS::Config::OrganizationConfigRule",
}


def stack_set(**parameters):
    return Stack(ORGANIZATION, REQUIRED | parameters).only("AWS::CloudFormation::StackSet")


def passed(**parameters):
    """Returns the parameters that the stack set passes to rule.yaml."""
    return {
        each["ParameterKey"]: str(each["ParameterValue"]) for each in stack_set(**parameters)["Parameters"]
    }


def test_no_template_makes_service_linked_rules(template):
    types = {resource["Type"] for resource in template["Resources"].values()}
    assert not types & MAKES_SERVICE_LINKED_RULES


def test_stack_set_passes_every_parameter_of_the_rules():
    assert set(passed()) == set(RULE["Parameters"])
    defaults = {name: str(rule["Default"]) for name, rule in RULE["Parameters"].items()}
    assert passed() == defaults | {"FunctionAccountId": ACCOUNT}
    changed = {"ExemptionTagKey": "until", "AutomaticRemediation": "true", "FunctionName": "other"}
    assert passed(**changed) == defaults | {"FunctionAccountId": ACCOUNT} | changed


def test_parameters_are_those_of_the_rules():
    shared = set(ORGANIZATION["Parameters"]) & set(RULE["Parameters"]) - {"FunctionName"}
    assert {name: ORGANIZATION["Parameters"][name] for name in shared} == {
        name: RULE["Parameters"][name] for name in shared
    }
    names = [template["Parameters"]["FunctionName"] for template in (FUNCTION, RULE, ORGANIZATION)]
    assert len({(each["Default"], each["AllowedPattern"]) for each in names}) == 1


def test_stack_set_has_the_targets_of_the_parameters():
    members = stack_set()
    (group,) = members["StackInstancesGroup"]
    assert group["Regions"] == ["us-east-1", "eu-west-1"]
    assert group["DeploymentTargets"] == {"OrganizationalUnitIds": ["r-a1b2"]}
    assert members["TemplateURL"] == (
        "https://templates.s3.us-east-1.amazonaws.com/imdsv2-config-rule/rule.yaml"
    )
    assert members["AutoDeployment"] == {"Enabled": True, "RetainStacksOnAccountRemoval": False}


def test_stack_set_acknowledges_what_the_rules_create():
    """CloudFormation requires CAPABILITY_NAMED_IAM for roles with a name."""
    roles = Stack(RULE, conditions=True).resources("AWS::IAM::Role").values()
    assert all("RoleName" in role for role in roles)
    assert stack_set()["Capabilities"] == ["CAPABILITY_NAMED_IAM"]


def test_rules_can_be_deployed_by_service_managed_stack_sets():
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-prereqs.html: no transforms"""
    assert "Transform" not in RULE
    assert not any("Transform" in text or "AWS::Include" in text for text in strings(RULE))


@pytest.mark.parametrize(("aggregator", "count"), [("false", 0), ("true", 1)])
def test_aggregator_is_optional(aggregator, count):
    stack = Stack(ORGANIZATION, REQUIRED | {"Aggregator": aggregator})
    for kind in ("AWS::Config::ConfigurationAggregator", "AWS::IAM::Role"):
        assert len(stack.resources(kind)) == count
