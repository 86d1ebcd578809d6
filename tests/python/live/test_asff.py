"""`--format asff`: findings that Security Hub accepts."""

import json
import os
import re
import subprocess
import sys

import botocore.session
import pytest
from botocore.validate import ParamValidator

from support.command_line import ACCOUNT_DEFAULTS, OTHER, OTHER_ROLE, OWN, OWN_ROLE

MODEL = botocore.session.get_session().get_service_model("securityhub").operation_model("BatchImportFindings")
# https://docs.aws.amazon.com/securityhub/latest/userguide/asff-required-attributes.html
LONGEST = {"Title": 256, "Description": 1024, "Id": 512, "GeneratorId": 512, "ProductArn": 2048}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def batches(run):
    """Returns the requests of BatchImportFindings that a command printed."""
    return [json.loads(line) for line in run.stdout.splitlines()]


def assert_valid(batch):
    report = ParamValidator().validate(batch, MODEL.input_shape)
    assert not report.has_errors(), report.generate_report()
    assert 1 <= len(batch["Findings"]) <= 100
    shape = MODEL.input_shape.members["Findings"].member
    for finding in batch["Findings"]:
        assert_enums(finding, shape)
        assert all(1 <= len(finding[name]) <= longest for name, longest in LONGEST.items())
        provided = finding["FindingProviderFields"]
        assert provided == {"Severity": finding["Severity"], "Types": finding["Types"]}
        assert TIME.fullmatch(finding["CreatedAt"])
        assert TIME.fullmatch(finding["UpdatedAt"])


def assert_enums(value, shape):
    """Checks what botocore's validator leaves to the service."""
    if shape.type_name == "structure":
        for name, member in value.items():
            assert_enums(member, shape.members[name])
    elif shape.type_name == "list":
        for each in value:
            assert_enums(each, shape.member)
    elif getattr(shape, "enum", None):
        assert value in shape.enum


def test_findings_are_valid_and_imported(cloud):
    ids = cloud.instances(230)
    cloud.instances(3, "eu-west-1", tokens="required")
    regions = ("--region", "us-east-1", "--region", "eu-west-1")
    run = cloud.imdsv2("scan", *regions, *ACCOUNT_DEFAULTS, "--format", "asff")
    assert run.returncode == 1, run.stderr
    printed = batches(run)
    assert sorted(len(batch["Findings"]) for batch in printed) == [4, 31, 100, 100]
    for batch in printed:
        assert_valid(batch)
        (region,) = {finding["Region"] for finding in batch["Findings"]}
        hub = cloud.client("securityhub", region)
        hub.enable_security_hub()
        answer = hub.batch_import_findings(**batch)
        assert (answer["SuccessCount"], answer["FailedCount"]) == (len(batch["Findings"]), 0)
    failed = {
        finding["Resources"][0]["Id"]
        for batch in printed
        for finding in batch["Findings"]
        if finding["Compliance"]["Status"] == "FAILED" and finding["Resources"][0]["Type"] == "AwsEc2Instance"
    }
    assert failed == {f"arn:aws:ec2:us-east-1:{OWN}:instance/{each}" for each in ids}


def test_second_scan_updates_the_findings_of_the_first(cloud):
    cloud.instances(1)
    first, second = (
        batches(cloud.imdsv2("scan", "--region", "us-east-1", "--format", "asff")) for _ in range(2)
    )
    assert [each["Id"] for each in first[0]["Findings"]] == [each["Id"] for each in second[0]["Findings"]]
    assert first[0]["Findings"][0]["UpdatedAt"] <= second[0]["Findings"][0]["UpdatedAt"]


def test_every_type_of_resource_is_a_valid_finding(cloud):
    run = cloud.imdsv2(
        "evaluate", "--format", "asff", "examples/snapshot.json", "examples/launch-template-item.json"
    )
    for batch in batches(run):
        assert_valid(batch)
    types = {finding["Resources"][0]["Type"] for batch in batches(run) for finding in batch["Findings"]}
    assert types == {"AwsEc2Instance", "AwsEc2LaunchTemplate", "AwsAutoScalingLaunchConfiguration"}


# Stands in for the AWS CLI, with the operations and options that import.sh uses.
AWS = """#!{python}
import json, sys
import boto3
service, operation, *options = sys.argv[1:]
options = dict(zip(options[::2], options[1::2]))
client = boto3.client(service, options.get("--region", "us-east-1"), endpoint_url="{endpoint}")
if operation == "get-caller-identity":
    print(client.get_caller_identity()["Account"])
else:
    assert operation == "batch-import-findings", operation
    text = open(options["--cli-input-json"].removeprefix("file://")).read()
    request = json.loads(text)
    assert options["--query"] == "FailedCount", options
    answer = client.batch_import_findings(**request)
    print(answer["FailedCount"] + {refused})
"""


@pytest.fixture
def scan_to_directory(cloud, tmp_path):
    """Returns a function that writes the findings of two accounts to a directory, and the directory."""
    roles = tmp_path / "roles.txt"
    roles.write_text(f"{OWN_ROLE}\n{OTHER_ROLE}\n")

    def scan():
        regions = ("--region", "us-east-1", "--region", "eu-west-1")
        target = f"{tmp_path}/findings/"
        return cloud.imdsv2(
            "scan", *regions, "--accounts-file", roles, "--format", "asff", "--output", target
        )

    return scan, tmp_path / "findings"


def import_findings(cloud, directory, account, refused=0):
    """Runs import.sh with the credentials of an account. `refused` are findings that Security Hub refuses."""
    aws = directory.parent / "bin" / "aws"
    aws.parent.mkdir(exist_ok=True)
    aws.write_text(AWS.format(python=sys.executable, endpoint=cloud.endpoint, refused=refused))
    aws.chmod(0o755)
    keys = cloud.sessions[account].get_credentials().get_frozen_credentials()
    environment = {
        "PATH": f"{aws.parent}{os.pathsep}{os.environ['PATH']}",
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        **({"AWS_SESSION_TOKEN": keys.token} if keys.token else {}),
    }
    command = ["sh", directory / "import.sh"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def imported(cloud, region, account):
    pages = cloud.client("securityhub", region, account).get_paginator("get_findings").paginate()
    return {
        (each["AwsAccountId"], each["Region"], each["Resources"][0]["Id"].split("/")[1])
        for page in pages
        for each in page["Findings"]
    }


def test_directory_is_imported_with_the_credentials_of_each_account(cloud, scan_to_directory):
    scan, directory = scan_to_directory
    placed = {
        (region, account): cloud.instances(count, region, account)
        for region, account, count in [
            ("us-east-1", OWN, 101),
            ("eu-west-1", OWN, 1),
            ("eu-west-1", OTHER, 2),
        ]
    }
    for region, account in placed:
        cloud.client("securityhub", region, account).enable_security_hub()
    run = scan()
    assert (run.returncode, run.stdout) == (1, ""), run.stderr
    names = sorted(path.name for path in directory.iterdir())
    assert names == [
        f"{OWN}_eu-west-1_00001.json",
        f"{OWN}_us-east-1_00001.json",
        f"{OWN}_us-east-1_00002.json",
        f"{OTHER}_eu-west-1_00001.json",
        "import.sh",
    ]
    for batch in directory.glob("*.json"):
        assert_valid(json.loads(batch.read_text()))
    for account in (OWN, OTHER):
        assert f"With credentials of account {account}: sh {directory}/import.sh" in run.stderr
        done = import_findings(cloud, directory, account)
        assert done.returncode == 0, done.stderr
    for (region, account), ids in placed.items():
        found = {each for each in imported(cloud, region, account) if each[:2] == (account, region)}
        assert found == {(account, region, each) for each in ids}


def test_import_without_findings_of_the_account_fails(cloud, scan_to_directory):
    scan, directory = scan_to_directory
    cloud.instances(1)
    scan()
    done = import_findings(cloud, directory, OTHER)
    assert (done.returncode, done.stderr) == (1, f"There are no findings of account {OTHER}.\n")


def test_refused_findings_are_reported(cloud, scan_to_directory):
    scan, directory = scan_to_directory
    cloud.instances(1)
    cloud.client("securityhub").enable_security_hub()
    scan()
    done = import_findings(cloud, directory, OWN, refused=2)
    batch = f"{OWN}_us-east-1_00001.json"
    assert (done.returncode, done.stderr) == (1, f"Security Hub refused 2 findings of {batch}.\n")


def test_directory_that_is_not_empty_is_refused(cloud, scan_to_directory):
    scan, directory = scan_to_directory
    cloud.instances(1)
    assert scan().returncode == 1
    before = {path.name: path.read_text() for path in directory.iterdir()}
    run = scan()
    assert run.returncode == 2
    assert "is not empty: pass a new or an empty one as --output" in run.stderr
    assert {path.name: path.read_text() for path in directory.iterdir()} == before
