"""CloudFormation's templates as plain objects."""

import re

import yaml

from support.repository import TEMPLATES


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's tags: !Ref X as {"Ref": "X"}."""


def tagged(loader, suffix, node):
    kinds = {
        yaml.ScalarNode: loader.construct_scalar,
        yaml.SequenceNode: loader.construct_sequence,
        yaml.MappingNode: loader.construct_mapping,
    }
    return {suffix: kinds[type(node)](node, *([] if isinstance(node, yaml.ScalarNode) else [True]))}


Loader.add_multi_constructor("!", tagged)


def load(name):
    """The template of that name."""
    return yaml.load((TEMPLATES / name).read_text(), Loader)


def of_type(template, kind):
    """The properties of the template's resources of a type, by their names."""
    resources = template["Resources"].items()
    return {name: resource.get("Properties", {}) for name, resource in resources if resource["Type"] == kind}


def is_conformance_pack(template):
    """Whether it is for AWS Config, which has no form for its parameters."""
    kinds = {resource["Type"] for resource in template["Resources"].values()}
    return kinds <= {"AWS::Config::ConfigRule", "AWS::Config::RemediationConfiguration"}


def as_list(value):
    return value if isinstance(value, list) else [value]


def templates():
    """Every template, by its file's name."""
    return {path.name: load(path.name) for path in sorted(TEMPLATES.glob("*.yaml"))}


def strings(part):
    """Every string in a part of a template, keys and the names inside functions too."""
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
    """The operands of these functions in a part of a template."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key.removeprefix("Fn::") in functions:
                yield value
            yield from found(value, *functions)
    elif isinstance(part, list):
        for each in part:
            yield from found(each, *functions)


def references(part):
    """What a part of a template refers to by Ref and Sub: parameters and resources, without attributes."""
    yield from found(part, "Ref")
    for written in found(part, "Sub"):
        text = written[0] if isinstance(written, list) else written
        yield from (name.split(".")[0] for name in re.findall(r"\$\{([^!}][^}]*)\}", text))
