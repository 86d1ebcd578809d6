"""What no runbook may ever ask for is judged after every test, in conftest. Here: the judge itself."""

import pytest
import yaml

from runbooks.cloud import ROLE, assert_safe
from support.repository import RUNBOOKS
from support.runbook_executor import Runbook


@pytest.fixture
def careless():
    """EnforceImdsv2 as others write it: the endpoint is switched on, and usage is looked at by nobody."""
    document = yaml.safe_load((RUNBOOKS / "EnforceImdsv2.yaml").read_text())
    steps = {step["name"]: step for step in document["mainSteps"]}
    steps["RequireTokens"]["inputs"]["HttpEndpoint"] = "enabled"
    steps["Usage"]["inputs"]["Script"] = (
        "def judge(events, context):\n    return {'Calls': 0, 'BootCalls': 0}"
    )
    return Runbook(yaml.safe_dump(document))


def judged(cloud):
    """What the cloud was asked for, taken out of the judgement that follows the test."""
    changes, cloud.changes = cloud.changes, []
    (change,) = changes
    return change


def test_switching_the_endpoint_on_is_found(cloud, careless):
    instance = cloud.instance(endpoint="disabled")
    careless.run(cloud.recorded, {"InstanceId": [instance], "AutomationAssumeRole": [ROLE]})
    with pytest.raises(AssertionError, match="switches IMDS on"):
        assert_safe(**judged(cloud))


def test_cutting_off_imdsv1_is_found(cloud, careless):
    instance = cloud.instance()
    cloud.imdsv1_calls(instance, 5)
    careless.run(cloud.recorded, {"InstanceId": [instance], "AutomationAssumeRole": [ROLE]})
    with pytest.raises(AssertionError, match="cuts off what made 5 IMDSv1 calls"):
        assert_safe(**judged(cloud))


def test_cutting_off_is_allowed_by_force_alone():
    options = {"HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2}
    assert_safe(request={"HttpTokens": "required"}, options=options, calls=5, forced=True)
    assert_safe(request={"HttpTokens": "required"}, options=options, calls=0, forced=False)
    assert_safe(request={"HttpEndpoint": "disabled"}, options=options, calls=5, forced=False)


def test_lowering_the_hop_limit_is_for_undoing_alone():
    change = {
        "request": {"HttpPutResponseHopLimit": 1},
        "options": {"HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2},
    }
    assert_safe(**change, calls=0, forced=False, lowers_allowed=True)
    with pytest.raises(AssertionError, match="lowers the hop limit"):
        assert_safe(**change, calls=0, forced=False)
