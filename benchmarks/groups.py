"""A Region with Auto Scaling groups that launch instances from far fewer launch templates."""

import json
from collections import Counter
from urllib.parse import parse_qs

from cloud import EVENT, XML, Cloud
from fleet_responses import ACCOUNT, result_pages

# The most groups in a page of DescribeAutoScalingGroups.
GROUPS_PAGE = 100
TYPE = "AWS::AutoScaling::AutoScalingGroup"
AUTO_SCALING = "http://autoscaling.amazonaws.com/doc/2011-01-01/"


class Groups(Cloud):
    """Every tenth group is pinned to version 1 of its template, which accepts IMDSv1."""

    def __init__(self, groups: int, templates: int, round_trip: float):
        super().__init__(0, 0, round_trip)
        self.event = EVENT | {"ruleParameters": json.dumps({"resourceTypes": TYPE})}
        self.ids = [self.arn(number) for number in range(groups)]
        self.templates = templates
        self.results = dict.fromkeys(self.results, result_pages([]))
        self.pages = {start: self.page(start) for start in range(0, groups, GROUPS_PAGE)}

    def reset(self):
        super().reset()
        self.versions = Counter()

    @staticmethod
    def arn(number: int) -> str:
        place = f"arn:aws:autoscaling:us-east-1:{ACCOUNT}:autoScalingGroup"
        return f"{place}:{number:08x}-7c0b-4d1a-9f3e-5b2a6c8d0e1f:autoScalingGroupName/group-{number}"

    def page(self, start: int) -> bytes:
        """Returns the page of DescribeAutoScalingGroups that starts at a group."""
        end = min(start + GROUPS_PAGE, len(self.ids))
        members = "".join(self.member(number) for number in range(start, end))
        token = f"<NextToken>{end}</NextToken>" if end < len(self.ids) else ""
        return (
            f'<DescribeAutoScalingGroupsResponse xmlns="{AUTO_SCALING}"><DescribeAutoScalingGroupsResult>'
            f"<AutoScalingGroups>{members}</AutoScalingGroups>{token}</DescribeAutoScalingGroupsResult>"
            "</DescribeAutoScalingGroupsResponse>"
        ).encode()

    def member(self, number: int) -> str:
        """Returns a group in the size in which it is described without its instances, about 1.5 kB."""
        version = ("$Default", "2", "$Latest")[number // self.templates % 3] if number % 10 else "1"
        tags = "".join(
            f"<member><ResourceId>group-{number}</ResourceId><ResourceType>auto-scaling-group</ResourceType>"
            f"<Key>{key}</Key><Value>{key}-{number}</Value><PropagateAtLaunch>true</PropagateAtLaunch></member>"
            for key in ("Name", "team", "stage")
        )
        return (
            f"<member><AutoScalingGroupName>group-{number}</AutoScalingGroupName><AutoScalingGroupARN>"
            f"{self.ids[number]}</AutoScalingGroupARN><LaunchTemplate><LaunchTemplateId>"
            f"lt-{number % self.templates:017x}</LaunchTemplateId><LaunchTemplateName>template-"
            f"{number % self.templates}</LaunchTemplateName><Version>{version}</Version></LaunchTemplate>"
            "<MinSize>1</MinSize><MaxSize>10</MaxSize><DesiredCapacity>2</DesiredCapacity>"
            "<DefaultCooldown>300</DefaultCooldown><AvailabilityZones><member>us-east-1a</member>"
            "<member>us-east-1b</member></AvailabilityZones><LoadBalancerNames/><TargetGroupARNs/>"
            "<HealthCheckType>EC2</HealthCheckType><HealthCheckGracePeriod>0</HealthCheckGracePeriod>"
            "<Instances/><CreatedTime>2026-03-02T08:11:54.000Z</CreatedTime><SuspendedProcesses/>"
            "<VPCZoneIdentifier>subnet-0f2d3a44b7c1e9d05,subnet-1f2d3a44b7c1e9d05</VPCZoneIdentifier>"
            f"<EnabledMetrics/><Tags>{tags}</Tags><TerminationPolicies><member>Default</member>"
            "</TerminationPolicies><NewInstancesProtectedFromScaleIn>false</NewInstancesProtectedFromScaleIn>"
            f"<ServiceLinkedRoleARN>arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/"
            "AWSServiceRoleForAutoScaling</ServiceLinkedRoleARN></member>"
        )

    async def answer(self, method, path, headers, body):
        action = parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
        if action not in ("DescribeAutoScalingGroups", "DescribeLaunchTemplateVersions"):
            return await super().answer(method, path, headers, body)
        await self.wait(action)
        request = parse_qs(body.decode())
        if action == "DescribeAutoScalingGroups":
            return "", XML, self.pages[int(request.get("NextToken", ["0"])[0])]
        template = request["LaunchTemplateId"][0]
        wanted = [value for name, (value,) in request.items() if name.startswith("LaunchTemplateVersion.")]
        self.versions.update((template, version) for version in wanted)
        return "", XML, self.described(template, wanted)

    @staticmethod
    def described(template: str, wanted: list[str]) -> bytes:
        """Returns versions of a template. Version 2 is the default and the latest one."""
        numbers = {1 if version == "1" else 2 for version in wanted}
        tokens = {1: "optional", 2: "required"}
        items = "".join(
            f"<item><launchTemplateId>{template}</launchTemplateId><versionNumber>{number}</versionNumber>"
            f"<defaultVersion>{str(number == 2).lower()}</defaultVersion><launchTemplateData><imageId>"
            "ami-0c2b8ca1dad447f8a</imageId><instanceType>m7g.large</instanceType><metadataOptions><httpTokens>"
            f"{tokens[number]}</httpTokens></metadataOptions></launchTemplateData></item>"
            for number in sorted(numbers)
        )
        return (
            "<DescribeLaunchTemplateVersionsResponse><launchTemplateVersionSet>"
            f"{items}</launchTemplateVersionSet></DescribeLaunchTemplateVersionsResponse>"
        ).encode()

    def check(self):
        """Exits unless every group was evaluated once, and every version requested at most once."""
        super().check()
        if repeated := [each for each, count in self.versions.items() if count > 1]:
            raise SystemExit(f"{len(repeated)} versions were requested more than once")
