"""The cloud of the commands, and servers that intercept their requests to it."""

from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs
from urllib.request import Request, urlopen

import pytest

from support import loopback
from support.command_line import cloud  # noqa: F401
from support.operations import recording
from support.recorded_calls import called


@pytest.fixture(scope="package", autouse=True)
def record_of_calls(request):
    """Records the calls of each command. A test compares them with what `imdsv2 permissions` prints."""
    with recording(request.session, Path(__file__).parent, called):
        yield


@pytest.fixture
def intercepted(cloud):  # noqa: F811
    """Returns a function that starts a server in front of the cloud and returns the server's address.

    Its argument `intercept(region, action)` returns the status and the body of a response of EC2, or None to
    forward the request to the cloud.
    """
    with ExitStack() as servers:

        def start(intercept):
            def answer(request, body):
                action = parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
                response = intercept(loopback.region(request), action)
                return (response[0], {}, response[1]) if response else forward(request, body)

            return servers.enter_context(loopback.serving(answer))

        def forward(request, body):
            omitted = ("host", "content-length")
            headers = {name: value for name, value in request.headers.items() if name.lower() not in omitted}
            with urlopen(Request(cloud.endpoint + request.path, body, headers, method="POST")) as response:
                return response.status, {}, response.read()

        yield start
