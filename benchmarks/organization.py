"""Measures `imdsv2 scan --organization` over 1,000 accounts with 17 Regions each, and what others take.

A server on the loopback interface answers as AWS Organizations, STS, EC2 and EC2 Auto Scaling do, each call
after a round trip of 20 ms. Prints the time relative to what the round trips alone would take at 256 calls in
flight, and the peak memory. Then scans fewer accounts next to others: c7n-org lists instances, Prowler runs
its check of IMDSv2 in one account at a time. Needs target/release/imdsv2, c7n-org in the Python that runs it,
and Prowler in target/bench/prowler.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import ClassVar

from loopback import serve
from processes import Measurement, measure

ROOT = Path(__file__).resolve().parent.parent
IMDSV2 = ROOT / "target" / "release" / "imdsv2"
CONCURRENCY = 256
PROWLER = ROOT / "target" / "bench" / "prowler" / "bin" / "prowler"
# Those that every account has.
REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1", "ap-south-1"),
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2"),
    *("eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1"),
)
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
        if b"Action=" not in body:
            return b"application/x-amz-json-1.1", b"{}"  # of a service that only Prowler asks
        operation = body.split(b"Action=", 1)[1].split(b"&", 1)[0].decode()
        Organization.calls[operation] += 1
        if operation == "AssumeRole":
            account = body.split(b"iam%3A%3A", 1)[1][:12]
            return b"text/xml", ASSUMED.replace(b"ACCOUNT", account)
        return b"text/xml", RESPONSES.get(operation) or ec2(operation, "")

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
    "<item><reservationId>r-1</reservationId><instancesSet><item><instanceId>i-0123456789abcdef0</instanceId>"
    "<imageId>ami-1</imageId><instanceType>t3.micro</instanceType><launchTime>2026-01-01T00:00:00.000Z</launchTime>"
    "<privateDnsName>ip-10-0-0-1</privateDnsName><monitoring><state>disabled</state></monitoring>"
    "<instanceState><code>16</code><name>running</name></instanceState><metadataOptions><state>applied</state><httpTokens>optional</httpTokens>"
    "<httpPutResponseHopLimit>1</httpPutResponseHopLimit><httpEndpoint>enabled</httpEndpoint></metadataOptions></item>"
    "</instancesSet></item>"
)
REGION_ITEMS = "".join(f"<item><regionName>{region}</regionName></item>" for region in REGIONS)
RESPONSES = {
    "GetCallerIdentity": sts(
        "GetCallerIdentity",
        f"<Arn>arn:aws:iam::{0:012}:user/u</Arn><UserId>u</UserId><Account>{0:012}</Account>",
    ),
    "DescribeRegions": ec2("DescribeRegions", f"<regionInfo>{REGION_ITEMS}</regionInfo>"),
    "DescribeInstances": ec2("DescribeInstances", f"<reservationSet>{INSTANCE}</reservationSet>"),
    "DescribeTags": ec2("DescribeTags", "<tagSet/>"),
    "DescribeLaunchTemplates": ec2("DescribeLaunchTemplates", ""),
    "DescribeLaunchTemplateVersions": ec2("DescribeLaunchTemplateVersions", ""),
    "DescribeLaunchConfigurations": sts("DescribeLaunchConfigurations", "<LaunchConfigurations/>"),
    "DescribeAutoScalingGroups": sts("DescribeAutoScalingGroups", "<AutoScalingGroups/>"),
}


def start():
    """Creates the server."""
    return asyncio.get_running_loop().create_server(Organization, "127.0.0.1", 0, backlog=1024)


def scan(accounts: int) -> Measurement:
    """Scans this number of accounts, and checks that every instance is found."""
    Organization.accounts = accounts
    organization = ["--organization", "--role-name", "scanner"]
    measured = measure(
        [str(IMDSV2), "scan", *organization, "--format", "csv", "--concurrency", str(CONCURRENCY)]
    )
    check("imdsv2", measured.printed.count(",NON_COMPLIANT,"), accounts)
    return measured


def custodian(accounts: int) -> Measurement:
    """Has c7n-org look for instances that accept IMDSv1, and checks that it finds every one."""
    ids = [f"{number:012}" for number in range(accounts)]
    listed = [
        {"account_id": each, "name": each, "role": f"arn:aws:iam::{each}:role/scanner", "regions": REGIONS}
        for each in ids
    ]
    condition = {"type": "value", "key": "MetadataOptions.HttpTokens", "value": "optional"}
    policy = {"name": "imdsv1", "resource": "aws.ec2", "filters": [condition]}
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        (folder / "accounts.json").write_text(json.dumps({"accounts": listed}))
        (folder / "policies.json").write_text(json.dumps({"policies": [policy]}))
        command = [sys.executable, "-m", "c7n_org.cli", "run", "--cache-period", "0"]
        files = ["-c", folder / "accounts.json", "-u", folder / "policies.json", "-s", folder / "found"]
        measured = measure([*command, *map(str, files)])
        found = [json.loads(path.read_text()) for path in folder.glob("found/*/*/*/resources.json")]
    check("c7n-org", sum(map(len, found)), accounts)
    return measured


def prowler() -> Measurement:
    """Has Prowler check the instances of one account, and checks that it finds every one."""
    role = f"arn:aws:iam::{1:012}:role/scanner"
    with tempfile.TemporaryDirectory() as directory:
        output = ["--output-formats", "csv", "--output-directory", directory, "--no-banner"]
        checked = ["--checks", "ec2_instance_imdsv2_enabled", "--role", role, "--region", *REGIONS]
        measured = measure([str(PROWLER), "aws", *output, *checked], statuses=(0, 3))
        found = [path.read_text().count(";FAIL;") for path in Path(directory).glob("*.csv")]
    check("Prowler", sum(found), 1)
    return measured


def check(name: str, found: int, accounts: int) -> None:
    if found != accounts * len(REGIONS):
        sys.exit(f"{name} found {found} instances, expected {accounts * len(REGIONS)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1_000)
    parser.add_argument("--peer-accounts", type=int, default=20, help="the accounts for c7n-org")
    parser.add_argument("--round-trip", type=float, default=20, help="milliseconds")
    arguments = parser.parse_args()
    Organization.round_trip = arguments.round_trip / 1000
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{serve(start)}",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": REGIONS[0],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    measured = scan(arguments.accounts)
    calls = Organization.calls.total()
    least = calls * Organization.round_trip / CONCURRENCY
    print(
        f"{arguments.accounts} accounts with {len(REGIONS)} Regions, {calls} calls with a round trip of "
        f"{arguments.round_trip:g} ms, {os.cpu_count()} cores"
    )
    print(f"round trips at {CONCURRENCY} calls in flight {least:8.1f} s")
    print(f"imdsv2 scan --organization         {measured.seconds:8.1f} s {measured.memory:8.1f} MiB")
    print(f"{measured.seconds / least:.1f} times what the round trips take")
    ours, theirs = scan(arguments.peer_accounts), custodian(arguments.peer_accounts)
    print(f"\n{arguments.peer_accounts} accounts")
    print(f"imdsv2 scan --organization         {ours.seconds:8.1f} s {ours.memory:8.1f} MiB")
    print(f"c7n-org run, without its processes {theirs.seconds:8.1f} s {theirs.memory:8.1f} MiB")
    print(f"{theirs.seconds / ours.seconds:.0f} times the time of imdsv2")
    ours, theirs = scan(1), prowler()
    print("\n1 account")
    print(f"imdsv2 scan --organization         {ours.seconds:8.1f} s {ours.memory:8.1f} MiB")
    print(f"prowler aws                        {theirs.seconds:8.1f} s {theirs.memory:8.1f} MiB")
    print(f"{theirs.seconds / ours.seconds:.0f} times the time of imdsv2")


if __name__ == "__main__":
    main()
