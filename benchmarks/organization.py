"""Measures `imdsv2 scan --organization` over 1,000 accounts with 17 Regions each.

A server on the loopback interface answers as AWS Organizations, STS, EC2 and EC2 Auto Scaling do, each call
after a round trip of 20 ms. Prints the time relative to what the round trips alone would take at 256 calls in
flight, and the peak memory. Needs target/release/imdsv2.
"""

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import ClassVar

from loopback import serve
from processes import measure

ROOT = Path(__file__).resolve().parent.parent
IMDSV2 = ROOT / "target" / "release" / "imdsv2"
CONCURRENCY = 256
REGIONS = tuple(f"us-test-{number}" for number in range(17))
# AWS Organizations returns at most 20 accounts in a page.
PAGE = 20


class Organization(asyncio.Protocol):
    """A connection of a client to AWS."""

    accounts = 0
    round_trip = 0.0
    calls: ClassVar[Counter] = Counter()

    def connection_made(self, transport):
        self.transport, self.received = transport, b""

    def data_received(self, data):
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].lower()
            start = head.find(b"content-length: ") + 16
            length = int(head[start : start + 10].split(b"\r\n", 1)[0]) if start > 15 else 0
            if len(self.received) < end + 4 + length:
                return
            body = self.received[end + 4 : end + 4 + length]
            self.received = self.received[end + 4 + length :]
            kind, answer = self.answer(head, body)
            fields = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
            response = fields % (kind, len(answer)) + answer
            asyncio.get_running_loop().call_later(self.round_trip, self.transport.write, response)

    def answer(self, head, body):
        if b"awsorganizationsv20161128.listaccounts" in head:
            Organization.calls["ListAccounts"] += 1
            return b"application/x-amz-json-1.1", self.accounts_page(json.loads(body))
        operation = body.split(b"Action=", 1)[1].split(b"&", 1)[0].decode()
        Organization.calls[operation] += 1
        if operation == "AssumeRole":
            account = body.split(b"iam%3A%3A", 1)[1][:12]
            return b"text/xml", ASSUMED.replace(b"ACCOUNT", account)
        return b"text/xml", RESPONSES[operation]

    def accounts_page(self, request):
        start = int(request.get("NextToken", 0))
        end = min(start + PAGE, self.accounts)
        more = {"NextToken": str(end)} if end < self.accounts else {}
        return json.dumps({"Accounts": [account(number) for number in range(start, end)], **more}).encode()


def account(number):
    account_id = f"{number:012}"
    arn = f"arn:aws:organizations::{0:012}:account/o-1/{account_id}"
    return {"Id": account_id, "Arn": arn, "Name": f"account-{number}", "State": "ACTIVE"}


def sts(operation, result):
    return (
        f"<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>".encode()
    )


def ec2(operation, result):
    return f"<{operation}Response>{result}</{operation}Response>".encode()


ASSUMED = sts(
    "AssumeRole",
    "<Credentials><AccessKeyId>ASIAACCOUNT</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
    "<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>",
)
INSTANCE = (
    "<item><instancesSet><item><instanceId>i-0123456789abcdef0</instanceId><instanceState><code>16</code>"
    "<name>running</name></instanceState><metadataOptions><state>applied</state><httpTokens>optional</httpTokens>"
    "<httpPutResponseHopLimit>1</httpPutResponseHopLimit><httpEndpoint>enabled</httpEndpoint></metadataOptions></item>"
    "</instancesSet></item>"
)
REGION_ITEMS = "".join(f"<item><regionName>{region}</regionName></item>" for region in REGIONS)
RESPONSES = {
    "GetCallerIdentity": sts("GetCallerIdentity", f"<Arn>arn</Arn><Account>{0:012}</Account>"),
    "DescribeRegions": ec2("DescribeRegions", f"<regionInfo>{REGION_ITEMS}</regionInfo>"),
    "DescribeInstances": ec2("DescribeInstances", f"<reservationSet>{INSTANCE}</reservationSet>"),
    "DescribeLaunchTemplates": ec2("DescribeLaunchTemplates", ""),
    "DescribeLaunchTemplateVersions": ec2("DescribeLaunchTemplateVersions", ""),
    "DescribeLaunchConfigurations": sts("DescribeLaunchConfigurations", "<LaunchConfigurations/>"),
    "DescribeAutoScalingGroups": sts("DescribeAutoScalingGroups", "<AutoScalingGroups/>"),
}


def start():
    """Creates the server."""
    return asyncio.get_running_loop().create_server(Organization, "127.0.0.1", 0, backlog=1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1_000)
    parser.add_argument("--round-trip", type=float, default=20, help="milliseconds")
    arguments = parser.parse_args()
    Organization.accounts, Organization.round_trip = arguments.accounts, arguments.round_trip / 1000
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{serve(start)}",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    organization = ["--organization", "--role-name", "scanner"]
    measured = measure(
        [str(IMDSV2), "scan", *organization, "--format", "csv", "--concurrency", str(CONCURRENCY)]
    )
    found = measured.printed.count(",NON_COMPLIANT,")
    if found != arguments.accounts * len(REGIONS):
        sys.exit(f"imdsv2 found {found} instances, expected {arguments.accounts * len(REGIONS)}")
    calls = Organization.calls.total()
    least = calls * Organization.round_trip / CONCURRENCY
    print(
        f"{arguments.accounts} accounts with {len(REGIONS)} Regions, {calls} calls with a round trip of "
        f"{arguments.round_trip:g} ms, {os.cpu_count()} cores"
    )
    print(f"round trips at {CONCURRENCY} calls in flight {least:8.1f} s")
    print(f"imdsv2 scan --organization         {measured.seconds:8.1f} s {measured.memory:8.1f} MiB")
    print(f"{measured.seconds / least:.1f} times what the round trips take")


if __name__ == "__main__":
    main()
