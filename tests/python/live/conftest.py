"""The cloud, and servers in front of it."""

from contextlib import ExitStack
from urllib.parse import parse_qs
from urllib.request import Request, urlopen

import pytest

from live.cloud import Cloud
from support import cloudwatch_bridge, loopback


@pytest.fixture
def cloud(moto_server):
    cloud = Cloud(moto_server)
    with cloudwatch_bridge.bridge(lambda region: cloud.client("cloudwatch", region)) as address:
        cloud.services["CLOUDWATCH"] = address
        yield cloud


@pytest.fixture
def front(cloud):
    """Makes ways to the cloud on which `meet(region, action)` may answer EC2's calls, by a status and a body."""
    with ExitStack() as servers:

        def make(meet):
            def answer(request, body):
                action = parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
                met = meet(loopback.region(request), action)
                return (met[0], {}, met[1]) if met else forward(request, body)

            def forward(request, body):
                headers = {
                    k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")
                }
                with urlopen(Request(cloud.endpoint + request.path, body, headers, method="POST")) as answer:
                    return answer.status, {}, answer.read()

            return servers.enter_context(loopback.serving(answer))

        yield make
