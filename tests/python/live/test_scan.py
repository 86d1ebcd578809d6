"""`imdsv2 scan`, in two accounts and several Regions."""

import csv
import io
import json

import pytest

from support.command_line import ACCOUNT_DEFAULTS, HERE, OTHER, OTHER_ROLE, OWN


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
    roles.write_text(f"# who\n\n{OTHER_ROLE}\n")
    own, summary = cloud.scan(*ACCOUNT_DEFAULTS)
    other, _ = cloud.scan("--accounts-file", str(roles))
    instances = {
        key: each["compliance"]
        for key, each in (own | other).items()
        if each["resourceType"] == "AWS::EC2::Instance"
    }
    assert instances == expected
    listed = cloud.client("ec2").describe_regions()["Regions"]
    regions = sum(each["OptInStatus"] != "not-opted-in" for each in listed)
    accounts = [each for each in own.values() if each["resourceType"] == "AWS::::Account"]
    assert len(accounts) == regions, "the account-level defaults of each enabled Region are evaluated"
    assert {each["resourceId"] for each in accounts} == {OWN}
    assert summary == {"compliant": 7, "nonCompliant": 130 + regions, "notApplicable": 0}


def test_launch_settings_of_the_selected_region_are_evaluated(cloud):
    cloud.instances(1, "us-east-1")
    cloud.instances(2, "eu-west-1", tokens="required")
    ec2, autoscaling = cloud.client("ec2", "eu-west-1"), cloud.client("autoscaling", "eu-west-1")
    data = {"ImageId": "ami-12c6146b", "MetadataOptions": {"HttpTokens": "optional"}}
    template = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    template = template["LaunchTemplate"]["LaunchTemplateId"]
    autoscaling.create_launch_configuration(
        LaunchConfigurationName="old", ImageId="ami-12c6146b", InstanceType="t2.micro"
    )
    level = {"HttpTokens": "required", "ManagedBy": "account"}
    cloud.simulate(account_defaults={(OWN, "eu-west-1"): level})
    found, summary = cloud.scan("--region", "eu-west-1", *ACCOUNT_DEFAULTS)
    assert summary == {"compliant": 3, "nonCompliant": 2, "notApplicable": 0}
    assert found[OWN, "eu-west-1", template]["compliance"] == "NON_COMPLIANT"
    by_type = {each["resourceType"]: each for each in found.values()}
    assert by_type["AWS::AutoScaling::LaunchConfiguration"]["compliance"] == "NON_COMPLIANT"
    annotation = "New instances in this Region require IMDSv2 by default."
    assert found[OWN, "eu-west-1", OWN]["annotation"] == annotation
    parameters = '{"resourceTypes":"AWS::EC2::LaunchTemplate"}'
    templates, _ = cloud.scan("--region", "eu-west-1", "--parameters", parameters)
    assert {each["resourceType"] for each in templates.values()} == {"AWS::EC2::LaunchTemplate"}


class Launches:
    """What launches instances in us-east-1: templates, a launch configuration and Auto Scaling groups."""

    def __init__(self, cloud):
        self.ec2, self.autoscaling = cloud.client("ec2"), cloud.client("autoscaling")
        self.web, self.unset = self.template("web", "optional", "required"), self.template("unset", None)
        self.autoscaling.create_launch_configuration(
            LaunchConfigurationName="old", ImageId="ami-12c6146b", InstanceType="t2.micro"
        )
        self.group("pinned", LaunchTemplate={"LaunchTemplateId": self.web, "Version": "1"})
        self.group("default", LaunchTemplate={"LaunchTemplateId": self.web})
        self.group("latest", LaunchTemplate={"LaunchTemplateId": self.web, "Version": "$Latest"})
        self.group("old", LaunchConfigurationName="old")
        mixed = {"LaunchTemplateSpecification": {"LaunchTemplateId": self.web, "Version": "2"}}
        override = {"LaunchTemplateId": self.unset, "Version": "$Default"}
        mixed["Overrides"] = [{"LaunchTemplateSpecification": override}]
        self.group("mixed", MixedInstancesPolicy={"LaunchTemplate": mixed})

    def template(self, name, *versions):
        """Creates a template with a version for each value of HttpTokens. The first is the default one."""
        first, *later = [{"MetadataOptions": {"HttpTokens": each}} if each else {} for each in versions]
        data = first | {"ImageId": "ami-12c6146b", "InstanceType": "t2.micro"}
        made = self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        made = made["LaunchTemplate"]["LaunchTemplateId"]
        for each in later:
            self.ec2.create_launch_template_version(LaunchTemplateId=made, LaunchTemplateData=data | each)
        return made

    def group(self, name, **launches):
        self.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=2,
            AvailabilityZones=["us-east-1a"],
            Tags=[{"Key": "team", "Value": name, "PropagateAtLaunch": True}],
            **launches,
        )

    def printed(self):
        """Returns what the AWS CLI prints about all of it."""
        versions = [
            version
            for template in (self.web, self.unset)
            for version in self.ec2.describe_launch_template_versions(LaunchTemplateId=template)[
                "LaunchTemplateVersions"
            ]
        ]
        responses = [
            {"LaunchTemplateVersions": versions},
            self.ec2.describe_launch_templates(LaunchTemplateIds=[self.web, self.unset]),
            self.autoscaling.describe_launch_configurations(),
            self.autoscaling.describe_auto_scaling_groups(),
            self.ec2.describe_images(ImageIds=["ami-12c6146b"]),
            self.ec2.describe_instances(),
            self.ec2.get_instance_metadata_defaults(),
        ]
        return "\n".join(json.dumps(each, default=str) for each in responses)


@pytest.mark.parametrize("tokens", [None, "optional", "required"])
@pytest.mark.parametrize("defaults_comply", ["true", "false"])
def test_scan_and_evaluate_agree_on_what_launches_instances(cloud, tokens, defaults_comply):
    launches = Launches(cloud)
    cloud.instances(2)
    level = {"ManagedBy": "account"} | ({"HttpTokens": tokens} if tokens else {})
    cloud.simulate(account_defaults={(OWN, "us-east-1"): level})
    parameters = ("--parameters", json.dumps({"defaultsCompliant": defaults_comply}))
    live, _ = cloud.scan(*HERE, *parameters)
    run = cloud.imdsv2("evaluate", "--format", "json", *parameters, stdin=launches.printed())
    offline = json.loads(run.stdout)["evaluations"]
    said = ("compliance", "reason", "annotation", "name", "launchTemplate")

    def verdicts(findings):
        return {each["resourceId"]: [each.get(key) for key in said] for each in findings}

    assert verdicts(offline) == verdicts(live.values())
    assert len(offline) == 2 + 2 + 1 + 5


def test_groups_are_evaluated_by_what_they_launch_next(cloud):
    web = Launches(cloud).web
    found, _ = cloud.scan(*HERE, "--type", "auto-scaling-group", "--owner-tag", "team")
    verdicts = {each["name"]: (each["compliance"], each["reason"]) for each in found.values()}
    assert verdicts == {
        "pinned": ("NON_COMPLIANT", "tokens optional"),
        "default": ("NON_COMPLIANT", "tokens optional"),
        "latest": ("COMPLIANT", "tokens required"),
        "old": ("NON_COMPLIANT", "tokens not set"),
        "mixed": ("NON_COMPLIANT", "tokens not set"),
    }
    assert all(each["owner"] == each["name"] for each in found.values())
    pinned = next(each for each in found.values() if each["name"] == "pinned")
    assert pinned["launchTemplate"] == {"id": web, "version": "1"}
    assert f"launch template {web} version 1, where HttpTokens is optional" in pinned["annotation"]

    # The AMI says nothing about IMDS, so the account-level default decides.
    cloud.simulate(account_defaults={(OWN, "us-east-1"): {"HttpTokens": "required", "ManagedBy": "account"}})
    for parameters, expected in (("{}", "NON_COMPLIANT"), ('{"defaultsCompliant":"true"}', "COMPLIANT")):
        found, _ = cloud.scan(*HERE, "--parameters", parameters)
        by_name = {each.get("name"): each["compliance"] for each in found.values()}
        assert (by_name["unset"], by_name["mixed"], by_name["old"]) == (expected,) * 3


def test_resources_are_selected_by_their_tags(cloud):
    web, _ = cloud.instances(2)
    ec2 = cloud.client("ec2")
    ec2.create_tags(Resources=[web], Tags=[{"Key": "team", "Value": "web"}])
    templates = {}
    for team in ("web", "data"):
        tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "team", "Value": team}]}]
        answer = ec2.create_launch_template(
            LaunchTemplateName=team,
            LaunchTemplateData={"InstanceType": "t3.micro"},
            TagSpecifications=tags,
        )
        templates[team] = answer["LaunchTemplate"]["LaunchTemplateId"]
    found, _ = cloud.scan(*HERE, "--tag", "team=web", "--owner-tag", "team")
    assert {key[2]: each["owner"] for key, each in found.items()} == {web: "web", templates["web"]: "web"}
    assert found[OWN, "us-east-1", templates["web"]]["name"] == "web"


def test_usage_shows_what_is_safe_to_enforce(cloud):
    used, quiet, unknown, stopped = cloud.instances(4)
    (compliant,) = cloud.instances(1, tokens="required")
    cloud.imdsv1_calls(used, 7, days_ago=2)
    cloud.imdsv1_calls(used, 5, days_ago=3)
    cloud.imdsv1_calls(used, 100, days_ago=20)
    cloud.no_imdsv1_calls(quiet)
    cloud.imdsv1_calls(unknown, 0)  # covers less than half of the look-back period
    cloud.client("ec2").stop_instances(InstanceIds=[stopped])
    arguments = (*HERE, "--usage-days", "14")
    found, _ = cloud.scan(*arguments)
    usage = {key[2]: (each.get("imdsv1Use"), each.get("imdsv1Calls")) for key, each in found.items()}
    assert usage == {
        used: ("still in use", 12),
        quiet: ("safe to enforce", None),
        unknown: ("unknown", None),
        stopped: ("safe to enforce", None),
        compliant: (None, None),
    }
    assert "still in use: 12 calls" in cloud.imdsv2("scan", *arguments).stdout
    run = cloud.imdsv2("scan", *arguments, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(run.stdout)))
    assert {(row["resourceId"], row["imdsv1Use"], row["imdsv1Calls"]) for row in rows} >= {
        (used, "still in use", "12"),
        (unknown, "unknown", ""),
    }


def test_usage_agrees_with_remediate_on_a_disabled_endpoint(cloud, journal):
    """An instance whose endpoint is disabled makes no calls, so it needs no data."""
    (each,) = cloud.launch(cloud.client("ec2"), endpoint="disabled")
    parameters = ("--parameters", '{"disabledEndpointCompliant":"false"}')
    found, _ = cloud.scan(*HERE, *parameters, "--usage-days", "14")
    assert [finding["imdsv1Use"] for finding in found.values()] == ["safe to enforce"]
    assert cloud.remediate(journal, *HERE, *parameters, "--instance-id", each).returncode == 0
    assert cloud.tokens() == {each: "required"}


def test_usage_of_more_instances_than_one_call_accepts(cloud):
    ids = cloud.instances(501)
    for each in (ids[0], ids[499], ids[500]):
        cloud.imdsv1_calls(each, 1)
    found, _ = cloud.scan(*HERE, "--usage-days", "3")
    in_use = {each["resourceId"] for each in found.values() if each.get("imdsv1Calls") == 1}
    assert in_use == {ids[0], ids[499], ids[500]}


def test_failure_in_a_region_does_not_hide_the_others(cloud, intercepted):
    error = (
        b"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors>"
        b"<RequestID>1</RequestID></Response>"
    )

    def reject_listing(*call):
        return (403, error) if call == ("eu-west-1", "DescribeInstances") else None

    endpoint = intercepted(reject_listing)
    regions = ("--region", "us-east-1", "--region", "eu-west-1")
    (here,) = cloud.instances(1, "us-east-1", tokens="required")
    cloud.instances(1, "eu-west-1")
    arguments = ("scan", *regions, *ACCOUNT_DEFAULTS)
    run = cloud.imdsv2(*arguments, "--format", "json", "--exit-zero", endpoint=endpoint)
    assert run.returncode == 2
    failure = "cannot list instances: DescribeInstances: UnauthorizedOperation: no"
    assert f"account {OWN}, eu-west-1: {failure}" in run.stderr
    found = {(each["region"], each["resourceId"]) for each in json.loads(run.stdout)["evaluations"]}
    assert found == {("us-east-1", here), ("us-east-1", OWN), ("eu-west-1", OWN)}
    run = cloud.imdsv2(*arguments, "--format", "html", endpoint=endpoint)
    report = json.loads(run.stdout.split('id="data">')[1].split("</script>")[0])
    (failure,) = report["failures"]
    assert "eu-west-1" in failure
    assert len(report["evaluations"]) == 3


def test_exit_status_depends_on_the_findings(cloud):
    cloud.instances(1, tokens="required")
    cloud.simulate(account_defaults={(OWN, "us-east-1"): {"HttpTokens": "required"}})
    assert cloud.imdsv2("scan", *HERE).returncode == 0
    cloud.instances(1)
    assert cloud.imdsv2("scan", *HERE).returncode == 1
    assert cloud.imdsv2("scan", *HERE, "--exit-zero").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--role-arn", "scanner"],
            'invalid role ARN "scanner": expected arn:PARTITION:iam::ACCOUNT:role/NAME',
        ),
        (["--accounts-file", "/nowhere"], "cannot read /nowhere"),
        (["--usage-days", "0"], "0 is not in 1..=455"),
        (["--parameters", '{"maxHopLimit":"65"}'], "expected a whole number"),
    ],
)
def test_invalid_argument_is_reported(cloud, arguments, message):
    run = cloud.imdsv2("scan", *arguments)
    assert run.returncode == 2
    assert message in run.stderr


def test_missing_credentials_are_reported(cloud):
    without_credentials = {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    run = cloud.imdsv2("scan", *HERE, environment=without_credentials)
    assert run.returncode == 2
    assert run.stderr.startswith("error: no AWS credentials found: set AWS_PROFILE")


@pytest.mark.parametrize(
    ("tokens", "ami", "refused"),
    [
        # The account decides where nothing is set.
        ("required", None, {"web", "pinned", "default"}),
        ("optional", "v2.0", {"web", "unset", "pinned", "default", "old", "mixed"}),
        # Then the AMI decides.
        (None, "v2.0", {"web", "pinned", "default"}),
        (None, None, {"web", "unset", "pinned", "default", "old", "mixed"}),
    ],
)
def test_launches_that_enforcement_would_refuse_are_known_before(cloud, tokens, ami, refused):
    Launches(cloud)
    cloud.instances(1)  # an instance launches nothing
    level = {"ManagedBy": "account"} | ({"HttpTokens": tokens} if tokens else {})
    imds_support = {"ami-12c6146b": ami} if ami else {}
    cloud.simulate(account_defaults={(OWN, "us-east-1"): level}, imds_support=imds_support)
    run = cloud.imdsv2("scan", *HERE, "--if-enforced", "--format", "json")
    found = json.loads(run.stdout)["evaluations"]
    by_reason = {}
    for each in found:
        by_reason.setdefault(each["reason"], set()).add(each["name"])
    # A launch configuration and a group are called "old".
    allowed = {"web", "unset", "old", "pinned", "default", "latest", "mixed"} - refused
    assert by_reason == {"launch refused": refused, "launch allowed": allowed}
    assert run.returncode == 1
    count = len([each for each in found if each["reason"] != "launch allowed"])
    assert f"it would refuse, or might refuse, the next launch of {count} of 8 launch sources" in run.stderr


def test_enforcement_can_be_enabled_when_nothing_would_be_refused(cloud):
    run = cloud.imdsv2("scan", *HERE, "--if-enforced")
    assert run.returncode == 0
    assert "There is nothing that launches instances" in run.stderr
    cloud.client("ec2").create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData={"MetadataOptions": {"HttpTokens": "required"}}
    )
    run = cloud.imdsv2("scan", *HERE, "--if-enforced")
    assert run.returncode == 0
    assert "it would allow the next launch of all 1 launch sources" in run.stderr
    run = cloud.imdsv2("scan", *HERE, "--if-enforced", "--type", "instance")
    assert run.returncode == 2
    assert "--if-enforced: the selected types launch no instances" in run.stderr


def test_calls_of_terminated_instances_are_charged_to_what_launched_them(cloud):
    web, other, quiet, running = cloud.instances(4, tokens="required")
    for instance, calls in ((web, 7), (other, 2), (quiet, 0), (running, 5)):
        cloud.imdsv1_calls(instance, calls)
    cloud.client("ec2").terminate_instances(InstanceIds=[web, other, quiet])
    activity = {"AutoScalingGroupName": "web", "Description": f"Terminating EC2 instance: {web}"}
    cloud.simulate(scaling_activities=[{"AutoScalingGroupName": "batch", "Description": "Other"}, activity])
    run = cloud.imdsv2("scan", *HERE, "--usage-days", "14", "--format", "json")
    assert run.returncode == 0, run.stderr
    place = {"accountId": OWN, "region": "us-east-1"}
    launched_by = {"type": "AWS::AutoScaling::AutoScalingGroup", "id": "web"}
    expected = [
        {**place, "instanceId": web, "imdsv1Calls": 7, "launchedBy": launched_by},
        {**place, "instanceId": other, "imdsv1Calls": 2},
    ]
    key = "instanceId"
    terminated = json.loads(run.stdout)["terminated"]
    assert sorted(terminated, key=lambda each: each[key]) == sorted(expected, key=lambda each: each[key])
    assert (
        "Terminated: 2 instances made 9 IMDSv1 calls in the last 14 days: 7 of web (Auto Scaling group), "
        "2 of an unknown source"
    ) in run.stderr
    run = cloud.imdsv2("scan", *HERE, "--usage-days", "14", "--group-by", "source")
    lines = [line.split() for line in run.stdout.splitlines()]
    assert ["web", "(Auto", "Scaling", "group)", OWN, "us-east-1", "0", "0", "7"] in [
        line[:9] for line in lines
    ]
    # The node group of EKS owns the group, if its tags say so.
    cloud.client("autoscaling").create_launch_configuration(
        LaunchConfigurationName="old", ImageId="ami-12c6146b", InstanceType="t2.micro"
    )
    cloud.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="web",
        MinSize=0,
        MaxSize=2,
        AvailabilityZones=["us-east-1a"],
        LaunchConfigurationName="old",
        Tags=[{"Key": "eks:nodegroup-name", "Value": "workers", "PropagateAtLaunch": True}],
    )
    run = cloud.imdsv2("scan", *HERE, "--usage-days", "14", "--group-by", "source")
    (line,) = [
        line.split() for line in run.stdout.splitlines() if line.startswith("workers (EKS node group)")
    ]
    assert line[6:9] == ["0", "0", "7"]
    assert "7 of workers (EKS node group), 2 of an unknown source" in run.stderr
    # What no longer exists has no tags.
    run = cloud.imdsv2("scan", *HERE, "--usage-days", "14", "--tag", "team=web")
    assert "Terminated" not in run.stderr
