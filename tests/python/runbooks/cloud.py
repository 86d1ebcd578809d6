"""A cloud for the runbooks: a moto server with EC2's gaps mended, and a record of the changes they ask for."""

from datetime import UTC, datetime, timedelta

import boto3
from botocore.config import Config
from moto.cloudwatch.models import MetricDatum, cloudwatch_backends
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends

from support import moto_gaps, repository
from support.runbook_executor import Runbook

ROLE = "arn:aws:iam::123456789012:role/imdsv2-remediation"
ACCOUNT, REGION = "123456789012", "us-east-1"
GONE = "i-0123456789abcdef0"
METRICS = ("MetadataNoToken", "MetadataNoTokenRejected")
made = {}  # the operations that each runbook asked for in the whole session, by its name
SESSION = boto3.Session(region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing")


def assert_safe(request, options, calls, forced, lowers_allowed=False):
    """What no runbook may ask for, of an instance with these options and IMDSv1 calls in the look-back."""
    endpoint = options["HttpEndpoint"]
    lowered = request.get("HttpPutResponseHopLimit", 64) < options["HttpPutResponseHopLimit"]
    assert not lowered or lowers_allowed, f"{request} lowers the hop limit"
    switched_on = request.get("HttpEndpoint") == "enabled" and endpoint == "disabled"
    assert not switched_on, f"{request} switches IMDS on"
    cut_off = request.get("HttpTokens") == "required" and calls and not forced
    assert not cut_off, f"{request} cuts off what made {calls} IMDSv1 calls"


class Cloud:
    """An account and Region, a person's view of it, and the runbooks."""

    def __init__(self, endpoint, monkeypatch):
        self.endpoint, self.monkeypatch = endpoint, monkeypatch
        self.ec2, self.cloudwatch = self.client("ec2"), self.client("cloudwatch")
        self.clients, self.calls, self.changes = {}, [], []  # the runbooks'
        self.usage, self.parameters, self.document = {}, {}, ""
        self.meanwhile = None

    def client(self, service):
        config = Config(retries={"total_max_attempts": 1})
        return SESSION.client(service, endpoint_url=self.endpoint, config=config)

    def recorded(self, service):
        """A client for a runbook: its calls are kept, and what it changes is kept for judgement."""
        if service not in self.clients:
            self.clients[service] = self.client(service)
            self.clients[service].meta.events.register("provide-client-params.*.*", self.record)
        return self.clients[service]

    def record(self, params, model, **_):
        self.calls.append(model.name)
        made.setdefault(self.document, set()).add(f"{model.service_model.service_name}:{model.name}")
        if self.meanwhile and self.calls.count("DescribeInstances") == 2:  # before the facts are read again
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        if (
            model.name == "GetMetricStatistics"
        ):  # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference
            span = datetime.fromisoformat(params["EndTime"]) - datetime.fromisoformat(params["StartTime"])
            assert span.total_seconds() / params["Period"] <= 1440, "CloudWatch refuses so many points"
        if model.name == "ModifyInstanceMetadataOptions":
            instance = params["InstanceId"]
            lookback = int(self.parameters.get("UsageLookbackDays", 14))
            self.changes.append(
                {
                    "request": params,
                    "options": self.options(instance),
                    "lowers_allowed": self.document == "RestoreMetadataOptions",
                    "calls": sum(
                        count for days_ago, count in self.usage.get(instance, []) if days_ago < lookback
                    ),
                    "forced": self.parameters.get("Force") is True,
                }
            )

    def run(self, document, **parameters):
        """Executes a runbook of ssm-documents/, its parameters sent as AWS Config sends them."""
        self.parameters, self.document = parameters, document
        sent = {"AutomationAssumeRole": ROLE, **parameters}
        texts = {
            name: [str(value).lower() if isinstance(value, bool) else str(value)]
            for name, value in sent.items()
        }
        return Runbook(repository.RUNBOOKS / f"{document}.yaml").run(self.recorded, texts)

    def describe_at_length(self):
        """Has EC2 describe instances to the runbooks as those with hundreds of network addresses."""
        addresses = [
            {"Primary": False, "PrivateIpAddress": f"10.0.{n // 256}.{n % 256}", "PrivateDnsName": "x" * 50}
            for n in range(750)
        ]

        def lengthen(parsed, **_):
            for reservation in parsed["Reservations"]:
                for instance in reservation["Instances"]:
                    instance["NetworkInterfaces"] = [
                        {"PrivateIpAddresses": addresses, "Operator": {"Managed": True}, "Status": "in-use"}
                    ]

        self.recorded("ec2").meta.events.register("after-call.ec2.DescribeInstances", lengthen)

    def misbehave(self, **switches):
        for name, value in switches.items():
            self.monkeypatch.setattr(moto_gaps.Switches, name, value)

    def instance(self, tokens="optional", endpoint="enabled", hop_limit=1, state="running"):
        answer = self.ec2.run_instances(
            ImageId="ami-12c6146b",
            MinCount=1,
            MaxCount=1,
            MetadataOptions={
                "HttpTokens": tokens,
                "HttpEndpoint": endpoint,
                "HttpPutResponseHopLimit": hop_limit,
            },
        )
        instance = answer["Instances"][0]["InstanceId"]
        if state == "stopped":
            self.ec2.stop_instances(InstanceIds=[instance])
        if state == "terminated":
            self.ec2.terminate_instances(InstanceIds=[instance])
        return instance

    def describe(self, instance):
        """What DescribeInstances says of it."""
        answer = self.ec2.describe_instances(InstanceIds=[instance], IncludeManagedResources=True)
        return answer["Reservations"][0]["Instances"][0]

    def record_of(self, instance):
        """moto's own record of an instance, to set what no call to an API sets."""
        return ec2_backends[ACCOUNT][REGION].get_instance(instance)

    def managed_by(self, instance, principal):
        """Has an AWS service manage the instance."""
        self.record_of(instance).operator = {"Managed": True, "Principal": principal}

    def tag(self, instance, key, value):
        self.ec2.create_tags(Resources=[instance], Tags=[{"Key": key, "Value": value}])

    def launched(self, instance, hours_ago):
        self.record_of(instance).launch_time = utcnow() - timedelta(hours=hours_ago)

    def metric_data(self, instance, metric, values):
        """Has CloudWatch know values of a metric, each by how many hours ago it was."""
        now = utcnow()  # moto keeps times without a zone
        dimensions = [{"Name": "InstanceId", "Value": instance}]
        cloudwatch_backends[ACCOUNT][REGION].metric_data += [
            MetricDatum("AWS/EC2", metric, value, dimensions, now - timedelta(hours=hours_ago), "Count")
            for hours_ago, value in values
        ]

    def options(self, instance):
        return self.describe(instance)["MetadataOptions"]

    def known_not_to_call(self, instance):
        """Has CloudWatch know zero calls, over the look-back that a runbook has by default."""
        for days_ago in (13, 1):
            self.imdsv1_calls(instance, 0, days_ago)

    def imdsv1_calls(self, instance, count, days_ago=1, metric="MetadataNoToken"):
        """Has CloudWatch know a sum of the metric."""
        self.usage.setdefault(instance, []).append((days_ago, count))
        self.cloudwatch.put_metric_data(
            Namespace="AWS/EC2",
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": "InstanceId", "Value": instance}],
                    "Timestamp": datetime.now(UTC) - timedelta(days=days_ago, minutes=-5),
                    "Value": count,
                    "Unit": "Count",
                }
            ],
        )
