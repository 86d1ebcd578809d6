"""EnforceImdsv2AccountDefaults, executed against EC2."""

import pytest

HERE = ("123456789012", "us-east-1")


def enforce(cloud, **parameters):
    return cloud.run("EnforceImdsv2AccountDefaults", **parameters)


def defaults(cloud):
    return dict(cloud.ec2.get_instance_metadata_defaults()["AccountLevel"])


def test_unset_defaults_are_set_to_required_tokens_and_nothing_else(cloud):
    run = enforce(cloud)
    assert run.status == "Success", run.failures
    assert run.outputs == {
        "Before.Finding": "Defaults to change: HttpTokens.",
        "Before.HttpTokens": "",
        "Before.HttpPutResponseHopLimit": 0,
        "Before.HttpTokensEnforced": "",
        "LookAgain.AccountLevel": {"HttpTokens": "required", "ManagedBy": "account"},
    }
    assert defaults(cloud) == {"HttpTokens": "required", "ManagedBy": "account"}


def test_other_defaults_are_not_changed(cloud):
    before = {
        "HttpTokens": "optional",
        "HttpPutResponseHopLimit": 3,
        "HttpTokensEnforced": "disabled",
        "HttpEndpoint": "enabled",
        "InstanceMetadataTags": "enabled",
        "ManagedBy": "account",
    }
    cloud.simulate(account_defaults={HERE: dict(before)})
    run = enforce(cloud)
    assert run.status == "Success", run.failures
    assert run.outputs["Before.HttpTokens"] == "optional"
    assert run.outputs["Before.HttpPutResponseHopLimit"] == 3
    assert run.outputs["Before.HttpTokensEnforced"] == "disabled"
    assert defaults(cloud) == before | {"HttpTokens": "required"}


def test_hop_limit_and_enforcement_are_set_on_request(cloud):
    run = enforce(cloud, HttpPutResponseHopLimit=2, HttpTokensEnforced="enabled")
    assert run.status == "Success", run.failures
    assert defaults(cloud) == {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 2,
        "HttpTokensEnforced": "enabled",
        "ManagedBy": "account",
    }


def test_matching_defaults_are_not_changed(cloud):
    cloud.simulate(
        account_defaults={
            HERE: {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "ManagedBy": "account"}
        }
    )
    run = enforce(cloud, HttpPutResponseHopLimit=2)
    assert run.status == "Success", run.failures
    assert (
        run.outputs["Before.Finding"]
        == "The defaults already have the requested values. No change is needed."
    )
    assert cloud.calls == ["GetInstanceMetadataDefaults"]


def test_declarative_policy_that_requires_tokens_suffices(cloud):
    cloud.simulate(account_defaults={HERE: {"HttpTokens": "required", "ManagedBy": "declarative-policy"}})
    assert enforce(cloud).status == "Success"
    assert cloud.calls == ["GetInstanceMetadataDefaults"]


def test_conflicting_declarative_policy_is_reported_with_its_message(cloud):
    level = {"ManagedBy": "declarative-policy", "ManagedExceptionMessage": "Ask security@example.com."}
    cloud.simulate(account_defaults={HERE: level})
    run = enforce(cloud, HttpTokensEnforced="enabled")
    assert run.status == "Failed"
    assert "A declarative policy of the organization manages the account-level defaults" in run.failures[0]
    assert (
        "the requested value of HttpTokens, HttpTokensEnforced, so no default was changed" in run.failures[0]
    )
    assert run.failures[0].endswith("Ask security@example.com.")
    assert cloud.calls == ["GetInstanceMetadataDefaults"]


def test_each_requested_default_is_verified(cloud):
    for name, value in (("HttpTokensEnforced", "enabled"), ("HttpPutResponseHopLimit", 2)):
        cloud.simulate(ignored_options=[name], account_defaults={})
        run = enforce(cloud, **{name: value})
        assert (
            f"The default {name} was set to {value}, but EC2 reports that it is not set." in run.failures[0]
        )


@pytest.mark.parametrize("requested", [{}, {"HttpTokensEnforced": "enabled"}])
def test_ignored_change_fails_the_verification(cloud, requested):
    cloud.simulate(ignored_options=["HttpTokens", "HttpTokensEnforced"])
    run = enforce(cloud, **requested)
    assert run.status == "Failed"
    assert (
        "The default HttpTokens was set to required, but EC2 reports that it is not set." in run.failures[0]
    )
