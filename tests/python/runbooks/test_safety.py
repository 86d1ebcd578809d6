"""The check that follows every test: it finds the changes that no runbook may request."""

import pytest
import yaml

from runbooks.cloud import ROLE
from runbooks.safety import Change, assert_safe
from support.runbook_executor import Runbook
from support.runbooks import load, step

ENABLED = {"HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2}


@pytest.fixture
def unsafe():
    """EnforceImdsv2 without its safeguards: it enables the endpoint and ignores the usage."""
    document = load("EnforceImdsv2")
    step(document, "RequireTokens")["inputs"]["HttpEndpoint"] = "enabled"
    step(document, "Usage")["inputs"]["Script"] = (
        "def judge(events, context):\n    return {'Calls': 0, 'BootCalls': 0}"
    )
    return Runbook(yaml.safe_dump(document))


def requested(cloud):
    """Returns the only change, and exempts it from the check that follows the test."""
    changes, cloud.changes = cloud.changes, []
    (change,) = changes
    return change


def test_enabling_the_endpoint_is_found(cloud, unsafe):
    instance = cloud.instance(endpoint="disabled")
    unsafe.run(cloud.recorded, {"InstanceId": [instance], "AutomationAssumeRole": [ROLE]})
    with pytest.raises(AssertionError, match="enables the IMDS endpoint"):
        assert_safe(requested(cloud))


def test_blocking_imdsv1_calls_is_found(cloud, unsafe):
    instance = cloud.instance()
    cloud.imdsv1_calls(instance, 5)
    unsafe.run(cloud.recorded, {"InstanceId": [instance], "AutomationAssumeRole": [ROLE]})
    with pytest.raises(AssertionError, match="blocks an instance that made 5 IMDSv1 calls"):
        assert_safe(requested(cloud))


def test_only_force_may_block_imdsv1_calls():
    assert_safe(Change({"HttpTokens": "required"}, ENABLED, calls=5, forced=True))
    assert_safe(Change({"HttpTokens": "required"}, ENABLED, calls=0))
    assert_safe(Change({"HttpEndpoint": "disabled"}, ENABLED, calls=5))


def test_only_a_restore_may_lower_the_hop_limit():
    assert_safe(Change({"HttpPutResponseHopLimit": 1}, ENABLED, restores=True))
    with pytest.raises(AssertionError, match="lowers the hop limit"):
        assert_safe(Change({"HttpPutResponseHopLimit": 1}, ENABLED))
