"""The scripts in the runbooks, called with the inputs of their steps."""

from datetime import UTC, datetime, timedelta

import pytest

from support.runbook_executor import handler
from support.runbooks import load, step


def script(document, name):
    """Returns the handler of a step, which takes its input payload as keyword arguments."""
    inputs = step(load(document), name)["inputs"]
    return lambda **payload: handler(inputs["Script"], inputs["Handler"])(payload, None)


def reservations(state="running", **options):
    return [{"Instances": [{"State": {"Name": state}, **({"MetadataOptions": options} if options else {})}]}]


def before(instances, days=14, hop_limit=0):
    return script("EnforceImdsv2", "Before")(Reservations=instances, LookbackDays=days, HopLimit=hop_limit)


@pytest.mark.parametrize(
    ("state", "may_call", "applies_now"),
    [
        ("pending", True, True),
        ("running", True, True),
        ("stopping", True, False),
        ("stopped", False, False),
    ],
)
def test_state_decides_whether_calls_and_the_change_happen_now(state, may_call, applies_now):
    plan = before(
        reservations(state, HttpTokens="optional", HttpEndpoint="enabled", HttpPutResponseHopLimit=1)
    )
    assert (plan["Do"], plan["MayCall"], plan["AppliesNow"]) == ("LookAtUsage", may_call, applies_now)


@pytest.mark.parametrize("state", ["shutting-down", "terminated"])
def test_terminating_instance_is_not_changed(state):
    assert before(reservations(state, HttpTokens="optional"))["Do"] == "Nothing"


def test_instance_without_options_is_enforced_and_may_call():
    plan = before(reservations(), days=0, hop_limit=2)
    assert (plan["Do"], plan["MayCall"], plan["RaiseHopLimit"]) == ("Change", True, True)
    assert plan["Finding"] == "HttpTokens was not set and the instance was running."


@pytest.mark.parametrize("days", [1, 14, 455])
def test_lookback_has_the_requested_length(days):
    plan = before(reservations(HttpTokens="optional"), days=days)
    start, half, end = (datetime.fromisoformat(plan[name]) for name in ("From", "HalfWay", "To"))
    assert end - start == timedelta(days=days)
    assert abs((end - half) - timedelta(days=days) / 2) <= timedelta(seconds=1)
    assert abs(datetime.now(UTC) - end) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("accepted", "rejected", "may_call", "unknown", "force", "calls"),
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
def test_usage_decides_whether_tokens_are_required(accepted, rejected, may_call, unknown, force, calls):
    now = datetime(2026, 6, 15, 12, tzinfo=UTC)

    def datapoints(sums):
        return [
            {"Sum": float(value), "Timestamp": (now - timedelta(days=days)).isoformat()}
            for days, value in sums.items()
        ]

    def evaluated():
        return script("EnforceImdsv2", "Usage")(
            Answered=datapoints(accepted),
            Refused=datapoints(rejected),
            HalfWay="2026-06-08T12:00:00Z",
            LookbackDays=14,
            MayCall=may_call,
            OnUnknownUsage=unknown,
            Force=force,
        )

    if calls is None:
        with pytest.raises(Exception, match="HttpTokens was not changed"):
            evaluated()
    else:
        assert evaluated() == {"Calls": calls}


def test_restore_of_a_stopping_instance_does_not_wait():
    plan = script("RestoreMetadataOptions", "Plan")(
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
