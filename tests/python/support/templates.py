"""The CloudFormation templates, as Python objects."""

import re

import yaml

from support.repository import TEMPLATES


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's tags: !Ref X as {"Ref": "X"}."""


def construct_tagged(loader, suffix, node):
    kinds = {
        yaml.ScalarNode: loader.construct_scalar,
        yaml.SequenceNode: loader.construct_sequence,
        yaml.MappingNode: loader.construct_mapping,
    }
    return {suffix: kinds[type(node)](node, *([] if isinstance(node, yaml.ScalarNode) else [True]))}


Loader.add_multi_constructor("!", construct_tagged)


def load(name):
    """Returns the template in the file of that name."""
    return yaml.load((TEMPLATES / name).read_text(), Loader)


def of_type(template, kind):
    """Returns the properties of the resources of a type, by logical id."""
    resources = template["Resources"].items()
    return {name: resource.get("Properties", {}) for name, resource in resources if resource["Type"] == kind}


def as_list(value):
    return value if isinstance(value, list) else [value]


def templates():
    """Returns every template by the name of its file."""
    return {path.name: load(path.name) for path in sorted(TEMPLATES.glob("*.yaml"))}


def strings(part):
    """Yields every string in a part of a template, including keys and the names in functions."""
    if isinstance(part, dict):
        for key, value in part.items():
            yield str(key)
            yield from strings(value)
    elif isinstance(part, list):
        for each in part:
            yield from strings(each)
    elif isinstance(part, str):
        yield part


def found(part, *functions):
    """Yields the operands of these functions in a part of a template."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key.removeprefix("Fn::") in functions:
                yield value
            yield from found(value, *functions)
    elif isinstance(part, list):
        for each in part:
            yield from found(each, *functions)


def references(part):
    """Yields the parameters and resources to which Ref and Sub refer in a part of a template."""
    yield from found(part, "Ref")
    for operands in found(part, "Sub"):
        text = operands[0] if isinstance(operands, list) else operands
        yield from (name.split(".")[0] for name in re.findall(r"\$\{([^!}][^}]*)\}", text))
