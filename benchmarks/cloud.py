"""Lambda, EC2 and AWS Config on loopback, with a round-trip time: quick enough not to be what is measured.

Answers are made before the run. Every evaluation is checked when it arrives.
"""

import asyncio
import json
import threading
from collections import Counter
from urllib.parse import parse_qs

RULE, TOKEN, ACCOUNT = "EC2-must-require-IMDSv2-to-protect-role-credentials", "token", "123456789012"
RESULTS_PAGE = 100


class Cloud:
    """A Region with so many instances, as many results from the run before, and some of instances gone since."""

    def __init__(self, instances: int, gone: int, round_trip: float):
        self.round_trip = round_trip
        self.ids = [f"i-{number:017x}" for number in range(instances)]
        self.gone = [f"i-{number:017x}" for number in range(instances, instances + gone)]
        self.pages, self.size = {}, 0  # of instances
        self.connections = set()  # asyncio itself only holds tasks weakly
        results = [(each, number % 10 > 0) for number, each in enumerate(self.ids + self.gone)]
        self.results = {
            "COMPLIANT": result_pages([each for each, complied in results if complied]),
            "NON_COMPLIANT": result_pages([each for each, complied in results if not complied]),
            None: result_pages([each for each, _ in results]),
        }
        self.start_over()

    def start_over(self):
        """Forgets a run."""
        self.reported, self.batches, self.calls = Counter(), Counter(), Counter()
        self.under_way = self.most_under_way = 0
        self.invoked, self.outcome, self.ended = False, None, threading.Event()

    def prepare(self, size: int):
        """Makes the pages of this size, so that the run does not wait for them."""
        starts = range(0, len(self.ids), size)
        self.pages, self.size = {start: self.page(start, size) for start in starts}, size

    def page(self, start, size):
        end = min(start + size, len(self.ids))
        items = "".join(instance(number, self.ids[number]) for number in range(start, end))
        token = f"<nextToken>{end}</nextToken>" if end < len(self.ids) else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?><DescribeInstancesResponse '
            f'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet>{items}</reservationSet>{token}'
            "</DescribeInstancesResponse>"
        ).encode()

    def serve(self) -> str:
        """Starts to serve, in a thread, and gives the address."""
        ready, address = threading.Event(), []

        async def run():
            server = await asyncio.start_server(self.connection, "127.0.0.1", 0, limit=1 << 20)
            address.append(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
            ready.set()
            await server.serve_forever()

        threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
        ready.wait()
        return address[0]

    async def connection(self, reader, writer):
        self.connections.add(asyncio.current_task())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:])}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                extra, kind, answer = await self.answer(method, path, headers, body)
                writer.write(
                    f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(answer)}\r\n{extra}\r\n".encode()
                )
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def answer(self, method, path, headers, body):
        if path.startswith("/2018-06-01/"):
            return await self.lambda_service(method, path, body)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(self.round_trip)
        self.under_way -= 1
        target = headers.get("x-amz-target", "").rpartition(".")[2]
        operation = target or parse_qs(body.decode())["Action"][0]
        self.calls[operation] += 1
        if operation == "DescribeInstances":
            asked = parse_qs(body.decode())
            assert int(asked["MaxResults"][0]) == self.size
            return "", "text/xml", self.pages[int(asked.get("NextToken", ["0"])[0])]
        asked = json.loads(body)
        if operation == "GetComplianceDetailsByConfigRule":
            pages = self.results[asked.get("ComplianceTypes", [None])[0]]
            return "", "application/x-amz-json-1.1", pages[int(asked.get("NextToken", 0))]
        assert operation == "PutEvaluations", operation
        self.batches[len(asked["Evaluations"])] += 1
        self.reported.update(
            (each["ComplianceResourceId"], each["ComplianceType"]) for each in asked["Evaluations"]
        )
        return "", "application/x-amz-json-1.1", b'{"FailedEvaluations":[]}'

    async def lambda_service(self, method, path, body):
        """https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html"""
        if method == "GET" and not self.invoked:
            self.invoked = True
            extra = (
                "Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n"
                "Lambda-Runtime-Deadline-Ms: 4102444800000\r\n"
                f"Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:{ACCOUNT}:function:rule\r\n"
            )
            return extra, "application/json", EVENT
        if method == "GET":
            await asyncio.Event().wait()  # there is no second event
        self.outcome = (path.rpartition("/")[2], body.decode())
        self.ended.set()
        return "", "application/json", b"{}"

    def check(self):
        """That every instance was reported once, as it is, and everything that is gone was withdrawn."""
        kind, answer = self.outcome
        if kind != "response":
            raise SystemExit(f"the rule failed: {answer}")
        expected = {(each, compliance(number)): 1 for number, each in enumerate(self.ids)}
        expected |= {(each, "NOT_APPLICABLE"): 1 for each in self.gone}
        if self.reported != expected:
            raise SystemExit("not every resource was reported right, and once")
        partial = sum(count for size, count in self.batches.items() if size < 100)
        if partial > 2:
            raise SystemExit(f"{partial} batches were not full: the last of each phase may be")


def compliance(number):
    return "COMPLIANT" if number % 10 else "NON_COMPLIANT"


EVENT = json.dumps(
    {
        "version": "1.0",
        "invokingEvent": json.dumps(
            {
                "awsAccountId": ACCOUNT,
                "notificationCreationTime": "2026-05-11T09:30:12.636Z",
                "messageType": "ScheduledNotification",
                "recordVersion": "1.0",
            }
        ),
        "ruleParameters": json.dumps({"resourceTypes": "AWS::EC2::Instance"}),
        "resultToken": TOKEN,
        "eventLeftScope": False,
        "configRuleName": RULE,
        "accountId": ACCOUNT,
    }
).encode()


def result_pages(ids):
    """What GetComplianceDetailsByConfigRule answers, page by page."""
    pages = {}
    for start in range(0, max(len(ids), 1), RESULTS_PAGE):
        end = start + RESULTS_PAGE
        results = [
            {
                "EvaluationResultIdentifier": {
                    "EvaluationResultQualifier": {
                        "ConfigRuleName": RULE,
                        "ResourceType": "AWS::EC2::Instance",
                        "ResourceId": each,
                        "EvaluationMode": "DETECTIVE",
                    },
                    "OrderingTimestamp": 1778400000.636,
                },
                "ComplianceType": "COMPLIANT",
                "ResultRecordedTime": 1778400001.0,
                "ConfigRuleInvokedTime": 1778400000.0,
                "Annotation": "HttpTokens is required: IMDSv1 is closed.",
            }
            for each in ids[start:end]
        ]
        more = {"NextToken": str(end)} if end < len(ids) else {}
        pages[start] = json.dumps({"EvaluationResults": results, **more}).encode()
    return pages


def instance(number, instance_id):
    """A reservation with an instance, as long as EC2 describes one: about 3.6 kB."""
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
