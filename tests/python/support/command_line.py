"""The built `imdsv2`, which works in two accounts on the moto server."""

import json
import os
import subprocess
import time

import pytest

from support import cloudwatch_bridge
from support.cloud import ACCOUNT, MotoCloud, days
from support.recorded_calls import application
from support.repository import IMDSV2, ROOT

OWN, OTHER = ACCOUNT, "222222222222"
OWN_ROLE, OTHER_ROLE = (f"arn:aws:iam::{account}:role/imdsv2-scanner" for account in (OWN, OTHER))
HERE = ("--region", "us-east-1")
# Has `imdsv2 scan` evaluate account-level defaults, too.
ACCOUNT_DEFAULTS = ("--parameters", '{"accountDefaults":"true"}')
# Seconds that a test waits for the process that it started.
LONGEST_WAIT = 60


class CommandLineCloud(MotoCloud):
    """The account of the credentials and another one, which the command line enters through a role."""

    def __init__(self, endpoint):
        super().__init__(endpoint)
        # The endpoints of the services that moto does not serve.
        self.services = {}
        # The processes that the test started.
        self.processes = []
        self.enter(OTHER)

    def cloudwatch(self, region, access_key):
        """Returns the client of CloudWatch of the account that an access key belongs to."""
        keys = {session.get_credentials().access_key: account for account, session in self.sessions.items()}
        return self.client("cloudwatch", region, keys.get(access_key, OWN))

    def instances(self, count, region="us-east-1", account=OWN, tokens="optional"):
        """Launches instances and returns their ids."""
        return self.launch(self.client("ec2", region, account), count, tokens)

    def imdsv1_calls(self, instance, count, days_ago=1, region="us-east-1", metric="MetadataNoToken"):
        """Writes a datapoint with this number of calls."""
        self.put_metric(self.client("cloudwatch", region), instance, metric, count, days(days_ago))

    def no_imdsv1_calls(self, instance, region="us-east-1"):
        """Writes datapoints without calls, which cover the default look-back."""
        for days_ago in (13, 1):
            self.imdsv1_calls(instance, 0, days_ago, region)

    def options(self, region="us-east-1", account=OWN):
        """Returns the metadata options of each instance by id, without the state of a change."""
        pages = self.client("ec2", region, account).get_paginator("describe_instances").paginate()
        reservations = [reservation for page in pages for reservation in page["Reservations"]]
        instances = [instance for reservation in reservations for instance in reservation["Instances"]]
        return {
            each["InstanceId"]: {k: v for k, v in each["MetadataOptions"].items() if k != "State"}
            for each in instances
        }

    def tokens(self, region="us-east-1", account=OWN):
        """Returns HttpTokens of each instance by id."""
        return {each: options["HttpTokens"] for each, options in self.options(region, account).items()}

    def requiring(self):
        """Returns the ids of the instances that require tokens."""
        return {each for each, tokens in self.tokens().items() if tokens == "required"}

    def imdsv2(self, *arguments, environment=None, endpoint=None, stdin=None):
        """Runs `imdsv2` to its end, with this text as its standard input."""
        return subprocess.run(
            [IMDSV2, *arguments],
            capture_output=True,
            text=True,
            input=stdin,
            stdin=None if stdin else subprocess.DEVNULL,
            timeout=2 * LONGEST_WAIT,
            **self.surroundings(environment, endpoint, arguments),
        )

    def start(self, *arguments, endpoint=None):
        """Starts `imdsv2` and returns the process, which does not outlive the test."""
        process = subprocess.Popen(
            [IMDSV2, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **self.surroundings(endpoint=endpoint, arguments=arguments),
        )
        self.processes.append(process)
        return process

    def surroundings(self, environment=None, endpoint=None, arguments=("none",)):
        """Returns the environment and the working directory of `imdsv2` with these arguments."""
        settings = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_SDK_UA_APP_ID": application(*arguments[:1], arguments),
        }
        settings |= {f"AWS_ENDPOINT_URL_{service}": url for service, url in self.services.items()}
        return {"env": settings | (environment or {}), "cwd": ROOT}

    def scan(self, *arguments):
        """Returns the evaluations of a scan by account, Region and id, and its summary."""
        run = self.imdsv2("scan", "--format", "json", *arguments)
        assert run.returncode in (0, 1), run.stderr
        report = json.loads(run.stdout)
        evaluations = {
            (each["accountId"], each["region"], each["resourceId"]): each for each in report["evaluations"]
        }
        return evaluations, report["summary"]

    def remediate(self, journal, *arguments, endpoint=None):
        return self.imdsv2("remediate", "--yes", "--journal", str(journal), *arguments, endpoint=endpoint)

    def start_remediate(self, journal, *arguments, endpoint=None):
        return self.start("remediate", "--yes", "--journal", str(journal), *arguments, endpoint=endpoint)

    def restore(self, journal, *arguments):
        return self.imdsv2("restore", "--yes", str(journal), *arguments)


def wait_for(condition, process):
    """Waits until a condition holds. Fails if the process exits before, or if it takes too long."""
    deadline = time.monotonic() + LONGEST_WAIT
    while not condition():
        assert process.poll() is None, process.communicate()
        if time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"timed out after {LONGEST_WAIT} seconds: {process.communicate()}")
        time.sleep(0.05)


@pytest.fixture
def cloud(moto_server):
    """Two accounts without resources, and `imdsv2`."""
    cloud = CommandLineCloud(moto_server)
    with cloudwatch_bridge.bridge(cloud.cloudwatch) as address:
        cloud.services["CLOUDWATCH"] = address
        yield cloud
        for process in cloud.processes:
            with process:  # waits for the process and closes its pipes
                process.kill()
