"""The session at 80, 120 and 200 columns: what each screen shows.

With SNAPSHOTS=overwrite, the test writes the screens and docs/session.md instead of comparing them.
"""

import os
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from docs.markdown import blocks
from session.world import REGION, furnish
from support.cloud import ACCOUNT
from support.repository import IMDSV2, ROOT
from support.terminal import Terminal

SNAPSHOTS = ROOT / "tests" / "python" / "session" / "snapshots"
PAGE = ROOT / "docs" / "session.md"
WIDTHS = (80, 120, 200)
# Each session has an account of its own. The screens show the same one.
ACCOUNTS = {80: "333333333333", 120: "444444444444", 200: "555555555555"}
OVERWRITE = os.environ.get("SNAPSHOTS") == "overwrite"


class Session:
    """Runs commands on a terminal, and keeps their screens."""

    def __init__(self, cloud, columns, directory):
        self.cloud, self.columns, self.directory = cloud, columns, directory
        self.account = ACCOUNTS[columns]
        directory.mkdir()
        cloud.enter(self.account)
        self.ids = furnish(cloud, self.account)
        keys = cloud.sessions[self.account].get_credentials()
        self.env = cloud.surroundings()["env"] | {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_SESSION_TOKEN": keys.token,
            "TERM": "xterm-256color",
        }
        self.screens = {}

    def start(self, *arguments):
        return Terminal([str(IMDSV2), *arguments], self.columns, self.env, self.directory)

    def keep(self, name, command, lines):
        shown = "\n".join([f"$ imdsv2 {command}", *lines]).replace(self.account, ACCOUNT)
        shown = re.sub(r"^[⠁-⣿] ", "⠋ ", shown, flags=re.M)
        shown = re.sub(r" (\d+[ms] ?)+left", " … left", shown)
        shown = re.sub(r"(?<=[█░]) \d+s$", " …s", shown, flags=re.M)
        self.screens[name] = shown + "\n"

    def run(self, name, command):
        """Runs a command, and returns its status."""
        status, lines = self.start(*command.split()).finish()
        self.keep(name, command, lines)
        return status

    def ask(self, command, answer):
        """Starts a command, and answers its question."""
        terminal = self.start(*command.split())
        terminal.wait_for("[y/N]")
        terminal.type(f"{answer}\r")
        return terminal

    def conclude(self, name, command, terminal):
        """Waits until a command ends, and returns its status."""
        status, lines = terminal.finish()
        self.keep(name, command, lines)
        return status

    def report_to_cloudwatch(self, ids):
        """Has instances report a minute that began after their change."""
        time.sleep(60 - time.time() % 60 + 1)
        cloudwatch = self.cloud.client("cloudwatch", REGION, self.account)
        for each in ids:
            self.cloud.put_metric(cloudwatch, each, "CPUUtilization", 3, timedelta())

    def requiring(self):
        return {
            each for each, tokens in self.cloud.tokens(REGION, self.account).items() if tokens == "required"
        }


def play(session):
    """Plays the session: scan, plan, no, canary, soak, widen, report, undo."""
    assert session.run("1-scan", f"scan --region {REGION} --usage-days 14 --owner-tag team") == 1
    command = f"remediate --region {REGION} --canary 2 --soak 75s --concurrency 1 --journal monday.jsonl"
    before = session.requiring()
    assert session.conclude("2-plan", command, session.ask(command, "n")) == 1
    assert session.requiring() == before
    terminal = session.ask(command, "y")
    terminal.wait_for("Watching for 1m 15s")
    canary = session.requiring() - before
    assert len(canary) == 2
    terminal.wait_for("Canary: waiting for data")
    # Each line is drawn again by itself.
    session.keep("3-soak", command, terminal.wait_for("2 of 4 instances"))
    session.report_to_cloudwatch(canary)
    assert session.conclude("4-widen", command, terminal) == 1
    assert len(session.requiring() - before) == 4
    report = f"scan --region {REGION} --usage-days 14 --format html --output report.html"
    assert session.run("5-report", report) == 1
    undone = session.ids["web-1"]
    command = f"restore --instance-id {undone} monday.jsonl"
    assert session.conclude("6-undo", command, session.ask(command, "y")) == 0
    assert undone not in session.requiring()


def differences(session):
    """Compares the screens with the snapshots, or overwrites these."""
    found = []
    for name, shown in session.screens.items():
        path = SNAPSHOTS / str(session.columns) / f"{name}.txt"
        if OVERWRITE:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(shown)
        if shown != path.read_text():
            found.append(f"{path.relative_to(ROOT)} differs:\n{shown}")
    return found


def test_screens_show_what_they_showed(cloud, tmp_path):
    """The sessions run concurrently: most of their time is the soak."""
    sessions = [Session(cloud, columns, tmp_path / str(columns)) for columns in WIDTHS]
    with ThreadPoolExecutor() as pool:
        list(pool.map(play, sessions))
    assert [each for session in sessions for each in differences(session)] == []


def test_page_shows_the_screens_at_80_columns():
    screens = sorted((SNAPSHOTS / "80").glob("*.txt"))
    if OVERWRITE:
        parts = iter(screens)
        PAGE.write_text(
            re.sub(
                r"^```text\n.*?^```$",
                lambda _: f"```text\n{next(parts).read_text()}```",
                PAGE.read_text(),
                flags=re.M | re.S,
            )
        )
    shown = [block.text + "\n" for block in blocks(PAGE) if block.language == "text"]
    assert shown == [each.read_text() for each in screens]


@pytest.fixture
def silence():
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_command_in_the_background_is_not_stopped(cloud, tmp_path):
    """A process in the background that changes its terminal would be."""
    script = f"set -m; {IMDSV2} scan --region us-east-1 --format json > scan.json & wait $!; echo ended: $?"
    terminal = Terminal(["/bin/bash", "-c", script], 80, cloud.surroundings()["env"], tmp_path)
    assert terminal.wait_for("ended: ")[-1] == "ended: 0"


def test_screen_shows_something_at_once_and_is_clean_after_an_interrupt(cloud, silence, tmp_path):
    env = cloud.surroundings(endpoint=silence)["env"] | {"TERM": "xterm"}
    terminal = Terminal([str(IMDSV2), "scan"], 80, env, tmp_path)
    terminal.wait_for("Finding the Regions of the account")
    terminal.type("\x03")
    status, lines = terminal.finish()
    assert (status, lines) == (130, [])
