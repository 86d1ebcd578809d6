"""Lambda, EC2 and AWS Config on the loopback interface, with a configurable round-trip time.

It prepares its responses before a run, so that the run does not measure it, and checks every evaluation.
"""

import asyncio
import json
import threading
from collections import Counter
from urllib.parse import parse_qs

from fleet_responses import ACCOUNT, RULE, compliance, instance_page, result_pages
from loopback import serve

INVOKING_EVENT = {
    "awsAccountId": ACCOUNT,
    "notificationCreationTime": "2026-05-11T09:30:12.636Z",
    "messageType": "ScheduledNotification",
    "recordVersion": "1.0",
}
EVENT = {
    "version": "1.0",
    "invokingEvent": json.dumps(INVOKING_EVENT),
    "ruleParameters": json.dumps({"resourceTypes": "AWS::EC2::Instance"}),
    "resultToken": "token",
    "eventLeftScope": False,
    "configRuleName": RULE,
    "accountId": ACCOUNT,
}
JSON, XML = "application/x-amz-json-1.1", "text/xml"
# The most evaluations that PutEvaluations accepts.
BATCH = 100


class Cloud:
    """A Region with instances, and with previous results for these and for instances that are gone."""

    def __init__(self, instances: int, gone: int, round_trip: float):
        """`round_trip` is in seconds."""
        self.round_trip, self.event = round_trip, EVENT
        self.ids = [f"i-{number:017x}" for number in range(instances)]
        self.gone = [f"i-{number:017x}" for number in range(instances, instances + gone)]
        self.pages, self.page_size = {}, 0
        self.connections = set()  # asyncio itself holds only weak references to tasks
        results = [(each, compliance(number)) for number, each in enumerate(self.ids + self.gone)]
        self.results = {
            kind: result_pages([each for each, found in results if kind in (found, None)])
            for kind in ("COMPLIANT", "NON_COMPLIANT", None)
        }
        self.reset()

    def reset(self):
        """Forgets the previous run."""
        self.reported, self.batches, self.calls = Counter(), Counter(), Counter()
        self.in_flight = self.most_in_flight = 0
        self.invoked, self.outcome, self.ended = False, None, threading.Event()

    def prepare(self, page_size: int):
        """Prepares the pages of DescribeInstances in the size that the client will request."""
        starts = range(0, len(self.ids), page_size)
        self.pages = {start: instance_page(self.ids, start, page_size) for start in starts}
        self.page_size = page_size

    def serve(self) -> str:
        """Starts serving in a thread and returns the address."""
        return serve(lambda: asyncio.start_server(self.connection, "127.0.0.1", 0, limit=1 << 20))

    async def connection(self, reader, writer):
        self.connections.add(asyncio.current_task())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:])}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                extra, kind, answer = await self.answer(method, path, headers, body)
                fields = f"Content-Type: {kind}\r\nContent-Length: {len(answer)}\r\n{extra}"
                writer.write(f"HTTP/1.1 200 OK\r\n{fields}\r\n".encode())
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def answer(self, method, path, headers, body):
        """Returns further headers, the content type and the body of a response."""
        if path.startswith("/2018-06-01/"):
            return await self.lambda_runtime(method, path, body)
        target = headers.get("x-amz-target", "").rpartition(".")[2]
        operation = target or parse_qs(body.decode())["Action"][0]
        await self.wait(operation)
        if operation == "DescribeInstances":
            request = parse_qs(body.decode())
            assert int(request["MaxResults"][0]) == self.page_size
            return "", XML, self.pages[int(request.get("NextToken", ["0"])[0])]
        request = json.loads(body)
        if operation == "GetComplianceDetailsByConfigRule":
            pages = self.results[request.get("ComplianceTypes", [None])[0]]
            return "", JSON, pages[int(request.get("NextToken", 0))]
        assert operation == "PutEvaluations", operation
        evaluations = request["Evaluations"]
        self.batches[len(evaluations)] += 1
        self.reported.update((each["ComplianceResourceId"], each["ComplianceType"]) for each in evaluations)
        return "", JSON, b'{"FailedEvaluations":[]}'

    async def wait(self, operation):
        """Takes the time of a round trip, and counts the call."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(self.round_trip)
        self.in_flight -= 1
        self.calls[operation] += 1

    async def lambda_runtime(self, method, path, body):
        """https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html"""
        if method == "GET" and not self.invoked:
            self.invoked = True
            extra = (
                "Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n"
                "Lambda-Runtime-Deadline-Ms: 4102444800000\r\n"
                f"Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:{ACCOUNT}:function:rule\r\n"
            )
            return extra, "application/json", json.dumps(self.event).encode()
        if method == "GET":
            await asyncio.Event().wait()  # there is no second event
        self.outcome = (path.rpartition("/")[2], body.decode())
        self.ended.set()
        return "", "application/json", b"{}"

    def check(self):
        """Exits unless the run evaluated every instance once and withdrew the results of the others."""
        kind, answer = self.outcome
        if kind != "response":
            raise SystemExit(f"the rule failed: {answer}")
        expected = {(each, compliance(number)): 1 for number, each in enumerate(self.ids)}
        expected |= {(each, "NOT_APPLICABLE"): 1 for each in self.gone}
        if self.reported != expected:
            raise SystemExit("the evaluations differ from those that were expected")
        partial = sum(count for size, count in self.batches.items() if size < BATCH)
        if partial > 2:
            raise SystemExit(f"{partial} batches were not full; expected at most the last one of each phase")
