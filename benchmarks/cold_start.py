"""Measures how the function starts, compared with one that does nothing and with rules in Python.

All get the event of a configuration change from the same server, which also is AWS Config. Prints for each:
- init: from the start of the process until it asks for its first event;
- first response: from the start of the process until it has answered its first event, with AWS Config over
  HTTP, and over TLS with the trust roots of this machine in one file;
- warm: the median time from one event to the next;
- the processor time and the peak memory of a process that answered its first event, over TLS;
- the size of its deployment package;
- the instructions that it executes until it has answered the first event over HTTP, counted by valgrind.

Times are the medians of repeated starts. Needs target/function/bootstrap and target/function/floor, and
the packages of requirements.txt in the Python that runs it.
"""

import argparse
import itertools
import json
import os
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import trustme
from function import BOOTSTRAP, BUILT, environment
from invoker import Invoker
from processes import peak_memory, processor_time

BENCHMARKS = Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent
EVENT = ROOT / "tests" / "fixtures" / "instance-optional-event.json"
RUNTIME_CLIENT = [sys.executable, "-m", "awslambdaric"]
FLOOR, OURS = "a function that does nothing", "this rule"
FUNCTIONS = {
    FLOOR: [str(BUILT / "floor")],
    OURS: BOOTSTRAP,
    "boto3": [*RUNTIME_CLIENT, "boto3_change_rule.handler"],
    "rdklib": [*RUNTIME_CLIENT, "rdklib_rule.handler"],
}
WARM_INVOCATIONS = 2_000
# Valgrind runs the function some 50 times slower.
VALGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]


class Start(NamedTuple):
    """Seconds, except for the peak memory in MiB."""

    init: float
    first: float
    warm: float
    processor: float
    memory: float


class Cloud(NamedTuple):
    """The servers that a function calls, and the file with its trust roots, if there is TLS."""

    invoker: Invoker
    runtime: str
    aws: str
    roots: Path | None

    def environment(self) -> dict[str, str]:
        bundle = {"AWS_CA_BUNDLE": str(self.roots)} if self.roots else {}
        return environment(self.runtime, self.aws) | bundle


def start(cloud: Cloud, command: list[str], invocations: int) -> Start:
    """Starts a function, and waits until it has answered this number of events."""
    invoker = cloud.invoker
    invoker.reset()
    invoker.invocations = invocations
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=cloud.environment(), cwd=BENCHMARKS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not invoker.ended.wait(0.5):
        if process.poll() is not None:
            sys.exit(f"{' '.join(command)} exited with status {process.returncode}")
    used = processor_time(process.pid), peak_memory(process.pid)
    process.kill()
    process.wait()
    expected = 0 if command == FUNCTIONS[FLOOR] else invocations
    if invoker.failure or invoker.evaluations != expected:
        sys.exit(f"{' '.join(command)} failed: {invoker.evaluations} evaluations, {invoker.failure}")
    warm = [later - earlier for earlier, later in itertools.pairwise(invoker.asked[1:])]
    return Start(invoker.asked[0] - began, invoker.answered[0] - began, statistics.median(warm or [0]), *used)


def instructions(cloud: Cloud, command: list[str]) -> int:
    """Returns the instructions that a function executes for its start and its first event."""
    cloud.invoker.reset()
    cloud.invoker.invocations = 1
    process = subprocess.Popen(
        [*VALGRIND, *command], env=cloud.environment(), cwd=BENCHMARKS, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    cloud.invoker.ended.wait(120)
    process.terminate()
    return int(re.search(r"Collected : (\d+)", process.communicate()[1]).group(1))


def package_size(name: str, command: list[str]) -> int:
    """Returns the size of a deployment package. For Python it is that of the packages that Lambda lacks."""
    with tempfile.TemporaryFile() as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        if name in (FLOOR, OURS):
            archive.write(command[0], "bootstrap")
        else:
            for source in [BENCHMARKS / f"{command[-1].partition('.')[0]}.py", *library(name)]:
                archive.write(source, source.relative_to(source.parents[2]))
        archive.close()
        return file.tell()


def library(name: str) -> list[Path]:
    """Returns the files of a package, unless Lambda's runtime for Python has it."""
    if name == "boto3":
        return []
    module = __import__(name)
    return [path for path in Path(module.__file__).parent.rglob("*.py") if path.is_file()]


def clouds(directory: Path) -> tuple[Cloud, Cloud, int]:
    """Returns the servers, without TLS and with it, and the number of trust roots."""
    # rdklib does not accept an empty text.
    event = json.loads(EVENT.read_text()) | {"ruleParameters": "{}"}
    invoker = Invoker(json.dumps(event).encode(), 1)
    plain = invoker.serve()
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)  # as AWS's own
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.configure_cert(tls)
    roots = directory / "roots.pem"
    system = Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")
    roots.write_bytes(system.read_bytes() + authority.cert_pem.bytes())
    count = roots.read_text().count("BEGIN CERTIFICATE")
    secure = f"https://{invoker.serve(tls)}"
    return (
        Cloud(invoker, plain, f"http://{plain}", None),
        Cloud(invoker, plain, secure, roots),
        count,
    )


def measure(plain: Cloud, secure: Cloud, commands: dict[str, list[str]], starts: int) -> dict[str, dict]:
    """Starts the functions in turns, so that what else happens on the machine concerns all of them."""
    runs = {name: ([], []) for name in commands}
    for _ in range(starts):
        for name, command in commands.items():
            runs[name][0].append(start(plain, command, 1))
            runs[name][1].append(start(secure, command, 1))
    return {name: figures(*runs[name], start(plain, commands[name], WARM_INVOCATIONS)) for name in commands}


def figures(plain: list[Start], secure: list[Start], warm: Start) -> dict[str, float]:
    def median(starts: list[Start], field: str) -> float:
        return statistics.median(getattr(each, field) for each in starts)

    return {
        "init, ms": median(plain, "init") * 1000,
        "first response, HTTP, ms": median(plain, "first") * 1000,
        "init, one file of roots, ms": median(secure, "init") * 1000,
        "first response, TLS, ms": median(secure, "first") * 1000,
        "warm, ms": warm.warm * 1000,
        "processor time, 2,000 events, ms": warm.processor * 1000,
        "peak memory, MiB": median(secure, "memory"),
    }


def show(table: dict[str, dict[str, float]]) -> None:
    names = list(table)
    print(f"\n{'':<34}" + "".join(f"{name:>30}" for name in names))
    for row in table[FLOOR]:
        cells = []
        for name in names:
            value, floor = table[name].get(row), table[FLOOR][row]
            ratio = f" ({value / floor:.1f})" if value and name != FLOOR and floor else ""
            cells.append(f"{value:,.1f}{ratio}" if value is not None else "")
        print(f"{row:<34}" + "".join(f"{cell:>30}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=31)
    parser.add_argument("--only-ours", action="store_true", help="do not measure the rules in Python")
    arguments = parser.parse_args()
    commands = dict(list(FUNCTIONS.items())[:2]) if arguments.only_ours else FUNCTIONS
    with tempfile.TemporaryDirectory() as directory:
        plain, secure, roots = clouds(Path(directory))
        table = measure(plain, secure, commands, arguments.starts)
        for name, command in commands.items():
            table[name]["package, kB"] = package_size(name, command) / 1000
            if shutil.which("valgrind") and name in (FLOOR, OURS):
                table[name]["instructions, millions"] = instructions(plain, command) / 1e6
        print(f"{arguments.starts} starts, {roots} trust roots, {os.cpu_count()} cores")
        print(f"in brackets: the ratio to {FLOOR}")
    show(table)


if __name__ == "__main__":
    main()
