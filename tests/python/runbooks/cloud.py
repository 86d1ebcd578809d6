"""The cloud in which runbooks are executed. It records their calls and the changes that they request."""

import json
from datetime import datetime, timedelta

from moto.cloudwatch.models import MetricDatum, cloudwatch_backends
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends

from runbooks.safety import Change
from support.cloud import ACCOUNT, MotoCloud, days
from support.repository import RUNBOOKS
from support.runbook_executor import LARGEST_PAYLOAD, Runbook

ROLE = "arn:aws:iam::123456789012:role/imdsv2-config-rule-remediation-us-east-1"
REGION = "us-east-1"
# The id of an instance that does not exist.
GONE = "i-0123456789abcdef0"
# The metrics of the IMDSv1 calls of an instance.
METRICS = ("MetadataNoToken", "MetadataNoTokenRejected")
# GetMetricStatistics returns at most 1,440 datapoints (Amazon CloudWatch API Reference).
MOST_DATAPOINTS = 1440
# The operations that each runbook called, in all tests: ec2:DescribeInstances, for example.
operations = {}


class RunbookCloud(MotoCloud):
    """An account with one Region, and the runbooks."""

    def __init__(self, endpoint):
        super().__init__(endpoint)
        self.ec2, self.cloudwatch = self.client("ec2"), self.client("cloudwatch")
        # What the runbooks use and do, as opposed to the test.
        self.clients, self.calls, self.changes = {}, [], []
        self.usage, self.parameters, self.document = {}, {}, ""
        # A function that is called once, before a runbook describes the instance for the second time.
        self.meanwhile = None

    def run(self, document, **parameters):
        """Executes a runbook of ssm-documents/ with parameters in the form in which AWS Config sends them."""
        self.parameters, self.document = parameters, document
        values = {"AutomationAssumeRole": ROLE, **parameters}
        sent = {
            name: [str(value).lower() if isinstance(value, bool) else str(value)]
            for name, value in values.items()
        }
        return Runbook(RUNBOOKS / f"{document}.yaml").run(self.recorded, sent)

    def recorded(self, service):
        """Returns a client whose calls are recorded."""
        if service not in self.clients:
            self.clients[service] = self.client(service)
            self.clients[service].meta.events.register("provide-client-params.*.*", self.record)
        return self.clients[service]

    def record(self, params, model, **_):
        self.calls.append(model.name)
        operations.setdefault(self.document, set()).add(f"{model.service_model.service_name}:{model.name}")
        if self.meanwhile and self.calls.count("DescribeInstances") == 2:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        if model.name == "GetMetricStatistics":
            span = datetime.fromisoformat(params["EndTime"]) - datetime.fromisoformat(params["StartTime"])
            datapoints = span.total_seconds() / params["Period"]
            assert datapoints <= MOST_DATAPOINTS, f"CloudWatch does not return {datapoints} datapoints"
        if model.name == "ModifyInstanceMetadataOptions":
            self.changes.append(self.change(params))

    def change(self, request):
        instance = request["InstanceId"]
        lookback = int(self.parameters.get("UsageLookbackDays", 14))
        return Change(
            request=request,
            options=self.options(instance),
            calls=sum(count for days_ago, count in self.usage.get(instance, []) if days_ago < lookback),
            forced=self.parameters.get("Force") is True,
            restores=self.document == "RestoreMetadataOptions",
        )

    @property
    def requests(self):
        """The requests of the runbooks to change metadata options."""
        return [change.request for change in self.changes]

    def describe_with_many_addresses(self):
        """Adds hundreds of network addresses to the instances that DescribeInstances returns to runbooks."""
        addresses = [
            {
                "Primary": False,
                "PrivateIpAddress": f"10.0.{n // 256}.{n % 256}",
                "PrivateDnsName": "x" * 50,
                "Association": {"PublicDnsName": "x" * 50},
            }
            for n in range(750)
        ]
        assert len(json.dumps(addresses)) > LARGEST_PAYLOAD

        def add_addresses(parsed, **_):
            for reservation in parsed["Reservations"]:
                for instance in reservation["Instances"]:
                    instance["NetworkInterfaces"] = [
                        {"PrivateIpAddresses": addresses, "Operator": {"Managed": True}, "Status": "in-use"}
                    ]

        self.recorded("ec2").meta.events.register("after-call.ec2.DescribeInstances", add_addresses)

    def instance(self, tokens="optional", endpoint="enabled", hop_limit=1, state="running"):
        """Launches an instance, brings it into a state, and returns its id."""
        (instance,) = self.launch(self.ec2, 1, tokens, endpoint, hop_limit)
        if state == "stopped":
            self.ec2.stop_instances(InstanceIds=[instance])
        if state == "terminated":
            self.ec2.terminate_instances(InstanceIds=[instance])
        return instance

    def describe(self, instance):
        """Returns what DescribeInstances returns for an instance."""
        answer = self.ec2.describe_instances(InstanceIds=[instance], IncludeManagedResources=True)
        return answer["Reservations"][0]["Instances"][0]

    def model(self, instance):
        """Returns moto's object of an instance, to set what no operation sets."""
        return ec2_backends[ACCOUNT][REGION].get_instance(instance)

    def set_operator(self, instance, principal):
        """Sets the AWS service that manages an instance."""
        self.model(instance).operator = {"Managed": True, "Principal": principal}

    def set_launch_time(self, instance, hours_ago):
        """Sets the time of the last start of an instance."""
        self.model(instance).launch_time = utcnow() - timedelta(hours=hours_ago)

    def tag(self, instance, key, value):
        self.ec2.create_tags(Resources=[instance], Tags=[{"Key": key, "Value": value}])

    def put_metrics(self, instance, metric, values):
        """Writes datapoints of a metric of an instance, from pairs of hours ago and value."""
        now = utcnow()  # moto stores times without a time zone
        dimensions = [{"Name": "InstanceId", "Value": instance}]
        cloudwatch_backends[ACCOUNT][REGION].metric_data += [
            MetricDatum("AWS/EC2", metric, value, dimensions, now - timedelta(hours=hours_ago), "Count")
            for hours_ago, value in values
        ]

    def options(self, instance):
        return self.describe(instance)["MetadataOptions"]

    def no_imdsv1_calls(self, instance):
        """Writes datapoints without calls, which cover the default look-back."""
        for days_ago in (13, 1):
            self.imdsv1_calls(instance, 0, days_ago)

    def imdsv1_calls(self, instance, count, days_ago=1, metric="MetadataNoToken"):
        """Writes a datapoint with this number of calls."""
        self.usage.setdefault(instance, []).append((days_ago, count))
        self.put_metric(self.cloudwatch, instance, metric, count, days(days_ago))
