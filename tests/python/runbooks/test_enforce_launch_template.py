"""EnforceImdsv2LaunchTemplate, executed against EC2."""

import pytest


def enforce(cloud, template, **parameters):
    return cloud.run("EnforceImdsv2LaunchTemplate", LaunchTemplateId=template, **parameters)


def launch_template(cloud, **options):
    """Creates a launch template with these metadata options and returns its id."""
    data = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"} | (
        {"MetadataOptions": options} if options else {}
    )
    answer = cloud.ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    return answer["LaunchTemplate"]["LaunchTemplateId"]


def versions(cloud, template):
    answer = cloud.ec2.describe_launch_template_versions(LaunchTemplateId=template)
    return answer["LaunchTemplateVersions"]


def test_new_version_requires_tokens_and_becomes_the_default(cloud):
    template = launch_template(
        cloud, HttpTokens="optional", HttpPutResponseHopLimit=2, InstanceMetadataTags="enabled"
    )
    before = versions(cloud, template)[0]
    run = enforce(cloud, template)
    assert run.status == "Success", run.failures
    assert run.outputs == {
        "Before.Finding": "HttpTokens was optional in the default version.",
        "ReadUsage.Finding": "No running instance was launched from this template.",
        "Look.Version": "1",
        "CreateVersion.Version": "2",
        "FindGroups.Finding": "No Auto Scaling group uses another version than the default version, 2.",
    }
    old, new = versions(cloud, template)
    assert old["LaunchTemplateData"] == before["LaunchTemplateData"]
    assert not old["DefaultVersion"]
    assert new["DefaultVersion"]
    assert new["VersionDescription"] == "Version 1 with IMDSv2 required"
    options = old["LaunchTemplateData"]["MetadataOptions"] | {"HttpTokens": "required"}
    assert new["LaunchTemplateData"] == old["LaunchTemplateData"] | {"MetadataOptions": options}


def test_unset_options_stay_unset(cloud):
    template = launch_template(cloud)
    run = enforce(cloud, template)
    assert run.status == "Success", run.failures
    assert run.outputs["Before.Finding"] == "HttpTokens was not set in the default version."
    assert versions(cloud, template)[1]["LaunchTemplateData"]["MetadataOptions"] == {"HttpTokens": "required"}


def test_template_that_a_service_manages_is_not_changed(cloud):
    template = launch_template(cloud)
    operator = {"Managed": True, "Principal": "eks.amazonaws.com"}
    cloud.simulate(template_operators={template: operator})
    run = enforce(cloud, template)
    assert run.status == "Success", run.failures
    assert run.outputs["Before.Finding"] == (
        "eks.amazonaws.com manages the launch template, so no version was created."
    )
    cloud.simulate(template_operators={})
    assert len(versions(cloud, template)) == 1


def test_hop_limit_is_set_on_request(cloud):
    template = launch_template(cloud, HttpTokens="required", HttpPutResponseHopLimit=1)
    run = enforce(cloud, template, HttpPutResponseHopLimit=2)
    assert run.status == "Success", run.failures
    options = versions(cloud, template)[1]["LaunchTemplateData"]["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 2)


def test_default_version_stays_on_request(cloud):
    template = launch_template(cloud, HttpTokens="optional")
    run = enforce(cloud, template, SetDefaultVersion=False)
    assert run.status == "Success", run.failures
    assert [version["DefaultVersion"] for version in versions(cloud, template)] == [True, False]
    assert "ModifyLaunchTemplate" not in cloud.calls


def test_new_version_is_based_on_the_default_and_not_on_the_latest(cloud):
    template = launch_template(cloud, HttpTokens="optional")
    latest = {"InstanceType": "m7i.large", "MetadataOptions": {"HttpTokens": "required"}}
    cloud.ec2.create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData=latest
    )
    run = enforce(cloud, template)
    assert run.status == "Success", run.failures
    new = versions(cloud, template)[2]
    assert new["DefaultVersion"]
    assert new["LaunchTemplateData"]["InstanceType"] == "t3.micro"


def test_default_version_may_have_any_number(cloud):
    template = launch_template(cloud, HttpTokens="required")
    data = {
        "InstanceType": "m7i.large",
        "MetadataOptions": {"HttpTokens": "optional", "HttpPutResponseHopLimit": 3},
    }
    cloud.ec2.create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData=data
    )
    cloud.ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="2")
    run = enforce(cloud, template)
    assert run.status == "Success", run.failures
    assert (run.outputs["Look.Version"], run.outputs["CreateVersion.Version"]) == ("2", "3")
    new = versions(cloud, template)[2]
    assert new["DefaultVersion"]
    assert new["LaunchTemplateData"]["InstanceType"] == "m7i.large"
    assert new["LaunchTemplateData"]["MetadataOptions"]["HttpPutResponseHopLimit"] == 3


def test_template_with_snapshots_is_not_changed(cloud):
    data = {
        "ImageId": "ami-12c6146b",
        "MetadataOptions": {"HttpTokens": "optional"},
        "BlockDeviceMappings": [{"DeviceName": "/dev/sdb", "Ebs": {"SnapshotId": "snap-0123456789abcdef0"}}],
    }
    answer = cloud.ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    template = answer["LaunchTemplate"]["LaunchTemplateId"]
    run = enforce(cloud, template)
    assert run.status == "Failed"
    assert "The default version creates volumes from snap-0123456789abcdef0" in run.failures[0]
    assert len(versions(cloud, template)) == 1


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"HttpTokens": "required"}, "The default version already requires IMDSv2. No change is needed."),
        (
            {"HttpEndpoint": "disabled"},
            "The default version disables the IMDS endpoint. No change is needed.",
        ),
    ],
)
def test_compliant_template_is_not_changed(cloud, options, finding):
    template = launch_template(cloud, **options)
    run = enforce(cloud, template)
    assert run.status == "Success", run.failures
    assert run.outputs["Before.Finding"] == finding
    assert all(call.startswith("Describe") for call in cloud.calls)
    assert len(versions(cloud, template)) == 1


def test_missing_template_is_reported(cloud):
    run = enforce(cloud, "lt-0123456789abcdef0")
    assert run.status == "Failed"
    assert "lt-0123456789abcdef0" in run.failures[0]


def test_outputs_name_the_previous_default_version(cloud):
    template = launch_template(cloud, HttpTokens="optional")
    run = enforce(cloud, template)
    cloud.ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion=run.outputs["Look.Version"])
    assert [version["DefaultVersion"] for version in versions(cloud, template)] == [True, False]


def launched(cloud, template, count=1, version="1", **options):
    """Launches instances as EC2 tags those of a launch template, and returns their ids."""
    instances = cloud.launch(cloud.ec2, count, **options)
    for each in instances:
        cloud.tag(each, "aws:ec2launchtemplate:id", template)
        cloud.tag(each, "aws:ec2launchtemplate:version", version)
    return instances


def test_instances_that_use_imdsv1_prevent_any_change(cloud):
    template = launch_template(cloud, HttpTokens="optional")
    quiet, busy, refused = launched(cloud, template, 3)
    cloud.no_imdsv1_calls(quiet)
    cloud.imdsv1_calls(busy, 7)
    cloud.imdsv1_calls(refused, 2, metric="MetadataNoTokenRejected")
    run = enforce(cloud, template)
    assert run.status == "Failed"
    (failure,) = run.failures
    assert failure.removeprefix("ReadUsage: Exception: ") == (
        "Instances that were launched from this template made 9 IMDSv1 calls in the last 14 days: "
        f"{busy} (7), {refused} (2). Such calls would fail on new instances, so no version was created. "
        "Update the software that uses IMDSv1, or run with Force=true."
    )
    assert len(versions(cloud, template)) == 1
    assert enforce(cloud, template, UsageLookbackDays=0).status == "Success"


def test_calls_of_other_instances_and_older_calls_do_not_matter(cloud):
    template = launch_template(cloud, HttpTokens="optional")
    (mine,) = launched(cloud, template)
    (other,) = launched(cloud, "lt-0123456789abcdef0")
    (stopped,) = launched(cloud, template)
    for each in range(14):
        cloud.imdsv1_calls(mine, 0, days_ago=each)
    cloud.imdsv1_calls(mine, 9, days_ago=20)
    cloud.imdsv1_calls(other, 9)
    cloud.imdsv1_calls(stopped, 9)
    cloud.ec2.stop_instances(InstanceIds=[stopped])
    run = enforce(cloud, template)
    assert run.status == "Success", run.failures
    finding = "1 running instance of this template made 0 IMDSv1 calls in the last 14 days."
    assert run.outputs["ReadUsage.Finding"] == finding


@pytest.mark.parametrize(("parameters", "status"), [
    ({}, "Failed"),
    ({"OnUnknownUsage": "Proceed"}, "Success"),
    ({"Force": True}, "Success"),
])  # fmt: skip
def test_unknown_usage_prevents_any_change_unless_it_is_accepted(cloud, parameters, status):
    template = launch_template(cloud, HttpTokens="optional")
    young, _ = launched(cloud, template, 2)
    cloud.imdsv1_calls(young, 0)  # covers less than half of the look-back period
    run = enforce(cloud, template, **parameters)
    assert run.status == status
    if status == "Failed":
        assert "None of the 2 running instances that were launched from this template" in run.failures[0]


def test_force_enforces_on_a_template_in_use(cloud):
    template = launch_template(cloud, HttpTokens="optional")
    (busy,) = launched(cloud, template)
    cloud.imdsv1_calls(busy, 7)
    run = enforce(cloud, template, Force=True)
    assert run.status == "Success", run.failures
    finding = "1 running instance of this template made 7 IMDSv1 calls in the last 14 days."
    assert run.outputs["ReadUsage.Finding"] == finding


def test_more_instances_than_one_request_takes(cloud):
    template = launch_template(cloud, HttpTokens="optional")
    instances = launched(cloud, template, 251)
    cloud.imdsv1_calls(instances[250], 3)
    run = enforce(cloud, template)
    assert f"made 3 IMDSv1 calls in the last 14 days: {instances[250]} (3). Such" in run.failures[0]
    assert cloud.calls.count("GetMetricData") == 2


def test_incomplete_data_prevents_any_change(cloud):
    template = launch_template(cloud, HttpTokens="optional")
    launched(cloud, template)

    def fail(parsed, **_):
        parsed["MetricDataResults"][1]["StatusCode"] = "InternalError"

    cloud.recorded("cloudwatch").meta.events.register("after-call.cloudwatch.GetMetricData", fail)
    run = enforce(cloud, template, Force=True)
    assert run.status == "Failed"
    assert (
        "CloudWatch did not return all of the data of 1 metric, so no version was created." in run.failures[0]
    )


def test_hop_limit_alone_is_changed_whatever_instances_call(cloud):
    template = launch_template(cloud, HttpTokens="required", HttpPutResponseHopLimit=1)
    (busy,) = launched(cloud, template)
    cloud.imdsv1_calls(busy, 7)
    run = enforce(cloud, template, HttpPutResponseHopLimit=2)
    assert run.status == "Success", run.failures
    assert "GetMetricData" not in cloud.calls


def test_groups_that_cannot_be_read_do_not_fail_a_run(cloud):
    template = launch_template(cloud, HttpTokens="optional")

    def refuse(**_):
        raise RuntimeError("AccessDenied")

    events = cloud.recorded("autoscaling").meta.events
    events.register("before-call.autoscaling.DescribeAutoScalingGroups", refuse)
    run = enforce(cloud, template)
    assert run.status == "Success", run.failures
    assert run.outputs["FindGroups.Finding"].endswith("are not known: AccessDenied")
    assert versions(cloud, template)[1]["DefaultVersion"]


def test_groups_that_use_other_versions_are_named(cloud):
    template = launch_template(cloud, HttpTokens="optional")
    autoscaling = cloud.client("autoscaling")

    def group(name, **launches):
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name, MinSize=0, MaxSize=1, AvailabilityZones=["us-east-1a"], **launches
        )

    def version(number):
        return {"LaunchTemplateId": template, "Version": number}

    group("default", LaunchTemplate=version("$Default"))
    group("latest", LaunchTemplate=version("$Latest"))
    group("pinned", LaunchTemplate=version("1"))
    overrides = [{"LaunchTemplateSpecification": version("1")}, {"InstanceType": "m7i.large"}]
    mixed = {"LaunchTemplateSpecification": version("$Default"), "Overrides": overrides}
    group("mixed", MixedInstancesPolicy={"LaunchTemplate": mixed})
    for number in range(101):  # more than a page
        group(f"other-{number}", LaunchTemplate={"LaunchTemplateId": template, "Version": "$Default"})
    run = enforce(cloud, template)
    assert run.status == "Success", run.failures
    assert run.outputs["FindGroups.Finding"] == (
        "These Auto Scaling groups do not use the default version, 2: mixed (version 1), pinned (version 1)."
    )
    # Without a new default version, the groups that use the latest one are the others.
    template = cloud.ec2.create_launch_template(
        LaunchTemplateName="kept",
        LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"},
    )["LaunchTemplate"]["LaunchTemplateId"]
    group("kept-latest", LaunchTemplate=version("$Latest"))
    run = enforce(cloud, template, SetDefaultVersion=False)
    assert run.outputs["FindGroups.Finding"] == (
        "These Auto Scaling groups do not use the default version, 1: kept-latest (version $Latest)."
    )
