"""Sends 200,000 events through one process of the function, and then events of 5,000 member accounts.

The events are of configuration changes. Some arrive twice, and most in another order than AWS Config captured
them. Prints the memory, the open files and the percentiles of the time for an event as the run proceeds, and
exits with an error unless

- each resource ends in the state that belongs to its newest configuration item;
- memory and open files do not grow;
- the credentials of a member account are fetched once while it is among the most recent ones.

Needs target/function/bootstrap.
"""

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

from function import BOOTSTRAP, environment
from invoker import ACCOUNT, Invoker
from processes import open_files, resident_memory

ROOT = Path(__file__).resolve().parent.parent
EVENT = json.loads((ROOT / "tests" / "fixtures" / "instance-optional-event.json").read_text())
NOTIFICATION = json.loads(EVENT["invokingEvent"])
START = datetime(2026, 11, 27, tzinfo=UTC)
RESOURCES = 5_000
# One event in ten arrives twice.
REPEATED = 0.1
# How far an event may arrive after one that was captured later.
DISORDER = 500
PERCENTILES = (50, 99, 99.9)
# What may be allocated after the first events, in MiB.
GROWTH = 2


def event(resource: str, account: str, captured: datetime, tokens: str) -> bytes:
    item = NOTIFICATION["configurationItem"]
    options = item["configuration"]["metadataOptions"] | {"httpTokens": tokens}
    changed = {
        "resourceId": resource,
        "awsAccountId": account,
        "configurationItemCaptureTime": captured.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "configuration": item["configuration"] | {"instanceId": resource, "metadataOptions": options},
    }
    notification = NOTIFICATION | {"configurationItem": item | changed}
    return json.dumps(EVENT | {"accountId": account, "invokingEvent": json.dumps(notification)}).encode()


class Changes(Invoker):
    """Sends events, and keeps the state of each resource as AWS Config does: by ordering timestamp."""

    def __init__(self, events):
        self.events = iter(events)
        super().__init__(b"", 0)

    def reset(self) -> None:
        super().reset()
        self.states, self.assumed = {}, Counter()

    def next_event(self) -> bytes | None:
        following = next(self.events, None)
        return event(*following) if following else None

    def call(self, body: bytes) -> bytes:
        if body.startswith(b"Action=AssumeRole"):
            (role,) = parse_qs(body.decode())["RoleArn"]
            self.assumed[role] += 1
            return CREDENTIALS
        for evaluation in json.loads(body)["Evaluations"]:
            resource, at = evaluation["ComplianceResourceId"], evaluation["OrderingTimestamp"]
            if at >= self.states.get(resource, (0, ""))[0]:
                self.states[resource] = (at, evaluation["ComplianceType"])
        return b'{"FailedEvaluations":[]}'


CREDENTIALS = (
    b'<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
    b"<AccessKeyId>AKIA</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>"
    b"<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
)


def changes(count: int, chance: random.Random) -> tuple[list[tuple], dict[str, str]]:
    """Returns the arguments of events in the order of arrival, and the state that each resource ends in."""
    made, states = [], {}
    for number in range(count):
        resource = f"i-{chance.randrange(RESOURCES):017x}"
        tokens = chance.choice(["required", "optional"])
        made.append((resource, ACCOUNT, START + timedelta(milliseconds=number), tokens))
        states[resource] = "COMPLIANT" if tokens == "required" else "NON_COMPLIANT"
    arrivals = [(number + chance.randrange(DISORDER), each) for number, each in enumerate(made)]
    arrivals += [
        (at + chance.randrange(DISORDER), each) for at, each in arrivals if chance.random() < REPEATED
    ]
    return [each for _, each in sorted(arrivals)], states


class Process:
    """The function, with the invoker as Lambda and as AWS."""

    def __init__(self, invoker: Changes):
        self.invoker = invoker
        address = invoker.serve()
        variables = environment(address, f"http://{address}") | {"MEMBER_ROLE_NAME": "member"}
        self.process = subprocess.Popen(BOOTSTRAP, env=variables, stdout=subprocess.DEVNULL)

    def watch(self, every: float) -> list[tuple[float, int]]:
        """Prints what the process uses until the events end. Returns the memory in MiB and the open files."""
        print(
            f"{'events':>10}{'MiB':>8}{'files':>8}"
            + "".join(f"{f'p{each:g}, ms':>12}" for each in PERCENTILES)
        )
        used, seen, ended = [], 0, False
        while not ended:
            ended = self.invoker.ended.wait(every)
            if self.process.poll() is not None:
                sys.exit(f"the function exited with status {self.process.returncode}")
            asked = self.invoker.asked
            used.append((resident_memory(self.process.pid), open_files(self.process.pid)))
            times = sorted((b - a) * 1000 for a, b in itertools.pairwise(asked[seen:]))
            seen = len(asked)
            cells = [f"{times[int(len(times) * each / 100)]:>12.2f}" for each in PERCENTILES if times]
            print(f"{seen:>10,}{used[-1][0]:>8.1f}{used[-1][1]:>8}" + "".join(cells), flush=True)
        self.process.kill()
        self.process.wait()
        if self.invoker.failure:
            sys.exit(f"an invocation failed: {self.invoker.failure}")
        return used


def check_growth(used: list[tuple[float, int]]) -> None:
    """Compares the last figures with those of the first quarter."""
    early = used[: max(1, len(used) // 4)]
    memory, files = max(memory for memory, _ in early), max(files for _, files in early)
    if used[-1][0] > memory + GROWTH or used[-1][1] > files:
        sys.exit(f"it grew: {early[-1]} became {used[-1]}")


def soak(events: int, seed: int) -> None:
    arguments, expected = changes(events, random.Random(seed))
    print(f"{len(arguments):,} events, {events:,} changes of {RESOURCES:,} instances, seed {seed}")
    process = Process(Changes(arguments))
    used = process.watch(10)
    states = {resource: state for resource, (_, state) in process.invoker.states.items()}
    wrong = [resource for resource in expected if states.get(resource) != expected[resource]]
    if wrong:
        sys.exit(f"{len(wrong)} resources ended in another state, such as {wrong[0]}")
    check_growth(used)
    print(f"{len(states):,} resources, each in the state of its newest item\n")


def members(accounts: int, seed: int) -> None:
    """All accounts, twice, with a few that are always among the recent ones."""
    ids = [f"{number:012}" for number in range(10**11, 10**11 + accounts)]
    frequent = ids[:20]
    chance = random.Random(seed)
    turns = [[each, chance.choice(frequent)] for each in ids * 2]
    order = [account for turn in turns for account in turn]
    print(f"{len(order):,} events of {accounts:,} member accounts, {len(frequent)} of them frequent")
    arguments = [
        (f"i-{number:017x}", account, START + timedelta(seconds=number), "required")
        for number, account in enumerate(order)
    ]
    process = Process(Changes(arguments))
    check_growth(process.watch(2))
    calls = process.invoker.assumed
    of_frequent = max(calls[f"arn:aws:iam::{account}:role/member"] for account in frequent)
    print(f"{sum(calls.values()):,} calls of AssumeRole, at most {of_frequent} for a frequent account")
    if of_frequent > 2:
        sys.exit("the credentials of a frequent account were not kept")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--accounts", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    arguments = parser.parse_args()
    soak(arguments.events, arguments.seed)
    members(arguments.accounts, arguments.seed)


if __name__ == "__main__":
    main()
