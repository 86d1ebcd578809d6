"""Measures a scheduled run of the release build of `bootstrap` over 10,000 and 100,000 instances, beside a
rule in Python on the same server in the same run.

Prints wall time, processor time, peak memory and calls at once, and how many times as fast ours is. Every
evaluation is checked. Needs target/release/bootstrap, and awslambdaric and boto3 in the Python that runs it.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from cloud import Cloud
from processes import peak_memory, processor_time

HERE = Path(__file__).resolve().parent
OURS = [str(HERE.parent / "target" / "release" / "bootstrap")]
THEIRS = [sys.executable, "-m", "awslambdaric", "boto3_rule.handler"]
GONE = 130


def run(cloud: Cloud, address: str, command: list[str]) -> dict:
    """Starts a Lambda function, waits until it has answered its one event, and says what it took."""
    cloud.start_over()
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_ENDPOINT_URL": f"http://{address}",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_LAMBDA_FUNCTION_NAME": "rule",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
    }
    started = os.times().elapsed
    process = subprocess.Popen(command, env=environment, cwd=HERE, stdout=subprocess.DEVNULL)
    while not cloud.ended.wait(0.1):
        if process.poll() is not None:
            sys.exit(f"{command[0]} ended")
    figures = {
        "wall": os.times().elapsed - started,
        "cpu": processor_time(process.pid),
        "memory": peak_memory(process.pid),
        "calls": cloud.most_under_way,
    }
    process.kill()
    process.wait()
    cloud.check()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--round-trip", type=float, default=10, help="milliseconds")
    parser.add_argument("--only-ours", action="store_true")
    arguments = parser.parse_args()
    print(
        f"{arguments.round_trip:g} ms round trip, {os.cpu_count()} cores, {GONE} results of instances that are gone"
    )
    for instances in arguments.instances:
        cloud = Cloud(instances, GONE, arguments.round_trip / 1000)
        cloud.prepare(1000)
        address = cloud.serve()
        kilobytes = sum(map(len, cloud.pages.values())) / instances / 1000
        print(f"\n{instances} instances, {kilobytes:.1f} kB of XML each")
        ours = min((run(cloud, address, OURS) for _ in range(3)), key=lambda figures: figures["wall"])
        show("bootstrap", ours)
        if not arguments.only_ours:
            theirs = run(cloud, address, THEIRS)
            ratios = ", ".join(
                f"{theirs[key] / ours[key]:.1f} times the {name}"
                for key, name in (("wall", "time"), ("cpu", "processor time"), ("memory", "memory"))
            )
            show("boto3, one call after another", theirs)
            print(f"  that is {ratios}")


def show(name: str, figures: dict) -> None:
    print(
        f"  {name:<30} {figures['wall']:7.2f} s, {figures['cpu']:7.2f} s of processor time, "
        f"{figures['memory']:6.1f} MiB, {figures['calls']} calls at once at most"
    )


if __name__ == "__main__":
    main()
