"""The runbook executor, without a cloud."""

import copy

import pytest
import yaml

from runbooks.edit import change
from support.runbook_executor import Runbook, StartError, StepError, resolve, select

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
def test_executor_rejects_what_it_does_not_support(path, value):
    document = copy.deepcopy(MINIMAL)
    change(document, path, value)
    with pytest.raises(StartError):
        Runbook(yaml.safe_dump(document))


def test_parameter_is_a_list_of_one_string():
    runbook = Runbook(yaml.safe_dump(MINIMAL))
    assert runbook.run(None, {"AutomationAssumeRole": ["role"]}).status == "Success"
    for wrong in (
        {},
        {"AutomationAssumeRole": "role"},
        {"AutomationAssumeRole": ["a", "b"]},
        {"AutomationAssumeRole": [1]},
    ):
        with pytest.raises(StartError, match="AutomationAssumeRole"):
            runbook.run(None, wrong)


def test_reference_keeps_its_type_if_it_is_the_whole_string():
    assert resolve({"a": "{{ n }}", "b": ["{{n}} of {{ n }}"]}, {"n": 2}) == {"a": 2, "b": ["2 of 2"]}
    with pytest.raises(StepError, match="has no value"):
        resolve("{{ Step.Output }}", {})


def test_selector_selects_one_value_or_fails():
    answer = {"List": [{"A": 1}, {"A": 2}]}
    assert select("$.List[1].A", answer) == 2
    assert select("$.List..A", answer) == [1, 2]
    assert select("$.List..B", answer) == []
    with pytest.raises(StepError, match="selects 0 values"):
        select("$.List[2].A", answer)
