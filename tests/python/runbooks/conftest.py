"""The cloud of the runbooks, and the record of the operations that they called."""

from pathlib import Path

import pytest

from runbooks.cloud import RunbookCloud, operations
from runbooks.safety import assert_safe
from support.repository import CALLS


@pytest.fixture(scope="package", autouse=True)
def record_of_operations(request):
    """Writes the operations that each runbook called, if all tests of the suite ran and passed.

    A test of the templates compares them with the permissions of the roles.
    """
    session, folder = request.session, Path(__file__).parent
    failed_before = session.testsfailed
    yield
    selected = session.config.option.keyword or any("::" in argument for argument in session.config.args)
    complete = {item.path for item in session.items} >= set(folder.glob("test_*.py"))
    if complete and not selected and session.testsfailed == failed_before:
        CALLS.mkdir(parents=True, exist_ok=True)
        for runbook, called in operations.items():
            (CALLS / f"{runbook}.txt").write_text("".join(f"{each}\n" for each in sorted(called)))


@pytest.fixture
def cloud(moto_server):
    """A cloud without resources. After each test, the changes that runbooks requested are checked."""
    cloud = RunbookCloud(moto_server)
    yield cloud
    for change in cloud.changes:
        assert_safe(change)
