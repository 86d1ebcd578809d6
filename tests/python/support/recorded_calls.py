"""The calls that `imdsv2` makes, by command. Importing this module has moto record them.

The SDK names the application in each request, from AWS_SDK_UA_APP_ID:
https://docs.aws.amazon.com/sdkref/latest/guide/feature-appid.html
"""

import re
from collections import defaultdict

from moto.core.responses import BaseResponse

# The IAM actions that each command needed, such as ec2:DescribeInstances, by the name of its requests.
called = defaultdict(set)
APPLICATION = re.compile(r"app/(imdsv2-[a-z-]+)")


def application(command, arguments):
    """Returns the name of a command in its requests. Changes by a runbook need other permissions."""
    suffix = "-automation" if any(str(each).startswith("--automation") for each in arguments) else ""
    return f"imdsv2-{command}{suffix}"


def record(headers, service, operation):
    """Records a call, if a command made it."""
    if found := APPLICATION.search(headers.get("User-Agent", "")):
        called[found[1]].add(f"{service}:{operation}")


def call_action(self, original=BaseResponse.call_action):
    record(self.headers, self.service_name, self._get_action())
    return original(self)


BaseResponse.call_action = call_action
