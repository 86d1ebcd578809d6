"""The journal that `imdsv2 remediate` writes: one JSON object a line."""

import json

import pytest


@pytest.fixture
def journal(tmp_path):
    """The path of a journal that does not exist yet."""
    return tmp_path / "journal.jsonl"


def entries(journal):
    """Returns the entries of instances, in the order of the file."""
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    return [entry for entry in lines if entry["step"] != "opened"]


def steps(journal):
    """Returns the steps of each instance by id."""
    found = {}
    for entry in entries(journal):
        found.setdefault(entry["instanceId"], []).append(entry["step"])
    return found


def count(journal, step):
    """Returns how many times a step occurs in a journal, which may be incomplete or missing."""
    return journal.read_text().count(f'"{step}"') if journal.exists() else 0
