"""Measures `imdsv2 callers` on CloudTrail's log files, compared with gzip, Python's json module and DuckDB.

Writes 100 files with 2,000 records each below target/, compressed as CloudTrail compresses them. Each
program counts the calls with credentials from IMDSv1 by account, role, instance and user agent; gzip only
decompresses. Prints the time, the peak memory (for Python that of the parent process) and the time relative
to `imdsv2`. All programs must count the same. Needs target/release/imdsv2.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from processes import Measurement, measure
from trail import Counts, write_trail

ROOT = Path(__file__).resolve().parent.parent
IMDSV2 = ROOT / "target" / "release" / "imdsv2"
REPETITIONS = 5
# The memory that may be used beside the groups, in MiB.
MAX_MEMORY = 64

PYTHON = """
import gzip, json, sys
from collections import Counter
from multiprocessing import Pool
from pathlib import Path

def count(path):
    calls = Counter()
    with gzip.open(path) as file:
        for record in json.load(file)["Records"]:
            identity = record["userIdentity"]
            context = identity.get("sessionContext", {})
            if context.get("ec2RoleDelivery") == "1.0":
                instance = identity["arn"].rpartition("/")[2]
                role = context["sessionIssuer"]["arn"]
                calls[identity["accountId"], role, instance, record["userAgent"]] += 1
    return calls

if __name__ == "__main__":
    total = Counter()
    with Pool(2) as pool:
        for calls in pool.imap_unordered(count, Path(sys.argv[1]).iterdir()):
            total.update(calls)
    print(total.total(), len(total))
"""
DUCKDB = """
import sys
import duckdb
duckdb.execute("SET threads = 2; SET enable_progress_bar = false")
print(*duckdb.execute('''
    SELECT sum(calls)::BIGINT, count(*) FROM (
        SELECT record.userIdentity.accountId, record.userIdentity.sessionContext.sessionIssuer.arn,
               record.userIdentity.arn, record.userAgent, count(*) AS calls
        FROM (SELECT unnest(Records) AS record
              FROM read_json(? || '/*.json.gz', maximum_object_size = 100000000,
                             columns = {Records: 'STRUCT(userIdentity STRUCT(accountId VARCHAR, arn VARCHAR,
                                 sessionContext STRUCT(ec2RoleDelivery VARCHAR,
                                                       sessionIssuer STRUCT(arn VARCHAR))),
                                 userAgent VARCHAR)[]'}))
        WHERE record.userIdentity.sessionContext.ec2RoleDelivery = '1.0'
        GROUP BY ALL)''', [sys.argv[1]]).fetchone())
"""


def fastest(command: list[str], cores: int, repetitions: int = REPETITIONS) -> Measurement:
    return min(measure(command, cores) for _ in range(repetitions))


def show(name: str, measurement: Measurement, size: int, base: Measurement | None = None) -> None:
    ratio = f"{measurement.seconds / base.seconds:6.1f} x the time" if base else ""
    speed = size / measurement.seconds / 1e6
    print(f"{name:<32} {measurement.seconds:7.3f} s {speed:6.0f} MB/s {measurement.memory:7.1f} MiB {ratio}")


def counted(printed: str) -> tuple[int, int]:
    calls, groups = printed.split()
    return int(calls), int(groups)


def check(name: str, found: object, expected: object) -> None:
    if found != expected:
        sys.exit(f"{name} counted {found}, expected {expected}")


def compare(directory: Path, size: int, expected: Counts) -> None:
    ours = [str(IMDSV2), "callers", "--format", "json", str(directory)]
    output = json.loads(measure(ours, cores=2).printed)
    groups = len(output["callers"])
    summary = output["summary"]
    check("imdsv2", (summary["imdsv1Calls"], summary["imdsv2Calls"]), (expected.imdsv1, expected.imdsv2))
    check("imdsv2", sum(caller["calls"] for caller in output["callers"]), expected.imdsv1)

    by_agent = fastest([*ours, "--group-by", "agent"], cores=2)
    one, two = (fastest(ours, cores) for cores in (1, 2))
    gzip = fastest(["sh", "-c", f"gzip -dc {directory}/*.json.gz > /dev/null"], cores=1)
    python = fastest([sys.executable, "-c", PYTHON, str(directory)], cores=2)
    duckdb = fastest([sys.executable, "-c", DUCKDB, str(directory)], cores=2, repetitions=1)
    for name, other in (("Python", python), ("DuckDB", duckdb)):
        check(name, counted(other.printed), (expected.imdsv1, groups))

    print(f"{groups} groups, {expected.imdsv1} calls with credentials from IMDSv1; all programs agree")
    show("imdsv2, two cores", two, size)
    show("imdsv2, two cores, 5 groups", by_agent, size, two)
    show("imdsv2, one core", one, size, two)
    show("gzip -dc, one core", gzip, size, two)
    show("Python's json, two processes", python, size, two)
    show("DuckDB, two threads", duckdb, size, two)
    print(
        f"{python.seconds / two.seconds:.1f} times as fast as Python on two processes; on one core "
        f"{gzip.seconds / one.seconds:.1f} times as fast as gzip -dc"
    )
    if max(two.memory, by_agent.memory) > MAX_MEMORY:
        sys.exit(f"more than {MAX_MEMORY} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--records", type=int, default=2_000, help="records in each file")
    arguments = parser.parse_args()
    directory = ROOT / "target" / "bench"
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        expected = write_trail(Path(temporary), arguments.files, arguments.records)
        size = int(subprocess.check_output(["sh", "-c", f"cat {temporary}/*.gz | gzip -dc | wc -c"]))
        records = arguments.files * arguments.records
        print(f"{records} records in {arguments.files} files, {size / 1e6:.0f} MB, {os.cpu_count()} cores")
        compare(Path(temporary), size, expected)


if __name__ == "__main__":
    main()
