"""Measures a scheduled run of the function over 10,000 and 100,000 instances, compared with a rule in Python.

Both run against the same server, which checks every evaluation. Then measures a run over 10,000 Auto Scaling
groups that launch instances from 300 launch templates, and compares its calls with one for each group.
Prints the wall time, the processor time, the peak memory and the most concurrent calls of each, and the
ratios to the function. Needs target/function/bootstrap, and awslambdaric and boto3 in the Python that runs
it.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from cloud import Cloud
from function import BOOTSTRAP, environment
from groups import Groups
from processes import peak_memory, processor_time

BENCHMARKS = Path(__file__).resolve().parent
BOTO3_RULE = [sys.executable, "-m", "awslambdaric", "boto3_rule.handler"]
REPETITIONS = 3
# Instances that have a result of the previous run and no longer exist.
GONE = 130


def run(cloud: Cloud, address: str, command: list[str]) -> dict:
    """Starts a Lambda function, waits until it has answered its only event, and returns what it used."""
    cloud.reset()
    variables = environment(address, f"http://{address}", memory=1769)
    started = os.times().elapsed
    process = subprocess.Popen(command, env=variables, cwd=BENCHMARKS, stdout=subprocess.DEVNULL)
    while not cloud.ended.wait(0.1):
        if process.poll() is not None:
            sys.exit(f"{command[0]} exited with status {process.returncode}")
    figures = {
        "wall": os.times().elapsed - started,
        "cpu": processor_time(process.pid),
        "memory": peak_memory(process.pid),
        "calls": cloud.most_in_flight,
    }
    process.kill()
    process.wait()
    cloud.check()
    return figures


def show(name: str, figures: dict) -> None:
    print(
        f"  {name:<30} {figures['wall']:7.2f} s, {figures['cpu']:7.2f} s of processor time, "
        f"{figures['memory']:6.1f} MiB, at most {figures['calls']} concurrent calls"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--round-trip", type=float, default=10, help="milliseconds")
    parser.add_argument("--groups", type=int, default=10_000)
    parser.add_argument("--templates", type=int, default=300)
    parser.add_argument("--only-ours", action="store_true", help="do not measure the rule in Python")
    arguments = parser.parse_args()
    print(
        f"{arguments.round_trip:g} ms round trip, {os.cpu_count()} cores, "
        f"{GONE} results of instances that no longer exist"
    )
    for instances in arguments.instances:
        cloud = Cloud(instances, GONE, arguments.round_trip / 1000)
        cloud.prepare(1000)
        address = cloud.serve()
        kilobytes = sum(map(len, cloud.pages.values())) / instances / 1000
        print(f"\n{instances} instances, {kilobytes:.1f} kB of XML each")
        runs = (run(cloud, address, BOOTSTRAP) for _ in range(REPETITIONS))
        ours = min(runs, key=lambda figures: figures["wall"])
        show("bootstrap", ours)
        if not arguments.only_ours:
            theirs = run(cloud, address, BOTO3_RULE)
            show("boto3, sequential calls", theirs)
            ratios = (
                f"{theirs[key] / ours[key]:.1f} times the {what}"
                for key, what in (("wall", "time"), ("cpu", "processor time"), ("memory", "memory"))
            )
            print(f"  {', '.join(ratios)} of the function")
    measure_groups(arguments.groups, arguments.templates, arguments.round_trip / 1000)


def measure_groups(groups: int, templates: int, round_trip: float) -> None:
    cloud = Groups(groups, templates, round_trip)
    address = cloud.serve()
    print(f"\n{groups} Auto Scaling groups, {templates} launch templates")
    runs = [run(cloud, address, BOOTSTRAP) for _ in range(REPETITIONS)]
    show("bootstrap", min(runs, key=lambda figures: figures["wall"]))
    versions, calls = len(cloud.versions), cloud.calls["DescribeLaunchTemplateVersions"]
    print(
        f"  {versions} versions in {calls} calls, each once; one for each group: {groups / calls:.1f} times"
    )


if __name__ == "__main__":
    main()
