"""CloudFormation's templates as plain objects."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's tags: !Ref X as {"Ref": "X"}."""


def tagged(loader, suffix, node):
    kinds = {yaml.ScalarNode: loader.construct_scalar, yaml.SequenceNode: loader.construct_sequence,
             yaml.MappingNode: loader.construct_mapping}
    return {suffix: kinds[type(node)](node, *([] if isinstance(node, yaml.ScalarNode) else [True]))}


Loader.add_multi_constructor("!", tagged)


def load(name):
    """The template of that name."""
    return yaml.load((ROOT / "cloudformation" / name).read_text(), Loader)


def of_type(template, kind):
    """The properties of the template's resources of a type, by their names."""
    resources = template["Resources"].items()
    return {name: resource.get("Properties", {}) for name, resource in resources if resource["Type"] == kind}


def as_list(value):
    return value if isinstance(value, list) else [value]
