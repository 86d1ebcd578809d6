"""Finds mistakes in a runbook without executing it.

It compares the API, the inputs and the selectors of each step with botocore's models of the services, and
each reference and jump with the document.
"""

import ast
import re
from itertools import pairwise

import botocore.session

from support.runbook_executor import ACTIONS, COMPARISONS, REFERENCE, STEP_KEYS, TYPES, selects_list

SERVICES = botocore.session.get_session()
JUMPS = re.compile(r"^(Abort|Continue|step:(?P<step>\w+))$")
SELECTOR_PART = re.compile(r"\.\.(?P<deep>\w+)|\.(?P<name>\w+)|\[(?P<index>\d+|\*)\]")
# Inputs of an action that are not parameters of the API that it calls.
NOT_OF_THE_API = ("Service", "Api", "PropertySelector", "DesiredValues")
PYTHON_TYPES = {"string": str, "integer": int, "long": int, "boolean": bool, "timestamp": str}
# The types of Automation that may be sent for a type of a service's model; String for any other.
SENDABLE = {
    "list": ("StringList", "MapList"),
    "structure": ("StringMap",),
    "integer": ("Integer",),
    "boolean": ("Boolean",),
}
# The type of Automation that a type of a service's model is selected as.
SELECTED = {
    "string": "String",
    "integer": "Integer",
    "long": "Integer",
    "boolean": "Boolean",
    "timestamp": "String",
    "structure": "StringMap",
    "list": "MapList",
}


def lint(document):
    """Yields the mistakes in a document, a sentence each."""
    steps = document["mainSteps"]
    names = [step["name"] for step in steps]
    yield from (f"{name}: the name is used twice" for name in set(names) if names.count(name) > 1)
    yield from lint_parameters(document)
    known = set(document["parameters"])
    for step, below in zip(steps, [*names[1:], None], strict=True):
        for finding in [
            *lint_keys(step),
            *lint_jumps(step, names, below),
            *lint_references(step, known),
            *lint_inputs(step, document),
        ]:
            yield f"{step['name']}: {finding}"
        known |= {f"{step['name']}.{output['Name']}" for output in step.get("outputs", [])}
    yield from (
        f"outputs: {name} is not an output of a step"
        for name in document.get("outputs", [])
        if name not in known
    )
    reachable = {names[0]} | {target for step in steps for target in jump_targets(step)} | next_below(steps)
    yield from (f"{name}: no step leads here" for name in names if name not in reachable)


def lint_parameters(document):
    text = str(document["mainSteps"]) + document["assumeRole"]
    for name, rule in document["parameters"].items():
        if rule["type"] not in TYPES:
            yield f"parameter {name}: type {rule['type']} is not supported"
        if name not in REFERENCE.findall(text):
            yield f"parameter {name} is not used"
        pattern = rule.get("allowedPattern", "^$")
        if not (pattern.startswith("^") and pattern.endswith("$")):
            yield f"parameter {name}: allowedPattern does not match the whole value"
        if "allowedValues" not in rule and "allowedPattern" not in rule and rule["type"] != "Boolean":
            yield f"parameter {name} accepts every value"
        if "description" not in rule:
            yield f"parameter {name} has no description"


def lint_keys(step):
    yield from (f"{key} is not a key of a step" for key in set(step) - STEP_KEYS)
    if step["action"] not in ACTIONS:
        yield f"action {step['action']} is not supported"
    if step["action"] == "aws:waitForAwsResourceProperty" and "timeoutSeconds" not in step:
        yield "timeoutSeconds is missing: the default is one hour"


def jump_targets(step):
    """Returns the names of the steps that a step jumps to."""
    choices = step["inputs"].get("Choices", []) if step["action"] == "aws:branch" else []
    names = [choice["NextStep"] for choice in choices] + [step["inputs"].get("Default"), step.get("nextStep")]
    jump = JUMPS.match(step.get("onFailure", "Abort"))
    return {name for name in [*names, jump and jump["step"]] if name}


def next_below(steps):
    """Returns the names of the steps that run because the step above neither jumps nor ends the execution."""
    return {
        below["name"]
        for above, below in pairwise(steps)
        if not (above.get("isEnd") or "nextStep" in above or above["action"] == "aws:branch")
    }


def lint_jumps(step, names, below):
    if not JUMPS.match(step.get("onFailure", "Abort")):
        yield f"onFailure {step['onFailure']} is not supported"
    yield from (f"there is no step {name}" for name in jump_targets(step) - set(names))
    if below is None and not step.get("isEnd"):
        yield "isEnd is missing on the last step"
    if step["action"] == "aws:branch":
        for choice in step["inputs"]["Choices"]:
            if len(set(choice) & set(COMPARISONS)) != 1 or len(choice) != 3:
                yield f"choice {choice} is not supported"


def lint_references(step, known):
    for name in REFERENCE.findall(str(step["inputs"])):
        if name not in known:
            yield f"{name} has no value at this step"


def lint_inputs(step, document):
    inputs = step["inputs"]
    if step["action"] == "aws:executeScript":
        yield from lint_script(inputs, step)
    if "Api" in inputs:
        try:
            operation = SERVICES.get_service_model(inputs["Service"]).operation_model(inputs["Api"])
        except Exception as error:
            yield f"{error}"
            return
        sent = {key: value for key, value in inputs.items() if key not in NOT_OF_THE_API}
        yield from lint_value(sent, operation.input_shape, inputs["Api"], document)
        for output in [*step.get("outputs", []), {"Selector": inputs.get("PropertySelector", "$")}]:
            yield from lint_selector(output, operation.output_shape)


def lint_value(value, shape, where, document):
    """Compares a value with the shape that the service's model has for it."""
    if isinstance(value, str) and (reference := REFERENCE.fullmatch(value)):
        kind = type_of(reference[1], document)
        if kind not in SENDABLE.get(shape.type_name, ("String",)):
            yield f"{where}: {value} is {kind}, expected {shape.type_name}"
    elif shape.type_name == "structure":
        yield from (f"{where} has no {name}" for name in set(value) - set(shape.members))
        yield from (f"{where} needs {name}" for name in shape.required_members if name not in value)
        for name in set(value) & set(shape.members):
            yield from lint_value(value[name], shape.members[name], f"{where}.{name}", document)
    elif shape.type_name == "list":
        if not isinstance(value, list):
            yield f"{where} is not a list"
        else:
            for item in value:
                yield from lint_value(item, shape.member, where, document)
    elif not isinstance(value, PYTHON_TYPES[shape.type_name]):
        yield f"{where} is {value!r}, expected {shape.type_name}"
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{where} is {value}, expected one of {', '.join(shape.enum)}"


def type_of(name, document):
    """Returns the type of a parameter or of an output of a step."""
    if name in document["parameters"]:
        return document["parameters"][name]["type"]
    step, _, output = name.partition(".")
    outputs = [o for s in document["mainSteps"] if s["name"] == step for o in s.get("outputs", [])]
    return next((o["Type"] for o in outputs if o["Name"] == output), "unknown")


def lint_selector(output, shape):
    """Checks that the response has what a selector selects, and that it has the type of the output."""
    selector = output["Selector"]
    path = selector.removeprefix("$")
    parts = list(SELECTOR_PART.finditer(path))
    if "".join(part[0] for part in parts) != path:
        yield f"{selector} is not supported"
        return
    for part in parts:
        shape = select(part, shape)
        if shape is None:
            yield f"{selector}: the response has no {part['deep'] or part['name'] or 'list'} there"
            return
    kind = SELECTED[shape.type_name]
    if selects_list(selector):
        kind = "MapList" if kind in ("StringMap", "MapList") else "StringList"
    # Systems Manager converts an integer to a string.
    if output.get("Type", kind) not in (kind, "String" if kind == "Integer" else kind):
        yield f"{selector} is {kind}, not {output['Type']}"


def select(part, shape):
    """Returns the shape that a part of a selector selects, or None."""
    if part["deep"]:
        return descendant(shape, part["deep"])
    if part["name"]:
        return shape.members.get(part["name"]) if shape.type_name == "structure" else None
    return shape.member if shape.type_name == "list" else None


def descendant(shape, name):
    """Returns the first member of that name at any depth, or None."""
    if shape.type_name == "list":
        return descendant(shape.member, name)
    members = getattr(shape, "members", {})
    below = (descendant(member, name) for member in members.values())
    return members.get(name) or next(filter(None, below), None)


def lint_script(inputs, step):
    if inputs["Runtime"] != "python3.12":
        yield f"Runtime {inputs['Runtime']} is not python3.12"
    try:
        tree = ast.parse(inputs["Script"])
    except SyntaxError as error:
        yield f"Script: {error}"
        return
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    if inputs["Handler"] not in functions:
        yield f"Script does not define {inputs['Handler']}"
    read = set(re.findall(r"""events\[["'](\w+)["']\]""", inputs["Script"]))
    for name in read - set(inputs["InputPayload"]):
        yield f"Script reads {name}, which InputPayload does not contain"
    dictionaries = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    returned = {key.value for node in dictionaries for key in node.keys if isinstance(key, ast.Constant)}
    for output in step.get("outputs", []):
        name = output["Selector"].removeprefix("$.Payload.")
        if name not in returned:
            yield f"{output['Selector']}: Script does not return {name}"
