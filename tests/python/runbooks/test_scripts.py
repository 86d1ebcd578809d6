"""The scripts inside the runbooks, called by themselves with what their steps pass them."""

from datetime import UTC, datetime, timedelta

import pytest
import yaml

from support.repository import RUNBOOKS
from support.runbook_executor import script


def handler(document, step):
    steps = yaml.safe_load((RUNBOOKS / f"{document}.yaml").read_text())["mainSteps"]
    inputs = next(s["inputs"] for s in steps if s["name"] == step)
    return lambda **events: script(inputs["Script"], inputs["Handler"])(events, None)


def reservations(state="running", **options):
    return [{"Instances": [{"State": {"Name": state}, **({"MetadataOptions": options} if options else {})}]}]


def before(instances, days=14, hop_limit=0):
    return handler("EnforceImdsv2", "Before")(Reservations=instances, LookbackDays=days, HopLimit=hop_limit)


@pytest.mark.parametrize(
    ("state", "may_call", "applies_now"),
    [
        ("pending", True, True),
        ("running", True, True),
        ("stopping", True, False),
        ("stopped", False, False),
    ],
)
def test_the_state_says_what_to_expect(state, may_call, applies_now):
    plan = before(
        reservations(state, HttpTokens="optional", HttpEndpoint="enabled", HttpPutResponseHopLimit=1)
    )
    assert (plan["Do"], plan["MayCall"], plan["AppliesNow"]) == ("LookAtUsage", may_call, applies_now)


@pytest.mark.parametrize("state", ["shutting-down", "terminated"])
def test_an_instance_on_its_way_out_is_left_alone(state):
    assert before(reservations(state, HttpTokens="optional"))["Do"] == "Nothing"


def test_an_instance_without_options_is_enforced_and_may_call():
    plan = before(reservations(), days=0, hop_limit=2)
    assert (plan["Do"], plan["MayCall"], plan["RaiseHopLimit"]) == ("Change", True, True)
    assert plan["Finding"] == "HttpTokens was not set and the instance was running."


@pytest.mark.parametrize("days", [1, 14, 455])
def test_the_lookback_is_as_long_as_asked(days):
    plan = before(reservations(HttpTokens="optional"), days=days)
    start, half, end = (datetime.fromisoformat(plan[name]) for name in ("From", "HalfWay", "To"))
    assert end - start == timedelta(days=days)
    assert abs((end - half) - timedelta(days=days) / 2) <= timedelta(seconds=1)
    assert abs(datetime.now(UTC) - end) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("answered", "refused", "may_call", "unknown", "force", "calls"),
    [
        ({1: 0, 8: 0}, {}, True, "Stop", False, 0),
        ({1: 0}, {8: 0}, True, "Stop", False, 0),
        ({}, {}, False, "Stop", False, 0),
        ({}, {}, True, "Proceed", False, 0),
        ({}, {}, True, "Stop", True, 0),
        ({1: 2, 8: 3}, {1: 4}, True, "Stop", True, 9),
        ({}, {}, True, "Stop", False, None),
        ({1: 0, 6: 0}, {}, True, "Stop", False, None),
        ({1: 0, 6: 0}, {}, True, "Proceed", False, 0),
        ({1: 1}, {}, False, "Proceed", False, None),
        ({1: 0, 8: 1}, {}, True, "Stop", False, None),
        ({1: 0, 8: 0}, {2: 1}, True, "Stop", False, None),
    ],
)
def test_usage_decides(answered, refused, may_call, unknown, force, calls):
    now = datetime(2026, 6, 15, 12, tzinfo=UTC)

    def points(sums):
        return [
            {"Sum": float(value), "Timestamp": (now - timedelta(days=days)).isoformat()}
            for days, value in sums.items()
        ]

    def judge():
        return handler("EnforceImdsv2", "Usage")(
            Answered=points(answered),
            Refused=points(refused),
            HalfWay="2026-06-08T12:00:00Z",
            LookbackDays=14,
            MayCall=may_call,
            OnUnknownUsage=unknown,
            Force=force,
        )

    if calls is None:
        with pytest.raises(Exception, match="HttpTokens was not changed"):
            judge()
    else:
        assert judge() == {"Calls": calls}


def test_restoring_an_instance_that_is_stopping_does_not_wait():
    plan = handler("RestoreMetadataOptions", "Plan")(
        Reservations=reservations(
            "stopping", HttpTokens="required", HttpEndpoint="enabled", HttpPutResponseHopLimit=1
        ),
        HttpTokens="optional",
        HttpPutResponseHopLimit=1,
        HttpEndpoint="enabled",
    )
    assert plan == {
        "Do": "PutBack",
        "Finding": "Options to restore: HttpTokens.",
        "SwitchEndpointOff": False,
        "AppliesNow": False,
    }
