"""The scripts in the runbooks, called with the inputs of their steps."""

import ast
from datetime import UTC, datetime, timedelta

import pytest

from support.runbook_executor import handler
from support.runbooks import load, step


def script(document, name):
    """Returns the handler of a step, which takes its input payload as keyword arguments."""
    inputs = step(load(document), name)["inputs"]
    return lambda **payload: handler(inputs["Script"], inputs["Handler"])(payload, None)


ENABLED = {"HttpTokens": "optional", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1}


def described(state="running", options=ENABLED, launched="2026-01-01T00:00:00+00:00"):
    """Returns what the selectors select from the response of DescribeInstances."""
    return {
        "State": [state] if state else [],
        "MetadataOptions": [options] if options else [],
        "LaunchTime": [launched] if launched else [],
        "Tags": [],
        "Operator": [],
    }


def plan(days=14, key="", **facts):
    return script("EnforceImdsv2", "Plan")(**described() | facts, ExemptionTagKey=key, LookbackDays=days)


def decide(hop_limit=0, planned="ReadCalls", note="", could_call=True, **facts):
    now = described() | facts
    return script("EnforceImdsv2", "Before")(
        **now,
        ExemptionTagKey="",
        HopLimit=hop_limit,
        Planned=planned,
        Note=note,
        CouldCall=could_call,
        LaunchTimeThen="".join(now["LaunchTime"]),
    )


def source(document, name, function):
    """Returns the source of a function in the script of a step."""
    text = step(load(document), name)["inputs"]["Script"]
    (found,) = [
        node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == function
    ]
    return ast.get_source_segment(text, found)


@pytest.mark.parametrize("function", ["settled", "lasts", "may_call"])
def test_both_checks_of_an_instance_use_the_same_functions(function):
    """Scripts cannot share code."""
    assert source("EnforceImdsv2", "Plan", function) == source("EnforceImdsv2", "Before", function)


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
    first = plan(State=[state])
    assert (first["Do"], first["MayCall"]) == ("ReadCalls", may_call)
    then = decide(State=[state], could_call=may_call)
    assert (then["Do"], then["AppliesNow"]) == ("RequireTokens", applies_now)


@pytest.mark.parametrize("state", ["shutting-down", "terminated"])
def test_terminating_instance_is_not_changed(state):
    assert plan(State=[state])["Do"] == decide(State=[state])["Do"] == "Nothing"


def test_instance_without_options_is_enforced_and_may_call():
    assert plan(days=0, MetadataOptions=[])["Do"] == "Change"
    assert plan(MetadataOptions=[])["MayCall"] is True
    then = decide(hop_limit=2, planned="Change", MetadataOptions=[])
    assert then["Do"] == "RequireTokensAndRaiseHopLimit"
    assert then["Finding"] == "HttpTokens was not set and the instance was running."


@pytest.mark.parametrize("managed", [True, "true", "True"])
def test_boolean_may_be_text(managed):
    assert plan(Operator=[{"Managed": managed, "Principal": "eks.amazonaws.com"}])["Do"] == "Nothing"


@pytest.mark.parametrize("managed", [False, "false", None])
def test_instance_that_no_service_manages_is_enforced(managed):
    assert plan(Operator=[{"Managed": managed}])["Do"] == "ReadCalls"


@pytest.mark.parametrize(
    ("value", "do"),
    [
        ("9999-12-31", "Nothing"),
        ("2020-01-01", "ReadCalls"),
        ("9999-02-30", "ReadCalls"),
        ("99991231", "ReadCalls"),
        ("9999-W01-1", "ReadCalls"),
        ("9999-12-31 ", "ReadCalls"),
        ("9999-12-31T00:00:00", "ReadCalls"),
        ("٩٩٩٩-١٢-٣١", "ReadCalls"),
        ("", "ReadCalls"),
    ],
)
def test_exemption_is_a_date_that_is_not_past(value, do):
    tags = [{"Key": "name", "Value": "9999-12-31"}, {"Key": "until", "Value": value}]
    assert plan(key="until", Tags=tags)["Do"] == do


@pytest.mark.parametrize("days", [1, 14, 455])
def test_windows_are_whole_hours_and_fit_the_periods(days):
    windows = plan(days=days)
    start, half, end = (datetime.fromisoformat(windows[name]) for name in ("From", "HalfWay", "To"))
    assert all((time.minute, time.second) == (0, 0) for time in (start, half, end))
    now = datetime.now(UTC)
    assert now < end <= now + timedelta(hours=1)
    assert timedelta(0) <= now - timedelta(days=days) - start < timedelta(hours=1)
    assert half - start == timedelta(days=days) / 2
    assert (half - start) % timedelta(hours=12) == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "{0:%Y-%m-%dT%H:%M:%S}+00:00",
        "{0:%Y-%m-%dT%H:%M:%S}Z",
        "{0:%Y-%m-%dT%H:%M:%S}.000Z",
        "{0:%Y-%m-%dT%H:%M:%S}.123456+00:00",
        "{0:%Y-%m-%d %H:%M:%S}+00:00",
        "{0:%Y-%m-%d %H:%M:%S}.5Z",
        "{0:%Y-%m-%d %H:%M:%S} +00:00",
        "{0:%a %b %d %H:%M:%S} UTC {0:%Y}",
        "{0:%a %b %d %H:%M:%S} GMT {0:%Y}",
        "{1:.0f}",
        "{1:.3f}",
        "{1:.9E}",
        "{2:.0f}",
    ],
)
def test_launch_time_may_have_several_formats(text):
    launched = datetime.now(UTC) - timedelta(days=100)
    seconds = launched.timestamp()
    windows = plan(LaunchTime=[text.format(launched, seconds, seconds * 1000)])
    hour = launched.replace(minute=0, second=0, microsecond=0)
    assert windows["KnowsBoot"] and not windows["BootIsRecent"]
    assert datetime.fromisoformat(windows["BootFrom"]) == hour
    assert datetime.fromisoformat(windows["BootTo"]) == hour + timedelta(hours=2)
    assert windows["Note"] == ""


@pytest.mark.parametrize(
    "launched",
    [
        [],
        [""],
        ["1.2.3"],
        ["9" * 400],
        ["1E999"],
        ["Mon Jun 15 12:34:56 2026"],
        ["Mon Jux 15 12:34:56 UTC 2026"],
        ["2026-06-15T12:34:56"],
    ],
)
def test_unreadable_launch_time_is_reported(launched):
    windows = plan(LaunchTime=launched)
    assert not windows["KnowsBoot"] and not windows["BootIsRecent"]
    assert windows["BootFrom"] < windows["BootTo"]
    then = decide(LaunchTime=launched, note=windows["Note"])
    assert then["Finding"] == (
        "HttpTokens was optional and the instance was running. Its launch time could not be read, so IMDSv1 "
        "calls at its last start were not checked."
    )


def test_start_is_within_the_lookback_or_before_it():
    """The two hours of a start are never half in each, so that its calls are counted apart from others."""
    for hours in range(330, 345):
        launched = datetime.now(UTC) - timedelta(hours=hours)
        windows = plan(LaunchTime=[launched.isoformat()])
        times = [datetime.fromisoformat(windows[name]) for name in ("BootFrom", "BootTo", "From")]
        boot, booted, start = times
        assert boot >= start if windows["BootIsRecent"] else booted <= start
        assert start >= datetime.now(UTC) - timedelta(days=14, hours=2)


def datapoints(*sums):
    return [{"Sum": float(value), "Timestamp": "in a format that is not documented"} for value in sums]


USAGE = {
    "Answered": datapoints(0, 0),
    "Rejected": [],
    "Older": ["Count"],
    "OlderRejected": [],
    "BootAnswered": [],
    "BootRejected": [],
    "KnowsBoot": True,
    "BootIsRecent": False,
    "LookbackDays": 14,
    "MayCall": True,
    "OnUnknownUsage": "Stop",
    "OnBootCalls": "Stop",
    "Force": False,
}
RECENT_BOOT = {"Answered": datapoints(4), "BootAnswered": datapoints(3, 1), "BootIsRecent": True}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, (0, 0)),
        ({"Older": [], "OlderRejected": ["Count"]}, (0, 0)),
        ({"Older": [], "MayCall": False}, (0, 0)),
        ({"Older": [], "OnUnknownUsage": "Proceed"}, (0, 0)),
        ({"Older": [], "Force": True}, (0, 0)),
        ({"Older": []}, "usage is unknown"),
        ({"Older": [], "OnBootCalls": "Proceed"}, "usage is unknown"),
        ({"Answered": datapoints(2, 3), "Rejected": datapoints(4), "Force": True}, (9, 0)),
        ({"Answered": datapoints(1)}, "made 1 IMDSv1 call in the last 14 days"),
        ({"Rejected": datapoints(2)}, "made 2 IMDSv1 calls in the last 14 days"),
        ({"Answered": datapoints(1), "MayCall": False}, "made 1 IMDSv1 call "),
        ({"Answered": datapoints(1), "OnUnknownUsage": "Proceed"}, "made 1 IMDSv1 call "),
        ({"Answered": datapoints(1), "OnBootCalls": "Proceed"}, "made 1 IMDSv1 call "),
        (
            {"BootRejected": datapoints(2)},
            "made 2 IMDSv1 calls when it was last started, and none in the last 14",
        ),
        ({"BootRejected": datapoints(2), "OnUnknownUsage": "Proceed"}, "when it was last started"),
        ({"BootRejected": datapoints(2), "MayCall": False}, "when it was last started"),
        ({"BootRejected": datapoints(2), "OnBootCalls": "Proceed"}, (0, 2)),
        ({"BootRejected": datapoints(2), "OnBootCalls": "Proceed", "Older": []}, "usage is unknown"),
        ({"BootRejected": datapoints(2), "Force": True}, (0, 2)),
        ({"BootRejected": datapoints(2), "KnowsBoot": False}, (0, 0)),
        (RECENT_BOOT, "made 4 IMDSv1 calls when it was last started, and none since"),
        (RECENT_BOOT | {"OnBootCalls": "Proceed"}, (4, 4)),
        (RECENT_BOOT | {"Rejected": datapoints(1)}, "made 5 IMDSv1 calls in the last 14 days"),
        (RECENT_BOOT | {"BootAnswered": datapoints(9)}, "made 9 IMDSv1 calls when it was last started"),
    ],
)
def test_usage_decides_whether_tokens_are_required(changed, expected):
    def judge():
        return script("EnforceImdsv2", "Usage")(**USAGE | changed)

    if isinstance(expected, str):
        with pytest.raises(Exception, match=expected) as failure:
            judge()
        assert "HttpTokens was not changed" in str(failure.value)
    else:
        assert tuple(judge().values()) == expected


def test_restore_of_a_stopping_instance_does_not_wait():
    plan = script("RestoreMetadataOptions", "Plan")(
        State=["stopping"],
        MetadataOptions=[ENABLED | {"HttpTokens": "required"}],
        Operator=[],
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
