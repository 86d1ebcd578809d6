"""AWS accounts on the moto server."""

from datetime import UTC, datetime, timedelta

import boto3
from botocore.config import Config

from support.moto_gaps import simulated

ACCOUNT = "123456789012"
IMAGE = "ami-12c6146b"
# The most instances that a test launches in one reservation.
RESERVATION = 100


class MotoCloud:
    """The accounts, as their owner uses them."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.sessions = {ACCOUNT: boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing")}

    def enter(self, account):
        """Adds an account. moto creates it when one of its roles is assumed."""
        arn = f"arn:aws:iam::{account}:role/any"
        keys = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        self.sessions[account] = boto3.Session(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]
        )

    def client(self, service, region="us-east-1", account=ACCOUNT):
        """Returns a client that does not retry."""
        config = Config(retries={"total_max_attempts": 1})
        return self.sessions[account].client(service, region, endpoint_url=self.endpoint, config=config)

    def launch(self, ec2, count=1, tokens="optional", endpoint="enabled", hop_limit=1):
        """Launches instances with these metadata options and returns their ids."""
        options = {"HttpTokens": tokens, "HttpEndpoint": endpoint, "HttpPutResponseHopLimit": hop_limit}
        ids = []
        while len(ids) < count:
            size = min(count - len(ids), RESERVATION)
            answer = ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=size, MetadataOptions=options)
            ids += [instance["InstanceId"] for instance in answer["Instances"]]
        return ids

    def put_metric(self, cloudwatch, instance, metric, value, age):
        """Writes a datapoint of a metric of an instance. `age` is the time since then."""
        cloudwatch.put_metric_data(
            Namespace="AWS/EC2",
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": "InstanceId", "Value": instance}],
                    "Timestamp": datetime.now(UTC) - age,
                    "Value": value,
                    "Unit": "Count",
                }
            ],
        )

    def simulate(self, **behavior):
        """Sets fields of `moto_gaps.Simulation` until the end of the test."""
        simulated.set(**behavior)


def days(count):
    """Returns the age of a datapoint that a look-back of `count` days includes, by five minutes."""
    return timedelta(days=count, minutes=-5) if count else timedelta()
