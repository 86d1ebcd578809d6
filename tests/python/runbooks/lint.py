"""Finds what is wrong in a runbook before anything runs it: each step's API, inputs and selectors against
botocore's models of the services, each reference and jump against the document."""

import ast
import re

import botocore.session

from support.runbook_executor import ACTIONS, COMPARISONS, REFERENCE, STEP_KEYS, TYPES

SERVICES = botocore.session.get_session()
JUMPS = re.compile(r"^(Abort|Continue|step:(?P<step>\w+))$")
NOT_THE_APIS = ("Service", "Api", "PropertySelector", "DesiredValues")
SELECTOR = re.compile(r"\.\.(\w+)|\.(\w+)|\[(\d+|\*)\]")
STRINGS_OF = {"string": str, "integer": int, "long": int, "boolean": bool, "timestamp": str}


def lint(document):
    """What is wrong with the document, a sentence each."""
    steps = document["mainSteps"]
    names = [step["name"] for step in steps]
    yield from (f"{name}: the name is used twice" for name in set(names) if names.count(name) > 1)
    yield from parameters(document)
    known = set(document["parameters"])
    for step, after in zip(steps, [*names[1:], None], strict=True):
        for problem in [
            *keys(step),
            *jumps(step, names, after),
            *references(step, known),
            *inputs(step, document),
        ]:
            yield f"{step['name']}: {problem}"
        known |= {f"{step['name']}.{output['Name']}" for output in step.get("outputs", [])}
    yield from (
        f"outputs: {name} is no output of a step" for name in document.get("outputs", []) if name not in known
    )
    reachable = {names[0]} | {target for step in steps for target in targets(step)} | falls_through(steps)
    yield from (f"{name}: no step leads here" for name in names if name not in reachable)


def parameters(document):
    text = str(document["mainSteps"]) + document["assumeRole"]
    for name, rule in document["parameters"].items():
        if rule["type"] not in TYPES:
            yield f"parameter {name}: type {rule['type']} is not known"
        if name not in REFERENCE.findall(text):
            yield f"parameter {name} is not used"
        pattern = rule.get("allowedPattern", "^$")
        if not (pattern.startswith("^") and pattern.endswith("$")):
            yield f"parameter {name}: allowedPattern has to hold for the whole value"
        if "allowedValues" not in rule and "allowedPattern" not in rule and rule["type"] != "Boolean":
            yield f"parameter {name} takes anything"
        if "description" not in rule:
            yield f"parameter {name} is not described"


def keys(step):
    yield from (f"{key} is no key of a step" for key in set(step) - STEP_KEYS)
    if step["action"] not in ACTIONS:
        yield f"{step['action']} is no action that is known"
    if step["action"] == "aws:waitForAwsResourceProperty" and "timeoutSeconds" not in step:
        yield "waits for an hour: timeoutSeconds is missing"


def targets(step):
    """Where a step jumps to."""
    choices = step["inputs"].get("Choices", []) if step["action"] == "aws:branch" else []
    found = [choice["NextStep"] for choice in choices] + [step["inputs"].get("Default"), step.get("nextStep")]
    jump = JUMPS.match(step.get("onFailure", "Abort"))
    return {name for name in [*found, jump and jump["step"]] if name}


def falls_through(steps):
    """The steps that the one above leads to by not saying otherwise."""
    ends = {
        step["name"]: step.get("isEnd") or "nextStep" in step or step["action"] == "aws:branch"
        for step in steps
    }
    return {below["name"] for above, below in zip(steps, steps[1:], strict=False) if not ends[above["name"]]}


def jumps(step, names, after):
    if not JUMPS.match(step.get("onFailure", "Abort")):
        yield f"onFailure {step['onFailure']} is not known"
    yield from (f"there is no step {name}" for name in targets(step) - set(names))
    if after is None and not step.get("isEnd"):
        yield "is the last one, and does not say isEnd"
    if step["action"] == "aws:branch":
        for choice in step["inputs"]["Choices"]:
            if len(set(choice) & set(COMPARISONS)) != 1 or len(choice) != 3:
                yield f"choice {choice} is not understood"


def references(step, known):
    yield from (
        f"{name} is not known at this step"
        for name in REFERENCE.findall(str(step["inputs"]))
        if name not in known
    )


def inputs(step, document):
    """What is wrong with what the step gives to its action, and selects from the answer."""
    given = step["inputs"]
    if step["action"] == "aws:executeScript":
        yield from script(given, step)
    if "Api" in given:
        try:
            operation = SERVICES.get_service_model(given["Service"]).operation_model(given["Api"])
        except Exception as error:
            yield f"{error}"
            return
        sent = {key: value for key, value in given.items() if key not in NOT_THE_APIS}
        yield from fits(sent, operation.input_shape, given["Api"], document)
        for output in [*step.get("outputs", []), {"Selector": given.get("PropertySelector", "$")}]:
            yield from selects(output, operation.output_shape)


def fits(value, shape, where, document):
    """Whether a value may be sent as what the service's model calls for."""
    if isinstance(value, str) and (reference := REFERENCE.fullmatch(value)):
        kind = type_of(reference[1], document)
        wanted = {
            "list": ("StringList", "MapList"),
            "structure": ("StringMap",),
            "integer": ("Integer",),
            "boolean": ("Boolean",),
        }.get(shape.type_name, ("String",))
        if kind not in wanted:
            yield f"{where} takes {shape.type_name}, and {value} is {kind}"
    elif shape.type_name == "structure":
        members = shape.members
        yield from (f"{where} has no {name}" for name in set(value) - set(members))
        yield from (f"{where} needs {name}" for name in shape.required_members if name not in value)
        for name in set(value) & set(members):
            yield from fits(value[name], members[name], f"{where}.{name}", document)
    elif shape.type_name == "list":
        if not isinstance(value, list):
            yield f"{where} is no list"
        else:
            for item in value:
                yield from fits(item, shape.member, where, document)
    elif not isinstance(value, STRINGS_OF[shape.type_name]):
        yield f"{where} is {value!r}, and should be {shape.type_name}"
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{where} is {value}, and should be one of {', '.join(shape.enum)}"


def type_of(name, document):
    if name in document["parameters"]:
        return document["parameters"][name]["type"]
    step, _, output = name.partition(".")
    outputs = [o for s in document["mainSteps"] if s["name"] == step for o in s.get("outputs", [])]
    return next((o["Type"] for o in outputs if o["Name"] == output), "not known")


def selects(output, shape):
    """Whether a selector's path is in the service's answer, and of the type that the output says."""
    steps = SELECTOR.findall(output["Selector"].removeprefix("$"))
    if (
        "$" + "".join(f"..{d}" if d else f".{n}" if n else f"[{i}]" for d, n, i in steps)
        != output["Selector"]
    ):
        yield f"{output['Selector']} is not understood"
        return
    for deep, name, _ in steps:
        shape = (
            descend(shape, deep)
            if deep
            else shape.members.get(name)
            if name and shape.type_name == "structure"
            else shape.member
            if not name and shape.type_name == "list"
            else None
        )
        if shape is None:
            yield f"{output['Selector']}: the answer has no {deep or name or 'list'} there"
            return
    types = {
        "string": "String",
        "integer": "Integer",
        "long": "Integer",
        "boolean": "Boolean",
        "timestamp": "String",
        "structure": "StringMap",
    }
    found = "MapList" if shape.type_name == "list" else types[shape.type_name]
    if ".." in output["Selector"] or "[*]" in output["Selector"]:  # selects a list
        found = "MapList" if found in ("StringMap", "MapList") else "StringList"
    if output.get("Type", found) not in (found, "String" if found == "Integer" else found):
        yield f"{output['Selector']} is {found}, and not {output['Type']}"


def descend(shape, name):
    """The first member of this name at any depth."""
    if shape.type_name == "list":
        return descend(shape.member, name)
    members = getattr(shape, "members", {})
    return members.get(name) or next(
        filter(None, (descend(member, name) for member in members.values())), None
    )


def script(given, step):
    if given["Runtime"] != "python3.12":
        yield f"Runtime {given['Runtime']} is not python3.12"
    try:
        tree = ast.parse(given["Script"])
    except SyntaxError as error:
        yield f"Script: {error}"
        return
    handlers = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if given["Handler"] not in handlers:
        yield f"Script has no function {given['Handler']}"
    read = set(re.findall(r"""events\[["'](\w+)["']\]""", given["Script"]))
    yield from (
        f"Script reads {name}, which InputPayload has not" for name in read - set(given["InputPayload"])
    )
    returned = {
        key.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    for output in step.get("outputs", []):
        name = output["Selector"].removeprefix("$.Payload.")
        if name not in returned:
            yield f"{output['Selector']}: Script returns no {name}"
