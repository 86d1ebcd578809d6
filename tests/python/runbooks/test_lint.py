"""The runbooks have no fault that the linter knows, and the linter finds the faults that people make."""

import copy

import pytest
import yaml

from runbooks.lint import lint
from support.repository import RUNBOOKS
from support.runbook_executor import Refused, Runbook, StepFailed, resolve, select

PATHS = sorted(RUNBOOKS.glob("*.yaml"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_runbook_has_no_fault(path):
    assert list(lint(yaml.safe_load(path.read_text()))) == []


def test_there_are_runbooks():
    assert [path.stem for path in PATHS] == [
        "EnforceImdsv2",
        "EnforceImdsv2AccountDefaults",
        "EnforceImdsv2LaunchTemplate",
        "RestoreMetadataOptions",
    ]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_runbook_fits_into_ssms_limit(path):
    assert len(path.read_bytes()) < 64 * 1024


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (("Look", "inputs.Api", "DescribeInstance"), "DescribeInstance"),
        (("Look", "inputs.Service", "ec3"), "ec3"),
        (("Look", "inputs.Filter", []), "DescribeInstances has no Filter"),
        (("Look", "outputs.0.Selector", "$.Reservation"), "the answer has no Reservation"),
        (("Look", "outputs.0.Type", "String"), "is StringList, and not String"),
        (("Look", "outputs.1.Type", "StringMap"), "is MapList, and not StringMap"),
        (("Look", "outputs.0.Selector", "$.Reservations[*].State"), "the answer has no State"),
        (("RequireTokens", "inputs.HttpTokens", "require"), "should be one of optional, required"),
        (("RequireTokens", "inputs.InstanceID", "{{ InstanceId }}"), "has no InstanceID"),
        (("RequireTokens", "inputs.InstanceId", "{{ Instance }}"), "Instance is not known at this step"),
        (
            ("RequireTokens", "inputs.InstanceId", "{{ After.State }}"),
            "After.State is not known at this step",
        ),
        (("RequireTokens", "nextStep", "Wait"), "there is no step Wait"),
        (("RequireTokens", "onfailure", "Abort"), "onfailure is no key of a step"),
        (
            ("RequireTokensAndRaiseHopLimit", "inputs.HttpPutResponseHopLimit", "{{ OnUnknownUsage }}"),
            "takes integer",
        ),
        (("ChooseWhatToDo", "inputs.Choices.0.NextStep", "End"), "there is no step End"),
        (("ChooseWhatToDo", "inputs.Choices.0.StringMatches", "x"), "is not understood"),
        (("ReadCalls", "inputs.Period", "86400"), "should be integer"),
        (("ReadCalls", "inputs.Statistics", ["Total"]), "should be one of"),
        (
            ("WaitUntilApplied", "inputs.PropertySelector", "$.Reservations[0].Instances.State"),
            "the answer has no State",
        ),
        (("WaitUntilApplied", "timeoutSeconds", None), "waits for an hour"),
        (("Before", "inputs.Handler", "run"), "no function run"),
        (("Before", "inputs.Script", "def plan(:"), "Script"),
        (("Before", "inputs.InputPayload", {}), "which InputPayload has not"),
        (("Before", "outputs.0.Selector", "$.Payload.Todo"), "returns no Todo"),
        (("Before", "inputs.Runtime", "python3.8"), "is not python3.12"),
        (("Finish", "isEnd", None), "does not say isEnd"),
        (
            ("ChooseChange", "inputs.Choices.0.NextStep", "RequireTokensAndRaiseHopLimit"),
            "RequireTokens: no step leads here",
        ),
    ],
)
def test_a_fault_is_found(fault, found):
    step, path, value = fault
    document = yaml.safe_load((RUNBOOKS / "EnforceImdsv2.yaml").read_text())
    change(next(s for s in document["mainSteps"] if s["name"] == step), path.split("."), value)
    problems = list(lint(document))
    assert any(found in problem for problem in problems), problems


def change(place, path, value):
    *before, last = [int(key) if key.isdigit() else key for key in path]
    for key in before:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value


def test_an_unused_parameter_and_a_wrong_output_are_found():
    document = yaml.safe_load((RUNBOOKS / "EnforceImdsv2.yaml").read_text())
    document["parameters"]["Spare"] = {"type": "Boolean", "description": "Nothing."}
    document["outputs"].append("After.Tokens")
    assert list(lint(document)) == [
        "parameter Spare is not used",
        "outputs: After.Tokens is no output of a step",
    ]


MINIMAL = {
    "schemaVersion": "0.3",
    "description": "Sleeps.",
    "assumeRole": "{{ AutomationAssumeRole }}",
    "parameters": {"AutomationAssumeRole": {"type": "String"}},
    "mainSteps": [{"name": "Rest", "action": "aws:sleep", "inputs": {"Duration": "PT1S"}, "isEnd": True}],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schemaVersion", "2.2"),
        ("variables", {}),
        ("mainSteps.0.action", "aws:runCommand"),
        ("mainSteps.0.onCancel", "Abort"),
    ],
)
def test_what_the_interpreter_does_not_know_it_refuses(path, value):
    document = copy.deepcopy(MINIMAL)
    change(document, path.split("."), value)
    with pytest.raises(Refused):
        Runbook(yaml.safe_dump(document))


def test_parameters_are_lists_of_one_string():
    runbook = Runbook(yaml.safe_dump(MINIMAL))
    assert runbook.run(None, {"AutomationAssumeRole": ["role"]}).status == "Success"
    for wrong in (
        {},
        {"AutomationAssumeRole": "role"},
        {"AutomationAssumeRole": ["a", "b"]},
        {"AutomationAssumeRole": [1]},
    ):
        with pytest.raises(Refused, match="AutomationAssumeRole"):
            runbook.run(None, wrong)


def test_a_reference_keeps_its_type_only_when_it_is_all():
    assert resolve({"a": "{{ n }}", "b": ["{{n}} of {{ n }}"]}, {"n": 2}) == {"a": 2, "b": ["2 of 2"]}
    with pytest.raises(StepFailed, match="has no value"):
        resolve("{{ Step.Output }}", {})


def test_a_selector_selects_one_value_or_fails():
    answer = {"List": [{"A": 1}, {"A": 2}]}
    assert select("$.List[1].A", answer) == 2
    assert select("$.List..A", answer) == [1, 2]
    assert select("$.List..B", answer) == []
    with pytest.raises(StepFailed, match="selects 0 values"):
        select("$.List[2].A", answer)
