"""CloudTrail log files, in the size and shape in which CloudTrail delivers them."""

import gzip
import json
import random
from pathlib import Path
from typing import NamedTuple

ACCOUNT, REGION = "123456789012", "us-east-1"
# The user agents of the calls that instances make, as the SDKs write them.
AGENTS = (
    "Boto3/1.9.253 Python/3.6.8 Linux/4.14.146-119.123.amzn2.x86_64 Botocore/1.12.253",
    "aws-sdk-java/1.11.500 Linux/4.14.146-119.123.amzn2.x86_64 OpenJDK_64-Bit_Server_VM/25.2 java/1.8.0_222",
    "aws-sdk-go/1.44.261 (go1.19.9; linux; amd64) amazon-ssm-agent/3.1.1732.0",
    "aws-cli/2.15.30 Python/3.11.8 Linux/5.10.210-201.852.amzn2.x86_64 exe/x86_64.amzn.2 prompt/off",
    "curl/8.3.0",
)
CALLS = (
    ("s3", "GetBucketLocation"),
    ("ec2", "DescribeInstances"),
    ("sqs", "GetQueueAttributes"),
    ("kms", "Decrypt"),
)


class Counts(NamedTuple):
    """What the files contain, by the version of IMDS that the credentials came from."""

    imdsv1: int
    imdsv2: int


def write_trail(directory: Path, files: int, records: int) -> Counts:
    """Writes files that are compressed as CloudTrail compresses them, with `records` records in each.

    One record in ten is a call of an instance; half of these use credentials that came by IMDSv1.
    """
    chance = random.Random(20261127)
    delivered = {"1.0": 0, "2.0": 0}
    for file in range(files):
        entries = []
        for number in range(records):
            delivery = (None, "1.0", "2.0")[chance.choices((0, 1, 2), (90, 5, 5))[0]]
            if delivery:
                delivered[delivery] += 1
            entries.append(record(chance, file * records + number, delivery))
        text = json.dumps({"Records": entries}, separators=(",", ":"))
        name = (
            f"{ACCOUNT}_CloudTrail_{REGION}_20261120T{file // 12:02}{file % 12 * 5:02}Z_{file:016x}.json.gz"
        )
        (directory / name).write_bytes(gzip.compress(text.encode(), 6, mtime=0))
    return Counts(delivered["1.0"], delivered["2.0"])


def record(chance: random.Random, number: int, delivery: str | None) -> dict:
    """Returns a record, about 1.3 kB."""
    source, name = chance.choice(CALLS)
    role = chance.choice(("web", "batch", "reports"))
    instance = f"i-{chance.randrange(400):017x}"
    session = instance if delivery else f"deployment-{chance.randrange(10_000)}"
    second = number % 86_400
    time = f"2026-11-20T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"
    context = {
        "sessionIssuer": {
            "type": "Role",
            "principalId": "AROAEXAMPLEROLEID0001",
            "arn": f"arn:aws:iam::{ACCOUNT}:role/{role}",
            "accountId": ACCOUNT,
            "userName": role,
        },
        "attributes": {"creationDate": "2026-11-20T00:00:00Z", "mfaAuthenticated": "false"},
    }
    if delivery:
        context["ec2RoleDelivery"] = delivery
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": f"AROAEXAMPLEROLEID0001:{session}",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}",
            "accountId": ACCOUNT,
            "accessKeyId": f"ASIA{chance.randrange(16**12):012X}",
            "sessionContext": context,
        },
        "eventTime": time,
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "sourceIPAddress": f"10.0.{chance.randrange(256)}.{chance.randrange(256)}",
        "userAgent": chance.choice(AGENTS),
        "requestParameters": {
            "resource": f"arn:aws:{source}:{REGION}:{ACCOUNT}:item/{number}",
            "maxResults": 100,
        },
        "responseElements": None,
        "requestID": uuid(chance),
        "eventID": uuid(chance),
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": f"{source}.{REGION}.amazonaws.com",
        },
    }


def uuid(chance: random.Random) -> str:
    digits = f"{chance.randrange(16**32):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
