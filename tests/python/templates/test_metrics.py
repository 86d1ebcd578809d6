"""Alarms watch, and the dashboard shows, metrics that exist: AWS's documented ones, and what the function prints."""

import json
import re

import pytest

from support.repository import ROOT
from support.stack import REGION, Stack
from support.templates import load
from templates.metrics import METRICS, OWN, alarm_metrics, check


def shown_metrics(widget):
    """The same of a widget of a dashboard."""
    for metric in widget["properties"]["metrics"]:
        options = metric[-1] if isinstance(metric[-1], dict) else {}
        namespace, name, *dimensions = [each for each in metric if not isinstance(each, dict)]
        pairs = list(zip(dimensions[::2], dimensions[1::2], strict=True))
        yield namespace, name, pairs, options.get("stat", widget["properties"].get("stat"))


def all_shown(body):
    """The same of a dashboard."""
    return [
        metric for widget in body["widgets"] if widget["type"] == "metric" for metric in shown_metrics(widget)
    ]


def dashboards(template):
    """Each dashboard's body as CloudWatch reads it."""
    for stack in (Stack(template), Stack(template, conditions=True)):
        for dashboard in stack.resources("AWS::CloudWatch::Dashboard").values():
            yield stack, json.loads(dashboard["DashboardBody"])


def test_the_functions_own_metrics_are_those_that_it_prints():
    source = (ROOT / "src" / "lambda" / "metrics.rs").read_text()
    (dimension,) = (dimension for namespace, dimension in METRICS if namespace == OWN)
    values = set(re.findall(r'^        "(\w+)": ', source.split("#[cfg(test)]")[0], re.MULTILINE))
    beside = {"_aws", "configRuleName", "accountId"}
    assert values - beside == METRICS[OWN, dimension]
    assert f'NAMESPACE: &str = "{OWN}"' in source and f'DIMENSION: &str = "{dimension}"' in source


def test_alarms_watch_metrics_that_exist(template):
    stack = Stack(template, conditions=True)
    for alarm in stack.resources("AWS::CloudWatch::Alarm").values():
        for metric in alarm_metrics(alarm):
            check(stack, *metric)


def test_an_alarm_of_several_metrics_computes_one_number(template):
    for alarm in Stack(template).resources("AWS::CloudWatch::Alarm").values():
        parts = alarm.get("Metrics", [])
        assert len([part for part in parts if part.get("ReturnData", True)]) == bool(parts)
        known = {part["Id"] for part in parts}
        for expression in (part["Expression"] for part in parts if "Expression" in part):
            assert set(re.findall(r"[a-z]\w*", expression)) <= known


def test_alarms_say_what_to_do_and_are_quiet_without_data(template):
    for name, alarm in Stack(template, conditions=True).resources("AWS::CloudWatch::Alarm").items():
        assert 80 < len(alarm["AlarmDescription"]) <= 1024, name
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm["AlarmActions"] == alarm["OKActions"] != [], name


def test_alarms_notify_nobody_unless_asked(template):
    for alarm in Stack(template).resources("AWS::CloudWatch::Alarm").values():
        assert not {"AlarmActions", "OKActions"} & set(alarm)


@pytest.mark.parametrize(
    ("seconds", "milliseconds", "alarms"), [(60, 47_999, False), (60, 48_000, True), (900, 720_000, True)]
)
def test_the_alarm_for_slowness_is_at_80_percent_of_the_time_limit(seconds, milliseconds, alarms):
    stack = Stack(load("rule.yaml"), {"TimeoutSeconds": seconds})
    alarm = stack.resources("AWS::CloudWatch::Alarm")["SlowAlarm"]
    (expression,) = (part["Expression"] for part in alarm["Metrics"] if "Expression" in part)
    assert (eval(expression, {"duration": milliseconds}) >= alarm["Threshold"]) is alarms


def test_dashboards_show_metrics_that_exist(template):
    for stack, body in dashboards(template):
        for widget in body["widgets"]:
            if widget["type"] == "metric":
                assert widget["properties"]["region"] == REGION and widget["properties"]["title"]
        for metric in all_shown(body):
            check(stack, *metric)


def test_widgets_fit_and_do_not_lie_on_each_other(template):
    for _, body in dashboards(template):
        taken = set()
        for widget in body["widgets"]:
            x, y, width, height = (widget[side] for side in ("x", "y", "width", "height"))
            cells = {(x + across, y + down) for across in range(width) for down in range(height)}
            assert x + width <= 24 and not cells & taken, widget["properties"].get("title")
            taken |= cells


def test_a_dashboard_shows_every_alarm_and_all_that_the_function_counts():
    stack, body = next(dashboards(load("rule.yaml")))
    (alarms,) = (widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm")
    assert alarms == [stack.fn_GetAtt(f"{name}.Arn") for name in stack.resources("AWS::CloudWatch::Alarm")]
    shown = {name for namespace, name, *_ in all_shown(body) if namespace == OWN}
    assert shown == METRICS[OWN, "FunctionName"]


def test_whatever_an_alarm_watches_is_on_the_dashboard():
    stack, body = next(dashboards(load("rule.yaml")))
    shown = {metric[:2] for metric in all_shown(body)}
    alarms = stack.resources("AWS::CloudWatch::Alarm").values()
    assert {metric[:2] for alarm in alarms for metric in alarm_metrics(alarm)} <= shown


@pytest.mark.parametrize(
    "metric",
    [
        ("AWS/Lambda", "Error", [("FunctionName", "EvaluatorFunction")], "Sum"),
        ("AWS/Lambda", "Errors", [("Function", "EvaluatorFunction")], "Sum"),
        ("AWS/Lambda", "Errors", [("FunctionName", "OtherFunction")], "Sum"),
        ("AWS/Lambda", "Errors", [("FunctionName", "EvaluatorFunction")], "Total"),
        (OWN, "Noncompliant", [("FunctionName", "EvaluatorFunction")], "Sum"),
    ],
)
def test_the_check_of_metrics_is_shown_to_fail(metric):
    with pytest.raises(AssertionError):
        check(Stack(load("rule.yaml")), *metric)
