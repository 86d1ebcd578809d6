"""Measures `imdsv2 evaluate` on a large snapshot, beside jq and Python's json in the same run.

Writes an AWS Config snapshot of 500,000 instances (about 2 GB; `--items N` for another size) below
target/, plain and gzipped as AWS Config writes it, and lets each program count the instances on which IMDSv1 is open. Prints throughput and peak
memory, and how many times as fast ours is. A tenth of the file is measured first: memory that grows
with the file would show.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from processes import peak_memory

ROOT = Path(__file__).resolve().parent.parent
IMDSV2 = ROOT / "target" / "release" / "imdsv2"

PYTHON = """
import json, sys
items = json.load(open(sys.argv[1]))["configurationItems"]
print(sum(item["configuration"]["metadataOptions"]["httpTokens"] != "required" for item in items))
"""
JQ = '[.configurationItems[] | select(.configuration.metadataOptions.httpTokens != "required")] | length'


def instance(number: int) -> dict:
    """A configuration item of realistic size and shape, about 3.6 kB."""
    instance_id = f"i-{number:017x}"
    tokens = "optional" if number % 10 == 0 else "required"
    tags = {"Name": f"worker-{number}", "team": "payments", "cost-center": "4711", "env": "production"}
    configuration = {
        "amiLaunchIndex": 0,
        "imageId": "ami-0c2b8ca1dad447f8a",
        "instanceId": instance_id,
        "instanceType": "m6i.large",
        "kernelId": None,
        "keyName": None,
        "launchTime": "2026-03-02T08:11:54.000Z",
        "monitoring": {"state": "disabled"},
        "placement": {
            "availabilityZone": "us-east-1a",
            "affinity": None,
            "groupName": "",
            "partitionNumber": None,
            "hostId": None,
            "tenancy": "default",
            "spreadDomain": None,
            "hostResourceGroupArn": None,
        },
        "platform": None,
        "privateDnsName": f"ip-10-0-3-{number % 250}.ec2.internal",
        "privateIpAddress": f"10.0.3.{number % 250}",
        "productCodes": [],
        "publicDnsName": "",
        "publicIpAddress": None,
        "ramdiskId": None,
        "state": {"code": 16, "name": "running"},
        "stateTransitionReason": "",
        "subnetId": "subnet-0f2d3a44b7c1e9d05",
        "vpcId": "vpc-07a1d6f5f9b3c2e11",
        "architecture": "x86_64",
        "blockDeviceMappings": [
            {
                "deviceName": f"/dev/sd{letter}",
                "ebs": {
                    "attachTime": "2026-03-02T08:11:55.000Z",
                    "deleteOnTermination": True,
                    "status": "attached",
                    "volumeId": f"vol-{number:016x}{letter}",
                },
            }
            for letter in "ab"
        ],
        "clientToken": f"fleet-{number:032x}",
        "ebsOptimized": True,
        "enaSupport": True,
        "hypervisor": "xen",
        "iamInstanceProfile": {
            "arn": "arn:aws:iam::123456789012:instance-profile/worker",
            "id": "AIPAEXAMPLEEXAMPLE123",
        },
        "instanceLifecycle": None,
        "elasticGpuAssociations": [],
        "elasticInferenceAcceleratorAssociations": [],
        "networkInterfaces": [
            {
                "association": None,
                "attachment": {
                    "attachTime": "2026-03-02T08:11:54.000Z",
                    "attachmentId": f"eni-attach-{number:017x}",
                    "deleteOnTermination": True,
                    "deviceIndex": 0,
                    "status": "attached",
                    "networkCardIndex": 0,
                },
                "description": "",
                "groups": [{"groupName": "worker", "groupId": "sg-0b5c1d2e3f4a59687"}],
                "ipv6Addresses": [],
                "macAddress": "0a:ff:c2:11:22:33",
                "networkInterfaceId": f"eni-{number:017x}",
                "ownerId": "123456789012",
                "privateDnsName": f"ip-10-0-3-{number % 250}.ec2.internal",
                "privateIpAddress": f"10.0.3.{number % 250}",
                "privateIpAddresses": [
                    {
                        "association": None,
                        "primary": True,
                        "privateDnsName": None,
                        "privateIpAddress": f"10.0.3.{number % 250}",
                    }
                ],
                "sourceDestCheck": True,
                "status": "in-use",
                "subnetId": "subnet-0f2d3a44b7c1e9d05",
                "vpcId": "vpc-07a1d6f5f9b3c2e11",
                "interfaceType": "interface",
            }
        ],
        "outpostArn": None,
        "rootDeviceName": "/dev/sda1",
        "rootDeviceType": "ebs",
        "securityGroups": [{"groupName": "worker", "groupId": "sg-0b5c1d2e3f4a59687"}],
        "sourceDestCheck": True,
        "spotInstanceRequestId": None,
        "sriovNetSupport": None,
        "stateReason": None,
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
        "virtualizationType": "hvm",
        "cpuOptions": {"coreCount": 1, "threadsPerCore": 2},
        "capacityReservationId": None,
        "hibernationOptions": {"configured": False},
        "licenses": [],
        "metadataOptions": {
            "state": "applied",
            "httpTokens": tokens,
            "httpPutResponseHopLimit": 1,
            "httpEndpoint": "enabled",
        },
        "enclaveOptions": {"enabled": False},
        "bootMode": None,
    }
    relationship = lambda kind, name, identity: {
        "resourceId": identity,
        "resourceName": None,
        "resourceType": kind,
        "name": name,
    }
    return {
        "relatedEvents": [],
        "relationships": [
            relationship("AWS::EC2::NetworkInterface", "Contains NetworkInterface", f"eni-{number:017x}"),
            relationship(
                "AWS::EC2::SecurityGroup", "Is associated with SecurityGroup", "sg-0b5c1d2e3f4a59687"
            ),
            relationship("AWS::EC2::Subnet", "Is contained in Subnet", "subnet-0f2d3a44b7c1e9d05"),
            relationship("AWS::EC2::Volume", "Is attached to Volume", f"vol-{number:016x}a"),
            relationship("AWS::EC2::VPC", "Is contained in Vpc", "vpc-07a1d6f5f9b3c2e11"),
        ],
        "configuration": configuration,
        "supplementaryConfiguration": {},
        "tags": tags,
        "configurationItemVersion": "1.3",
        "configurationItemCaptureTime": "2026-05-11T09:30:12.636Z",
        "configurationStateId": 1778491812636,
        "awsAccountId": "123456789012",
        "configurationItemStatus": "OK",
        "resourceType": "AWS::EC2::Instance",
        "resourceId": instance_id,
        "resourceName": None,
        "ARN": f"arn:aws:ec2:us-east-1:123456789012:instance/{instance_id}",
        "awsRegion": "us-east-1",
        "availabilityZone": "us-east-1a",
        "configurationStateMd5Hash": "",
        "resourceCreationTime": "2026-03-02T08:11:54.000Z",
    }


def write_snapshot(path: Path, items: int) -> None:
    """One line, as AWS Config writes it."""
    with path.open("w") as file:
        file.write(
            '{"fileVersion":"1.0","configSnapshotId":"27d1a2b4-8f0c-4f5e-9a50-0c7e5b7c9d11","configurationItems":['
        )
        for number in range(items):
            file.write(("," if number else "") + json.dumps(instance(number), separators=(",", ":")))
        file.write("]}")


def measure(command: list[str], one_core: bool = False) -> tuple[float, float, str]:
    """Wall seconds, peak memory in MiB, and what the command printed."""
    if one_core:
        command = ["taskset", "--cpu-list", "0", *command]
    with tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, peak_memory(process.pid))
            time.sleep(0.01)
        seconds = time.perf_counter() - started
        output.seek(0)
        printed = output.read()
    if process.returncode > 1:
        sys.exit(f"{' '.join(command)} failed")
    return seconds, peak, printed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=500_000)
    parser.add_argument("--only-ours", action="store_true", help="leave jq and Python out")
    arguments = parser.parse_args()

    directory = ROOT / "target" / "bench"
    directory.mkdir(parents=True, exist_ok=True)
    small, large = directory / "snapshot-small.json", directory / "snapshot.json"
    write_snapshot(small, arguments.items // 10)
    write_snapshot(large, arguments.items)
    compressed = directory / "snapshot.json.gz"
    with compressed.open("wb") as target:
        subprocess.run(["gzip", "-1", "--stdout", str(large)], stdout=target, check=True)
    size = large.stat().st_size
    print(f"{arguments.items} items, {size / 1e9:.2f} GB, {os.cpu_count()} cores")
    expected = (arguments.items + 9) // 10

    def evaluate(path: Path) -> list[str]:
        return [str(IMDSV2), "evaluate", "--format", "json", "--output", "/dev/null", str(path)]

    def row(name: str, seconds: float, memory: float, length: int = size, base: float | None = None) -> None:
        ratio = f"{seconds / base:6.1f} x the time" if base else ""
        print(f"{name:<34} {seconds:7.2f} s {length / seconds / 1e6:8.0f} MB/s {memory:9.1f} MiB {ratio}")

    _, _, table = measure([*evaluate(large)[:2], "--format", "csv", str(large)])
    counted = table.count(",NON_COMPLIANT,")
    if counted != expected:
        sys.exit(f"counted {counted} non-compliant, expected {expected}")
    del table

    seconds, memory, _ = measure(evaluate(small), one_core=True)
    row("imdsv2, one core, a tenth of it", seconds, memory, small.stat().st_size)
    ours, memory, _ = min(measure(evaluate(large), one_core=True) for _ in range(3))
    row("imdsv2, one core", ours, memory)
    for name, one_core in (("imdsv2, gzip, one core", True), ("imdsv2, gzip, two cores", False)):
        seconds, memory, _ = min(measure(evaluate(compressed), one_core) for _ in range(3))
        row(name, seconds, memory, base=ours)
    if not arguments.only_ours:
        rivals = [("python3 -c, json.load", [sys.executable, "-c", PYTHON, str(large)])]
        if shutil.which("jq"):
            rivals.append(("jq", ["jq", JQ, str(large)]))
        else:
            print("jq is not installed: left out")
        for name, command in rivals:
            seconds, memory, printed = measure(command)
            if int(printed) != expected:
                sys.exit(f"{name} counted {printed}, expected {expected}")
            row(name, seconds, memory, base=ours)
    for path in (small, large, compressed):
        path.unlink()


if __name__ == "__main__":
    main()
