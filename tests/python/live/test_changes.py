"""The outcome of each instance in `imdsv2 remediate` and `imdsv2 restore`, and their input from a scan."""

import csv
import io
import json
import signal
import time
from threading import Event

import pytest

from support.command_line import HERE, OTHER, OTHER_ROLE, OWN, OWN_ROLE
from support.journal import entries

WITHOUT_ACCOUNT = {
    "resourceType": "AWS::EC2::Instance",
    "resourceId": "i-1",
    "compliance": "NON_COMPLIANT",
}


def test_json_contains_every_instance_once_and_the_journal(cloud, journal, tmp_path):
    used, quiet = cloud.instances(2)
    cloud.imdsv1_calls(used, 7)
    cloud.no_imdsv1_calls(quiet)
    run = cloud.remediate(journal, *HERE, "--format", "json", "--output", str(tmp_path / "out.json"))
    assert run.stdout == ""
    report = json.loads((tmp_path / "out.json").read_text())
    assert {each["instanceId"]: (each["outcome"], each["detail"]) for each in report["changes"]} == {
        used: ("skipped", "IMDSv1 is still in use: 7 calls in the last 14 days"),
        quiet: ("changed", "HttpTokens is required"),
    }
    assert report["journal"] == str(journal)
    assert {name: count for name, count in report["summary"].items() if count} == {"skipped": 1, "changed": 1}
    undone = json.loads(cloud.restore(journal, "--format", "json").stdout)
    assert [(each["instanceId"], each["outcome"]) for each in undone["changes"]] == [(quiet, "restored")]
    assert "nothing to restore" in cloud.restore(journal, "--format", "json").stderr


def test_csv_contains_a_line_for_each_instance(cloud, journal):
    ids = cloud.instances(3)
    run = cloud.remediate(journal, *HERE, "--usage-days", "0", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(run.stdout)))
    assert sorted(row["instanceId"] for row in rows) == sorted(ids)
    outcomes = {(row["accountId"], row["region"], row["outcome"]) for row in rows}
    assert outcomes == {(OWN, "us-east-1", "changed")}
    run = cloud.restore(journal, "--format", "csv")
    assert {row["outcome"] for row in csv.DictReader(io.StringIO(run.stdout))} == {"restored"}


def test_closed_output_does_not_interrupt_a_change(cloud, journal):
    cloud.instances(30)
    process = cloud.start_remediate(journal, *HERE, "--usage-days", "0", "--concurrency", "2")
    process.stdout.readline()
    process.stdout.close()
    stderr = process.stderr.read()
    assert process.wait(timeout=60) == 141, stderr
    assert f"Journal: {journal}\n" in stderr
    assert f"To undo: imdsv2 restore {journal}" in stderr
    steps = [entry["step"] for entry in entries(journal)]
    assert steps.count("intended") == steps.count("changed") == len(cloud.requiring()) < 30


def test_only_findings_of_the_scan_are_changed(cloud, journal, tmp_path):
    here, there = cloud.instances(2), cloud.instances(2, "eu-west-1")
    other = cloud.instances(1, "us-east-1", OTHER)
    roles = ("--role-arn", OWN_ROLE, "--role-arn", OTHER_ROLE)
    scan = tmp_path / "scan.json"
    regions = ("--region", "us-east-1", "--region", "eu-west-1")
    run = cloud.imdsv2("scan", *roles, *regions, "--format", "json", "--output", str(scan))
    assert run.returncode == 1, run.stderr
    launched_after_the_scan = cloud.instances(1)
    report = json.loads(scan.read_text())
    report["evaluations"] = [each for each in report["evaluations"] if each["resourceId"] != there[1]]
    scan.write_text(json.dumps(report))

    arguments = ("--from", str(scan), "--usage-days", "0", "--format", "json")
    run = cloud.remediate(journal, *arguments)
    assert run.returncode == 2, "the instance of the other account needs the role there"
    assert f"no credentials for account {OTHER}: select it, or pass a role in it" in run.stderr
    assert {each["instanceId"] for each in json.loads(run.stdout)["changes"]} == {*here, there[0]}

    run = cloud.remediate(tmp_path / "2", *arguments, *roles)
    assert run.returncode == 0, run.stderr
    outcomes = {
        each["instanceId"]: (each["outcome"], each["detail"]) for each in json.loads(run.stdout)["changes"]
    }
    unchanged = ("unchanged", "HttpTokens is already required")
    assert outcomes == {other[0]: ("changed", "HttpTokens is required")} | dict.fromkeys(
        [*here, there[0]], unchanged
    )
    assert cloud.tokens()[launched_after_the_scan[0]] == "optional"
    assert cloud.tokens("eu-west-1") == {there[0]: "required", there[1]: "optional"}


def test_instance_of_the_scan_that_is_gone_is_unchanged(cloud, journal, tmp_path):
    (terminated,) = cloud.instances(1)
    scan = tmp_path / "scan.json"
    cloud.imdsv2("scan", *HERE, "--format", "json", "--output", str(scan))
    report = json.loads(scan.read_text())
    gone = "i-00000000000000000"
    report["evaluations"].append(report["evaluations"][0] | {"resourceId": gone})
    scan.write_text(json.dumps(report))
    cloud.client("ec2").terminate_instances(InstanceIds=[terminated])
    run = cloud.remediate(journal, "--from", str(scan), "--usage-days", "0")
    assert run.returncode == 0, run.stderr
    for each in (terminated, gone):
        assert f"{each}  unchanged: the instance no longer exists" in run.stdout
    assert not journal.exists()


def test_change_is_reported_as_made_although_its_last_line_is_not_in_the_journal(cloud, intercepted, journal):
    (each,) = cloud.instances(1)

    def intercept(_region, action):
        if action == "ModifyInstanceMetadataOptions":
            journal.unlink()

    cloud.services["EC2"] = intercepted(intercept)
    run = cloud.remediate(journal, *HERE, "--usage-days", "0", "--format", "json")
    (change,) = json.loads(run.stdout)["changes"]
    assert (change["instanceId"], change["outcome"]) == (each, "changed")
    assert "HttpTokens is required (" in change["detail"]
    assert cloud.requiring() == {each}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "not the output of `imdsv2 scan --format json`: missing field `evaluations`"),
        ("i-1", "not the output of `imdsv2 scan --format json`"),
        (json.dumps({"evaluations": [WITHOUT_ACCOUNT]}), "i-1 has no accountId or region"),
    ],
)
def test_file_that_is_not_a_scan_is_rejected(cloud, journal, tmp_path, text, message):
    (tmp_path / "scan.json").write_text(text)
    run = cloud.remediate(journal, "--from", str(tmp_path / "scan.json"))
    assert run.returncode == 2
    assert message in run.stderr


def test_interrupted_scan_prints_its_findings_and_what_is_missing(cloud, intercepted):
    (instance,) = cloud.instances(1)
    listing, may_continue = Event(), Event()

    def delay_listing(_region, action):
        if action == "DescribeInstances":
            listing.set()
            may_continue.wait()

    process = cloud.start("scan", "--format", "json", *HERE, endpoint=intercepted(delay_listing))
    assert listing.wait(60)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    may_continue.set()
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 2, stderr
    assert f"account {OWN}, us-east-1: launch templates were not listed: interrupted" in stderr
    assert [found["resourceId"] for found in json.loads(stdout)["evaluations"]] == [instance]


def test_interrupted_restore_can_be_resumed(cloud, journal):
    cloud.instances(30)
    before = cloud.options()
    assert cloud.remediate(journal, *HERE, "--usage-days", "0").returncode == 0
    process = cloud.start("restore", "--yes", str(journal), "--concurrency", "1")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stderr
    assert "not started. To continue: run the same command again." in stderr
    assert 0 < len(cloud.requiring()) < 30
    assert cloud.restore(journal).returncode == 0
    assert cloud.options() == before
