"""A cloud for the runbooks, and a record of the operations that they called."""

from pathlib import Path

import pytest

from runbooks.cloud import Cloud, assert_safe, made
from support.repository import CALLS


@pytest.fixture(scope="package", autouse=True)
def operations(request):
    """Writes the operations that each runbook called, if all tests of the suite ran and passed.

    The suite of the templates compares them with the permissions of the roles.
    """
    session, folder = request.session, Path(__file__).parent
    failed = session.testsfailed
    yield
    ran = {item.path for item in session.items}
    chosen = session.config.option.keyword or any("::" in argument for argument in session.config.args)
    if session.testsfailed == failed and not chosen and ran >= set(folder.glob("test_*.py")):
        CALLS.mkdir(parents=True, exist_ok=True)
        for runbook, called in made.items():
            (CALLS / f"{runbook}.txt").write_text("".join(f"{each}\n" for each in sorted(called)))


@pytest.fixture
def cloud(moto_server, monkeypatch):
    """A new cloud. When the test is over, every change that a runbook requested is checked."""
    cloud = Cloud(moto_server, monkeypatch)
    yield cloud
    for change in cloud.changes:
        assert_safe(**change)
