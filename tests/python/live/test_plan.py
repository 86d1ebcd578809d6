"""The plan of `imdsv2 remediate`, and the options that select instances."""

import csv
import json

import pytest

from support.command_line import HERE, OWN

TEMPLATE = "aws:ec2launchtemplate:id"
GROUP = "aws:autoscaling:groupName"


def tag(cloud, instances, **tags):
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    cloud.client("ec2").create_tags(Resources=list(instances), Tags=pairs)


def plan(run):
    """Returns the entries of the plan by label."""
    lines = run.stderr.splitlines()
    entries = lines[lines.index("Plan") + 1 :]
    return {line[2:14].strip(): line[15:] for line in entries if line.startswith("  ")}


def test_plan_says_what_is_changed_and_why_others_are_not(cloud, journal):
    quiet, used, stopped, exempt = cloud.instances(4)
    for each in (quiet, stopped):
        cloud.no_imdsv1_calls(each)
    cloud.imdsv1_calls(used, 9)
    cloud.client("ec2").stop_instances(InstanceIds=[stopped])
    tag(cloud, [exempt], until="2099-12-31")
    cloud.instances(2, tokens="required")
    exemption = ("--parameters", '{"exemptionTagKey":"until"}')
    run = cloud.imdsv2("remediate", *HERE, *exemption, "--dry-run", "--canary", "1")
    assert run.returncode == 1
    assert plan(run) == {
        "Account": f"{OWN} (production)",
        "Credentials": "the credentials of the environment",
        "Region": "us-east-1",
        "Change": "2 instances: set HttpTokens=required; 1 of them stopped: at their next start",
        "Skip": "1 instance: in use",
        "No change": "3 instances: 2 already required, 1 exempt",
        "Hop limit": "1 on 2 instances: if they run containers, pass --hop-limit 2",
        "Canary": f"1 instance first, watched for 15m: {quiet}",
        "Duration": "about 5s, 8 at a time, and 15m for the canary",
        "CloudWatch": "less than 0.01 USD: at most 84 metrics requested",
    }
    assert "Dry run: 2 changes would be allowed, 0 would fail.\nSkipped: 1 in use.\n" in run.stderr
    assert run.stderr.endswith("Next: the same command without --dry-run\n")
    assert not journal.exists()


def test_nodes_of_a_cluster_with_hop_limit_1_are_counted(cloud):
    node, _ = cloud.instances(2)
    tag(cloud, [node], **{"eks:cluster-name": "prod"})
    common = ("remediate", *HERE, "--dry-run", "--usage-days", "0")
    assert plan(cloud.imdsv2(*common))["Hop limit"] == (
        "1 on 2 instances, 1 of which in a container cluster: its containers lose access; pass --hop-limit 2"
    )
    assert plan(cloud.imdsv2(*common, "--hop-limit", "2"))["Hop limit"] == "raised to 2 on 2 instances"


def test_what_is_not_checked_is_said(cloud):
    used, _ = cloud.instances(2)
    cloud.imdsv1_calls(used, 9)
    run = cloud.imdsv2("remediate", *HERE, "--dry-run", "--force")
    assert (
        "WARNING: --force: instances are changed ALTHOUGH they use IMDSv1 or may use it "
        "(1 in use, 1 usage unknown); their software loses access\n"
    ) in run.stderr
    run = cloud.imdsv2("remediate", *HERE, "--dry-run", "--usage-days", "0")
    assert (
        "WARNING: --usage-days 0: IMDSv1 calls are NOT CHECKED; software that uses IMDSv1 loses access\n"
    ) in run.stderr
    assert plan(run)["CloudWatch"] == "no requests"


def test_instances_are_selected_by_tag_exclusion_and_limit(cloud, journal, tmp_path):
    web, other = cloud.instances(3), cloud.instances(2)
    tag(cloud, web, team="web")
    tag(cloud, other, team="data")
    (tmp_path / "kept.txt").write_text(f"\ufeff# for later\r\n{web[0]}\r\n")
    selection = ("--tag", "team=web", "--exclude", str(tmp_path / "kept.txt"), "--usage-days", "0")
    run = cloud.remediate(journal, *HERE, *selection, "--limit", "1", "--format", "json")
    assert run.returncode == 1, run.stderr
    assert plan(run)["Skip"] == "1 instance: beyond --limit"
    outcomes = {each["instanceId"]: each["outcome"] for each in json.loads(run.stdout)["changes"]}
    assert sorted(outcomes.values()) == ["changed", "notStarted"]
    assert set(outcomes) == set(web[1:])
    assert len(cloud.requiring()) == 1


def test_instance_that_the_filter_leaves_out_is_not_reported_as_gone(cloud, tmp_path):
    kept, changed = cloud.instances(2)
    scan = tmp_path / "scan.json"
    scan.write_text(cloud.imdsv2("scan", *HERE, "--format", "json").stdout)
    common = ("--dry-run", "--usage-days", "0", "--exclude", kept)
    run = cloud.imdsv2("remediate", "--from", str(scan), *common)
    assert run.returncode == 1
    assert plan(run)["No change"] == "1 instance: not selected"
    assert kept not in run.stdout
    run = cloud.imdsv2("remediate", *HERE, "--instance-id", kept, "--instance-id", changed, *common)
    assert "was not found" not in run.stderr
    assert plan(run)["Change"] == "1 instance: set HttpTokens=required"


def test_type_that_is_never_changed_is_an_error(cloud):
    run = cloud.imdsv2("remediate", *HERE, "--type", "launch-template", "--dry-run")
    assert run.returncode == 2
    assert run.stderr == (
        "error: --type leaves out instances, but remediate changes instances only: pass --type instance, or "
        "leave it out\n"
    )


def test_scan_can_be_piped_into_remediate(cloud, journal):
    ids = cloud.instances(2)
    scan = cloud.imdsv2("scan", *HERE, "--format", "json").stdout
    arguments = ("remediate", "--from", "-", "--yes", "--usage-days", "0", "--journal", str(journal))
    run = cloud.imdsv2(*arguments, stdin=scan)
    assert run.returncode == 0, run.stderr
    assert cloud.requiring() == set(ids)


def test_details_are_listed_or_written(cloud, tmp_path):
    quiet, used = cloud.instances(2)
    tag(cloud, [quiet], Name="web-1")
    cloud.no_imdsv1_calls(quiet)
    cloud.imdsv1_calls(used, 9)
    run = cloud.imdsv2("remediate", *HERE, "--dry-run", "--details")
    assert f"{OWN}  us-east-1  web-1  {quiet}  not started: set HttpTokens=required\n" in run.stderr
    assert (
        f"{OWN}  us-east-1  {used}  skipped: IMDSv1 is still in use: 9 calls in the last 14 days\n"
        in run.stderr
    )
    file = tmp_path / "plan.csv"
    cloud.imdsv2("remediate", *HERE, "--dry-run", f"--details={file}")
    rows = {row["instanceId"]: row["outcome"] for row in csv.DictReader(file.read_text().splitlines())}
    assert rows == {quiet: "notStarted", used: "skipped"}


def test_sources_that_launch_more_instances_are_named(cloud, journal):
    ec2 = cloud.client("ec2")
    data = {"MetadataOptions": {"HttpTokens": "optional"}}
    template = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    template = template["LaunchTemplate"]["LaunchTemplateId"]
    good = ec2.create_launch_template(
        LaunchTemplateName="good", LaunchTemplateData={"MetadataOptions": {"HttpTokens": "required"}}
    )["LaunchTemplate"]["LaunchTemplateId"]
    ids = cloud.instances(4)
    ec2.create_tags(
        Resources=ids[:2], Tags=[{"Key": TEMPLATE, "Value": template}, {"Key": GROUP, "Value": "web"}]
    )
    ec2.create_tags(Resources=ids[2:3], Tags=[{"Key": TEMPLATE, "Value": good}])
    ec2.create_tags(Resources=ids[3:], Tags=[{"Key": GROUP, "Value": "old"}])
    run = cloud.remediate(journal, *HERE, "--usage-days", "0")
    assert run.returncode == 0, run.stderr
    here, place = "--region us-east-1 --launch-template-id", f"(account {OWN}, us-east-1; "
    _, _, end = run.stderr.partition("These launch more instances that accept IMDSv1:\n")
    assert end.splitlines() == [
        f"- launch template {template} of Auto Scaling group web {place}2 of these instances): tokens "
        "optional; run the runbook EnforceImdsv2LaunchTemplate, or:",
        f"aws ec2 modify-launch-template {here} {template} --default-version "
        f'"$(aws ec2 create-launch-template-version {here} {template} '
        "--source-version '$Default' --launch-template-data "
        '\'{"MetadataOptions":{"HttpTokens":"required"}}\' --query LaunchTemplateVersion.VersionNumber '
        '--output text)"',
        f"- Auto Scaling group old {place}1 of these instances): check what it launches, it has no launch "
        "template",
    ]


@pytest.mark.parametrize(("parameters", "is_named"), [("{}", True), ('{"defaultsCompliant":"true"}', False)])
def test_a_template_whose_ami_requires_tokens_is_named_unless_that_complies(
    cloud, journal, parameters, is_named
):
    ec2 = cloud.client("ec2")
    cloud.simulate(imds_support={"ami-12c6146b": "v2.0"})
    template = ec2.create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData={"ImageId": "ami-12c6146b"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    tag(cloud, cloud.instances(1), **{TEMPLATE: template})
    run = cloud.remediate(journal, *HERE, "--usage-days", "0", "--parameters", parameters)
    assert run.returncode == 0, run.stderr
    named = f"- launch template {template} (account {OWN}, us-east-1; 1 of these instances): tokens not set"
    assert (named in run.stderr) == is_named


def test_permission_that_is_missing_for_the_plan_is_named_with_its_policy(cloud, intercepted, journal):
    denial = (
        403,
        b"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors>"
        b"<RequestID>1</RequestID></Response>",
    )
    endpoint = intercepted(lambda _, action: denial if action == "DescribeInstances" else None)
    run = cloud.remediate(journal, *HERE, endpoint=endpoint)
    assert run.returncode == 2
    assert (
        f"error: account {OWN}, us-east-1: cannot list instances: DescribeInstances: UnauthorizedOperation: "
        "no: allow ec2:DescribeInstances; `imdsv2 permissions remediate` prints a policy\n"
    ) in run.stderr
