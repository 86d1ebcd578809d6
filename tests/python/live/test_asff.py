"""`--format asff`: findings that Security Hub accepts."""

import json
import re

import botocore.session
from botocore.validate import ParamValidator

from support.command_line import ACCOUNT_DEFAULTS, OWN

MODEL = botocore.session.get_session().get_service_model("securityhub").operation_model("BatchImportFindings")
# https://docs.aws.amazon.com/securityhub/latest/userguide/asff-required-attributes.html
LONGEST = {"Title": 256, "Description": 1024, "Id": 512, "GeneratorId": 512, "ProductArn": 2048}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z")


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
