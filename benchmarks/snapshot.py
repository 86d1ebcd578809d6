"""AWS Config snapshots of instances, in the size and shape in which AWS Config records them."""

import json
from pathlib import Path

HEAD = '{"fileVersion":"1.0","configSnapshotId":"27d1a2b4-8f0c-4f5e-9a50-0c7e5b7c9d11","configurationItems":['
GROUP = {"groupName": "worker", "groupId": "sg-0b5c1d2e3f4a59687"}
SUBNET, VPC = "subnet-0f2d3a44b7c1e9d05", "vpc-07a1d6f5f9b3c2e11"
ACCOUNT, REGION = "123456789012", "us-east-1"


def write_snapshot(path: Path, items: int) -> None:
    """Writes a snapshot in one line, as AWS Config does. Every tenth instance accepts IMDSv1."""
    with path.open("w") as file:
        file.write(HEAD)
        for number in range(items):
            file.write(("," if number else "") + json.dumps(item(number), separators=(",", ":")))
        file.write("]}")


def item(number: int) -> dict:
    """Returns the configuration item of an instance, about 3.6 kB."""
    instance_id = f"i-{number:017x}"
    tags = {"Name": f"worker-{number}", "team": "payments", "cost-center": "4711", "env": "production"}
    return {
        "relatedEvents": [],
        "relationships": [
            relationship("NetworkInterface", "Contains NetworkInterface", f"eni-{number:017x}"),
            relationship("SecurityGroup", "Is associated with SecurityGroup", GROUP["groupId"]),
            relationship("Subnet", "Is contained in Subnet", SUBNET),
            relationship("Volume", "Is attached to Volume", f"vol-{number:016x}a"),
            relationship("VPC", "Is contained in Vpc", VPC),
        ],
        "configuration": configuration(number, instance_id, tags),
        "supplementaryConfiguration": {},
        "tags": tags,
        "configurationItemVersion": "1.3",
        "configurationItemCaptureTime": "2026-05-11T09:30:12.636Z",
        "configurationStateId": 1778491812636,
        "awsAccountId": ACCOUNT,
        "configurationItemStatus": "OK",
        "resourceType": "AWS::EC2::Instance",
        "resourceId": instance_id,
        "resourceName": None,
        "ARN": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance_id}",
        "awsRegion": REGION,
        "availabilityZone": f"{REGION}a",
        "configurationStateMd5Hash": "",
        "resourceCreationTime": "2026-03-02T08:11:54.000Z",
    }


def relationship(kind: str, name: str, resource_id: str) -> dict:
    return {
        "resourceId": resource_id,
        "resourceName": None,
        "resourceType": f"AWS::EC2::{kind}",
        "name": name,
    }


def configuration(number: int, instance_id: str, tags: dict) -> dict:
    address = f"10.0.3.{number % 250}"
    return {
        "amiLaunchIndex": 0,
        "imageId": "ami-0c2b8ca1dad447f8a",
        "instanceId": instance_id,
        "instanceType": "m6i.large",
        "kernelId": None,
        "keyName": None,
        "launchTime": "2026-03-02T08:11:54.000Z",
        "monitoring": {"state": "disabled"},
        "placement": {
            "availabilityZone": f"{REGION}a",
            "affinity": None,
            "groupName": "",
            "partitionNumber": None,
            "hostId": None,
            "tenancy": "default",
            "spreadDomain": None,
            "hostResourceGroupArn": None,
        },
        "platform": None,
        "privateDnsName": dns_name(number),
        "privateIpAddress": address,
        "productCodes": [],
        "publicDnsName": "",
        "publicIpAddress": None,
        "ramdiskId": None,
        "state": {"code": 16, "name": "running"},
        "stateTransitionReason": "",
        "subnetId": SUBNET,
        "vpcId": VPC,
        "architecture": "x86_64",
        "blockDeviceMappings": [block_device(number, letter) for letter in "ab"],
        "clientToken": f"fleet-{number:032x}",
        "ebsOptimized": True,
        "enaSupport": True,
        "hypervisor": "xen",
        "iamInstanceProfile": {
            "arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/worker",
            "id": "AIPAEXAMPLEEXAMPLE123",
        },
        "instanceLifecycle": None,
        "elasticGpuAssociations": [],
        "elasticInferenceAcceleratorAssociations": [],
        "networkInterfaces": [network_interface(number, address)],
        "outpostArn": None,
        "rootDeviceName": "/dev/sda1",
        "rootDeviceType": "ebs",
        "securityGroups": [GROUP],
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
            "httpTokens": "required" if number % 10 else "optional",
            "httpPutResponseHopLimit": 1,
            "httpEndpoint": "enabled",
        },
        "enclaveOptions": {"enabled": False},
        "bootMode": None,
    }


def dns_name(number: int) -> str:
    return f"ip-10-0-3-{number % 250}.ec2.internal"


def block_device(number: int, letter: str) -> dict:
    return {
        "deviceName": f"/dev/sd{letter}",
        "ebs": {
            "attachTime": "2026-03-02T08:11:55.000Z",
            "deleteOnTermination": True,
            "status": "attached",
            "volumeId": f"vol-{number:016x}{letter}",
        },
    }


def network_interface(number: int, address: str) -> dict:
    return {
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
        "groups": [GROUP],
        "ipv6Addresses": [],
        "macAddress": "0a:ff:c2:11:22:33",
        "networkInterfaceId": f"eni-{number:017x}",
        "ownerId": ACCOUNT,
        "privateDnsName": dns_name(number),
        "privateIpAddress": address,
        "privateIpAddresses": [
            {"association": None, "primary": True, "privateDnsName": None, "privateIpAddress": address}
        ],
        "sourceDestCheck": True,
        "status": "in-use",
        "subnetId": SUBNET,
        "vpcId": VPC,
        "interfaceType": "interface",
    }
