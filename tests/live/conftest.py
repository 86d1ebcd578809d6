"""Two accounts on a moto server, and the built `imdsv2` that works in them."""

import json
import os
import subprocess
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs
from urllib.request import Request, urlopen

import boto3
import loopback
import moto_gaps
import pytest
import requests
from botocore.config import Config
from metrics_bridge import bridge
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

IMDSV2 = Path(__file__).parents[2] / "target" / "debug" / "imdsv2"
OWN, OTHER = "123456789012", "222222222222"
ROLE = f"arn:aws:iam::{OTHER}:role/imdsv2-scanner"


@pytest.fixture(scope="session")
def server():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def cloud(server, monkeypatch):
    requests.post(f"{server}/moto-api/reset", timeout=60).raise_for_status()
    monkeypatch.setattr(moto_gaps.Switches, "defaults", {})
    cloud = Cloud(server)
    with bridge(lambda region: cloud.client("cloudwatch", region)) as address:
        cloud.services["CLOUDWATCH"] = address
        yield cloud


@pytest.fixture
def front(cloud):
    """Makes ways to the cloud on which `meet(region, action)` may answer EC2's calls, by a status and a body."""
    with ExitStack() as servers:

        def make(meet):
            def answer(request, body):
                action = parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
                met = meet(loopback.region(request), action)
                return (met[0], {}, met[1]) if met else forward(request, body)

            def forward(request, body):
                headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")}
                with urlopen(Request(cloud.endpoint + request.path, body, headers, method="POST")) as answer:
                    return answer.status, {}, answer.read()

            return servers.enter_context(loopback.serving(answer))

        yield make


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
                MetadataOptions={"HttpTokens": tokens, "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1},
            )
            ids += [instance["InstanceId"] for instance in answer["Instances"]]
        return ids

    def imdsv1_calls(self, instance, count, days_ago=1, region="us-east-1", metric="MetadataNoToken"):
        self.client("cloudwatch", region).put_metric_data(
            Namespace="AWS/EC2",
            MetricData=[{
                "MetricName": metric,
                "Dimensions": [{"Name": "InstanceId", "Value": instance}],
                "Timestamp": datetime.now(UTC) - timedelta(days=days_ago),
                "Value": count,
            }],
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
        return {"env": settings | (environment or {}), "cwd": IMDSV2.parents[2]}

    def imdsv2(self, *arguments, environment=None, endpoint=None):
        """Runs the command line to its end."""
        surroundings = self.surroundings(environment, endpoint)
        return subprocess.run(*self.command(*arguments), capture_output=True, text=True, timeout=120, **surroundings)

    def scan(self, *arguments):
        """The findings of a scan in JSON, by account, Region and id."""
        run = self.imdsv2("scan", "--format", "json", *arguments)
        assert run.returncode in (0, 1), run.stderr
        answer = json.loads(run.stdout)
        return {
            (each["accountId"], each["region"], each["resourceId"]): each for each in answer["evaluations"]
        }, answer["summary"]
