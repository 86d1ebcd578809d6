"""The moto server that stands in for AWS."""

import pytest
import requests
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from support import moto_gaps


@pytest.fixture(scope="session")
def moto_process():
    """The address of a moto server, started once for all tests."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def moto_server(moto_process, monkeypatch):
    """The address of a moto server without resources."""
    requests.post(f"{moto_process}/moto-api/reset", timeout=60).raise_for_status()
    monkeypatch.setattr(moto_gaps.Switches, "defaults", {})
    return moto_process
