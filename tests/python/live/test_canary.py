"""`imdsv2 remediate --canary`: a few first, and the others where these are refused nothing."""

import json
import signal
import subprocess
import time
from threading import Thread

import pytest

from live.cloud import HERE

CANARY = (*HERE, "--usage-days", "0", "--format", "json", "--canary", "2", "--soak", "6s")


def once_changed(cloud, count, what):
    """Has `what` happen to the instances that are changed, once there are so many."""

    def watch():
        changed = []
        while len(changed) < count:
            time.sleep(0.1)
            changed = [each for each, word in cloud.tokens().items() if word == "required"]
        for each in changed:
            what(each)

    Thread(target=watch, daemon=True).start()


def alive(cloud, instance):
    cloud.imdsv1_calls(instance, 3, days_ago=0, metric="CPUUtilization")


def outcomes(run):
    return json.loads(run.stdout)["summary"]


def test_where_the_canary_is_refused_nothing_the_others_follow(cloud, journal):
    cloud.instances(6)
    once_changed(cloud, 2, lambda each: alive(cloud, each))
    run = cloud.remediate(journal, *CANARY)
    assert run.returncode == 0, run.stderr
    assert "The canary is changed; it is watched for 6s" in run.stderr
    assert outcomes(run)["changed"] == 6


def test_a_canary_that_is_refused_calls_stops_the_others(cloud, journal):
    cloud.instances(6)

    def refused(each):
        alive(cloud, each)
        cloud.imdsv1_calls(each, 40, days_ago=0, metric="MetadataNoTokenRejected")

    once_changed(cloud, 2, refused)
    run = cloud.remediate(journal, *CANARY)
    assert run.returncode == 2
    assert "was refused 40 IMDSv1 calls since its change: the others were not begun" in run.stderr
    assert f"To undo: imdsv2 restore {journal}" in run.stderr
    assert (outcomes(run)["changed"], outcomes(run)["notBegun"]) == (2, 4)
    assert list(cloud.tokens().values()).count("required") == 2


@pytest.mark.parametrize(
    ("arguments", "status", "changed"), [((), 2, 2), (("--on-unknown-usage", "proceed"), 0, 6)]
)
def test_a_canary_without_data_stops_the_others_unless_told_otherwise(
    cloud, journal, arguments, status, changed
):
    cloud.instances(6)
    run = cloud.remediate(journal, *CANARY, *arguments)
    assert run.returncode == status, run.stderr
    assert ("CloudWatch has no data of the canary" in run.stderr) == (status == 2)
    assert outcomes(run)["changed"] == changed


def test_what_uses_imdsv1_by_then_is_left_as_it_is(cloud, journal):
    ids = cloud.instances(4)
    for each in ids:
        for days_ago in (13, 1):
            cloud.imdsv1_calls(each, 0, days_ago)

    def called(each):
        alive(cloud, each)
        other = next(i for i, word in cloud.tokens().items() if word == "optional")
        cloud.imdsv1_calls(other, 9)

    once_changed(cloud, 1, called)
    run = cloud.remediate(journal, *HERE, "--format", "json", "--canary", "1", "--soak", "6s")
    assert run.returncode == 1, run.stderr
    assert (outcomes(run)["changed"], outcomes(run)["left"]) == (3, 1)
    assert "still uses IMDSv1: 9 calls in the last 14 days" in run.stdout


def test_the_canary_is_of_instances_that_run(cloud, journal):
    ids = cloud.instances(6)
    running = ids[2:4]
    cloud.client("ec2").stop_instances(InstanceIds=[each for each in ids if each not in running])
    once_changed(
        cloud, 2, lambda each: cloud.imdsv1_calls(each, 1, days_ago=0, metric="MetadataNoTokenRejected")
    )
    run = cloud.remediate(journal, *CANARY)
    assert run.returncode == 2
    assert sorted(each for each, word in cloud.tokens().items() if word == "required") == sorted(running)


def test_an_interrupt_ends_the_watch_and_leaves_the_others(cloud, journal):
    cloud.instances(4)
    command = cloud.command(
        "remediate",
        "--yes",
        "--journal",
        str(journal),
        *HERE,
        "--usage-days",
        "0",
        "--canary",
        "50%",
        "--soak",
        "1h",
    )
    process = subprocess.Popen(
        *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **cloud.surroundings()
    )
    while not journal.exists() or journal.read_text().count('"changed"') < 2:
        time.sleep(0.05)
        assert process.poll() is None, process.communicate()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stderr
    assert "2 done, 0 failed, 2 not begun" in stderr
    assert "To go on: the same command, with another journal" in stderr


def test_a_size_that_is_none_is_refused(cloud, journal):
    run = cloud.remediate(journal, *HERE, "--canary", "0%")
    assert run.returncode == 2
    assert "expected a number of instances such as 5, or 1% to 100%" in run.stderr
