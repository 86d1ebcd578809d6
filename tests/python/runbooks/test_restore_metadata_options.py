"""RestoreMetadataOptions, executed against EC2, by itself and after EnforceImdsv2."""

from itertools import product

import pytest

from runbooks.cloud import GONE
from support.runbook_executor import StartError

OPTIONS = ("HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint")


def restore(cloud, instance, tokens="optional", hop_limit=1, endpoint="enabled"):
    return cloud.run(
        "RestoreMetadataOptions",
        InstanceId=instance,
        HttpTokens=tokens,
        HttpPutResponseHopLimit=hop_limit,
        HttpEndpoint=endpoint,
    )


@pytest.mark.parametrize("state", ["running", "stopped"])
@pytest.mark.parametrize(
    ("tokens", "endpoint", "hop_limit", "requested"),
    product(["optional", "required"], ["enabled", "disabled"], [1, 2, 64], [0, 2]),
)
def test_enforced_and_restored_instance_is_unchanged(cloud, tokens, endpoint, hop_limit, requested, state):
    instance = cloud.instance(tokens, endpoint, hop_limit, state)
    before = cloud.describe(instance)
    run = cloud.run(
        "EnforceImdsv2", InstanceId=instance, OnUnknownUsage="Proceed", HttpPutResponseHopLimit=requested
    )
    assert run.status == "Success", run.failures
    assert cloud.options(instance)["HttpTokens"] == "required"

    run = cloud.run(
        "RestoreMetadataOptions",
        InstanceId=instance,
        **{name: run.outputs[f"Before.{name}"] for name in OPTIONS},
    )
    assert run.status == "Success", run.failures
    if state == "stopped":  # restored options are applied at the next start
        before["MetadataOptions"]["State"] = cloud.options(instance)["State"]
    assert cloud.describe(instance) == before


def test_matching_options_are_not_changed(cloud):
    instance = cloud.instance(hop_limit=2)
    run = restore(cloud, instance, hop_limit=2)
    assert run.status == "Success", run.failures
    assert run.outputs == {"Plan.Finding": "The instance already has these options. No change is needed."}
    assert cloud.changes == []


def test_terminated_instance_is_not_changed(cloud):
    run = restore(cloud, cloud.instance(tokens="required", state="terminated"))
    assert run.status == "Success", run.failures
    assert run.outputs == {"Plan.Finding": "The instance is terminated. No change is needed."}
    assert cloud.changes == []


def test_missing_instance_is_not_a_failure(cloud):
    run = restore(cloud, GONE)
    assert run.status == "Success", run.failures
    assert run.outputs == {"Plan.Finding": "The instance no longer exists. No change is needed."}


def test_instance_that_an_aws_service_manages_is_not_changed(cloud):
    instance = cloud.instance(tokens="required")
    cloud.set_operator(instance, "eks.amazonaws.com")
    run = restore(cloud, instance)
    assert run.status == "Success", run.failures
    assert run.outputs == {
        "Plan.Finding": "eks.amazonaws.com manages the instance, so its options were not changed."
    }
    assert cloud.changes == []


def test_large_description_fits_into_the_payload_of_a_script(cloud):
    instance = cloud.instance(tokens="required")
    cloud.describe_with_many_addresses()
    run = restore(cloud, instance)
    assert run.status == "Success", run.failures
    assert cloud.options(instance)["HttpTokens"] == "optional"


def test_endpoint_enabled_since_then_is_disabled_again(cloud):
    instance = cloud.instance(tokens="required")
    run = restore(cloud, instance, endpoint="disabled")
    assert run.status == "Success", run.failures
    assert run.outputs == {"Plan.Finding": "Options to restore: HttpTokens, HttpEndpoint."}
    assert cloud.options(instance)["HttpEndpoint"] == "disabled"
    assert cloud.options(instance)["HttpTokens"] == "optional"


def test_endpoint_alone_is_disabled_in_one_call(cloud):
    instance = cloud.instance()
    run = restore(cloud, instance, endpoint="disabled")
    assert run.status == "Success", run.failures
    assert cloud.requests == [{"InstanceId": instance, "HttpEndpoint": "disabled"}]


def test_endpoint_disabled_since_then_is_not_enabled(cloud):
    instance = cloud.instance(tokens="required", endpoint="disabled")
    run = restore(cloud, instance, endpoint="enabled")
    assert run.status == "Failed"
    assert "this runbook does not enable it, so the instance was not changed" in run.failures[0]
    assert cloud.changes == []


def test_tokens_are_never_required(cloud):
    instance = cloud.instance(tokens="optional")
    run = restore(cloud, instance, tokens="required")
    assert run.status == "Failed"
    assert "this runbook does not set it to required, so the instance was not changed" in run.failures[0]
    assert cloud.changes == []


@pytest.mark.parametrize(
    ("managed_by", "enforcer", "policy"),
    [
        ("account", "the account enforces IMDSv2 in this Region", ""),
        (
            "declarative-policy",
            "a declarative policy of the organization enforces IMDSv2",
            "Ask security@example.com.",
        ),
    ],
)
def test_enforcement_is_reported_as_the_cause_of_a_rejection(cloud, managed_by, enforcer, policy):
    instance = cloud.instance(tokens="required")
    level = {"ManagedBy": managed_by, "HttpTokensEnforced": "enabled", "ManagedExceptionMessage": policy}
    cloud.simulate(account_defaults={("123456789012", "us-east-1"): level})
    run = restore(cloud, instance)
    assert run.status == "Failed"
    assert "UnsupportedOperation" in run.failures[0]
    assert enforcer in run.failures[1]
    assert run.failures[1].endswith(policy or "Disable the enforcement first.")
    assert cloud.options(instance)["HttpTokens"] == "required"


def test_other_rejection_is_not_attributed_to_enforcement(cloud):
    instance = cloud.instance(tokens="required")
    cloud.simulate(error=("UnauthorizedOperation", "with an explicit deny in a service control policy"))
    run = restore(cloud, instance)
    assert run.status == "Failed"
    assert "explicit deny in a service control policy" in run.failures[0]
    assert "The account does not enforce IMDSv2" in run.failures[1]


@pytest.mark.parametrize(
    ("option", "step"),
    [
        ("HttpTokens", "VerifyTokens"),
        ("HttpPutResponseHopLimit", "VerifyHopLimit"),
        ("HttpEndpoint", "VerifyEndpoint"),
    ],
)
def test_ignored_change_fails_the_verification(cloud, option, step):
    instance = cloud.instance(tokens="required", hop_limit=2)
    cloud.simulate(ignored_options=[option])
    run = restore(cloud, instance, endpoint="disabled")
    assert run.status == "Failed"
    assert run.failures[0].startswith(f"{step}: timed out after 60 seconds")


def test_change_that_stays_pending_times_out(cloud):
    instance = cloud.instance(tokens="required")
    cloud.simulate(reads_until_applied=10_000)
    run = restore(cloud, instance)
    assert run.status == "Failed"
    assert run.failures[0].startswith("WaitUntilApplied: timed out after 300 seconds")


def test_stale_options_are_read_again(cloud):
    instance = cloud.instance(tokens="required")
    cloud.simulate(stale_reads=4)
    run = restore(cloud, instance)
    assert run.status == "Success", run.failures
    assert cloud.options(instance)["HttpTokens"] == "optional"


@pytest.mark.parametrize(
    ("name", "value"), [("tokens", ""), ("hop_limit", 0), ("hop_limit", 65), ("endpoint", "on")]
)
def test_invalid_option_starts_nothing(cloud, name, value):
    with pytest.raises(StartError):
        restore(cloud, GONE, **{name: value})
    assert cloud.calls == []
