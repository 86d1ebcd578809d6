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
    assert cloud.calls == ["DescribeLaunchTemplateVersions"]


def test_missing_template_is_reported(cloud):
    run = enforce(cloud, "lt-0123456789abcdef0")
    assert run.status == "Failed"
    assert "lt-0123456789abcdef0" in run.failures[0]


def test_outputs_name_the_previous_default_version(cloud):
    template = launch_template(cloud, HttpTokens="optional")
    run = enforce(cloud, template)
    cloud.ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion=run.outputs["Look.Version"])
    assert [version["DefaultVersion"] for version in versions(cloud, template)] == [True, False]
