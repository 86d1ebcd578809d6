"""Measures `imdsv2 scan` of the release build over 100,000 instances in 20 Regions, beside `aws ec2
describe-instances` and threads of boto3, on the same server in the same run.

Each program counts the instances where IMDSv1 is open; ours lists launch templates, launch configurations and
the account-level defaults too. Prints wall time, processor time and peak memory, and how many times as fast ours
is. Needs target/release/imdsv2, and awscli and boto3 in the Python that runs it.
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

from cloud import ACCOUNT, Cloud
from processes import peak_memory

HERE = Path(__file__).resolve().parent
AT_ONCE = 16
AWS = Path(sys.executable).with_name("aws")
OPEN = "length(Reservations[].Instances[?MetadataOptions.HttpTokens=='optional'][])"

IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    f"<Arn>arn:aws:iam::{ACCOUNT}:user/scan</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)
EMPTY = {
    "GetCallerIdentity": IDENTITY,
    "DescribeLaunchTemplateVersions": "<DescribeLaunchTemplateVersionsResponse/>",
    "GetInstanceMetadataDefaults": "<GetInstanceMetadataDefaultsResponse/>",
    "DescribeLaunchConfigurations": "<DescribeLaunchConfigurationsResponse><DescribeLaunchConfigurationsResult>"
    "<LaunchConfigurations/></DescribeLaunchConfigurationsResult></DescribeLaunchConfigurationsResponse>",
}


class Account(Cloud):
    """An account: the same instances in each Region, and nothing else."""

    async def answer(self, method, path, headers, body):
        operation = parse_qs(body.decode())["Action"][0]
        if operation in EMPTY:
            return "", "text/xml", EMPTY[operation].encode()
        return await super().answer(method, path, headers, body)


def ours(regions):
    """The command line, which counts in its summary."""
    places = [f"--region={region}" for region in regions]
    command = [
        HERE.parent / "target" / "release" / "imdsv2",
        "scan",
        "--exit-zero",
        "--format",
        "csv",
        *places,
    ]
    return [command], lambda outputs: outputs[0].count(b",NON_COMPLIANT,HttpTokens is optional")


def aws_cli(regions):
    """The AWS CLI, once for each Region; it counts page by page."""
    arguments = ["ec2", "describe-instances", "--page-size", "1000", "--output", "text", "--query", OPEN]
    return [[AWS, *arguments, "--region", region] for region in regions], lambda outputs: sum(
        map(int, b"".join(outputs).split())
    )


def boto3_threads(regions):
    """boto3, a thread for each Region."""
    command = [sys.executable, HERE / "boto3_scan.py", str(AT_ONCE), *regions]
    return [command], lambda outputs: int(outputs[0])


def run(account, address, commands, count, expected):
    """Runs the commands, so many at once, and says what they took together."""
    account.start_over()
    started = os.times().elapsed
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = list(pool.map(lambda command: process(command, address), commands))
    figures = {
        "wall": os.times().elapsed - started,
        "cpu": sum(each["cpu"] for each in ended),
        "memory": sum(sorted(each["memory"] for each in ended)[-AT_ONCE:]),
    }
    counted = count([each["output"] for each in ended])
    if counted != expected:
        sys.exit(f"{commands[0][0]} counted {counted}, not {expected}")
    return figures


def process(command, address):
    """Runs a command to its end, and says what it took and wrote."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=100_000)
    parser.add_argument("--regions", type=int, default=20)
    parser.add_argument("--round-trip", type=float, default=10, help="milliseconds")
    arguments = parser.parse_args()
    regions = [f"us-test-{number}" for number in range(arguments.regions)]
    account = Account(arguments.instances // arguments.regions, 0, arguments.round_trip / 1000)
    account.prepare(1000)
    address = account.serve()
    expected = sum(number % 10 == 0 for number in range(len(account.ids))) * len(regions)
    print(
        f"{len(account.ids) * len(regions)} instances in {len(regions)} Regions, {expected} of them open to IMDSv1; "
        f"{arguments.round_trip:g} ms round trip, {os.cpu_count()} cores, {AT_ONCE} Regions at once"
    )
    best = min(
        (run(account, address, *ours(regions), expected) for _ in range(3)), key=lambda run: run["wall"]
    )
    show("imdsv2 scan", best)
    for name, rival in (("boto3, threads", boto3_threads), ("aws ec2 describe-instances", aws_cli)):
        figures = run(account, address, *rival(regions), expected)
        show(name, figures)
        ratios = (
            f"{figures[key] / best[key]:.1f} times the {what}"
            for key, what in (("wall", "time"), ("cpu", "processor time"), ("memory", "memory"))
        )
        print(f"  that is {', '.join(ratios)}")


def show(name, figures):
    print(
        f"{name:<28} {figures['wall']:7.2f} s, {figures['cpu']:7.2f} s of processor time, {figures['memory']:7.1f} MiB"
    )


if __name__ == "__main__":
    main()
