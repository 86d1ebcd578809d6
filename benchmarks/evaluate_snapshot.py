"""Measures `imdsv2 evaluate` on a large AWS Config snapshot, compared with jq and with Python's json module.

Writes a snapshot of 500,000 instances, about 2 GB, below target/, plain and compressed with gzip as AWS
Config delivers it. Each program counts the instances that accept IMDSv1. Prints the throughput, the peak
memory, and the time relative to `imdsv2`. A tenth of the snapshot is measured first, to show whether memory
grows with the file. Needs target/release/imdsv2.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from processes import peak_memory
from snapshot import write_snapshot

ROOT = Path(__file__).resolve().parent.parent
IMDSV2 = ROOT / "target" / "release" / "imdsv2"
REPETITIONS = 3

PYTHON = """
import json, sys
items = json.load(open(sys.argv[1]))["configurationItems"]
print(sum(item["configuration"]["metadataOptions"]["httpTokens"] != "required" for item in items))
"""
JQ = '[.configurationItems[] | select(.configuration.metadataOptions.httpTokens != "required")] | length'


class Measurement(NamedTuple):
    """Wall time in seconds, peak memory in MiB, and what the command printed."""

    seconds: float
    memory: float
    printed: str


def measure(command: list[str], one_core: bool = False) -> Measurement:
    if one_core:
        command = ["taskset", "--cpu-list", "0", *command]
    with tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, peak_memory(process.pid))
            time.sleep(0.01)
        seconds = time.perf_counter() - started
        output.seek(0)
        printed = output.read()
    if process.returncode > 1:
        sys.exit(f"{' '.join(command)} failed")
    return Measurement(seconds, peak, printed)


def fastest(command: list[str], one_core: bool) -> Measurement:
    return min(measure(command, one_core) for _ in range(REPETITIONS))


def evaluate(path: Path) -> list[str]:
    return [str(IMDSV2), "evaluate", "--format", "json", "--output", "/dev/null", str(path)]


def show(name: str, measurement: Measurement, size: int, base: float | None = None) -> None:
    """Prints a line. `base` is the time with which this one is compared."""
    seconds, memory, _ = measurement
    ratio = f"{seconds / base:6.1f} x the time" if base else ""
    print(f"{name:<34} {seconds:7.2f} s {size / seconds / 1e6:8.0f} MB/s {memory:9.1f} MiB {ratio}")


def check(name: str, counted: int, expected: int) -> None:
    if counted != expected:
        sys.exit(f"{name} counted {counted} non-compliant instances, expected {expected}")


def compare(large: Path, expected: int, base: float) -> None:
    """Measures the other programs."""
    commands = {"python3 -c, json.load": [sys.executable, "-c", PYTHON, str(large)]}
    if shutil.which("jq"):
        commands["jq"] = ["jq", JQ, str(large)]
    else:
        print("jq is not installed and is not measured")
    for name, command in commands.items():
        measurement = measure(command)
        check(name, int(measurement.printed), expected)
        show(name, measurement, large.stat().st_size, base)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=500_000, help="instances in the snapshot")
    parser.add_argument("--only-ours", action="store_true", help="measure neither jq nor Python")
    arguments = parser.parse_args()
    expected = (arguments.items + 9) // 10

    directory = ROOT / "target" / "bench"
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        small, large, compressed = (
            Path(temporary) / name for name in ("snapshot-small.json", "snapshot.json", "snapshot.json.gz")
        )
        write_snapshot(small, arguments.items // 10)
        write_snapshot(large, arguments.items)
        with compressed.open("wb") as target:
            subprocess.run(["gzip", "-1", "--stdout", str(large)], stdout=target, check=True)
        size = large.stat().st_size
        print(f"{arguments.items} items, {size / 1e9:.2f} GB, {os.cpu_count()} cores")

        table = measure([str(IMDSV2), "evaluate", "--format", "csv", str(large)]).printed
        check("imdsv2", table.count(",NON_COMPLIANT,"), expected)
        del table
        show("imdsv2, one core, a tenth of it", measure(evaluate(small), one_core=True), small.stat().st_size)
        ours = fastest(evaluate(large), one_core=True)
        show("imdsv2, one core", ours, size)
        for name, one_core in (("imdsv2, gzip, one core", True), ("imdsv2, gzip, two cores", False)):
            show(name, fastest(evaluate(compressed), one_core), size, ours.seconds)
        if not arguments.only_ours:
            compare(large, expected, ours.seconds)


if __name__ == "__main__":
    main()
