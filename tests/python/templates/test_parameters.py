"""Whoever deploys a template in the console finds each parameter explained, in its group, and of use."""

import re

import pytest

from support.templates import found, is_conformance_pack, load, references

RULE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # GetComplianceDetailsByConfigRule takes no longer one


def interface(template):
    return template["Metadata"]["AWS::CloudFormation::Interface"]


def test_each_parameter_is_described_and_in_one_labelled_group(template):
    parameters = template.get("Parameters", {})
    if not parameters or is_conformance_pack(template):
        pytest.skip("has no parameters, or no form for them")
    grouped = [name for group in interface(template)["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(parameters)
    assert all(group["Label"]["default"] for group in interface(template)["ParameterGroups"])
    labels = interface(template)["ParameterLabels"]
    assert sorted(labels) == sorted(parameters)
    assert all(label["default"] for label in labels.values())
    assert [name for name, rule in parameters.items() if not rule.get("Description")] == []
    patterned = [rule for rule in parameters.values() if "AllowedPattern" in rule]
    assert all("ConstraintDescription" in rule for rule in patterned), "a pattern is no message"


def test_each_parameter_and_condition_is_used(template):
    used = set(references([template["Resources"], template.get("Conditions"), template.get("Outputs")]))
    assert set(template.get("Parameters", {})) - used == set()
    on_resources = {each["Condition"] for each in template["Resources"].values() if "Condition" in each}
    on_outputs = {each["Condition"] for each in template.get("Outputs", {}).values() if "Condition" in each}
    in_functions = {operands[0] for operands in found(template["Resources"], "If")}
    in_conditions = set(found(template.get("Conditions", {}), "Condition"))
    assert set(template.get("Conditions", {})) == on_resources | on_outputs | in_functions | in_conditions


def test_defaults_are_allowed(template):
    for name, rule in template.get("Parameters", {}).items():
        if "Default" in rule:
            value = rule["Default"]
            assert value in rule.get("AllowedValues", [value]), name
            assert re.fullmatch(rule.get("AllowedPattern", "(?s:.*)"), str(value)), name
            assert (
                rule.get("MinValue", 0) <= float(value) <= rule["MaxValue"] if "MaxValue" in rule else True
            ), name


def test_each_output_is_described(template):
    assert [
        name for name, output in template.get("Outputs", {}).items() if not output.get("Description")
    ] == []


def test_the_rules_name_is_one_that_aws_config_and_security_hub_can_show():
    rule = load("rule.yaml")["Parameters"]["RuleName"]
    assert RULE_NAME.fullmatch(rule["Default"])
    for wrong in ("", "a" * 65, "with space", "dots.and/slashes"):
        assert not re.fullmatch(rule["AllowedPattern"], wrong)


def test_the_bucket_is_all_that_has_to_be_given():
    parameters = load("rule.yaml")["Parameters"]
    assert [name for name, rule in parameters.items() if "Default" not in rule] == ["CodeBucket"]
