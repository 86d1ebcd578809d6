"""The commands of the documentation: each operation, option, parameter and target that they name exists.

None of them is run: test_sessions.py does that where no AWS account is needed.
"""

import re
import shlex
import subprocess
from functools import cache

import botocore.session
import jmespath
import pytest
import yaml
from botocore import xform_name

from docs.markdown import MANUAL, blocks, code, name, prose
from support.repository import IMDSV2, ROOT, RUNBOOKS
from support.templates import load

# What the AWS CLI has beside the operations of the services' APIs, with the options that the pages use.
CUSTOM = {
    ("s3", "cp"): {"--recursive", "--exclude", "--include"},
    ("cloudformation", "deploy"): {
        "--capabilities",
        "--parameter-overrides",
        "--stack-name",
        "--template-file",
    },
    ("cloudformation", "wait"): {"--stack-name"},
}
GLOBAL = {"--query", "--output", "--region", "--profile", "--cli-input-json", "--cli-binary-format"}
SERVICES = {"configservice": "config"}
COMMANDS = ("evaluate", "callers", "scan", "remediate", "restore")
SEPARATORS = set("();<>|&")


def shell(text):
    """The simple commands of a script, each a list of words."""
    words = shlex.shlex(text.replace("\\\n", " "), posix=True, punctuation_chars=True)
    words.whitespace_split = True
    words.commenters = "#"
    command = []
    for word in words:
        if set(word) <= SEPARATORS or word in ("do", "done"):
            yield command
            command = []
        else:
            command.append(word)
    yield command


def commands(page, program):
    """The commands of a page that start with `program`: those in blocks, and those in backticks."""
    for block in blocks(page):
        if block.language in ("sh", "console"):
            text = "\n".join(line.removeprefix("$ ") for line in block.lines if in_script(block, line))
            for part in re.split(r"(?<!\\)\n", text):
                yield from starting_with(program, part)
    for line in prose(page):
        for text in code(line):
            if text.startswith(f"{program} "):
                yield from starting_with(program, text)


def in_script(block, line):
    return block.language == "sh" or line.startswith("$ ")


def starting_with(program, text):
    for words in shell(text):
        if program in words:
            yield words[words.index(program) + 1 :]


@cache
def operations(service):
    """The operations of a service, as the AWS CLI spells them."""
    model = botocore.session.get_session().get_service_model(SERVICES.get(service, service))
    return {xform_name(name, "-"): model.operation_model(name) for name in model.operation_names}


def wrong_in_aws(words):
    """What the AWS CLI would not know in a command, or would print nothing for, if anything."""
    service, operation, *rest = words
    known = CUSTOM.get((service, operation))
    if known is None:
        model = operations(service).get(operation)
        if model is None:
            return f"{service} {operation}"
        members = model.input_shape.members if model.input_shape else {}
        known = {f"--{xform_name(member, '-')}" for member in members}
        if "--query" in rest and not selects(rest[rest.index("--query") + 1], model.output_shape):
            return "--query"
    return sorted({word for word in rest if word.startswith("--")} - known - GLOBAL)


def selects(query, shape):
    """Whether a query finds all that it asks for in an answer of this shape."""
    literal = re.search(r"'([^']+)'", query)
    return not has_gap(jmespath.search(query, sample(shape, literal[1] if literal else "text")))


def has_gap(found):
    if isinstance(found, list):
        return not found or any(map(has_gap, found))
    return found is None


def sample(shape, text, depth=8):
    """An answer of a shape, with one element in each list, and this text in each string."""
    if depth == 0:
        return None
    if shape.type_name == "structure":
        return {name: sample(member, text, depth - 1) for name, member in shape.members.items()}
    if shape.type_name == "list":
        return [sample(shape.member, text, depth - 1)]
    if shape.type_name == "map":
        return {text: sample(shape.value, text, depth - 1)}
    return text


@pytest.mark.parametrize("page", MANUAL, ids=name)
def test_aws_has_these_operations_and_options(page):
    for words in commands(page, "aws"):
        assert not wrong_in_aws(words), words


def test_the_check_of_aws_commands_is_shown_to_fail():
    assert wrong_in_aws(["ec2", "describe-instance"])
    assert wrong_in_aws(["ec2", "describe-instances", "--instances", "i-1"])
    assert wrong_in_aws(["ec2", "describe-instances", "--query", "Reservations[].[OwnerId, Instance]"])
    assert not wrong_in_aws(["ec2", "describe-instances", "--query", "Reservations[].OwnerId"])


@cache
def options(command):
    """The options of a command of `imdsv2`, each with what its help says, in one line."""
    text = subprocess.run([IMDSV2, command, "--help"], capture_output=True, text=True, check=True).stdout
    parts = re.split(r"^ +(?:-\w, )?(--[a-z-]+)", text, flags=re.MULTILINE)[1:]
    found = {option: " ".join(help.split()) for option, help in zip(parts[::2], parts[1::2], strict=True)}
    return {option: help for option, help in found.items() if option not in ("--help", "--version")}


@pytest.mark.parametrize("page", MANUAL, ids=name)
def test_imdsv2_has_these_commands_and_options(page):
    for program in ("imdsv2", "cargo evaluate"):
        for words in commands(page, program.split()[0]):
            if program == "cargo evaluate" and words[:1] != ["evaluate"]:
                continue
            command, *rest = words
            assert command in (*COMMANDS, "permissions", "completions", "man", "--version", "--help"), words
            used = {word.split("=")[0] for word in rest if word.startswith("--")}
            assert used <= set(options(command) if command in COMMANDS else ()), words


def test_trusted_access_of_stack_sets_is_enabled_through_cloudformation():
    """https://docs.aws.amazon.com/organizations/latest/userguide/services-that-can-integrate-cloudformation.html"""
    used = [words for page in MANUAL for words in commands(page, "aws")]
    assert ["cloudformation", "activate-organizations-access"] in used
    enabled = [words for words in used if words[:2] == ["organizations", "enable-aws-service-access"]]
    assert enabled and not any("stacksets" in " ".join(words) for words in enabled)


@pytest.mark.parametrize("page", MANUAL, ids=name)
def test_make_has_these_targets(page):
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+) :?=|\$\(([A-Z_]+)\)", makefile, re.MULTILINE))
    variables = {each for pair in variables for each in pair if each}
    for words in commands(page, "make"):
        assert words[0] in targets, words
        assert {word.split("=")[0] for word in words[1:]} <= variables, words
        for word in words[1:]:
            variable, _, value = word.partition("=")
            if variable == "PARAMETERS":
                assert_parameters("rule.yaml", value.split(), words)


@pytest.mark.parametrize("page", MANUAL, ids=name)
def test_templates_have_these_parameters(page):
    for words in commands(page, "aws"):
        if words[:2] == ["cloudformation", "deploy"] and "--parameter-overrides" in words:
            template = words[words.index("--template-file") + 1].removeprefix("cloudformation/")
            last = words[words.index("--parameter-overrides") + 1 :]
            assert_parameters(template, [word for word in last if not word.startswith("--")], words)


def assert_parameters(template, given, words):
    parameters = load(template)["Parameters"]
    for parameter, _, value in (each.partition("=") for each in given):
        assert value in parameters[parameter].get("AllowedValues", [value or None]), words


@pytest.mark.parametrize("page", MANUAL, ids=name)
def test_runbooks_have_these_parameters(page):
    for words in commands(page, "aws"):
        if words[:2] == ["ssm", "start-automation-execution"]:
            document = words[words.index("--document-name") + 1].removeprefix("imdsv2-config-rule-")
            parameters = yaml.safe_load((RUNBOOKS / f"{document}.yaml").read_text())["parameters"]
            given = {each.split("=")[0] for each in words[words.index("--parameters") + 1].split(",")}
            if "--target-parameter-name" in words:
                given.add(words[words.index("--target-parameter-name") + 1])
            assert given <= set(parameters), words
            assert {each for each, rule in parameters.items() if "default" not in rule} <= given, words
