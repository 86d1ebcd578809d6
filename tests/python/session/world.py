"""The account of the session: a fleet that teams would have, with ids that are always the same."""

import itertools
from contextlib import contextmanager
from unittest import mock

from support.cloud import IMAGE, days

REGION = "eu-central-1"
# The instances: name, team, HttpTokens, IMDSv1 calls in the last days (None: no data), launched by.
INSTANCES = [
    ("web-1", "web", "optional", 0, "web"),
    ("web-2", "web", "optional", 0, "web"),
    ("web-3", "web", "optional", 0, "web"),
    ("web-4", "web", "optional", 0, "web"),
    ("jenkins", "build", "optional", 4_812, None),
    ("reports-nightly", "data", "optional", None, None),
    ("bastion", "platform", "required", 0, None),
    ("payments-1", "payments", "required", 0, None),
]
GROUP = "aws:autoscaling:groupName"
TEMPLATE = "aws:ec2launchtemplate:id"
TEMPLATE_ID = "lt-0f1e2d3c4b5a69788"


@contextmanager
def steady_ids():
    """Has moto count the instances and launch templates instead of drawing lots."""
    numbers = itertools.count(1)
    instance = lambda: f"i-0{next(numbers) * 0x1D2C3B4A5F6E7D8 % 16**16:016x}"  # noqa: E731
    with (
        mock.patch("moto.ec2.models.instances.random_instance_id", instance),
        mock.patch("moto.ec2.models.launch_templates.random_launch_template_id", return_value=TEMPLATE_ID),
    ):
        yield


def furnish(cloud, account):
    """Launches the instances, and returns their ids by name."""
    ec2, cloudwatch = (cloud.client(service, REGION, account) for service in ("ec2", "cloudwatch"))
    with steady_ids():
        template = ec2.create_launch_template(
            LaunchTemplateName="web", LaunchTemplateData={"MetadataOptions": {"HttpTokens": "optional"}}
        )["LaunchTemplate"]["LaunchTemplateId"]
        ids = {}
        for name, team, tokens, calls, group in INSTANCES:
            tags = {"Name": name, "team": team} | ({GROUP: group, TEMPLATE: template} if group else {})
            ids[name] = ec2.run_instances(
                ImageId=IMAGE,
                MinCount=1,
                MaxCount=1,
                MetadataOptions={
                    "HttpTokens": tokens,
                    "HttpEndpoint": "enabled",
                    "HttpPutResponseHopLimit": 1,
                },
                TagSpecifications=[
                    {"ResourceType": "instance", "Tags": [{"Key": key, "Value": tags[key]} for key in tags]}
                ],
            )["Instances"][0]["InstanceId"]
            if calls is not None:
                cloud.put_metric(cloudwatch, ids[name], "MetadataNoToken", 0, days(13))
                cloud.put_metric(cloudwatch, ids[name], "MetadataNoToken", calls, days(1))
    return ids
