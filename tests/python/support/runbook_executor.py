"""Executes an Automation runbook as SSM would, step by step, against the API that boto3's clients talk to.

It knows the actions and keys that this project's runbooks use, and refuses any other: a runbook is never
half executed in silence. What SSM does is written down in
https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-actions.html
"""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

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

# https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-action-executeScript.html
LARGEST_PAYLOAD = 100_000


class Refused(Exception):
    """SSM does not start the execution: the document or a parameter is wrong."""


class StepFailed(Exception):
    """A step failed, as the console shows it."""


@dataclass
class Execution:
    """What came of a run: what GetAutomationExecution would answer."""

    status: str = "Success"
    failures: list = field(default_factory=list)
    steps: list = field(default_factory=list)
    outputs: dict = field(default_factory=dict)


class Runbook:
    """An Automation document, read and checked."""

    def __init__(self, source):
        self.document = yaml.safe_load(source.read_text() if isinstance(source, Path) else source)
        known(self.document, DOCUMENT_KEYS, "document")
        if self.document["schemaVersion"] != "0.3":
            raise Refused(f"schemaVersion {self.document['schemaVersion']!r} is not 0.3")
        for step in self.document["mainSteps"]:
            known(step, STEP_KEYS, f"step {step['name']}")
            if step["action"] not in ACTIONS:
                raise Refused(f"step {step['name']}: action {step['action']} is not known here")

    def run(self, client, parameters):
        """Executes the steps. `client` gives a boto3 client for a service's name; parameters are lists of
        strings, as AWS Config and StartAutomationExecution send them."""
        values = self.start(parameters)
        resolve(self.document["assumeRole"], values)
        execution = Execution()
        steps = {step["name"]: (step, following(step, after)) for step, after in self.in_order()}
        name = self.document["mainSteps"][0]["name"]
        while name:
            step, after = steps[name]
            execution.steps.append(name)
            try:
                inputs = resolve(step["inputs"], values)
                answer = ACTIONS[step["action"]](client, inputs, step.get("timeoutSeconds", 3600))
                values |= {f"{name}.{key}": value for key, value in outputs(step, answer).items()}
                name = answer if step["action"] == "aws:branch" else after
            except StepFailed as error:
                # A step is critical unless told otherwise: whatever comes after it, the execution has failed.
                execution.status = "Failed"
                execution.failures.append(f"{name}: {error}")
                on_failure = step.get("onFailure", "Abort")
                name = on_failure.removeprefix("step:") if on_failure.startswith("step:") else None
        execution.outputs = {key: values[key] for key in self.document.get("outputs", []) if key in values}
        return execution

    def in_order(self):
        """Each step, with the name of the one below it."""
        steps = self.document["mainSteps"]
        return zip(steps, [step["name"] for step in steps[1:]] + [None], strict=True)

    def start(self, parameters):
        """The parameters' values, typed, checked and with defaults, as SSM does before the first step."""
        declared = self.document["parameters"]
        known(parameters, declared, "parameters")
        return {name: parameter(name, rule, parameters.get(name)) for name, rule in declared.items()}


def known(mapping, keys, where):
    if unknown := set(mapping) - set(keys):
        raise Refused(f"{where}: {', '.join(sorted(unknown))} not known; known are {', '.join(sorted(keys))}")


def parameter(name, rule, given):
    if given is None:
        if "default" not in rule:
            raise Refused(f"parameter {name} is missing")
        return rule["default"]
    if not (isinstance(given, list) and len(given) == 1 and isinstance(given[0], str)):
        raise Refused(f"parameter {name}: {given!r} is not a list of one string")
    text = given[0]
    if "allowedValues" in rule and text not in map(str, rule["allowedValues"]):
        raise Refused(f"parameter {name}: {text!r} is none of {rule['allowedValues']}")
    if "allowedPattern" in rule and not re.search(rule["allowedPattern"], text):
        raise Refused(f"parameter {name}: {text!r} does not match {rule['allowedPattern']}")
    try:
        return {"String": str, "Integer": int, "Boolean": {"true": True, "false": False}.__getitem__}[
            rule["type"]
        ](text)
    except (KeyError, ValueError) as error:
        raise Refused(f"parameter {name}: {text!r} is no {rule['type']}") from error


def resolve(value, values):
    """Puts values in the place of references. A reference that is the whole string keeps its type."""
    if isinstance(value, dict):
        return {key: resolve(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, values) for item in value]
    if not isinstance(value, str):
        return value

    def look_up(match):
        if match[1] not in values:
            raise StepFailed(f"{match[0]} has no value")
        return values[match[1]]

    if whole := REFERENCE.fullmatch(value):
        return look_up(whole)
    return REFERENCE.sub(lambda match: str(look_up(match)), value)


def following(step, after):
    return None if step.get("isEnd") else step.get("nextStep", after)


def outputs(step, answer):
    found = {}
    for output in step.get("outputs", []):
        known(output, {"Name", "Selector", "Type"}, f"step {step['name']}")
        value = select(output["Selector"], answer)
        if output["Type"] == "String" and TYPES["Integer"](value):
            value = str(
                value
            )  # SSM converts; https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-action-outputs-inputs.html
        if not TYPES[output["Type"]](value):
            raise StepFailed(f"output {output['Name']}: {value!r} is no {output['Type']}")
        found[output["Name"]] = value
    return found


def select(selector, answer):
    found = [match.value for match in jsonpath(selector).find(answer)]
    if ".." in selector or "[*]" in selector:  # selects a list, which may be empty
        return found
    if len(found) != 1:
        raise StepFailed(f"{selector} selects {len(found)} values")
    return found[0]


def execute_aws_api(client, inputs, _timeout=None):
    arguments = dict(inputs)
    service, api = arguments.pop("Service"), arguments.pop("Api")
    try:
        answer = getattr(client(service), xform_name(api))(**arguments)
    except Exception as error:  # what botocore refuses, and what the service does
        raise StepFailed(f"{api}: {error}") from error
    return json.loads(json.dumps(answer, default=datetime.isoformat))


def assert_property(client, inputs, _timeout=None):
    call = {key: value for key, value in inputs.items() if key not in ("PropertySelector", "DesiredValues")}
    value = select(inputs["PropertySelector"], execute_aws_api(client, call))
    if str(value) not in map(str, inputs["DesiredValues"]):
        raise StepFailed(f"{inputs['PropertySelector']} is {value!r}, not one of {inputs['DesiredValues']}")


def wait_for_property(client, inputs, timeout):
    """Time is not waited for: an attempt stands for five seconds."""
    for _ in range(0, timeout, 5):
        try:
            return assert_property(client, inputs)
        except StepFailed as error:
            last = error
    raise StepFailed(f"timed out after {timeout} seconds: {last}")


def branch(_client, inputs, _timeout):
    known(inputs, {"Choices", "Default"}, "aws:branch")
    for choice in inputs["Choices"]:
        (comparison,) = set(choice) - {"NextStep", "Variable"}
        if COMPARISONS[comparison](choice["Variable"], choice[comparison]):
            return choice["NextStep"]
    if "Default" not in inputs:
        raise StepFailed("no choice applies, and there is no default")
    return inputs["Default"]


def execute_script(_client, inputs, _timeout):
    known(inputs, {"Runtime", "Handler", "InputPayload", "Script"}, "aws:executeScript")
    size = len(json.dumps(inputs["InputPayload"]))
    if size > LARGEST_PAYLOAD:
        raise StepFailed(f"InputPayload has {size} bytes, and may have {LARGEST_PAYLOAD}")
    try:
        answer = script(inputs["Script"], inputs["Handler"])(
            json.loads(json.dumps(inputs["InputPayload"])), {}
        )
        return {"Payload": json.loads(json.dumps(answer))}
    except Exception as error:
        raise StepFailed(f"{type(error).__name__}: {error}") from error


def script(source, handler):
    """The handler of a script, to be called by itself."""
    module = {}
    exec(compile(source, handler, "exec"), module)
    return module[handler]


def sleep(_client, inputs, _timeout):
    known(inputs, {"Duration"}, "aws:sleep")


ACTIONS = {
    "aws:executeAwsApi": execute_aws_api,
    "aws:assertAwsResourceProperty": assert_property,
    "aws:waitForAwsResourceProperty": wait_for_property,
    "aws:branch": branch,
    "aws:executeScript": execute_script,
    "aws:sleep": sleep,
}
