"""EnforceImdsv2, executed against EC2 and CloudWatch."""

from datetime import UTC, datetime, timedelta

import pytest

from runbooks.cloud import GONE, METRICS
from support.runbook_executor import StartError


def enforce(cloud, instance, **parameters):
    return cloud.run("EnforceImdsv2", InstanceId=instance, **parameters)


def assert_unchanged(cloud, instance, **options):
    assert cloud.changes == []
    assert cloud.options(instance) | options == cloud.options(instance)


def test_instance_without_imdsv1_calls_is_enforced(cloud):
    instance = cloud.instance(hop_limit=2)
    cloud.no_imdsv1_calls(instance)
    run = enforce(cloud, instance)
    assert run.status == "Success", run.failures
    assert run.outputs == {
        "Before.Finding": "HttpTokens was optional and the instance was running.",
        "Before.HttpTokens": "optional",
        "Before.HttpPutResponseHopLimit": 2,
        "Before.HttpEndpoint": "enabled",
        "Usage.Calls": 0,
        "Usage.BootCalls": 0,
        "After.HttpTokens": "required",
        "After.HttpPutResponseHopLimit": 2,
        "After.HttpEndpoint": "enabled",
        "After.State": "applied",
    }
    assert cloud.requests == [{"InstanceId": instance, "HttpTokens": "required"}]
    assert "WaitUntilApplied" in run.steps
    assert len(run.steps) == 20, "docs/cost.md has the number of steps"


def test_compliant_instance_is_not_changed(cloud):
    instance = cloud.instance(tokens="required")
    cloud.imdsv1_calls(instance, 5)
    run = enforce(cloud, instance, HttpPutResponseHopLimit=2)
    assert run.status == "Success", run.failures
    assert run.outputs["Before.Finding"] == "HttpTokens is already required. No change is needed."
    assert len(run.steps) == 7, "docs/cost.md has the number of steps"
    assert set(cloud.calls) == {"DescribeInstances"}
    assert_unchanged(cloud, instance, HttpTokens="required", HttpPutResponseHopLimit=1)


def test_terminated_instance_is_not_changed(cloud):
    instance = cloud.instance(state="terminated")
    run = enforce(cloud, instance)
    assert run.status == "Success", run.failures
    assert run.outputs["Before.Finding"] == "The instance is terminated. No change is needed."
    assert set(cloud.calls) == {"DescribeInstances"}


def test_missing_instance_is_not_a_failure(cloud):
    run = enforce(cloud, GONE)
    assert run.status == "Success", run.failures
    assert run.outputs["Before.Finding"] == "The instance no longer exists. No change is needed."
    assert set(cloud.calls) == {"DescribeInstances"}


def test_stopped_instance_is_changed_without_waiting(cloud):
    instance = cloud.instance(state="stopped")
    run = enforce(cloud, instance)
    assert run.status == "Success", run.failures
    assert "WaitUntilApplied" not in run.steps
    assert run.outputs["After.HttpTokens"] == "required"
    assert run.outputs["After.State"] == "pending"
    assert run.outputs["Usage.Calls"] == 0


def test_stopped_instance_with_imdsv1_calls_is_not_changed(cloud):
    instance = cloud.instance(state="stopped")
    cloud.imdsv1_calls(instance, 3)
    run = enforce(cloud, instance)
    assert run.status == "Failed"
    assert_unchanged(cloud, instance, HttpTokens="optional")


def test_disabled_endpoint_stays_disabled_and_only_tokens_are_set(cloud):
    instance = cloud.instance(endpoint="disabled")
    run = enforce(cloud, instance, HttpPutResponseHopLimit=2)
    assert run.status == "Success", run.failures
    assert cloud.requests == [{"InstanceId": instance, "HttpTokens": "required"}]
    assert run.outputs["After.HttpEndpoint"] == "disabled"
    assert run.outputs["After.HttpPutResponseHopLimit"] == 1


def test_imdsv1_calls_prevent_any_change(cloud):
    instance = cloud.instance()
    cloud.imdsv1_calls(instance, 7, days_ago=2)
    cloud.imdsv1_calls(instance, 4, days_ago=13)
    run = enforce(cloud, instance)
    assert run.status == "Failed"
    assert len(run.steps) == 10, "docs/cost.md has the number of steps"
    assert (
        "The instance made 11 IMDSv1 calls in the last 14 days, so HttpTokens was not changed."
        in run.failures[0]
    )
    assert_unchanged(cloud, instance, HttpTokens="optional")


def test_restored_instance_with_rejected_calls_is_not_enforced_again(cloud):
    instance = cloud.instance()
    cloud.no_imdsv1_calls(instance)
    run = enforce(cloud, instance)
    assert run.status == "Success", run.failures
    cloud.imdsv1_calls(instance, 500, metric="MetadataNoTokenRejected")
    options = {
        name: run.outputs[f"Before.{name}"]
        for name in ("HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint")
    }
    assert cloud.run("RestoreMetadataOptions", InstanceId=instance, **options).status == "Success"
    run = enforce(cloud, instance)
    assert run.status == "Failed"
    assert "The instance made 500 IMDSv1 calls" in run.failures[0]
    assert cloud.options(instance)["HttpTokens"] == "optional"


def test_data_for_less_than_half_of_the_lookback_is_insufficient(cloud):
    instance = cloud.instance()
    cloud.imdsv1_calls(instance, 0, days_ago=5)
    run = enforce(cloud, instance)
    assert run.status == "Failed"
    assert "do not reach back half of the 14-day look-back period" in run.failures[0]
    assert enforce(cloud, instance, UsageLookbackDays=9).status == "Success"


def test_stale_options_are_read_again(cloud):
    instance = cloud.instance()
    cloud.simulate(stale_reads=4)
    run = enforce(cloud, instance, OnUnknownUsage="Proceed")
    assert run.status == "Success", run.failures
    assert run.outputs["After.HttpTokens"] == "required"


def test_calls_before_the_lookback_do_not_count(cloud):
    instance = cloud.instance()
    cloud.imdsv1_calls(instance, 7, days_ago=9)
    for days_ago in (2, 1):
        cloud.imdsv1_calls(instance, 0, days_ago)
    run = enforce(cloud, instance, UsageLookbackDays=3)
    assert run.status == "Success", run.failures
    assert run.outputs["Usage.Calls"] == 0


def test_calls_of_another_instance_do_not_count(cloud):
    instance = cloud.instance()
    cloud.no_imdsv1_calls(instance)
    cloud.imdsv1_calls(cloud.instance(), 7)
    assert enforce(cloud, instance).status == "Success"


def test_unknown_usage_of_a_running_instance_prevents_any_change(cloud):
    instance = cloud.instance()
    run = enforce(cloud, instance)
    assert run.status == "Failed"
    assert "its IMDSv1 usage is unknown and HttpTokens was not changed" in run.failures[0]
    assert_unchanged(cloud, instance, HttpTokens="optional")


def test_unknown_usage_is_accepted_on_request(cloud):
    instance = cloud.instance()
    run = enforce(cloud, instance, OnUnknownUsage="Proceed")
    assert run.status == "Success", run.failures
    assert run.outputs["Usage.Calls"] == 0


def test_known_usage_prevents_a_change_when_unknown_usage_is_accepted(cloud):
    instance = cloud.instance()
    cloud.imdsv1_calls(instance, 1)
    assert enforce(cloud, instance, OnUnknownUsage="Proceed").status == "Failed"
    assert_unchanged(cloud, instance, HttpTokens="optional")


def test_calls_at_the_last_start_prevent_any_change(cloud):
    instance = cloud.instance()
    cloud.set_launch_time(instance, hours_ago=1000)
    cloud.put_metrics(instance, "MetadataNoToken", [(1000, 3), (999, 1)])
    cloud.no_imdsv1_calls(instance)
    run = enforce(cloud, instance)
    assert run.status == "Failed"
    assert (
        "The instance made 4 IMDSv1 calls when it was last started, and none in the last 14 days. They would "
        "fail at its next start, so HttpTokens was not changed." in run.failures[0]
    )
    run = enforce(cloud, instance, OnBootCalls="Proceed")
    assert run.status == "Success", run.failures
    assert (run.outputs["Usage.Calls"], run.outputs["Usage.BootCalls"]) == (0, 4)


@pytest.mark.parametrize("hours_ago", [335, 336, 337])
def test_calls_at_a_start_near_the_start_of_the_lookback_are_reported_as_such(cloud, hours_ago):
    instance = cloud.instance()
    cloud.set_launch_time(instance, hours_ago)
    cloud.put_metrics(instance, "MetadataNoToken", [(hours_ago, 1), (hours_ago - 1, 1), (200, 0)])
    run = enforce(cloud, instance)
    assert run.status == "Failed"
    assert "The instance made 2 IMDSv1 calls when it was last started, and none" in run.failures[0]


def test_start_before_the_data_of_cloudwatch_is_reported(cloud):
    instance = cloud.instance()
    cloud.set_launch_time(instance, hours_ago=456 * 24)
    cloud.no_imdsv1_calls(instance)
    run = enforce(cloud, instance)
    assert run.status == "Success", run.failures
    assert run.outputs["Before.Finding"] == (
        "HttpTokens was optional and the instance was running. It was last started more than 455 days ago, "
        "so CloudWatch has no IMDSv1 calls at its last start."
    )


def test_longest_lookback_fits_into_the_payload_of_a_script(cloud):
    instance = cloud.instance()
    cloud.set_launch_time(instance, hours_ago=456 * 24)
    for metric in METRICS:
        cloud.put_metrics(instance, metric, [(hour, 123_456) for hour in range(0, 455 * 24, 6)])
    run = enforce(cloud, instance, UsageLookbackDays=455)
    assert "IMDSv1 calls in the last 455 days, so HttpTokens was not changed" in run.failures[0]


def test_large_description_fits_into_the_payload_of_a_script(cloud):
    instance = cloud.instance()
    cloud.no_imdsv1_calls(instance)
    cloud.describe_with_many_addresses()
    run = enforce(cloud, instance)
    assert run.status == "Success", run.failures
    assert run.outputs["After.HttpTokens"] == "required"


@pytest.mark.parametrize(
    ("principal", "finding"),
    [
        ("eks.amazonaws.com", "eks.amazonaws.com manages the instance, so HttpTokens was not changed."),
        (None, "An AWS service manages the instance, so HttpTokens was not changed."),
    ],
)
def test_instance_that_an_aws_service_manages_is_not_changed(cloud, principal, finding):
    instance = cloud.instance()
    cloud.set_operator(instance, principal)
    run = enforce(cloud, instance)
    assert run.outputs["Before.Finding"] == finding
    assert run.outputs["Before.HttpTokens"] == "optional"


def test_exemption_applies_through_its_last_day(cloud):
    instance = cloud.instance()
    today = datetime.now(UTC).date()
    cloud.tag(instance, "until", str(today))
    run = enforce(cloud, instance, ExemptionTagKey="until")
    assert run.outputs["Before.Finding"] == (
        f"The instance is exempt through {today} (UTC), so HttpTokens was not changed."
    )
    assert set(cloud.calls) == {"DescribeInstances"}
    cloud.tag(instance, "until", str(today - timedelta(days=1)))
    assert enforce(cloud, instance, ExemptionTagKey="until", OnUnknownUsage="Proceed").outputs["After.State"]


def exempt(cloud, instance):
    cloud.tag(instance, "until", "9999-12-31")


def require_tokens(cloud, instance):
    cloud.model(instance).metadata_options.http_tokens = "required"


def terminate(cloud, instance):
    cloud.ec2.terminate_instances(InstanceIds=[instance])


def manage(cloud, instance):
    cloud.set_operator(instance, "eks.amazonaws.com")


@pytest.mark.parametrize(
    ("event", "finding"),
    [
        (exempt, "The instance is exempt through 9999-12-31 (UTC), so HttpTokens was not changed."),
        (require_tokens, "HttpTokens is already required. No change is needed."),
        (terminate, "The instance is terminated. No change is needed."),
        (manage, "eks.amazonaws.com manages the instance, so HttpTokens was not changed."),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_event_during_the_check_prevents_any_change(cloud, event, finding, force):
    instance = cloud.instance()
    cloud.no_imdsv1_calls(instance)
    cloud.meanwhile = lambda: event(cloud, instance)
    run = enforce(cloud, instance, ExemptionTagKey="until", Force=force)
    assert run.status == "Success", run.failures
    assert run.outputs["Before.Finding"] == finding
    assert cloud.changes == []


@pytest.mark.parametrize("force", [False, True])
def test_instance_started_during_the_check_is_not_changed(cloud, force):
    instance = cloud.instance(state="stopped")
    cloud.set_launch_time(instance, hours_ago=10)
    cloud.meanwhile = lambda: cloud.ec2.start_instances(InstanceIds=[instance])
    run = enforce(cloud, instance, Force=force)
    assert run.status == "Failed"
    assert (
        "The instance was started while this runbook checked the instance, so HttpTokens was not changed. "
        "Run the runbook again." in run.failures[0]
    )
    assert_unchanged(cloud, instance, HttpTokens="optional")


def test_instance_restarted_during_the_check_is_not_changed(cloud):
    instance = cloud.instance()
    cloud.no_imdsv1_calls(instance)
    cloud.set_launch_time(instance, hours_ago=10)

    def restart():
        cloud.ec2.stop_instances(InstanceIds=[instance])
        cloud.ec2.start_instances(InstanceIds=[instance])

    cloud.meanwhile = restart
    run = enforce(cloud, instance)
    assert "The instance was started while this runbook checked the instance" in run.failures[0]
    assert_unchanged(cloud, instance, HttpTokens="optional")
    assert enforce(cloud, instance).status == "Success", "nothing prevents the next attempt"


def test_instance_with_endpoint_enabled_during_the_check_is_not_changed(cloud):
    instance = cloud.instance(endpoint="disabled")

    def enable():
        cloud.model(instance).metadata_options.http_endpoint = "enabled"

    cloud.meanwhile = enable
    run = enforce(cloud, instance)
    assert "its IMDS endpoint was enabled while this runbook checked the instance" in run.failures[0]
    assert_unchanged(cloud, instance, HttpTokens="optional")


def test_instance_with_exemption_expired_during_the_check_is_not_changed(cloud):
    instance = cloud.instance()
    exempt(cloud, instance)
    cloud.meanwhile = lambda: cloud.tag(instance, "until", "2020-01-01")
    run = enforce(cloud, instance, ExemptionTagKey="until")
    assert "The reason for which the instance needed no change ceased to apply" in run.failures[0]
    assert_unchanged(cloud, instance, HttpTokens="optional")


def test_options_before_are_those_right_before_the_change(cloud):
    instance = cloud.instance(hop_limit=1)
    cloud.no_imdsv1_calls(instance)

    def raise_hop_limit():
        cloud.model(instance).metadata_options.http_put_response_hop_limit = 3

    cloud.meanwhile = raise_hop_limit
    run = enforce(cloud, instance, HttpPutResponseHopLimit=2)
    assert run.status == "Success", run.failures
    assert run.outputs["Before.HttpPutResponseHopLimit"] == 3
    assert cloud.requests == [{"InstanceId": instance, "HttpTokens": "required"}]


def test_instance_stopped_during_the_check_is_changed_without_waiting(cloud):
    instance = cloud.instance()
    cloud.no_imdsv1_calls(instance)
    cloud.meanwhile = lambda: cloud.ec2.stop_instances(InstanceIds=[instance])
    run = enforce(cloud, instance)
    assert run.status == "Success", run.failures
    assert "WaitUntilApplied" not in run.steps


@pytest.mark.parametrize("calls", [None, 9])
def test_force_ignores_the_usage_and_reports_it(cloud, calls):
    instance = cloud.instance()
    if calls:
        cloud.imdsv1_calls(instance, calls)
    run = enforce(cloud, instance, Force=True)
    assert run.status == "Success", run.failures
    assert run.outputs["Usage.Calls"] == (calls or 0)
    assert run.outputs["After.HttpTokens"] == "required"


def test_lookback_of_zero_days_does_not_call_cloudwatch(cloud):
    instance = cloud.instance()
    run = enforce(cloud, instance, UsageLookbackDays=0)
    assert run.status == "Success", run.failures
    assert "GetMetricStatistics" not in cloud.calls
    assert "Usage.Calls" not in run.outputs


def test_hop_limit_is_raised_on_request(cloud):
    instance = cloud.instance(hop_limit=1)
    run = enforce(cloud, instance, OnUnknownUsage="Proceed", HttpPutResponseHopLimit=2)
    assert run.status == "Success", run.failures
    assert run.outputs["Before.HttpPutResponseHopLimit"] == 1
    assert run.outputs["After.HttpPutResponseHopLimit"] == 2


@pytest.mark.parametrize("requested", [0, 2, 3])
def test_hop_limit_is_never_lowered(cloud, requested):
    instance = cloud.instance(hop_limit=3)
    run = enforce(cloud, instance, OnUnknownUsage="Proceed", HttpPutResponseHopLimit=requested)
    assert run.status == "Success", run.failures
    assert cloud.requests == [{"InstanceId": instance, "HttpTokens": "required"}]
    assert run.outputs["After.HttpPutResponseHopLimit"] == 3


def test_rejected_change_fails_with_the_error_of_ec2(cloud):
    instance = cloud.instance()
    cloud.simulate(error=("UnauthorizedOperation", "You are not authorized to perform this operation."))
    run = enforce(cloud, instance, OnUnknownUsage="Proceed")
    assert run.status == "Failed"
    assert "UnauthorizedOperation" in run.failures[0]
    assert run.steps[-1] == "RequireTokens"


def test_ignored_change_fails_the_verification(cloud):
    instance = cloud.instance()
    cloud.simulate(ignored_options=["HttpTokens"])
    run = enforce(cloud, instance, OnUnknownUsage="Proceed")
    assert run.status == "Failed"
    assert run.failures[0].startswith("VerifyTokens: timed out after 60 seconds")
    assert "'optional', not one of ['required']" in run.failures[0]


def test_change_that_stays_pending_times_out(cloud):
    instance = cloud.instance()
    cloud.simulate(reads_until_applied=10_000)
    run = enforce(cloud, instance, OnUnknownUsage="Proceed")
    assert run.status == "Failed"
    assert run.failures[0].startswith("WaitUntilApplied: timed out after 300 seconds")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("InstanceId", "i-0"),
        ("InstanceId", "i-0123456789abcdef0 i-0123456789abcdef1"),
        ("UsageLookbackDays", "456"),
        ("UsageLookbackDays", "-1"),
        ("OnUnknownUsage", "stop"),
        ("OnBootCalls", "stop"),
        ("ExemptionTagKey", "k" * 129),
        ("Force", "yes"),
        ("HttpPutResponseHopLimit", "65"),
        ("AutomationAssumeRole", "imdsv2-remediation"),
        ("HopLimit", "2"),
    ],
)
def test_invalid_parameter_starts_nothing(cloud, name, value):
    with pytest.raises(StartError, match=name):
        enforce(cloud, **{"instance": GONE, name: value} if name != "InstanceId" else {"instance": value})
    assert cloud.calls == []


@pytest.mark.parametrize("days", [0, 1, 9, 10, 99, 100, 399, 400, 449, 450, 455])
def test_every_lookback_that_cloudwatch_retains_is_accepted(cloud, days):
    assert enforce(cloud, GONE, UsageLookbackDays=days).status == "Success"
