"""EnforceImdsv2 decides as the table of cases says, which the tests of the command line run as well."""

import json

import pytest
from moto.ec2.models.instances import InstanceState

from runbooks.cloud import GONE, METRICS
from support.repository import FIXTURES

CASES = json.loads((FIXTURES / "enforcement-cases.json").read_text())["cases"]
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


def create(cloud, facts):
    """The ID of an instance with these facts."""
    if facts is None:
        return GONE
    instance = cloud.instance(endpoint=facts["httpEndpoint"], hop_limit=facts["hopLimit"])
    cloud.launched(instance, facts["launchedHoursAgo"])
    record = cloud.record_of(instance)
    record._state = InstanceState(facts["state"], CODES[facts["state"]])
    record.metadata_options.http_tokens = facts["httpTokens"]
    record.add_tags(facts["tags"])
    if facts["operator"]:
        cloud.managed_by(instance, facts["operator"])
    return instance


def report(cloud, instance, usage):
    """Has CloudWatch know the usage of the instance."""
    if usage["dataSinceHoursAgo"] is not None:
        hours = range(usage["dataSinceHoursAgo"] + 1)
        for metric in METRICS:
            cloud.metric_data(instance, metric, [(hour, 0) for hour in hours])
    for each in usage["calls"]:
        cloud.metric_data(instance, each["metric"], [(each["hoursAgo"], each["count"])])
        cloud.usage.setdefault(instance, []).append((each["hoursAgo"] / 24, each["count"]))


def parameters(policy):
    """The parameters that stand for a policy. None stands for `disabledEndpointCompliant`: the runbook also
    enforces IMDSv2 on an instance whose endpoint is disabled."""
    return {
        "UsageLookbackDays": policy["lookbackDays"],
        "OnUnknownUsage": policy["onUnknownUsage"].capitalize(),
        "OnBootCalls": policy["onBootCalls"].capitalize(),
        "Force": policy["force"],
        "HttpPutResponseHopLimit": policy["hopLimit"],
        "ExemptionTagKey": policy.get("exemptionTagKey", ""),
    }


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_runbook_decides_as_the_table_says(cloud, case):
    instance = create(cloud, case["instance"])
    report(cloud, instance, case["usage"])
    run = cloud.run("EnforceImdsv2", InstanceId=instance, **parameters(case["policy"]))
    requests = [change["request"] for change in cloud.changes]
    expected = case["expect"]
    match expected["decision"]:
        case "enforce":
            assert run.status == "Success", run.failures
            raised = expected["raiseHopLimitTo"]
            hop_limit = {"HttpPutResponseHopLimit": raised} if raised else {}
            assert requests == [{"InstanceId": instance, "HttpTokens": "required", **hop_limit}]
        case "nothing":
            assert run.status == "Success", run.failures
            assert requests == []
        case "skip":
            assert run.status == "Failed"
            assert requests == []
            (failure,) = run.failures
            if "calls" in expected:
                calls = expected["calls"]
                assert f"made {calls} IMDSv1 call{'' if calls == 1 else 's'} " in failure
            else:
                assert "IMDSv1 usage is unknown" in failure
        case decision:
            pytest.fail(f"{decision} is not a decision")
