"""Calculates the monthly cost of the rule from the prices and assumptions below: the table in docs/cost.md.

monthly_cost.py                       the table of the page
monthly_cost.py --changes 60          with other assumptions: see --help
"""

import argparse
from dataclasses import dataclass

# USD in us-east-1, without free tiers. docs/cost.md has the source of each price.
RECORDED_ITEM = 0.003
EVALUATION_TIERS = ((100_000, 0.001), (400_000, 0.0008), (float("inf"), 0.0005))
LAMBDA_REQUEST = 0.20 / 1e6
LAMBDA_GB_SECOND = 0.0000166667
LOG_GB, LOG_GB_MONTH = 0.50, 0.03
METRIC, ALARM, DASHBOARD = 0.30, 0.10, 3.00

# What the stack contains.
METRICS, ALARMS = 5, 6

DAYS = 30


@dataclass
class Fleet:
    """A number of instances, and the assumptions about them and about the function."""

    instances: int
    daily: bool = False  # Schedule=TwentyFour_Hours
    changes: int = (
        20  # recorded changes of an instance a month: starts, stops, tags, network interfaces, volumes
    )
    seconds: float = 0.2  # the duration that Lambda bills for a change
    log_bytes: int = 2_000  # of a change: the verdict, the metrics and the three lines of Lambda
    retention_days: int = 90

    @property
    def memory_gb(self):
        """128 MB, or what docs/scheduled-runs.md recommends for scheduled runs over a large fleet."""
        return 1_769 / 1_024 if self.daily and self.instances > 10_000 else 128 / 1_024

    @property
    def items(self):
        return self.instances * self.changes

    @property
    def evaluations(self):
        return self.items + (self.instances * DAYS if self.daily else 0)

    @property
    def run_seconds(self):
        """The duration of a scheduled run.

        100 instances take 8 ms of a whole processor. The memory determines the share of a processor.
        """
        return self.instances * 0.00008 / min(self.memory_gb * 1_024 / 1_769, 1) + 1

    def lines(self):
        """Returns the cost of each service."""
        seconds = self.items * self.seconds + (self.run_seconds * DAYS if self.daily else 0)
        requests = self.items + (DAYS if self.daily else 0)
        log_gb = self.items * self.log_bytes / 1e9
        return {
            "AWS Config: evaluations": tiered(self.evaluations),
            "Lambda: requests and GB-seconds": requests * LAMBDA_REQUEST
            + seconds * self.memory_gb * LAMBDA_GB_SECOND,
            "CloudWatch: logs": log_gb * (LOG_GB + LOG_GB_MONTH * self.retention_days / DAYS),
            "CloudWatch: 5 metrics, 6 alarms, dashboard": METRICS * METRIC + ALARMS * ALARM + DASHBOARD,
        }


def tiered(evaluations):
    """Returns the price of evaluations in one Region."""
    total = 0
    for size, price in EVALUATION_TIERS:
        total += min(evaluations, size) * price
        evaluations -= min(evaluations, size)
    return total


def table(fleets):
    """Yields the lines of a Markdown table with a column for each fleet."""
    heads = [f"{fleet.instances:,}, {'daily' if fleet.daily else 'Off'}" for fleet in fleets]
    columns = [fleet.lines() for fleet in fleets]
    yield "| USD a month | " + " | ".join(heads) + " |"
    yield "|---|" + "---:|" * len(fleets)
    for name in columns[0]:
        yield f"| {name} | " + " | ".join(f"{column[name]:,.2f}" for column in columns) + " |"
    yield "| **sum** | " + " | ".join(f"**{sum(column.values()):,.2f}**" for column in columns) + " |"
    recorded = [f"{fleet.items * RECORDED_ITEM:,.2f}" for fleet in fleets]
    yield "| *not the rule's: the recorded items* | " + " | ".join(recorded) + " |"


def main():
    parser = argparse.ArgumentParser(description="Calculate the monthly cost of the rule in USD.")
    parser.add_argument(
        "--instances", type=int, nargs="+", default=[1_000, 100_000], help="sizes of the fleets"
    )
    parser.add_argument(
        "--changes", type=int, default=Fleet.changes, help="recorded changes of each instance a month"
    )
    parser.add_argument(
        "--seconds", type=float, default=Fleet.seconds, help="duration that Lambda bills for a change"
    )
    given = parser.parse_args()
    assumed = {"changes": given.changes, "seconds": given.seconds}
    fleets = [Fleet(size, daily, **assumed) for size in given.instances for daily in (False, True)]
    print("\n".join(table(fleets)))


if __name__ == "__main__":
    main()
