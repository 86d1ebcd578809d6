"""What EC2 does and moto 5.2.1 does not, where the runbooks depend on it. Importing this mends it.

Each function says what it stands for. `Switches` let a test have EC2 misbehave.
"""

from datetime import timedelta

from moto.cloudformation.parsing import ResourceMap
from moto.cloudwatch.models import CloudWatchBackend, Statistics
from moto.core.common_models import CloudFormationModel
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance, MetadataOptions
from moto.ec2.responses import EC2Response

OPTIONS = ("HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint")


class Switches:
    """How EC2 behaves in the test that runs."""

    refuse = None  # an error's code and message: ModifyInstanceMetadataOptions gives it
    refuse_only = None  # the instance on which it does, if not on all
    apply_after = 2  # how often the options are read before a change on a running instance is applied
    ignore_changes = ()  # options whose changes are accepted, and never come
    stale_reads = 0  # how often the options before are told after a change
    defaults = {}  # the account's, by backend


def modify_options(self):
    """Keeps what the request leaves out, where moto puts defaults in its place, and takes time to apply: on a
    running instance seconds, on a stopped one until its next start. Refuses what EC2 refuses: a terminated
    instance; other options beside HttpEndpoint=disabled; IMDSv1 where HttpTokensEnforced is enabled. A dry run
    changes nothing."""
    given = {key: self._get_param(key) for key in OPTIONS if self._get_param(key) is not None}
    instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
    if Switches.refuse and Switches.refuse_only in (None, instance.id):
        raise EC2ClientError(*Switches.refuse)
    if self._get_param("DryRun") in (True, "true"):
        raise EC2ClientError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    if instance.state in ("shutting-down", "terminated"):
        raise EC2ClientError("IncorrectInstanceState", f"The instance is {instance.state}.")
    if given.get("HttpEndpoint") == "disabled" and len(given) > 1:
        raise EC2ClientError("InvalidParameterCombination", "HttpEndpoint=disabled takes no other option.")
    enforced = account_level(self.ec2_backend).get("HttpTokensEnforced") == "enabled"
    if enforced and given.get("HttpTokens") == "optional":
        raise EC2ClientError("UnsupportedOperation", "HttpTokens is enforced in this account.")

    now = instance.metadata_options
    kept = {
        "HttpTokens": now.http_tokens,
        "HttpPutResponseHopLimit": now.http_put_response_hop_limit,
        "HttpEndpoint": now.http_endpoint,
        "HttpProtocolIpv6": now.http_protocol_ipv6,
        "InstanceMetadataTags": now.instance_metadata_tags,
    }
    heeded = {name: value for name, value in given.items() if name not in Switches.ignore_changes}
    changed = MetadataOptions({**kept, **heeded, "State": "pending"})
    instance.coming_options, instance.stale_reads = changed, Switches.stale_reads
    instance.reads_until_applied = Switches.apply_after
    if not instance.stale_reads:
        instance.metadata_options = changed
    return ActionResult({"InstanceId": instance.id, "InstanceMetadataOptions": changed})


def describe_instances(self, original=EC2Response.describe_instances):
    """Tells of a change a little later, and applies it a little later still. An instance with an `operator`,
    which an AWS service manages, is hidden unless the request includes managed resources."""
    for reservation in self.ec2_backend.all_reservations():
        for instance in reservation.instances:
            if getattr(instance, "stale_reads", 0):
                instance.stale_reads -= 1
                if not instance.stale_reads:
                    instance.metadata_options = instance.coming_options
                continue
            if instance.metadata_options.state == "pending" and instance.state == "running":
                instance.reads_until_applied -= 1
                if instance.reads_until_applied <= 0:
                    instance.metadata_options.state = "applied"
    answer = original(self)
    if self._get_param("IncludeManagedResources") not in (True, "true"):
        answer.result["Reservations"] = [
            reservation
            for reservation in answer.result["Reservations"]
            if not any(hasattr(instance, "operator") for instance in reservation.instances)
        ]
    return answer


def start_instance(self, original=Instance.start):
    """Sets the launch time, which is the time of the last start."""
    self.launch_time = utcnow()
    return original(self)


def get_metric_statistics(self, namespace, metric_name, start_time, end_time, period, stats, dimensions, **_):
    """Aggregates into periods that begin at the start time, where moto's first one begins at the first data
    point."""
    buckets, length = {}, timedelta(seconds=period)
    for point in self.get_all_metrics():
        if (
            (point.namespace, point.name) == (namespace, metric_name)
            and start_time <= point.timestamp < end_time
            and point.filter(None, None, dimensions)
        ):
            begin = start_time + (point.timestamp - start_time) // length * length
            bucket = buckets.setdefault(begin, Statistics(stats, begin, point.unit))
            bucket.metric_data.append(point)
    return list(buckets.values())


def account_level(backend):
    return Switches.defaults.setdefault((backend.account_id, backend.region_name), {"ManagedBy": "account"})


def get_defaults(self):
    """moto knows no account-level defaults. Options that are not set are absent."""
    return ActionResult({"AccountLevel": account_level(self.ec2_backend)})


def modify_defaults(self):
    """Options that the request leaves out stay; `no-preference` and a hop limit of -1 unset. What a declarative
    policy manages cannot be changed here."""
    level = account_level(self.ec2_backend)
    if level["ManagedBy"] == "declarative-policy":
        raise EC2ClientError("DeclarativePolicyViolation", level.get("ManagedExceptionMessage", ""))
    for key in (*OPTIONS, "HttpTokensEnforced", "InstanceMetadataTags"):
        value = self._get_param(key)
        if str(value) in ("no-preference", "-1"):
            level.pop(key, None)
        elif value is not None and key not in Switches.ignore_changes:
            level[key] = int(value) if key == "HttpPutResponseHopLimit" else value
    return ActionResult({"Return": True})


def create_launch_template_version(self, original=EC2Response.create_launch_template_version):
    """A new version starts from the source version, without the snapshots of its disks; a parameter that is given
    replaces the source's as a whole."""
    template = self.ec2_backend.get_launch_template(self._get_param("LaunchTemplateId"))
    source = self._get_param("SourceVersion")
    inherited = template.get_version(source).data if source else {}
    answer = original(self)
    for name, value in without_snapshots(inherited).items():
        template.latest_version().data.setdefault(name, value)
    return answer


def without_snapshots(value):
    if isinstance(value, dict):
        return {name: without_snapshots(each) for name, each in value.items() if name != "SnapshotId"}
    return [without_snapshots(each) for each in value] if isinstance(value, list) else value


def validate_outputs(self):
    """CloudFormation knows the attributes of every resource type, and moto fails on those of AWS::Config::ConfigRule,
    which it ignores."""


class StackAlarm(CloudFormationModel):
    """An alarm of a stack, which moto ignores: what refers to it gets its name and its ARN. It watches nothing."""

    __module__ = "moto.cloudwatch"  # by which moto keeps its models

    def __init__(self, name, account_id, region):
        self.physical_resource_id = name
        self.arn = f"arn:aws:cloudwatch:{region}:{account_id}:alarm:{name}"

    @staticmethod
    def cloudformation_name_type():
        return "AlarmName"

    @staticmethod
    def cloudformation_type():
        return "AWS::CloudWatch::Alarm"

    @classmethod
    def create_from_cloudformation_json(cls, name, definition, account_id, region, **_):
        return cls(name, account_id, region)

    @classmethod
    def has_cfn_attr(cls, attribute):
        return attribute == "Arn"

    def get_cfn_attribute(self, attribute):
        return getattr(self, attribute.lower())


CloudWatchBackend.get_metric_statistics = get_metric_statistics
Instance.start = start_instance
ResourceMap.validate_outputs = validate_outputs
EC2Response.modify_instance_metadata_options = modify_options
EC2Response.describe_instances = describe_instances
EC2Response.get_instance_metadata_defaults = get_defaults
EC2Response.modify_instance_metadata_defaults = modify_defaults
EC2Response.create_launch_template_version = create_launch_template_version
