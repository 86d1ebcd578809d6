"""EnforceImdsv2LaunchTemplate, run against EC2: each way through it."""

import pytest


def enforce(cloud, template, **parameters):
    return cloud.run("EnforceImdsv2LaunchTemplate", LaunchTemplateId=template, **parameters)


def launch_template(cloud, **options):
    """A launch template of one version, with the metadata options given."""
    data = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"} | (
        {"MetadataOptions": options} if options else {}
    )
    answer = cloud.ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    return answer["LaunchTemplate"]["LaunchTemplateId"]


def versions(cloud, template):
    answer = cloud.ec2.describe_launch_template_versions(LaunchTemplateId=template)
    return answer["LaunchTemplateVersions"]


def test_a_new_version_requires_tokens_and_becomes_the_default(cloud):
    template = launch_template(
        cloud, HttpTokens="optional", HttpPutResponseHopLimit=2, InstanceMetadataTags="enabled"
    )
    before = versions(cloud, template)[0]
    run = enforce(cloud, template)
    assert run.status == "Success", run.failures
    assert run.outputs == {
        "Before.Finding": "HttpTokens was optional in the default version.",
        "Look.Version": "1",
        "CreateVersion.Version": "2",
    }
    old, new = versions(cloud, template)
    assert old["LaunchTemplateData"] == before["LaunchTemplateData"]
    assert not old["DefaultVersion"]
    assert new["DefaultVersion"]
    assert new["VersionDescription"] == "Version 1 with IMDSv2 required"
    options = old["LaunchTemplateData"]["MetadataOptions"] | {"HttpTokens": "required"}
    assert new["LaunchTemplateData"] == old["LaunchTemplateData"] | {"MetadataOptions": options}


def test_what_the_template_leaves_unset_stays_unset(cloud):
    template = launch_template(cloud)
    run = enforce(cloud, template)
    assert run.status == "Success", run.failures
    assert run.outputs["Before.Finding"] == "HttpTokens was not set in the default version."
    assert versions(cloud, template)[1]["LaunchTemplateData"]["MetadataOptions"] == {"HttpTokens": "required"}


def test_the_hop_limit_is_set_where_given(cloud):
    template = launch_template(cloud, HttpTokens="required", HttpPutResponseHopLimit=1)
    run = enforce(cloud, template, HttpPutResponseHopLimit=2)
    assert run.status == "Success", run.failures
    options = versions(cloud, template)[1]["LaunchTemplateData"]["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 2)


def test_the_default_stays_where_asked(cloud):
    template = launch_template(cloud, HttpTokens="optional")
    run = enforce(cloud, template, SetDefaultVersion=False)
    assert run.status == "Success", run.failures
    assert [version["DefaultVersion"] for version in versions(cloud, template)] == [True, False]
    assert "ModifyLaunchTemplate" not in cloud.calls


def test_it_starts_from_the_default_version_and_not_the_latest(cloud):
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


def test_the_default_version_may_be_any(cloud):
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


def test_snapshots_are_not_lost(cloud):
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
def test_a_safe_template_is_left_alone(cloud, options, finding):
    template = launch_template(cloud, **options)
    run = enforce(cloud, template)
    assert run.status == "Success", run.failures
    assert run.outputs["Before.Finding"] == finding
    assert cloud.calls == ["DescribeLaunchTemplateVersions"]


def test_a_template_that_is_gone_is_named(cloud):
    run = enforce(cloud, "lt-0123456789abcdef0")
    assert run.status == "Failed"
    assert "lt-0123456789abcdef0" in run.failures[0]


def test_undo_is_the_default_version_of_the_outputs(cloud):
    template = launch_template(cloud, HttpTokens="optional")
    run = enforce(cloud, template)
    cloud.ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion=run.outputs["Look.Version"])
    assert [version["DefaultVersion"] for version in versions(cloud, template)] == [True, False]
