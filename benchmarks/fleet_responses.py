"""The responses of EC2 and AWS Config about a fleet. Every tenth instance accepts IMDSv1."""

import json

RULE, ACCOUNT = "EC2-must-require-IMDSv2", "123456789012"
# The most results that GetComplianceDetailsByConfigRule returns.
RESULTS_PAGE = 100


def instance_page(ids: list[str], start: int, size: int) -> bytes:
    """Returns the page of DescribeInstances that starts at an instance."""
    end = min(start + size, len(ids))
    items = "".join(reservation(number, ids[number]) for number in range(start, end))
    token = f"<nextToken>{end}</nextToken>" if end < len(ids) else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><DescribeInstancesResponse '
        f'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet>{items}</reservationSet>{token}'
        "</DescribeInstancesResponse>"
    ).encode()


def result_pages(ids: list[str]) -> dict[int, bytes]:
    """Returns the pages of GetComplianceDetailsByConfigRule by the number of their first result."""
    pages = {}
    for start in range(0, max(len(ids), 1), RESULTS_PAGE):
        end = start + RESULTS_PAGE
        more = {"NextToken": str(end)} if end < len(ids) else {}
        results = [result(each) for each in ids[start:end]]
        pages[start] = json.dumps({"EvaluationResults": results, **more}).encode()
    return pages


def result(instance_id: str) -> dict:
    return {
        "EvaluationResultIdentifier": {
            "EvaluationResultQualifier": {
                "ConfigRuleName": RULE,
                "ResourceType": "AWS::EC2::Instance",
                "ResourceId": instance_id,
                "EvaluationMode": "DETECTIVE",
            },
            "OrderingTimestamp": 1778400000.636,
        },
        "ComplianceType": "COMPLIANT",
        "ResultRecordedTime": 1778400001.0,
        "ConfigRuleInvokedTime": 1778400000.0,
        "Annotation": "HttpTokens is required: IMDSv1 is closed.",
    }


def compliance(number: int) -> str:
    return "COMPLIANT" if number % 10 else "NON_COMPLIANT"


def reservation(number: int, instance_id: str) -> str:
    """Returns a reservation with one instance, in the size in which EC2 describes it, about 3.6 kB."""
    tokens = "required" if number % 10 else "optional"
    address = f"10.0.{number // 250 % 250}.{number % 250}"
    tags = {"Name": f"worker-{number}", "team": "payments", "aws:autoscaling:groupName": "workers"}
    tag_set = "".join(f"<item><key>{key}</key><value>{value}</value></item>" for key, value in tags.items())
    group = "<item><groupId>sg-0b5c1d2e3f4a59687</groupId><groupName>worker</groupName></item>"
    disks = "".join(
        f"<item><deviceName>/dev/sd{letter}</deviceName><ebs><volumeId>vol-{number:016x}{letter}</volumeId>"
        "<status>attached</status><attachTime>2026-03-02T08:11:55.000Z</attachTime>"
        "<deleteOnTermination>true</deleteOnTermination></ebs></item>"
        for letter in "ab"
    )
    interface = (
        f"<item><networkInterfaceId>eni-{number:017x}</networkInterfaceId><subnetId>subnet-0f2d3a44b7c1e9d05</subnetId>"
        "<vpcId>vpc-07a1d6f5f9b3c2e11</vpcId><description/><ownerId>123456789012</ownerId><status>in-use</status>"
        f"<macAddress>0a:ff:c2:11:22:33</macAddress><privateIpAddress>{address}</privateIpAddress>"
        f"<privateDnsName>ip-{address}.ec2.internal</privateDnsName><sourceDestCheck>true</sourceDestCheck>"
        f"<groupSet>{group}</groupSet><attachment><attachmentId>eni-attach-{number:017x}</attachmentId>"
        "<deviceIndex>0</deviceIndex><status>attached</status><attachTime>2026-03-02T08:11:54.000Z</attachTime>"
        "<deleteOnTermination>true</deleteOnTermination><networkCardIndex>0</networkCardIndex></attachment>"
        f"<privateIpAddressesSet><item><privateIpAddress>{address}</privateIpAddress><privateDnsName>"
        f"ip-{address}.ec2.internal</privateDnsName><primary>true</primary></item></privateIpAddressesSet>"
        "<ipv6AddressesSet/><interfaceType>interface</interfaceType></item>"
    )
    return (
        f"<item><reservationId>r-{number:017x}</reservationId><ownerId>123456789012</ownerId><groupSet/><instancesSet>"
        f"<item><instanceId>{instance_id}</instanceId><imageId>ami-0c2b8ca1dad447f8a</imageId><instanceState><code>16"
        f"</code><name>running</name></instanceState><privateDnsName>ip-{address}.ec2.internal</privateDnsName>"
        "<dnsName/><reason/><amiLaunchIndex>0</amiLaunchIndex><productCodes/><instanceType>m6i.large</instanceType>"
        "<launchTime>2026-03-02T08:11:54.000Z</launchTime><placement><availabilityZone>us-east-1a</availabilityZone>"
        "<groupName/><tenancy>default</tenancy></placement><monitoring><state>disabled</state></monitoring>"
        f"<subnetId>subnet-0f2d3a44b7c1e9d05</subnetId><vpcId>vpc-07a1d6f5f9b3c2e11</vpcId><privateIpAddress>{address}"
        f"</privateIpAddress><sourceDestCheck>true</sourceDestCheck><groupSet>{group}</groupSet>"
        "<architecture>x86_64</architecture><rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/sda</rootDeviceName>"
        f"<blockDeviceMapping>{disks}</blockDeviceMapping><virtualizationType>hvm</virtualizationType>"
        f"<clientToken>fleet-{number:032x}</clientToken><tagSet>{tag_set}</tagSet><hypervisor>xen</hypervisor>"
        f"<networkInterfaceSet>{interface}</networkInterfaceSet><iamInstanceProfile><arn>"
        "arn:aws:iam::123456789012:instance-profile/worker</arn><id>AIPAEXAMPLEEXAMPLE123</id></iamInstanceProfile>"
        "<ebsOptimized>true</ebsOptimized><enaSupport>true</enaSupport><cpuOptions><coreCount>1</coreCount>"
        "<threadsPerCore>2</threadsPerCore></cpuOptions>"
        "<hibernationOptions><configured>false</configured></hibernationOptions><metadataOptions><state>applied</state>"
        f"<httpTokens>{tokens}</httpTokens><httpPutResponseHopLimit>2</httpPutResponseHopLimit>"
        "<httpEndpoint>enabled</httpEndpoint><httpProtocolIpv6>disabled</httpProtocolIpv6>"
        "<instanceMetadataTags>disabled</instanceMetadataTags></metadataOptions><enclaveOptions><enabled>false</enabled>"
        "</enclaveOptions><platformDetails>Linux/UNIX</platformDetails></item>"
        "</instancesSet></item>"
    )
