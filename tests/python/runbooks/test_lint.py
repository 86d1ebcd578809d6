"""The runbooks have no findings of the linter, and the linter finds common mistakes."""

import pytest

from runbooks.edit import change
from runbooks.lint import lint
from support.repository import RUNBOOKS
from support.runbooks import load, step

PATHS = sorted(RUNBOOKS.glob("*.yaml"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_runbook_has_no_findings(path):
    assert list(lint(load(path.stem))) == []


def test_every_runbook_is_checked():
    assert [path.stem for path in PATHS] == [
        "EnforceImdsv2",
        "EnforceImdsv2AccountDefaults",
        "EnforceImdsv2LaunchTemplate",
        "RestoreMetadataOptions",
    ]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_runbook_is_smaller_than_the_limit_of_systems_manager(path):
    assert len(path.read_bytes()) < 64 * 1024


@pytest.mark.parametrize(
    ("mistake", "finding"),
    [
        (("Look", "inputs.Api", "DescribeInstance"), "DescribeInstance"),
        (("Look", "inputs.Service", "ec3"), "ec3"),
        (("Look", "inputs.Filter", []), "DescribeInstances has no Filter"),
        (("Look", "outputs.0.Selector", "$.Reservation"), "the response has no Reservation"),
        (("Look", "outputs.0.Selector", "$.Reservations[*].State"), "the response has no State"),
        (("Look", "outputs.0.Type", "String"), "is StringList, not String"),
        (("Look", "outputs.1.Type", "StringMap"), "is MapList, not StringMap"),
        (("RequireTokens", "inputs.HttpTokens", "require"), "expected one of optional, required"),
        (("RequireTokens", "inputs.InstanceID", "{{ InstanceId }}"), "has no InstanceID"),
        (("RequireTokens", "inputs.InstanceId", "{{ Instance }}"), "Instance has no value at this step"),
        (
            ("RequireTokens", "inputs.InstanceId", "{{ After.State }}"),
            "After.State has no value at this step",
        ),
        (("RequireTokens", "nextStep", "Wait"), "there is no step Wait"),
        (("RequireTokens", "onfailure", "Abort"), "onfailure is not a key of a step"),
        (
            ("RequireTokensAndRaiseHopLimit", "inputs.HttpPutResponseHopLimit", "{{ OnUnknownUsage }}"),
            "expected integer",
        ),
        (("ChooseWhatToDo", "inputs.Choices.0.NextStep", "End"), "there is no step End"),
        (("ChooseWhatToDo", "inputs.Choices.0.StringMatches", "x"), "is not supported"),
        (("ReadCalls", "inputs.Period", "86400"), "expected integer"),
        (("ReadCalls", "inputs.Statistics", ["Total"]), "expected one of"),
        (
            ("WaitUntilApplied", "inputs.PropertySelector", "$.Reservations[0].Instances.State"),
            "the response has no State",
        ),
        (("WaitUntilApplied", "timeoutSeconds", None), "timeoutSeconds is missing"),
        (("Before", "inputs.Handler", "run"), "does not define run"),
        (("Before", "inputs.Script", "def plan(:"), "Script"),
        (("Before", "inputs.InputPayload", {}), "which InputPayload does not contain"),
        (("Before", "outputs.0.Selector", "$.Payload.Todo"), "does not return Todo"),
        (("Before", "inputs.Runtime", "python3.8"), "is not python3.12"),
        (("Finish", "isEnd", None), "isEnd is missing"),
        (
            ("ChooseChange", "inputs.Choices.0.NextStep", "RequireTokensAndRaiseHopLimit"),
            "RequireTokens: no step leads here",
        ),
    ],
)
def test_mistake_is_found(mistake, finding):
    name, path, value = mistake
    document = load("EnforceImdsv2")
    change(step(document, name), path, value)
    findings = list(lint(document))
    assert any(finding in each for each in findings), findings


def test_unused_parameter_and_unknown_output_are_found():
    document = load("EnforceImdsv2")
    document["parameters"]["Spare"] = {"type": "Boolean", "description": "Unused."}
    document["outputs"].append("After.Tokens")
    assert list(lint(document)) == [
        "parameter Spare is not used",
        "outputs: After.Tokens is not an output of a step",
    ]
