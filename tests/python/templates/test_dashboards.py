"""Dashboards show metrics that exist, and everything that alarms use."""

import json

from support.stack import REGION, Stack
from support.templates import load
from templates.metrics import METRICS, OWN, alarm_metrics, assert_exists, widget_metrics

# The columns of a dashboard (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html).
COLUMNS = 24


def dashboards(template):
    """Yields the stack and the body of each dashboard, without options and with all of them."""
    for stack in (Stack(template), Stack(template, conditions=True)):
        for dashboard in stack.resources("AWS::CloudWatch::Dashboard").values():
            yield stack, json.loads(dashboard["DashboardBody"])


def widgets(body, kind):
    return [widget for widget in body["widgets"] if widget["type"] == kind]


def shown_metrics(body):
    return [metric for widget in widgets(body, "metric") for metric in widget_metrics(widget)]


def test_dashboards_show_metrics_that_exist(template):
    for stack, body in dashboards(template):
        for widget in widgets(body, "metric"):
            assert widget["properties"]["region"] == REGION
            assert widget["properties"]["title"]
        for metric in shown_metrics(body):
            assert_exists(stack, *metric)


def test_widgets_fit_and_do_not_overlap(template):
    for _, body in dashboards(template):
        taken = set()
        for widget in body["widgets"]:
            x, y, width, height = (widget[side] for side in ("x", "y", "width", "height"))
            cells = {(x + across, y + down) for across in range(width) for down in range(height)}
            title = widget["properties"].get("title")
            assert x + width <= COLUMNS, title
            assert not cells & taken, title
            taken |= cells


def test_dashboard_shows_every_alarm_and_every_metric_of_the_function():
    stack, body = next(dashboards(load("function.yaml")))
    (alarms,) = widgets(body, "alarm")
    assert alarms["properties"]["alarms"] == [
        stack.get_att(f"{name}.Arn") for name in stack.resources("AWS::CloudWatch::Alarm")
    ]
    shown = {name for namespace, name, *_ in shown_metrics(body) if namespace == OWN}
    assert shown == METRICS[OWN, "FunctionName"]


def test_dashboard_shows_the_metrics_of_every_alarm():
    stack, body = next(dashboards(load("function.yaml")))
    shown = {metric[:2] for metric in shown_metrics(body)}
    alarms = stack.resources("AWS::CloudWatch::Alarm").values()
    assert {metric[:2] for alarm in alarms for metric in alarm_metrics(alarm)} <= shown
