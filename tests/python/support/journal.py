"""The journal that `imdsv2 remediate` writes: one JSON object a line."""

import json

import pytest


@pytest.fixture
def journal(tmp_path):
    """The path of a journal that does not exist yet."""
    return tmp_path / "journal.jsonl"


def entries(journal):
    """Returns every entry, in the order of the file."""
    return [json.loads(line) for line in journal.read_text().splitlines()]


def steps(journal):
    """Returns the steps of each instance, by its id."""
    found = {}
    for entry in entries(journal):
        found.setdefault(entry["instanceId"], []).append(entry["step"])
    return found
