"""Alarms use metrics that exist, notify on request, and describe what to do."""

import re

import pytest

from support.stack import Stack
from support.templates import load
from templates.metrics import alarm_metrics, assert_exists


def test_alarms_use_metrics_that_exist(template):
    stack = Stack(template, conditions=True)
    for alarm in stack.resources("AWS::CloudWatch::Alarm").values():
        for metric in alarm_metrics(alarm):
            assert_exists(stack, *metric)


def test_alarm_with_several_metrics_returns_one_time_series(template):
    for alarm in Stack(template).resources("AWS::CloudWatch::Alarm").values():
        parts = alarm.get("Metrics", [])
        assert len([part for part in parts if part.get("ReturnData", True)]) == bool(parts)
        known = {part["Id"] for part in parts}
        for expression in (part["Expression"] for part in parts if "Expression" in part):
            assert set(re.findall(r"[a-z]\w*", expression)) <= known


def test_alarms_have_a_description_and_ignore_missing_data(template):
    for name, alarm in Stack(template, conditions=True).resources("AWS::CloudWatch::Alarm").items():
        assert 80 < len(alarm["AlarmDescription"]) <= 1024, name
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm["AlarmActions"] == alarm["OKActions"] != [], name


def test_alarms_do_not_notify_by_default(template):
    for alarm in Stack(template).resources("AWS::CloudWatch::Alarm").values():
        assert not {"AlarmActions", "OKActions"} & set(alarm)


@pytest.mark.parametrize(
    ("seconds", "milliseconds", "alarms"), [(60, 47_999, False), (60, 48_000, True), (900, 720_000, True)]
)
def test_slow_alarm_fires_at_80_percent_of_the_timeout(seconds, milliseconds, alarms):
    stack = Stack(load("function.yaml"), {"TimeoutSeconds": seconds})
    alarm = stack.resources("AWS::CloudWatch::Alarm")["SlowAlarm"]
    (expression,) = (part["Expression"] for part in alarm["Metrics"] if "Expression" in part)
    assert (eval(expression, {"duration": milliseconds}) >= alarm["Threshold"]) is alarms
