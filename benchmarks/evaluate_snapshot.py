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
from pathlib import Path

from processes import Measurement, measure
from snapshot import write_snapshot

ROOT = Path(__file__).resolve().parent.parent
IMDSV2 = ROOT / "target" / "release" / "imdsv2"
REPETITIONS = 3
# The files that the same number of instances is divided into.
FILES = 20

PYTHON = """
import json, sys
items = json.load(open(sys.argv[1]))["configurationItems"]
print(sum(item["configuration"]["metadataOptions"]["httpTokens"] != "required" for item in items))
"""
JQ = '[.configurationItems[] | select(.configuration.metadataOptions.httpTokens != "required")] | length'


def fastest(command: list[str], cores: int | None) -> Measurement:
    return min(measure(command, cores) for _ in range(REPETITIONS))


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


def write_files(directory: Path, items: int) -> Path:
    """Divides the snapshot into files, and compresses each."""
    directory.mkdir()
    for number in range(FILES):
        write_snapshot(directory / f"{number:02}.json", items)
    subprocess.run(["gzip", "-1", "--recursive", str(directory)], check=True)
    return directory


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
        show("imdsv2, one core, a tenth of it", measure(evaluate(small), cores=1), small.stat().st_size)
        ours = fastest(evaluate(large), cores=1)
        show("imdsv2, one core", ours, size)
        for name, cores in (("imdsv2, gzip, one core", 1), ("imdsv2, gzip, two cores", 2)):
            show(name, fastest(evaluate(compressed), cores), size, ours.seconds)
        files = write_files(Path(temporary) / "files", arguments.items // FILES)
        for name, cores in (
            (f"imdsv2, {FILES} gzip files, one core", 1),
            (f"imdsv2, {FILES} gzip files, two cores", 2),
        ):
            show(name, fastest(evaluate(files), cores), size, ours.seconds)
        if not arguments.only_ours:
            compare(large, expected, ours.seconds)


if __name__ == "__main__":
    main()
