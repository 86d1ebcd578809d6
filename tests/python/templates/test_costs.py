"""The table of costs in docs/cost.md is what the script calculates, for what the stack contains."""

import monthly_cost as costs

from support.repository import ROOT
from support.stack import Stack
from support.templates import load
from templates.metrics import METRICS, OWN, alarm_metrics


def test_page_contains_the_table_that_the_script_calculates():
    fleets = [costs.Fleet(size, daily) for size in (1_000, 100_000) for daily in (False, True)]
    assert "\n".join(costs.table(fleets)) in (ROOT / "docs" / "cost.md").read_text()


def test_evaluations_are_priced_in_tiers():
    counts = (0, 100_000, 100_001, 500_000, 1_000_000)
    assert [round(costs.tiered(count), 2) for count in counts] == [0, 100, 100, 420, 670]


def test_script_counts_what_the_stack_contains():
    stack = Stack(load("function.yaml"))
    alarms = stack.resources("AWS::CloudWatch::Alarm").values()
    metrics = [metric for alarm in alarms for metric in alarm_metrics(alarm)]
    assert len(metrics) == costs.ALARMS, "an alarm is charged for each of its metrics"
    assert len(METRICS[OWN, "FunctionName"]) == costs.METRICS
    assert len(stack.resources("AWS::CloudWatch::Dashboard")) == 1
