"""The stack contains the runbooks, passes valid parameters to them, and allows what they do."""

import ast
import subprocess
import sys

import boto3
import pytest

from support.repository import ROOT
from support.runbook_executor import REFERENCE, parameter_value
from support.runbooks import runbooks
from support.templates import as_list, load, of_type

RUNBOOKS = runbooks()
TEMPLATE = load("rule.yaml")
RESOURCES = TEMPLATE["Resources"]
# Operations that change the account and have no resource in IAM.
WITHOUT_RESOURCE = ("ec2:ModifyInstanceMetadataDefaults",)


@pytest.fixture
def remediation():
    """The properties of the remediation."""
    (properties,) = of_type(TEMPLATE, "AWS::Config::RemediationConfiguration").values()
    return properties


def test_template_contains_the_runbooks():
    documents = of_type(TEMPLATE, "AWS::SSM::Document")
    assert {name: properties["Content"] for name, properties in documents.items()} == RUNBOOKS
    check = [sys.executable, ROOT / "packaging" / "render_templates.py", "--check"]
    assert subprocess.run(check, capture_output=True, text=True).stderr == ""


def test_remediation_passes_the_parameters_of_its_runbook(remediation):
    declared = RUNBOOKS[remediation["TargetId"]["Ref"]]["parameters"]
    passed = remediation["Parameters"]
    assert set(passed) <= set(declared)
    assert {name for name, rule in declared.items() if "default" not in rule} <= set(passed)
    assert passed["InstanceId"] == {"ResourceValue": {"Value": "RESOURCE_ID"}}
    for name, value in passed.items():
        assert len(value) == 1, f"{name}: either a ResourceValue or a StaticValue"


def test_runbook_accepts_the_values_that_the_stack_allows(remediation):
    rules = RUNBOOKS[remediation["TargetId"]["Ref"]]["parameters"]
    for name, value in remediation["Parameters"].items():
        source = value.get("StaticValue", {}).get("Values", [{}])[0].get("Ref")
        if source:
            allowed = TEMPLATE["Parameters"][source]
            limits = [allowed.get(each) for each in ("Default", "MinValue", "MaxValue")]
            for each in allowed.get("AllowedValues") or limits:
                parameter_value(name, rules[name], [str(each)])


def test_remediation_is_manual_by_default(remediation):
    assert TEMPLATE["Parameters"][remediation["Automatic"]["Ref"]]["Default"] == "false"


@pytest.mark.parametrize(
    ("role", "runbooks"),
    [
        ("RemediationRole", ["EnforceImdsv2"]),
        ("RestorationRole", ["RestoreMetadataOptions"]),
        ("PreventionRole", ["EnforceImdsv2AccountDefaults", "EnforceImdsv2LaunchTemplate"]),
    ],
)
def test_role_allows_the_operations_of_its_runbooks_and_no_others(role, runbooks):
    inputs = [step["inputs"] for name in runbooks for step in RUNBOOKS[name]["mainSteps"]]
    calls = {f"{each['Service']}:{each['Api']}" for each in inputs if "Api" in each}
    calls |= {call for each in inputs for call in calls_of_script(each.get("Script", ""))}
    statements = RESOURCES[role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    allowed = {action: statement for statement in statements for action in as_list(statement["Action"])}
    assert sorted(calls) == sorted(allowed)
    for action, statement in allowed.items():
        changes = not action.split(":")[1].startswith(("Describe", "Get"))
        assert statement["Effect"] == "Allow"
        assert not changes or statement["Resource"] != "*" or action in WITHOUT_RESOURCE


@pytest.mark.parametrize("role", ["RemediationRole", "RestorationRole", "PreventionRole"])
def test_only_automation_in_the_account_may_assume_a_role(role):
    (trust,) = RESOURCES[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "ssm.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": {
            "aws:SourceArn": {"Sub": "arn:${AWS::Partition}:ssm:*:${AWS::AccountId}:automation-execution/*"}
        },
    }


def calls_of_script(script):
    """Returns the operations that a script calls, by the methods of its clients and their paginators."""
    calls = set()
    for node in ast.walk(ast.parse(script)):
        match node:
            case ast.Call(
                ast.Attribute(ast.Call(ast.Attribute(ast.Name("boto3"), "client"), [service]), method), values
            ):
                operation = values[0].value if method == "get_paginator" else method
                name = "".join(word.capitalize() for word in operation.split("_"))
                client = boto3.client(service.value, region_name="us-east-1")
                (name,) = [each for each in client.meta.service_model.operation_names if each == name]
                calls.add(f"{service.value}:{name}")
    return calls


def test_scripts_read_at_most():
    for name, document in RUNBOOKS.items():
        for step in document["mainSteps"]:
            script = step["inputs"].get("Script", "")
            calls = calls_of_script(script)
            assert script.count("boto3.client") == len(calls), f"{name}: {step['name']}"
            assert all(each.split(":")[1].startswith(("Describe", "Get")) for each in calls), name


def test_scripts_contain_no_references():
    """A reference is replaced before the script runs, so its value would be executed as code."""
    for name, document in RUNBOOKS.items():
        for step in document["mainSteps"]:
            assert not REFERENCE.search(step["inputs"].get("Script", "")), f"{name}: {step['name']}"
