"""EnforceImdsv2 decides as the cases expect, which the tests of the command line run, too."""

import json
import re

import pytest
from moto.ec2.models.instances import InstanceState

from runbooks.cloud import GONE, METRICS
from support.repository import FIXTURES

CASES = json.loads((FIXTURES / "enforcement-cases.json").read_text())["cases"]
# How the runbook words each reason.
REASONS = {
    "notFound": r"^The instance no longer exists\.",
    "terminated": r"^The instance is (terminated|shutting-down)\.",
    "alreadyRequired": r"^HttpTokens is already required\.",
    "managed": r" manages the instance, ",
    "exempt": r"^The instance is exempt through ",
    "inUse": r" in the last \d+ days?, so HttpTokens was not changed",
    "bootCalls": r" when it was last started, and none ",
    "unknown": r"IMDSv1 usage is unknown",
}
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


def create(cloud, facts):
    """Creates an instance with these facts and returns its id."""
    if facts is None:
        return GONE
    instance = cloud.instance(endpoint=facts["httpEndpoint"], hop_limit=facts["hopLimit"])
    cloud.set_launch_time(instance, facts["launchedHoursAgo"])
    model = cloud.model(instance)
    model._state = InstanceState(facts["state"], CODES[facts["state"]])
    model.metadata_options.http_tokens = facts["httpTokens"]
    model.add_tags(facts["tags"])
    if facts["operator"]:
        cloud.set_operator(instance, facts["operator"])
    return instance


def put_usage(cloud, instance, usage):
    """Writes the usage of an instance to CloudWatch."""
    if usage["dataSinceHoursAgo"] is not None:
        hours = range(usage["dataSinceHoursAgo"] + 1)
        for metric in METRICS:
            cloud.put_metrics(instance, metric, [(hour, 0) for hour in hours])
    for each in usage["calls"]:
        cloud.put_metrics(instance, each["metric"], [(each["hoursAgo"], each["count"])])
        cloud.usage.setdefault(instance, []).append((each["hoursAgo"] / 24, each["count"]))


def parameters(policy):
    """Returns the parameters for a policy.

    There is none for `disabledEndpointCompliant`: the runbook also enforces IMDSv2 on an instance whose
    endpoint is disabled.
    """
    return {
        "UsageLookbackDays": policy["lookbackDays"],
        "OnUnknownUsage": policy["onUnknownUsage"].capitalize(),
        "OnBootCalls": policy["onBootCalls"].capitalize(),
        "Force": policy["force"],
        "HttpPutResponseHopLimit": policy["hopLimit"],
        "ExemptionTagKey": policy.get("exemptionTagKey", ""),
    }


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_runbook_decides_as_the_case_expects(cloud, case):
    instance = create(cloud, case["instance"])
    put_usage(cloud, instance, case["usage"])
    run = cloud.run("EnforceImdsv2", InstanceId=instance, **parameters(case["policy"]))
    expected = case["expect"]
    match expected["decision"]:
        case "enforce":
            assert run.status == "Success", run.failures
            raised = expected["raiseHopLimitTo"]
            hop_limit = {"HttpPutResponseHopLimit": raised} if raised else {}
            assert cloud.requests == [{"InstanceId": instance, "HttpTokens": "required", **hop_limit}]
        case "nothing":
            assert run.status == "Success", run.failures
            assert cloud.requests == []
            assert re.search(REASONS[expected["reason"]], run.outputs["Before.Finding"])
        case "skip":
            assert run.status == "Failed"
            assert cloud.requests == []
            (failure,) = run.failures
            assert re.search(REASONS[expected["reason"]], failure)
            if "calls" in expected:
                calls = expected["calls"]
                assert f"made {calls} IMDSv1 call{'' if calls == 1 else 's'} " in failure
        case decision:
            pytest.fail(f"{decision} is not a decision")
