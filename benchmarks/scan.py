"""Measures `imdsv2 scan` over 100,000 instances in 20 Regions, compared with the AWS CLI and with boto3.

Every program reads from the same server and counts the instances that accept IMDSv1. `imdsv2` lists launch
templates, launch configurations and Auto Scaling groups too. Prints the wall time, the processor time and
the peak memory of each program, and the ratios to `imdsv2`. Needs target/release/imdsv2, and awscli and boto3
in the Python that runs it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs

from cloud import XML, Cloud
from fleet_responses import ACCOUNT
from processes import peak_memory

BENCHMARKS = Path(__file__).resolve().parent
IMDSV2 = BENCHMARKS.parent / "target" / "release" / "imdsv2"
AWS = Path(sys.executable).with_name("aws")
# The Regions that a program reads concurrently.
CONCURRENCY = 16
REPETITIONS = 3
OPEN = "length(Reservations[].Instances[?MetadataOptions.HttpTokens=='optional'][])"

IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    f"<Arn>arn:aws:iam::{ACCOUNT}:user/scan</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)
LAUNCH_CONFIGURATIONS = (
    "<DescribeLaunchConfigurationsResponse><DescribeLaunchConfigurationsResult><LaunchConfigurations/>"
    "</DescribeLaunchConfigurationsResult></DescribeLaunchConfigurationsResponse>"
)
AUTO_SCALING_GROUPS = (
    "<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups/>"
    "</DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>"
)
RESPONSES = {
    "DescribeAutoScalingGroups": AUTO_SCALING_GROUPS,
    "GetCallerIdentity": IDENTITY,
    "DescribeLaunchTemplateVersions": "<DescribeLaunchTemplateVersionsResponse/>",
    "GetInstanceMetadataDefaults": "<GetInstanceMetadataDefaultsResponse/>",
    "DescribeLaunchConfigurations": LAUNCH_CONFIGURATIONS,
}


class Account(Cloud):
    """An account with the same instances in each Region, and no other resources."""

    regions: tuple[str, ...] = ()

    async def answer(self, method, path, headers, body):
        operation = parse_qs(body.decode())["Action"][0]
        if operation == "DescribeRegions":
            items = "".join(f"<item><regionName>{each}</regionName></item>" for each in self.regions)
            response = f"<DescribeRegionsResponse><regionInfo>{items}</regionInfo></DescribeRegionsResponse>"
            return "", XML, response.encode()
        if operation in RESPONSES:
            return "", XML, RESPONSES[operation].encode()
        return await super().answer(method, path, headers, body)


def imdsv2(regions):
    """Returns the command, and a function that counts in its output."""
    options = [f"--region={region}" for region in regions]
    command = [IMDSV2, "scan", "--exit-zero", "--format", "csv", *options]
    return [command], lambda outputs: outputs[0].count(b",NON_COMPLIANT,HttpTokens is optional")


def aws_cli(regions):
    """Returns a command for each Region, and a function that adds the count of each page."""
    arguments = ["ec2", "describe-instances", "--page-size", "1000", "--output", "text", "--query", OPEN]
    commands = [[AWS, *arguments, "--region", region] for region in regions]
    return commands, lambda outputs: sum(map(int, b"".join(outputs).split()))


def boto3_threads(regions):
    """Returns the command, which prints the count."""
    command = [sys.executable, BENCHMARKS / "boto3_scan.py", str(CONCURRENCY), *regions]
    return [command], lambda outputs: int(outputs[0])


def run(account, address, commands, count, expected):
    """Runs the commands concurrently and returns what they used together."""
    account.reset()
    started = os.times().elapsed
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        processes = list(pool.map(lambda command: process(command, address), commands))
    wall = os.times().elapsed - started
    counted = count([each["output"] for each in processes])
    if counted != expected:
        sys.exit(f"{commands[0][0]} counted {counted}, expected {expected}")
    return {
        "wall": wall,
        "cpu": sum(each["cpu"] for each in processes),
        "memory": sum(sorted(each["memory"] for each in processes)[-CONCURRENCY:]),
    }


def process(command, address):
    """Runs a command to its end and returns what it used and printed."""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": f"http://{address}",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(command, env=environment, stdout=output)
        memory, ended = 0.0, 0
        while not ended:
            memory = max(memory, peak_memory(child.pid))
            time.sleep(0.02)
            ended, status, usage = os.wait4(child.pid, os.WNOHANG)
        child.returncode = os.waitstatus_to_exitcode(status)
        if status:
            sys.exit(f"{command[0]} failed")
        output.seek(0)
        return {"cpu": usage.ru_utime + usage.ru_stime, "memory": memory, "output": output.read()}


def show(name, figures):
    wall, cpu, memory = figures["wall"], figures["cpu"], figures["memory"]
    print(f"{name:<28} {wall:7.2f} s, {cpu:7.2f} s of processor time, {memory:7.1f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=100_000, help="instances in all Regions")
    parser.add_argument("--regions", type=int, default=20)
    parser.add_argument("--round-trip", type=float, default=10, help="milliseconds")
    arguments = parser.parse_args()
    regions = [f"us-test-{number}" for number in range(arguments.regions)]
    account = Account(arguments.instances // arguments.regions, 0, arguments.round_trip / 1000)
    account.prepare(1000)
    account.regions = tuple(regions)
    address = account.serve()
    total = len(account.ids) * len(regions)
    expected = sum(number % 10 == 0 for number in range(len(account.ids))) * len(regions)
    print(
        f"{total} instances in {len(regions)} Regions, of which {expected} accept IMDSv1; "
        f"{arguments.round_trip:g} ms round trip, {os.cpu_count()} cores, {CONCURRENCY} Regions concurrently"
    )
    runs = (run(account, address, *imdsv2(regions), expected) for _ in range(REPETITIONS))
    ours = min(runs, key=lambda figures: figures["wall"])
    show("imdsv2 scan", ours)
    for name, program in (("boto3, threads", boto3_threads), ("aws ec2 describe-instances", aws_cli)):
        figures = run(account, address, *program(regions), expected)
        show(name, figures)
        ratios = (
            f"{figures[key] / ours[key]:.1f} times the {what}"
            for key, what in (("wall", "time"), ("cpu", "processor time"), ("memory", "memory"))
        )
        print(f"  {', '.join(ratios)} of imdsv2")


if __name__ == "__main__":
    main()
