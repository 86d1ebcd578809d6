"""`imdsv2 remediate --automation`: a runbook makes the changes."""

import json
import signal

import pytest

from support import automation_bridge
from support.command_line import HERE, OWN, wait_for
from support.journal import steps
from support.repository import RUNBOOKS
from support.runbook_executor import Execution, Runbook

ENFORCE = RUNBOOKS / "EnforceImdsv2.yaml"
ROLE = f"arn:aws:iam::{OWN}:role/remediation"
BY_RUNBOOK = ("--automation", "EnforceImdsv2", "--automation-role", ROLE)


@pytest.fixture
def automation(cloud):
    automation = automation_bridge.Automation(ENFORCE, cloud.client)
    with automation_bridge.bridge(automation) as address:
        cloud.services["SSM"] = address
        yield automation


def remediate(cloud, journal, *arguments):
    """Returns the process, and the report that it printed, if any."""
    run = cloud.remediate(journal, *HERE, "--format", "json", *BY_RUNBOOK, *arguments)
    return run, json.loads(run.stdout) if run.stdout else None


def test_runbook_changes_every_instance_and_the_journal_restores_it(cloud, automation, journal):
    ids = cloud.instances(60)
    before = cloud.options()
    run, report = remediate(cloud, journal, "--usage-days", "0", "--hop-limit", "2")
    assert run.returncode == 0, run.stderr
    assert report["summary"]["changed"] == 60
    assert set(cloud.tokens().values()) == {"required"}
    assert {found["HttpPutResponseHopLimit"] for found in cloud.options().values()} == {2}
    assert [len(request["Targets"][0]["Values"]) for request in automation.requests] == [50, 10]
    assert automation.requests[0]["Parameters"] == {
        "AutomationAssumeRole": [ROLE],
        "UsageLookbackDays": ["0"],
        "OnUnknownUsage": ["Stop"],
        "OnBootCalls": ["Stop"],
        "Force": ["false"],
        "HttpPutResponseHopLimit": ["2"],
    }
    assert automation.requests[0]["MaxConcurrency"] == "10"
    assert len({request["ClientToken"] for request in automation.requests}) == 2
    assert set(steps(journal)) == set(ids)
    assert cloud.restore(journal).returncode == 0
    assert cloud.options() == before


@pytest.mark.usefixtures("automation")
def test_usage_is_checked_and_the_template_is_named(cloud, journal):
    quiet, used = cloud.instances(2)
    cloud.no_imdsv1_calls(quiet)
    cloud.imdsv1_calls(used, 7)
    template = cloud.client("ec2").create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData={"ImageId": "ami-12c6146b"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    tags = [{"Key": "aws:ec2launchtemplate:id", "Value": template}]
    cloud.client("ec2").create_tags(Resources=[quiet], Tags=tags)
    run, report = remediate(cloud, journal)
    assert run.returncode == 1, run.stderr
    assert {each["instanceId"]: each["outcome"] for each in report["changes"]} == {
        quiet: "changed",
        used: "skipped",
    }
    assert f"- launch template {template} (account {OWN}, us-east-1; 1 of these instances)" in run.stderr


@pytest.mark.usefixtures("automation")
def test_failure_ends_the_run_and_the_rest_is_not_started(cloud, journal):
    ids = sorted(cloud.instances(3))
    cloud.simulate(error=("UnauthorizedOperation", "no"), error_only_for=ids[1])
    run, report = remediate(cloud, journal, "--usage-days", "0", "--max-errors", "0")
    assert run.returncode == 2
    outcomes = {each["instanceId"]: each["outcome"] for each in report["changes"]}
    assert outcomes == {ids[0]: "changed", ids[1]: "failed", ids[2]: "notStarted"}
    assert f"{ids[1]}: automation" in run.stderr
    assert "UnauthorizedOperation" in run.stderr
    assert steps(journal) == {
        ids[0]: ["intended", "changed"],
        ids[1]: ["intended", "refused"],
        ids[2]: ["intended", "not-started"],
    }
    assert cloud.tokens() == {ids[0]: "required", ids[1]: "optional", ids[2]: "optional"}


def test_interrupted_run_starts_no_more_changes(cloud, automation, journal):
    cloud.instances(5)
    automation.may_continue.clear()
    process = cloud.start_remediate(journal, *HERE, "--usage-days", "0", *BY_RUNBOOK)
    wait_for(lambda: automation.requests, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stderr
    assert "0 changed, 0 failed, 5 not started." in stderr
    assert set(cloud.tokens().values()) == {"optional"}


def test_instance_that_somebody_else_enforces_meanwhile_is_not_in_the_journal_as_changed(
    cloud, automation, journal
):
    """Otherwise `restore` would undo what somebody else did."""
    (each,) = cloud.instances(1)
    automation.may_continue.clear()
    process = cloud.start_remediate(journal, *HERE, "--usage-days", "0", *BY_RUNBOOK)
    wait_for(lambda: automation.requests, process)
    cloud.client("ec2").modify_instance_metadata_options(InstanceId=each, HttpTokens="required")
    automation.may_continue.set()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "0 changed, 0 failed, 0 not started." in stderr
    assert steps(journal) == {each: ["intended", "not-started"]}
    assert "nothing to restore" in cloud.restore(journal).stderr
    assert cloud.tokens() == {each: "required"}


def test_runbook_without_a_required_parameter_is_not_started(cloud, automation, journal, tmp_path):
    cloud.instances(1)
    automation.document = tmp_path / "Other.yaml"
    automation.document.write_text(
        ENFORCE.read_text().replace("HttpPutResponseHopLimit:\n    type", "SomethingElse:\n    type")
    )
    run, _ = remediate(cloud, journal, "--usage-days", "0", "--hop-limit", "2")
    assert run.returncode == 2
    message = "EnforceImdsv2 has no parameter HttpPutResponseHopLimit, which these options require"
    assert message in run.stderr
    assert automation.requests == []
    assert set(cloud.tokens().values()) == {"optional"}


@pytest.mark.usefixtures("automation")
def test_success_that_ec2_does_not_confirm_is_a_failure(cloud, journal, monkeypatch):
    (each,) = cloud.instances(1)
    monkeypatch.setattr(Runbook, "run", lambda *_: Execution(steps=["RequireTokens"]))
    run, _ = remediate(cloud, journal, "--usage-days", "0")
    assert run.returncode == 2
    assert "the automation succeeded, but the instance has HttpTokens=optional" in run.stderr
    assert steps(journal)[each] == ["intended", "changed"]


def test_dry_run_starts_nothing(cloud, automation, journal):
    cloud.instances(1)
    run, report = remediate(cloud, journal, "--usage-days", "0", "--dry-run")
    assert run.returncode == 1
    detail = "EnforceImdsv2 would set HttpTokens=required; its permissions are not checked"
    assert report["changes"][0]["detail"] == detail
    assert automation.requests == []
