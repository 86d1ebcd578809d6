"""The console shows each parameter of a template in a group, with a description."""

import re

import pytest

from support.templates import found, load, references


def interface(template):
    return template["Metadata"]["AWS::CloudFormation::Interface"]


def test_each_parameter_has_a_description_a_label_and_a_group(template):
    parameters = template.get("Parameters", {})
    grouped = [name for group in interface(template)["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(parameters)
    assert all(group["Label"]["default"] for group in interface(template)["ParameterGroups"])
    labels = interface(template)["ParameterLabels"]
    assert sorted(labels) == sorted(parameters)
    assert all(label["default"] for label in labels.values())
    assert [name for name, rule in parameters.items() if not rule.get("Description")] == []
    patterned = [rule for rule in parameters.values() if "AllowedPattern" in rule]
    assert all("ConstraintDescription" in rule for rule in patterned), (
        "the console shows the pattern if there is no description"
    )


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
            if "MaxValue" in rule:
                assert rule.get("MinValue", 0) <= float(value) <= rule["MaxValue"], name


def test_each_output_is_described(template):
    for name, output in template.get("Outputs", {}).items():
        assert output.get("Description"), name


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("function.yaml", ["CodeBucket"]),
        ("invocation.yaml", []),
        ("rule.yaml", []),
        ("organization.yaml", ["TemplateBucket", "OrganizationalUnitIds", "Regions"]),
        ("security-hub.yaml", []),
    ],
)
def test_required_parameters(name, required):
    parameters = load(name)["Parameters"]
    assert [name for name, rule in parameters.items() if "Default" not in rule] == required
