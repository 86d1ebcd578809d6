"""The moto server that stands in for AWS."""

import pytest
import requests
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from support.moto_gaps import simulated


@pytest.fixture(scope="session")
def moto_process():
    """The address of the moto server of the session."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto_server(moto_process):
    """The address of a moto server without resources."""
    requests.post(f"{moto_process}/moto-api/reset", timeout=60).raise_for_status()
    simulated.reset()
    return moto_process
