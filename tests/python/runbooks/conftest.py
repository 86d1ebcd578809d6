"""The cloud of the runbooks, and the record of the operations that they called."""

from pathlib import Path

import pytest

from runbooks.cloud import RunbookCloud, operations
from runbooks.safety import assert_safe
from support.operations import recording


@pytest.fixture(scope="package", autouse=True)
def record_of_operations(request):
    """Records the operations of each runbook. A test compares them with the permissions of the roles."""
    with recording(request.session, Path(__file__).parent, operations):
        yield


@pytest.fixture
def cloud(moto_server):
    """A cloud without resources. After each test, the changes that runbooks requested are checked."""
    cloud = RunbookCloud(moto_server)
    yield cloud
    for change in cloud.changes:
        assert_safe(change)
