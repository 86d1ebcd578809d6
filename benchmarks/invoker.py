"""Lambda's Runtime API and AWS Config on the loopback interface, which take as little time as they can.

A function gets one event after the other. The times at which it asks for them and answers them are recorded.
"""

import asyncio
import json
import ssl
import threading
import time

from loopback import serve

ACCOUNT = "123456789012"
EVENT_HEADERS = (
    "Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n"
    "Lambda-Runtime-Deadline-Ms: 4102444800000\r\n"
    f"Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:{ACCOUNT}:function:rule\r\n"
)


class Invoker:
    """Invokes a function with `event`, `invocations` times. Subclasses have other events and responses."""

    def __init__(self, event: bytes, invocations: int):
        self.event = event
        self.invocations = invocations
        self.reset()

    def next_event(self) -> bytes | None:
        """Returns the next event, if there is one."""
        return self.event if len(self.asked) <= self.invocations else None

    def call(self, body: bytes) -> bytes:
        """Answers a call of AWS: by default each is of PutEvaluations."""
        self.evaluations += len(json.loads(body)["Evaluations"])
        return b'{"FailedEvaluations":[]}'

    def reset(self) -> None:
        """Forgets the previous function."""
        self.asked, self.answered, self.evaluations = [], [], 0
        self.failure, self.ended = None, threading.Event()

    def serve(self, tls: ssl.SSLContext | None = None) -> str:
        """Starts serving in a thread and returns the address."""

        def start():
            return asyncio.get_running_loop().create_server(lambda: Connection(self), "127.0.0.1", 0, ssl=tls)

        return serve(start)

    def answer(self, method: bytes, path: bytes, body: bytes) -> bytes | None:
        """Returns the response to a request, or None if there is none until the function ends."""
        if method == b"GET":
            self.asked.append(time.perf_counter())
            if event := self.next_event():
                return response(event, EVENT_HEADERS)
            self.ended.set()
            return None
        if path.startswith(b"/2018-06-01/"):
            self.answered.append(time.perf_counter())
            if not path.endswith(b"/response"):
                self.failure = body.decode()
            return response(b"{}")
        return response(self.call(body))


class Connection(asyncio.Protocol):
    """A connection of the function, with one request at a time."""

    def __init__(self, invoker: Invoker):
        self.invoker, self.received = invoker, b""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return
        fields = (line.partition(b":") for line in head.split(b"\r\n")[1:])
        lengths = [int(value) for name, _, value in fields if name.lower() == b"content-length"]
        if len(body) < sum(lengths):
            return
        method, path, _ = head.split(b"\r\n")[0].split(b" ")
        self.received = b""
        if answer := self.invoker.answer(method, path, body):
            self.transport.write(answer)


def response(body: bytes, headers: str = "") -> bytes:
    fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}"
    return f"HTTP/1.1 200 OK\r\n{fields}\r\n".encode() + body
