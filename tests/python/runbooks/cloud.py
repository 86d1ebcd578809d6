"""The cloud in which runbooks are executed. It records their calls and the changes that they request."""

from datetime import datetime

from runbooks.safety import Change
from support.cloud import MotoCloud, days
from support.repository import RUNBOOKS
from support.runbook_executor import Runbook

ROLE = "arn:aws:iam::123456789012:role/imdsv2-remediation"
# The id of an instance that does not exist.
GONE = "i-0123456789abcdef0"
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
        return self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]

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
