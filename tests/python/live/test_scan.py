"""`imdsv2 scan`, in two accounts and several Regions."""

import csv
import io
import json

import pytest

from live.cloud import OTHER, OWN, ROLE
from support import moto_gaps


def test_every_region_and_account_is_scanned(cloud, tmp_path):
    expected = {}
    for account, region, tokens, count in [
        (OWN, "us-east-1", "optional", 130),
        (OWN, "eu-central-1", "required", 7),
        (OTHER, "us-east-1", "optional", 3),
        (OTHER, "ap-south-1", "required", 2),
    ]:
        compliance = "COMPLIANT" if tokens == "required" else "NON_COMPLIANT"
        expected |= {
            (account, region, each): compliance for each in cloud.instances(count, region, account, tokens)
        }
    roles = tmp_path / "roles.txt"
    roles.write_text(f"# who\n\n{ROLE}\n")
    own, summary = cloud.scan()
    other, _ = cloud.scan("--accounts-file", str(roles))
    instances = {
        key: each["compliance"]
        for key, each in (own | other).items()
        if each["resourceType"] == "AWS::EC2::Instance"
    }
    assert instances == expected
    regions = len(cloud.client("ec2").describe_regions()["Regions"])
    accounts = [each for each in own.values() if each["resourceType"] == "AWS::::Account"]
    assert len(accounts) == regions, "the defaults of each Region are judged"
    assert {each["resourceId"] for each in accounts} == {OWN}
    assert summary == {"compliant": 7, "nonCompliant": 130 + regions, "notApplicable": 0}


def test_a_region_can_be_chosen_and_whatever_launches_is_judged(cloud, monkeypatch):
    cloud.instances(1, "us-east-1")
    cloud.instances(2, "eu-west-1", tokens="required")
    ec2, autoscaling = cloud.client("ec2", "eu-west-1"), cloud.client("autoscaling", "eu-west-1")
    data = {"ImageId": "ami-12c6146b", "MetadataOptions": {"HttpTokens": "optional"}}
    template = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    template = template["LaunchTemplate"]["LaunchTemplateId"]
    autoscaling.create_launch_configuration(
        LaunchConfigurationName="old", ImageId="ami-12c6146b", InstanceType="t2.micro"
    )
    monkeypatch.setattr(
        moto_gaps.Switches,
        "defaults",
        {(OWN, "eu-west-1"): {"HttpTokens": "required", "ManagedBy": "account"}},
    )
    found, summary = cloud.scan("--region", "eu-west-1")
    assert summary == {"compliant": 3, "nonCompliant": 2, "notApplicable": 0}
    assert found[OWN, "eu-west-1", template]["compliance"] == "NON_COMPLIANT"
    (configuration,) = [
        each for each in found.values() if each["resourceType"].endswith("LaunchConfiguration")
    ]
    assert configuration["compliance"] == "NON_COMPLIANT"
    assert found[OWN, "eu-west-1", OWN]["annotation"] == "New instances require IMDSv2 by default here."
    only, _ = cloud.scan(
        "--region", "eu-west-1", "--parameters", '{"resourceTypes":"AWS::EC2::LaunchTemplate"}'
    )
    assert {each["resourceType"] for each in only.values()} == {"AWS::EC2::LaunchTemplate", "AWS::::Account"}


def test_usage_says_what_is_safe_to_enforce(cloud):
    used, quiet, unknown, stopped = cloud.instances(4)
    (compliant,) = cloud.instances(1, tokens="required")
    cloud.imdsv1_calls(used, 7, days_ago=2)
    cloud.imdsv1_calls(used, 5, days_ago=3)
    cloud.imdsv1_calls(used, 100, days_ago=20)
    for days_ago in (13, 1):
        cloud.imdsv1_calls(quiet, 0, days_ago)
    cloud.imdsv1_calls(unknown, 0)  # less than half of the look-back
    cloud.client("ec2").stop_instances(InstanceIds=[stopped])
    found, _ = cloud.scan("--region", "us-east-1", "--usage-days", "14")
    usage = {key[2]: (each.get("imdsv1Use"), each.get("imdsv1Calls")) for key, each in found.items()}
    assert usage == {
        used: ("still in use", 12),
        quiet: ("safe to enforce", None),
        unknown: ("unknown", None),
        stopped: ("safe to enforce", None),
        compliant: (None, None),
        OWN: (None, None),
    }
    table = cloud.imdsv2("scan", "--region", "us-east-1", "--usage-days", "14").stdout
    assert "still in use (12 calls)" in table
    rows = list(
        csv.DictReader(
            io.StringIO(
                cloud.imdsv2("scan", "--region", "us-east-1", "--usage-days", "14", "--format", "csv").stdout
            )
        )
    )
    assert {(row["resourceId"], row["imdsv1Use"], row["imdsv1Calls"]) for row in rows} >= {
        (used, "still in use", "12"),
        (unknown, "unknown", ""),
    }


def test_usage_of_more_instances_than_a_call_takes(cloud):
    ids = cloud.instances(501)
    for each in (ids[0], ids[499], ids[500]):
        cloud.imdsv1_calls(each, 1)
    found, _ = cloud.scan("--region", "us-east-1", "--usage-days", "3")
    in_use = {each["resourceId"] for each in found.values() if each.get("imdsv1Calls") == 1}
    assert in_use == {ids[0], ids[499], ids[500]}


def test_a_region_that_refuses_does_not_hide_the_others(cloud, front):
    refusal = (
        b"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors>"
        b"<RequestID>1</RequestID></Response>"
    )
    refusing = front(lambda *asked: (403, refusal) if asked == ("eu-west-1", "DescribeInstances") else None)
    (here,) = cloud.instances(1, "us-east-1", tokens="required")
    cloud.instances(1, "eu-west-1")
    run = cloud.imdsv2(
        "scan",
        "--region",
        "us-east-1",
        "--region",
        "eu-west-1",
        "--format",
        "json",
        "--exit-zero",
        endpoint=refusing,
    )
    assert run.returncode == 2
    assert (
        f"account {OWN}, eu-west-1: could not list the Region (DescribeInstances): UnauthorizedOperation: no"
        in run.stderr
    )
    found = {(each["region"], each["resourceId"]) for each in json.loads(run.stdout)["evaluations"]}
    assert found == {("us-east-1", here), ("us-east-1", OWN), ("eu-west-1", OWN)}
    page = cloud.imdsv2(
        "scan", "--region", "us-east-1", "--region", "eu-west-1", "--format", "html", endpoint=refusing
    )
    told = json.loads(page.stdout.split('id="data">')[1].split("</script>")[0])
    assert len(told["failures"]) == 1 and "eu-west-1" in told["failures"][0]
    assert len(told["evaluations"]) == 3


def test_the_exit_status_says_what_was_found(cloud, monkeypatch):
    cloud.instances(1, tokens="required")
    here = {(OWN, "us-east-1"): {"HttpTokens": "required"}}
    monkeypatch.setattr(moto_gaps.Switches, "defaults", here)
    assert cloud.imdsv2("scan", "--region", "us-east-1").returncode == 0
    cloud.instances(1)
    assert cloud.imdsv2("scan", "--region", "us-east-1").returncode == 1
    assert cloud.imdsv2("scan", "--region", "us-east-1", "--exit-zero").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--role-arn", "scanner"],
            '"scanner" is no role; expected arn:<partition>:iam::<account>:role/<name>',
        ),
        (["--accounts-file", "/nowhere"], "cannot read /nowhere"),
        (["--usage-days", "0"], "0 is not in 1..=455"),
        (["--parameters", '{"maxHopLimit":"65"}'], "expected a whole number"),
    ],
)
def test_wrong_arguments_are_named(cloud, arguments, message):
    run = cloud.imdsv2("scan", *arguments)
    assert run.returncode == 2
    assert message in run.stderr


def test_an_account_that_cannot_be_entered_is_named(cloud):
    run = cloud.imdsv2(
        "scan",
        "--region",
        "us-east-1",
        environment={
            "AWS_ACCESS_KEY_ID": "",
            "AWS_SECRET_ACCESS_KEY": "",
            "AWS_EC2_METADATA_DISABLED": "true",
        },
    )
    assert run.returncode == 2
    assert "the account of the credentials: GetCallerIdentity:" in run.stderr
