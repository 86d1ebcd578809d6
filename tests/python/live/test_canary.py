"""`imdsv2 remediate --canary`: the other instances follow only if the first ones keep working."""

import json
import signal
import time
from threading import Thread

import pytest

from support.command_line import HERE, wait_for
from support.journal import count

CANARY = (*HERE, "--usage-days", "0", "--format", "json", "--canary", "2", "--soak", "6s")


def once_changed(cloud, count, react):
    """Calls `react` for each changed instance, in a thread, as soon as there are `count` of them."""

    def watch():
        while len(changed := cloud.requiring()) < count:
            time.sleep(0.1)
        for each in changed:
            react(each)

    Thread(target=watch, daemon=True).start()


def report_to_cloudwatch(cloud, instance):
    cloud.imdsv1_calls(instance, 3, days_ago=0, metric="CPUUtilization")


def reject_calls(cloud, instance, count):
    cloud.imdsv1_calls(instance, count, days_ago=0, metric="MetadataNoTokenRejected")


def summary(run):
    """Returns the number of instances by outcome."""
    return json.loads(run.stdout)["summary"]


def test_others_follow_a_canary_without_rejected_calls_unless_they_use_imdsv1_by_then(cloud, journal):
    """Only a minute that began after the change shows anything, so this test takes more than one."""
    ids = cloud.instances(4)
    for each in ids:
        cloud.no_imdsv1_calls(each)

    def call_from_another(each):
        other = next(iter(set(ids) - cloud.requiring()))
        cloud.imdsv1_calls(other, 9)
        cloud.client("ec2").stop_instances(InstanceIds=[other])
        time.sleep(1)  # LaunchTime is in whole seconds
        cloud.client("ec2").start_instances(InstanceIds=[other])
        time.sleep(60 - time.time() % 60)
        report_to_cloudwatch(cloud, each)

    once_changed(cloud, 1, call_from_another)
    run = cloud.remediate(journal, *HERE, "--format", "json", "--canary", "1", "--soak", "70s")
    assert run.returncode == 1, run.stderr
    assert "1 changed in the canary. Watching for 1m 10s." in run.stderr
    assert (summary(run)["changed"], summary(run)["skipped"]) == (3, 1)
    assert "IMDSv1 is still in use: 9 calls in the last 14 days" in run.stdout
    assert "Skipped: 1 for what was found right before the change.\n" in run.stderr


def test_canary_with_rejected_calls_stops_the_others(cloud, journal):
    cloud.instances(6)

    def react(each):
        report_to_cloudwatch(cloud, each)
        reject_calls(cloud, each, 40)

    once_changed(cloud, 2, react)
    run = cloud.remediate(journal, *CANARY)
    assert run.returncode == 2
    assert "was rejected 40 IMDSv1 calls since its change\n" in run.stderr
    assert f"To undo: imdsv2 restore {journal}" in run.stderr
    assert (summary(run)["changed"], summary(run)["notStarted"]) == (2, 4)
    assert len(cloud.requiring()) == 2


@pytest.mark.parametrize("arguments", [(), ("--on-unknown-usage", "proceed"), ("--force",)])
def test_canary_without_data_stops_the_others(cloud, journal, arguments):
    cloud.instances(6)
    run = cloud.remediate(journal, *CANARY, *arguments)
    assert run.returncode == 2, run.stderr
    assert "CloudWatch has no data of the canary" in run.stderr
    assert summary(run)["changed"] == 2


def test_canary_that_cannot_call_imds_stops_the_others(cloud, journal):
    ids = cloud.instances(4)
    cloud.client("ec2").stop_instances(InstanceIds=ids)
    run = cloud.remediate(journal, *CANARY)
    assert run.returncode == 2
    assert "the canary shows nothing: no instance of it that can call IMDS was changed" in run.stderr
    assert (summary(run)["changed"], summary(run)["notStarted"]) == (2, 2)


def test_canary_consists_of_running_instances(cloud, journal):
    ids = cloud.instances(6)
    running = ids[2:4]
    cloud.client("ec2").stop_instances(InstanceIds=[each for each in ids if each not in running])
    once_changed(cloud, 2, lambda each: reject_calls(cloud, each, 1))
    run = cloud.remediate(journal, *CANARY)
    assert run.returncode == 2
    assert cloud.requiring() == set(running)


def test_interrupt_ends_the_soak_and_skips_the_others(cloud, journal):
    cloud.instances(4)
    arguments = ("--usage-days", "0", "--canary", "50%", "--soak", "1h")
    process = cloud.start_remediate(journal, *HERE, *arguments)
    wait_for(lambda: count(journal, "changed") >= 2, process)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stderr
    assert "the other instances were not changed: interrupted while the canary was watched" in stderr
    assert "2 changed, 0 failed, 2 not started." in stderr
    assert "To continue: run the same command with another --journal." in stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--canary", "0%"), "expected a number of instances such as 5, or 1% to 100%"),
        (("--canary", "2"), "--canary 2 includes all 2 instances to change"),
        (("--canary", "100%"), "--canary 100% includes all instances"),
        (("--soak", "1h"), "--canary"),
    ],
)
def test_invalid_option_is_rejected(cloud, journal, arguments, message):
    cloud.instances(2)
    run = cloud.remediate(journal, *HERE, "--usage-days", "0", *arguments)
    assert run.returncode == 2
    assert message in run.stderr
    assert cloud.requiring() == set()
    assert not journal.exists()
