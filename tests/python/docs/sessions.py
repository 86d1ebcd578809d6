"""Console sessions in the documentation: commands, and what they print.

A block of `console` is run as a reader would run it: from the root of the repository, with the built
`imdsv2`, without credentials. If its first line says that it needs an AWS account, it runs against a
stand-in.

With REWRITE_DOCS=1, `pytest tests/python/docs -k prints` writes what the commands print now into the pages.
"""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from docs.markdown import ALL, blocks, name
from support.repository import ROOT

NEEDS_ACCOUNT = "# Needs an AWS account."
BUILDS = "# Builds the project."
DOWNLOADS = "# Downloads a release."
ELLIPSIS = "..."
# With this variable set, the tests write the pages instead of comparing them.
REWRITE = "REWRITE_DOCS"
BUILT = ROOT / "target" / "debug"
# `cargo evaluate` without the build. test_sessions.py checks that Cargo's alias means the same.
CARGO = f'#!/bin/sh\ntest "$1" = evaluate || exit 101\nexec {BUILT}/imdsv2 "$@"\n'


@dataclass
class Step:
    """A command, the number of its line, and what it is expected to print."""

    command: str
    line: int
    expected: list[str] = field(default_factory=list)


def steps(block):
    """The steps of a block. A command goes on after a backslash, as in a shell."""
    found, goes_on = [], False
    for number, line in enumerate(block.lines, block.line):
        if goes_on:
            found[-1].command += "\n" + line
        elif line.startswith("$ "):
            found.append(Step(line[2:], number))
        elif line != NEEDS_ACCOUNT:
            assert found, f"line {number} is neither a command nor printed by one"
            found[-1].expected.append(line)
        goes_on = (goes_on or line.startswith("$ ")) and line.endswith("\\")
    return found


def sessions(needs_account):
    """The blocks of `console` of each page: those that need an account, or the others."""
    for page in ALL:
        for block in blocks(page):
            if block.language == "console" and (block.lines[0] == NEEDS_ACCOUNT) is needs_account:
                yield page, block


def ids(pair):
    page, block = pair
    return f"{name(page)}:{block.line}"


def run(command, scratch, settings=None, directory=ROOT):
    """The lines that a command prints, standard error too."""
    shim = Path(scratch) / "cargo"
    shim.write_text(CARGO)
    shim.chmod(0o755)
    kept = {"PATH": f"{scratch}:{BUILT}:{os.environ['PATH']}", "HOME": str(scratch), "LC_ALL": "C.UTF-8"}
    answer = subprocess.run(
        ["sh", "-c", command],
        cwd=directory,
        env=kept | {"AWS_EC2_METADATA_DISABLED": "true"} | (settings or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return answer.stdout.splitlines()


def matches(expected, printed):
    """Whether what was printed is what is expected, where a line of three dots stands for any lines."""
    if ELLIPSIS not in expected:
        return printed == expected
    at = expected.index(ELLIPSIS)
    head, tail = expected[:at], expected[at + 1 :]
    assert ELLIPSIS not in tail, "a step has one ellipsis at most"
    fits = len(printed) >= len(head) + len(tail)
    return fits and printed[:at] == head and printed[len(printed) - len(tail) :] == tail


def shorten(expected, printed):
    """What was printed, with as many lines before and after the dots as are expected."""
    if ELLIPSIS not in expected:
        return printed
    at = expected.index(ELLIPSIS)
    after = len(expected) - at - 1
    return [*printed[:at], ELLIPSIS, *printed[len(printed) - after :]]


def rewrite(page, block, printed):
    """Writes into a page what the steps of a block printed. The block is found again by its commands."""
    commands = [step.command for step in steps(block)]
    sessions_now = (each for each in blocks(page) if each.language == "console")
    block = next(each for each in sessions_now if [step.command for step in steps(each)] == commands)
    lines = page.read_text().splitlines()
    new = [line for line in block.lines[:1] if line == NEEDS_ACCOUNT]
    for step, output in zip(steps(block), printed, strict=True):
        new += [*("$ " + step.command).split("\n"), *shorten(step.expected, output)]
    lines[block.line - 1 : block.line - 1 + len(block.lines)] = new
    page.write_text("\n".join(lines) + "\n")
