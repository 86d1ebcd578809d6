"""Behavior of AWS that moto 5.2.1 lacks. Importing this module patches moto.

The docstring of each function describes what AWS does. A test changes `simulated` to have EC2 fail or lag.
"""

from dataclasses import dataclass, field, fields
from datetime import timedelta

from moto.account.responses import AccountResponse
from moto.account.urls import url_paths as account_urls
from moto.autoscaling.responses import AutoScalingResponse
from moto.cloudformation.parsing import ResourceMap
from moto.cloudwatch.models import CloudWatchBackend, Statistics
from moto.core.common_models import CloudFormationModel
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance, MetadataOptions
from moto.ec2.responses import EC2Response

OPTIONS = ("HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint")


@dataclass
class Simulation:
    """What EC2 does in the current test."""

    # The code and message of the error that ModifyInstanceMetadataOptions returns.
    error: tuple | None = None
    # The instance for which it returns the error, or None for every instance.
    error_only_for: str | None = None
    # How many reads of the options a change on a running instance takes to be applied.
    reads_until_applied: int = 2
    # Options whose changes are accepted but never made.
    ignored_options: tuple | list = ()
    # How many reads after a change still return the previous options.
    stale_reads: int = 0
    # The account-level defaults, by account and Region.
    account_defaults: dict = field(default_factory=dict)
    # What the activities of Auto Scaling groups say, those of deleted groups included.
    scaling_activities: tuple | list = ()
    # What AMIs say about IMDS, by their IDs.
    imds_support: dict = field(default_factory=dict)
    # The AWS services that manage launch templates, by the ID of the template.
    template_operators: dict = field(default_factory=dict)

    def set(self, **values):
        for name, value in values.items():
            assert hasattr(self, name), f"{name} cannot be simulated"
            setattr(self, name, value)

    def reset(self):
        self.set(**{each.name: getattr(Simulation(), each.name) for each in fields(self)})


simulated = Simulation()


def modify_options(self):
    """Changes the options that a request contains. moto resets the others to their defaults.

    The change is applied within seconds on a running instance, and at the next start of a stopped one. EC2
    rejects a change of a terminated instance, other options beside HttpEndpoint=disabled, and optional tokens
    where HttpTokensEnforced is enabled. A dry run changes nothing.
    """
    requested = {key: self._get_param(key) for key in OPTIONS if self._get_param(key) is not None}
    instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
    if simulated.error and simulated.error_only_for in (None, instance.id):
        raise EC2ClientError(*simulated.error)
    if self._get_param("DryRun") in (True, "true"):
        raise EC2ClientError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    if instance.state in ("shutting-down", "terminated"):
        raise EC2ClientError("IncorrectInstanceState", f"The instance is {instance.state}.")
    if requested.get("HttpEndpoint") == "disabled" and len(requested) > 1:
        raise EC2ClientError("InvalidParameterCombination", "HttpEndpoint=disabled takes no other option.")
    enforced = account_level(self.ec2_backend).get("HttpTokensEnforced") == "enabled"
    if enforced and requested.get("HttpTokens") == "optional":
        raise EC2ClientError("UnsupportedOperation", "HttpTokens is enforced in this account.")

    changes = {name: value for name, value in requested.items() if name not in simulated.ignored_options}
    changed = MetadataOptions({**current_options(instance), **changes, "State": "pending"})
    instance.next_options, instance.stale_reads = changed, simulated.stale_reads
    instance.reads_until_applied = simulated.reads_until_applied
    if not instance.stale_reads:
        instance.metadata_options = changed
    return ActionResult({"InstanceId": instance.id, "InstanceMetadataOptions": changed})


def current_options(instance):
    options = instance.metadata_options
    return {
        "HttpTokens": options.http_tokens,
        "HttpPutResponseHopLimit": options.http_put_response_hop_limit,
        "HttpEndpoint": options.http_endpoint,
        "HttpProtocolIpv6": options.http_protocol_ipv6,
        "InstanceMetadataTags": options.instance_metadata_tags,
    }


def describe_instances(self, original=EC2Response.describe_instances):
    """Returns a change after `stale_reads` reads, as applied after `reads_until_applied` more.

    An instance with an `operator`, the AWS service that manages it, is returned only if the request includes
    managed resources.
    """
    for reservation in self.ec2_backend.all_reservations():
        for instance in reservation.instances:
            if getattr(instance, "stale_reads", 0):
                instance.stale_reads -= 1
                if not instance.stale_reads:
                    instance.metadata_options = instance.next_options
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


def start(self, *arguments, original=Instance.start):
    """Sets LaunchTime, as every start does. moto keeps that of the first one."""
    self.launch_time = utcnow()
    return original(self, *arguments)


def get_metric_statistics(self, namespace, metric_name, start_time, end_time, period, stats, dimensions, **_):
    """Aggregates over periods from the start time on. The first one of moto begins at the first datapoint."""
    periods, length = {}, timedelta(seconds=period)
    for datum in self.get_all_metrics():
        if (
            (datum.namespace, datum.name) == (namespace, metric_name)
            and start_time <= datum.timestamp < end_time
            and datum.filter(None, None, dimensions)
        ):
            begin = start_time + (datum.timestamp - start_time) // length * length
            statistics = periods.setdefault(begin, Statistics(stats, begin, datum.unit))
            statistics.metric_data.append(datum)
    return list(periods.values())


def account_level(backend):
    place = (backend.account_id, backend.region_name)
    return simulated.account_defaults.setdefault(place, {"ManagedBy": "account"})


def get_defaults(self):
    """Returns the account-level defaults that are set. moto does not implement them."""
    return ActionResult({"AccountLevel": account_level(self.ec2_backend)})


def modify_defaults(self):
    """Changes the account-level defaults that a request contains.

    `no-preference` and a hop limit of -1 unset a default. The account cannot change defaults that a
    declarative policy manages.
    """
    level = account_level(self.ec2_backend)
    if level["ManagedBy"] == "declarative-policy":
        raise EC2ClientError("DeclarativePolicyViolation", level.get("ManagedExceptionMessage", ""))
    for key in (*OPTIONS, "HttpTokensEnforced", "InstanceMetadataTags"):
        value = self._get_param(key)
        if str(value) in ("no-preference", "-1"):
            level.pop(key, None)
        elif value is not None and key not in simulated.ignored_options:
            level[key] = int(value) if key == "HttpPutResponseHopLimit" else value
    return ActionResult({"Return": True})


def describe_launch_template_versions(self, original=EC2Response.describe_launch_template_versions):
    """Returns the operator of each version. Managed ones are returned only if the request includes them."""
    answer = original(self)
    described, includes = [], self._get_param("IncludeManagedResources") in (True, "true")
    for version in answer.result["LaunchTemplateVersions"]:
        operator = simulated.template_operators.get(version["LaunchTemplateId"])
        if operator and includes:
            described.append(version | {"Operator": operator})
        elif not operator:
            described.append(version)
    return ActionResult({"LaunchTemplateVersions": described})


def create_launch_template_version(self, original=EC2Response.create_launch_template_version):
    """Starts a new version from its source version, without the snapshots of its block devices.

    A parameter in the request replaces the whole parameter of the source.
    """
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


def describe_images(self, original=EC2Response.describe_images):
    """Returns what AMIs say about IMDS (`ImdsSupport`)."""
    answer = original(self)
    for image in answer.result["Images"]:
        image.imds_support = simulated.imds_support.get(image.id)
    return answer


def describe_scaling_activities(self):
    """Returns the activities of all groups."""
    assert self._get_param("IncludeDeletedGroups") in (True, "true")
    activities = [
        {"ActivityId": f"activity-{number}", "Cause": "", "StatusCode": "Successful", **each}
        for number, each in enumerate(simulated.scaling_activities)
    ]
    return ActionResult({"Activities": activities})


def validate_outputs(self):
    """Accepts the outputs of every stack.

    moto ignores resources of type AWS::Config::ConfigRule, and rejects outputs that refer to them.
    """


class StackAlarm(CloudFormationModel):
    """An alarm in a stack. moto ignores it, so that references to its name and ARN would fail."""

    __module__ = "moto.cloudwatch"  # moto registers models by this name

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
    def create_from_cloudformation_json(cls, name, _definition, account_id, region, **_):
        return cls(name, account_id, region)

    @classmethod
    def has_cfn_attr(cls, attribute):
        return attribute == "Arn"

    def get_cfn_attribute(self, attribute):
        return getattr(self, attribute.lower())


def account_information(self):
    """Returns the name of the account. Every account has the same."""
    return ActionResult({"AccountId": self.current_account, "AccountName": "production"})


account_urls["{0}/getAccountInformation$"] = AccountResponse.dispatch
AccountResponse.get_account_information = account_information
AutoScalingResponse.describe_scaling_activities = describe_scaling_activities
CloudWatchBackend.get_metric_statistics = get_metric_statistics
ResourceMap.validate_outputs = validate_outputs
Instance.start = start
EC2Response.modify_instance_metadata_options = modify_options
EC2Response.describe_images = describe_images
EC2Response.describe_instances = describe_instances
EC2Response.get_instance_metadata_defaults = get_defaults
EC2Response.modify_instance_metadata_defaults = modify_defaults
EC2Response.create_launch_template_version = create_launch_template_version
EC2Response.describe_launch_template_versions = describe_launch_template_versions
