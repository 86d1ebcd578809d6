"""`scan` and `remediate` with the callers that `imdsv2 callers` found."""

import csv
import io
import json

import pytest

from support.command_line import HERE, OWN


def record(instance, agent, number, role="web"):
    """A record of CloudTrail: a call with credentials from IMDSv1."""
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "accountId": OWN,
            "arn": f"arn:aws:sts::{OWN}:assumed-role/{role}/{instance}",
            "sessionContext": {
                "sessionIssuer": {"arn": f"arn:aws:iam::{OWN}:role/{role}"},
                "ec2RoleDelivery": "1.0",
            },
        },
        "eventTime": "2026-11-20T10:00:00Z",
        "eventSource": "s3.amazonaws.com",
        "userAgent": agent,
        "eventID": f"{instance}-{number}",
    }


@pytest.fixture
def used(cloud):
    """An instance that made 12 calls, and one that made 9 calls that are in no trail."""
    used, unrecorded = cloud.instances(2)
    cloud.imdsv1_calls(used, 12)
    cloud.imdsv1_calls(unrecorded, 9)
    return used, unrecorded


@pytest.fixture
def callers(cloud, used, tmp_path):
    """The file that `imdsv2 callers` writes."""
    instance, _ = used
    records = [record(instance, "Boto3/1.9.253 Botocore/1.12.253", number) for number in range(3)]
    (tmp_path / "trail.json").write_text(json.dumps({"Records": records}))
    path = tmp_path / "callers.json"
    run = cloud.imdsv2("callers", "--format", "json", "--output", str(path), str(tmp_path / "trail.json"))
    assert run.returncode == 1, run.stderr
    return str(path)


def test_scan_says_at_the_instance_who_uses_imdsv1(cloud, used, callers):
    instance, unrecorded = used
    arguments = (*HERE, "--usage-days", "14", "--callers", callers)
    table = cloud.imdsv2("scan", *arguments).stdout
    assert "still in use: 12 calls, by Boto3 1.9.253 (role web)" in table
    assert "still in use: 9 calls, by software that is not among the callers" in table
    found, _ = cloud.scan(*arguments)
    by_id = {key[2]: each["imdsv1Callers"] for key, each in found.items()}
    role = f"arn:aws:iam::{OWN}:role/web"
    assert by_id == {
        instance: [{"software": "Boto3 1.9.253", "roleArn": role, "calls": 3}],
        unrecorded: [],
    }
    rows = csv.DictReader(io.StringIO(cloud.imdsv2("scan", *arguments, "--format", "csv").stdout))
    assert {row["resourceId"]: row["imdsv1Callers"] for row in rows} == {
        instance: "Boto3 1.9.253 (role web): 3",
        unrecorded: "",
    }
    html = cloud.imdsv2("scan", *arguments, "--format", "html").stdout
    assert '"imdsv1Callers":[{"software":"Boto3 1.9.253"' in html


def test_scan_without_usage_shows_what_cloudtrail_recorded(cloud, callers):
    table = cloud.imdsv2("scan", *HERE, "--callers", callers).stdout
    assert "CloudTrail recorded 3 calls, by Boto3 1.9.253 (role web)" in table
    assert "still in use" not in table


def test_remediate_says_who_uses_imdsv1(cloud, used, callers, journal):
    instance, unrecorded = used
    run = cloud.remediate(journal, *HERE, "--callers", callers)
    why = "skipped: IMDSv1 is still in use: 12 calls in the last 14 days, by Boto3 1.9.253 (role web)\n"
    assert f"{instance}  {why}" in run.stdout
    assert (
        f"{unrecorded}  skipped: IMDSv1 is still in use: 9 calls in the last 14 days, by software that"
        in run.stdout
    )
    assert cloud.requiring() == set()


def test_calls_in_an_old_file_do_not_keep_an_instance_from_being_changed(cloud, callers, used, journal):
    """CloudWatch decides: the software may have been updated since."""
    instance, _ = used
    run = cloud.remediate(
        journal, *HERE, "--callers", callers, "--instance-id", instance, "--usage-days", "0"
    )
    assert run.returncode == 0, run.stderr
    assert cloud.requiring() == {instance}


@pytest.mark.parametrize("command", ["scan", "remediate"])
@pytest.mark.usefixtures("callers")
def test_another_file_is_an_error(cloud, tmp_path, command):
    other = tmp_path / "other.json"
    other.write_text('{"evaluations": []}')
    run = cloud.imdsv2(command, *HERE, "--callers", str(other))
    assert run.returncode == 2
    assert f"{other}: not the output of `imdsv2 callers --format json`" in run.stderr
    role = cloud.imdsv2("callers", "--group-by", "role", "--format", "json", str(tmp_path / "trail.json"))
    run = cloud.imdsv2(command, *HERE, "--callers", "-", stdin=role.stdout)
    assert run.returncode == 2
    assert "the callers have no instances: write them without --group-by" in run.stderr
