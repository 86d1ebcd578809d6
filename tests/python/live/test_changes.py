"""What `imdsv2 remediate` and `imdsv2 restore` tell of each instance, and what they take from a scan."""

import csv
import io
import json
import signal
import subprocess
import time
from threading import Event

import pytest

from live.cloud import HERE, OTHER, OWN, ROLE
from support import journal as journals


def test_json_has_every_instance_once_and_names_the_journal(cloud, journal, tmp_path):
    used, quiet = cloud.instances(2)
    cloud.imdsv1_calls(used, 7)
    for days_ago in (13, 1):
        cloud.imdsv1_calls(quiet, 0, days_ago)
    run = cloud.remediate(journal, *HERE, "--format", "json", "--output", str(tmp_path / "out.json"))
    assert run.stdout == ""
    told = json.loads((tmp_path / "out.json").read_text())
    assert {each["instanceId"]: (each["outcome"], each["detail"]) for each in told["changes"]} == {
        used: ("left", "left as it is: still uses IMDSv1: 7 calls in the last 14 days"),
        quiet: ("changed", "tokens are required now"),
    }
    assert told["journal"] == str(journal)
    assert {name: count for name, count in told["summary"].items() if count} == {"left": 1, "changed": 1}
    undone = json.loads(cloud.imdsv2("restore", str(journal), "--format", "json").stdout)
    assert [(each["instanceId"], each["outcome"]) for each in undone["changes"]] == [(quiet, "restored")]
    again = json.loads(cloud.imdsv2("restore", str(journal), "--format", "json").stdout)
    assert again["changes"] == []


def test_csv_has_a_line_for_each_instance(cloud, journal):
    ids = cloud.instances(3)
    run = cloud.remediate(journal, *HERE, "--usage-days", "0", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(run.stdout)))
    assert sorted(row["instanceId"] for row in rows) == sorted(ids)
    assert {(row["accountId"], row["region"], row["outcome"]) for row in rows} == {
        (OWN, "us-east-1", "changed")
    }
    rows = list(csv.DictReader(io.StringIO(cloud.imdsv2("restore", str(journal), "--format", "csv").stdout)))
    assert {row["outcome"] for row in rows} == {"restored"}


def test_a_reader_that_goes_away_does_not_break_a_change(cloud, journal):
    cloud.instances(30)
    process = subprocess.Popen(
        *cloud.command(
            "remediate", "--yes", "--journal", str(journal), *HERE, "--usage-days", "0", "--concurrency", "2"
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **cloud.surroundings(),
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 141, process.stderr.read()
    said = [entry["step"] for entry in journals.entries(journal)]
    assert (
        said.count("changing")
        == said.count("changed")
        == list(cloud.tokens().values()).count("required")
        < 30
    )


def test_what_a_scan_found_is_changed_and_nothing_else(cloud, journal, tmp_path):
    here, there = cloud.instances(2), cloud.instances(2, "eu-west-1")
    other = cloud.instances(1, "us-east-1", OTHER)
    own = f"arn:aws:iam::{OWN}:role/imdsv2-scanner"
    where = ("--role-arn", own, "--role-arn", ROLE)
    scan = tmp_path / "scan.json"
    assert (
        cloud.imdsv2(
            "scan",
            *where,
            "--region",
            "us-east-1",
            "--region",
            "eu-west-1",
            "--format",
            "json",
            "--output",
            str(scan),
        ).returncode
        == 1
    )
    later = cloud.instances(1)  # launched after the scan
    found = json.loads(scan.read_text())
    found["evaluations"] = [each for each in found["evaluations"] if each["resourceId"] != there[1]]
    scan.write_text(json.dumps(found))

    run = cloud.remediate(journal, "--from", str(scan), "--usage-days", "0", "--format", "json")
    assert run.returncode == 2, "without the other account's role, its instance is not reached"
    assert f"no credentials for account {OTHER}: give --role-arn" in run.stderr
    assert {each["instanceId"] for each in json.loads(run.stdout)["changes"]} == {*here, there[0]}

    run = cloud.remediate(
        tmp_path / "2", "--from", str(scan), "--usage-days", "0", "--format", "json", *where
    )
    assert run.returncode == 0, run.stderr
    assert [each["instanceId"] for each in json.loads(run.stdout)["changes"]] == other
    assert f"{here[0]}: nothing to do" in run.stderr
    assert cloud.tokens()[later[0]] == "optional"
    assert cloud.tokens("eu-west-1") == {there[0]: "required", there[1]: "optional"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "not what `imdsv2 scan --format json` writes: missing field `evaluations`"),
        ("i-1", "not what `imdsv2 scan --format json` writes"),
        (
            '{"evaluations":[{"resourceType":"AWS::EC2::Instance","resourceId":"i-1","compliance":"NON_COMPLIANT"}]}',
            "i-1 has no accountId or region",
        ),
    ],
)
def test_a_file_that_is_no_scan_is_refused(cloud, journal, tmp_path, text, message):
    (tmp_path / "scan.json").write_text(text)
    run = cloud.remediate(journal, "--from", str(tmp_path / "scan.json"))
    assert run.returncode == 2
    assert message in run.stderr


def test_an_interrupted_scan_shows_what_it_has_and_says_what_is_missing(cloud, front):
    (each,) = cloud.instances(1)
    listing, go_on = Event(), Event()

    def meet(_, action):
        if action == "DescribeInstances":
            listing.set()
            go_on.wait()

    process = subprocess.Popen(
        *cloud.command("scan", "--format", "json", *HERE),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **cloud.surroundings(endpoint=front(meet)),
    )
    assert listing.wait(60)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    go_on.set()
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 2, stderr
    assert f"account {OWN}, us-east-1: launch templates not looked at: interrupted" in stderr
    assert [found["resourceId"] for found in json.loads(stdout)["evaluations"]] == [each]


def test_interrupted_and_restored_a_journal_is_as_it_was(cloud, journal):
    cloud.instances(30)
    before = cloud.options()
    assert cloud.remediate(journal, *HERE, "--usage-days", "0").returncode == 0
    process = subprocess.Popen(
        *cloud.command("restore", str(journal), "--concurrency", "1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **cloud.surroundings(),
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "not begun. To go on: the same command." in stderr
    assert 0 < list(cloud.tokens().values()).count("required") < 30
    assert cloud.imdsv2("restore", str(journal)).returncode == 0
    assert cloud.options() == before
