"""Executes an Automation runbook step by step, as Systems Manager does, with boto3 clients.

It supports the actions and keys that the runbooks of this project use. Any other raises an error, so that a
runbook is never executed in part. The specification is
https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-actions.html
"""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

import yaml
from botocore import xform_name
from jsonpath_ng import parse as jsonpath

REFERENCE = re.compile(r"\{\{\s*([A-Za-z0-9_.]+)\s*\}\}")
DOCUMENT_KEYS = {"schemaVersion", "description", "assumeRole", "parameters", "mainSteps", "outputs"}
STEP_KEYS = {
    "name",
    "description",
    "action",
    "inputs",
    "outputs",
    "timeoutSeconds",
    "onFailure",
    "nextStep",
    "isEnd",
}
TYPES = {
    "String": lambda value: isinstance(value, str),
    "Integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "Boolean": lambda value: isinstance(value, bool),
    "StringList": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    "StringMap": lambda value: isinstance(value, dict),
    "MapList": lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
}
COMPARISONS = {
    "StringEquals": lambda left, right: isinstance(left, str) and left == right,
    "BooleanEquals": lambda left, right: isinstance(left, bool) and left == right,
}
POLL_SECONDS = 5
# The largest InputPayload, in bytes:
# https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-action-executeScript.html
LARGEST_PAYLOAD = 100_000


class StartError(Exception):
    """The execution does not start, because the document or a parameter is invalid."""


class StepError(Exception):
    """A step failed. The message is the one that the console shows."""


@dataclass
class Execution:
    """The result of an execution, as GetAutomationExecution returns it."""

    status: str = "Success"
    failures: list = field(default_factory=list)
    steps: list = field(default_factory=list)
    outputs: dict = field(default_factory=dict)


class Runbook:
    """An Automation document whose keys and actions are supported."""

    def __init__(self, source):
        self.document = yaml.safe_load(source.read_text() if isinstance(source, Path) else source)
        check_keys(self.document, DOCUMENT_KEYS, "document")
        if self.document["schemaVersion"] != "0.3":
            raise StartError(f"schemaVersion {self.document['schemaVersion']!r} is not 0.3")
        for step in self.document["mainSteps"]:
            check_keys(step, STEP_KEYS, f"step {step['name']}")
            if step["action"] not in ACTIONS:
                raise StartError(f"step {step['name']}: action {step['action']} is not supported")

    def run(self, client, parameters):
        """Executes the steps and returns an `Execution`.

        `client` returns a boto3 client for the name of a service. The value of each parameter is a list of
        one string, as AWS Config and StartAutomationExecution send it.
        """
        values = self.parameter_values(parameters)
        resolve(self.document["assumeRole"], values)
        execution = Execution()
        steps = {step["name"]: (step, following(step, below)) for step, below in self.in_order()}
        name = self.document["mainSteps"][0]["name"]
        while name:
            step, after = steps[name]
            execution.steps.append(name)
            try:
                inputs = resolve(step["inputs"], values)
                answer = ACTIONS[step["action"]](client, inputs, step.get("timeoutSeconds", 3600))
                values |= {f"{name}.{key}": value for key, value in outputs(step, answer).items()}
                name = answer if step["action"] == "aws:branch" else after
            except StepError as error:
                # A step is critical by default: the execution fails, whatever the next steps do.
                execution.status = "Failed"
                execution.failures.append(f"{name}: {error}")
                on_failure = step.get("onFailure", "Abort")
                name = on_failure.removeprefix("step:") if on_failure.startswith("step:") else None
        execution.outputs = {key: values[key] for key in self.document.get("outputs", []) if key in values}
        return execution

    def in_order(self):
        """Returns each step with the name of the step below it in the document."""
        steps = self.document["mainSteps"]
        return zip(steps, [step["name"] for step in steps[1:]] + [None], strict=True)

    def parameter_values(self, parameters):
        """Returns the value or the default of each parameter, in the declared type.

        Systems Manager validates the parameters before the first step.
        """
        declared = self.document["parameters"]
        check_keys(parameters, declared, "parameters")
        return {name: parameter_value(name, rule, parameters.get(name)) for name, rule in declared.items()}


def check_keys(mapping, supported, where):
    if unsupported := set(mapping) - set(supported):
        expected = ", ".join(sorted(supported))
        raise StartError(f"{where}: {', '.join(sorted(unsupported))} is not supported; expected {expected}")


def parameter_value(name, rule, sent):
    """Returns the value of a parameter when `sent`, a list of one string or None, is sent."""
    if sent is None:
        if "default" not in rule:
            raise StartError(f"parameter {name} is missing")
        return rule["default"]
    if not (isinstance(sent, list) and len(sent) == 1 and isinstance(sent[0], str)):
        raise StartError(f"parameter {name}: {sent!r} is not a list of one string")
    text = sent[0]
    if "allowedValues" in rule and text not in map(str, rule["allowedValues"]):
        raise StartError(f"parameter {name}: {text!r} is not one of {rule['allowedValues']}")
    if "allowedPattern" in rule and not re.search(rule["allowedPattern"], text):
        raise StartError(f"parameter {name}: {text!r} does not match {rule['allowedPattern']}")
    convert = {"String": str, "Integer": int, "Boolean": {"true": True, "false": False}.__getitem__}
    try:
        return convert[rule["type"]](text)
    except (KeyError, ValueError) as error:
        raise StartError(f"parameter {name}: {text!r} is not of type {rule['type']}") from error


def resolve(value, values):
    """Replaces references by their values. A reference that is the whole string keeps the value's type."""
    if isinstance(value, dict):
        return {key: resolve(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, values) for item in value]
    if not isinstance(value, str):
        return value

    def referenced(match):
        if match[1] not in values:
            raise StepError(f"{match[0]} has no value")
        return values[match[1]]

    if whole := REFERENCE.fullmatch(value):
        return referenced(whole)
    return REFERENCE.sub(lambda match: str(referenced(match)), value)


def following(step, below):
    """Returns the name of the step that runs after a step succeeds, or None."""
    return None if step.get("isEnd") else step.get("nextStep", below)


def outputs(step, answer):
    """Returns the outputs of a step by name."""
    values = {}
    for output in step.get("outputs", []):
        check_keys(output, {"Name", "Selector", "Type"}, f"step {step['name']}")
        value = select(output["Selector"], answer)
        # https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-action-outputs-inputs.html
        if output["Type"] == "String" and TYPES["Integer"](value):
            value = str(value)
        if not TYPES[output["Type"]](value):
            raise StepError(f"output {output['Name']}: {value!r} is not of type {output['Type']}")
        values[output["Name"]] = value
    return values


def select(selector, answer):
    """Returns the value that a selector matches, or a list of values for a selector with `..` or `[*]`."""
    matches = [match.value for match in jsonpath(selector).find(answer)]
    if selects_list(selector):
        return matches
    if len(matches) != 1:
        raise StepError(f"{selector} selects {len(matches)} values")
    return matches[0]


def selects_list(selector):
    """Returns whether a selector matches a list of values, which may be empty."""
    return ".." in selector or "[*]" in selector


def execute_aws_api(client, inputs, _timeout=None):
    arguments = dict(inputs)
    service, api = arguments.pop("Service"), arguments.pop("Api")
    try:
        answer = getattr(client(service), xform_name(api))(**arguments)
    except Exception as error:  # botocore rejects the request, or the service does
        raise StepError(f"{api}: {error}") from error
    return json.loads(json.dumps(answer, default=datetime.isoformat))


def assert_property(client, inputs, _timeout=None):
    call = {key: value for key, value in inputs.items() if key not in ("PropertySelector", "DesiredValues")}
    value = select(inputs["PropertySelector"], execute_aws_api(client, call))
    if str(value) not in map(str, inputs["DesiredValues"]):
        raise StepError(f"{inputs['PropertySelector']} is {value!r}, not one of {inputs['DesiredValues']}")


def wait_for_property(client, inputs, timeout):
    """Reads the property as often as fits into the timeout, without sleeping."""
    for _ in range(0, timeout, POLL_SECONDS):
        try:
            return assert_property(client, inputs)
        except StepError as error:
            last = error
    raise StepError(f"timed out after {timeout} seconds: {last}")


def branch(_client, inputs, _timeout):
    check_keys(inputs, {"Choices", "Default"}, "aws:branch")
    for choice in inputs["Choices"]:
        (comparison,) = set(choice) - {"NextStep", "Variable"}
        if COMPARISONS[comparison](choice["Variable"], choice[comparison]):
            return choice["NextStep"]
    if "Default" not in inputs:
        raise StepError("no choice applies, and there is no default")
    return inputs["Default"]


def execute_script(client, inputs, _timeout):
    """Calls the handler of a script. Its clients are those of the execution, with the role of the runbook."""
    check_keys(inputs, {"Runtime", "Handler", "InputPayload", "Script"}, "aws:executeScript")
    size = len(json.dumps(inputs["InputPayload"]))
    if size > LARGEST_PAYLOAD:
        raise StepError(f"InputPayload has {size} bytes, more than {LARGEST_PAYLOAD}")
    try:
        with patch("boto3.client", client):
            answer = handler(inputs["Script"], inputs["Handler"])(
                json.loads(json.dumps(inputs["InputPayload"])), {}
            )
        return {"Payload": json.loads(json.dumps(answer))}
    except Exception as error:
        raise StepError(f"{type(error).__name__}: {error}") from error


def handler(script, name):
    """Returns the function of that name in a script."""
    module = {}
    exec(compile(script, name, "exec"), module)
    return module[name]


def sleep(_client, inputs, _timeout):
    check_keys(inputs, {"Duration"}, "aws:sleep")


ACTIONS = {
    "aws:executeAwsApi": execute_aws_api,
    "aws:assertAwsResourceProperty": assert_property,
    "aws:waitForAwsResourceProperty": wait_for_property,
    "aws:branch": branch,
    "aws:executeScript": execute_script,
    "aws:sleep": sleep,
}
