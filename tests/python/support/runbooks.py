"""The runbooks in ssm-documents/, as Python objects."""

import yaml

from support.repository import RUNBOOKS


def load(name):
    """Returns the runbook of that name, which a test may change."""
    return yaml.safe_load((RUNBOOKS / f"{name}.yaml").read_text())


def runbooks():
    """Returns every runbook by name."""
    return {path.stem: load(path.stem) for path in sorted(RUNBOOKS.glob("*.yaml"))}


def step(document, name):
    """Returns the step of that name."""
    return next(each for each in document["mainSteps"] if each["name"] == name)
