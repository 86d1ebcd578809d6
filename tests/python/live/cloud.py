"""Two accounts on a moto server, and the built `imdsv2` that works in them."""

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta

import boto3
from botocore.config import Config

from support.repository import IMDSV2, ROOT

OWN, OTHER = "123456789012", "222222222222"
ROLE = f"arn:aws:iam::{OTHER}:role/imdsv2-scanner"
HERE = ("--region", "us-east-1")


class Cloud:
    """The accounts as a person sees them, and the command line."""

    def __init__(self, endpoint):
        self.endpoint, self.services = endpoint, {}  # services with an endpoint of their own
        self.sessions = {OWN: boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing")}
        credentials = self.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
        self.sessions[OTHER] = boto3.Session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )

    def client(self, service, region="us-east-1", account=OWN):
        config = Config(retries={"total_max_attempts": 1})
        return self.sessions[account].client(service, region, endpoint_url=self.endpoint, config=config)

    def instances(self, count, region="us-east-1", account=OWN, tokens="optional"):
        """Launches instances, 100 in a reservation; gives their ids."""
        ids = []
        while len(ids) < count:
            answer = self.client("ec2", region, account).run_instances(
                ImageId="ami-12c6146b",
                MinCount=1,
                MaxCount=min(count - len(ids), 100),
                MetadataOptions={
                    "HttpTokens": tokens,
                    "HttpEndpoint": "enabled",
                    "HttpPutResponseHopLimit": 1,
                },
            )
            ids += [instance["InstanceId"] for instance in answer["Instances"]]
        return ids

    def imdsv1_calls(self, instance, count, days_ago=1, region="us-east-1", metric="MetadataNoToken"):
        self.client("cloudwatch", region).put_metric_data(
            Namespace="AWS/EC2",
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": "InstanceId", "Value": instance}],
                    "Timestamp": datetime.now(UTC) - timedelta(days=days_ago),
                    "Value": count,
                }
            ],
        )

    def command(self, *arguments):
        """The arguments of a process that runs the command line."""
        return ([IMDSV2, *arguments],)

    def surroundings(self, environment=None, endpoint=None):
        """Where it runs, and with which environment."""
        settings = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        settings |= {f"AWS_ENDPOINT_URL_{service}": url for service, url in self.services.items()}
        return {"env": settings | (environment or {}), "cwd": ROOT}

    def imdsv2(self, *arguments, environment=None, endpoint=None):
        """Runs the command line to its end."""
        surroundings = self.surroundings(environment, endpoint)
        return subprocess.run(
            *self.command(*arguments), capture_output=True, text=True, timeout=120, **surroundings
        )

    def scan(self, *arguments):
        """The findings of a scan in JSON, by account, Region and id."""
        run = self.imdsv2("scan", "--format", "json", *arguments)
        assert run.returncode in (0, 1), run.stderr
        answer = json.loads(run.stdout)
        return {
            (each["accountId"], each["region"], each["resourceId"]): each for each in answer["evaluations"]
        }, answer["summary"]

    def remediate(self, journal, *arguments):
        return self.imdsv2("remediate", "--yes", "--journal", str(journal), *arguments)

    def options(self, region="us-east-1", account=OWN):
        """The metadata options of each instance, without the state of a change."""
        pages = self.client("ec2", region, account).get_paginator("describe_instances").paginate()
        found = {}
        for page in pages:
            for instance in (i for r in page["Reservations"] for i in r["Instances"]):
                found[instance["InstanceId"]] = {
                    k: v for k, v in instance["MetadataOptions"].items() if k != "State"
                }
        return found

    def tokens(self, *place):
        """The value of HttpTokens of each instance."""
        return {each: found["HttpTokens"] for each, found in self.options(*place).items()}
