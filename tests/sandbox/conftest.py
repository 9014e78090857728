"""One platform for all tests that run stand-ins, and the three programs of telephony for those that attack them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_init.node.health import kept_calls
from tests.sandbox import bucket, pebble
from tests.sandbox.consul_program import find_consul
from tests.sandbox.network import own_network
from tests.sandbox.platform import Platform, running_platform
from tests.sandbox.relay import Relay, running_relay
from tests.sandbox.runner import Runner
from tests.sandbox.telephony import LOOPBACK, Telephony, running_telephony


@pytest.fixture(scope="session", autouse=True)
def network() -> Iterator[None]:
    """A network of this process's own. Who is not root has none, and runs these tests in one process at a time."""
    if os.geteuid() != 0:
        assert "PYTEST_XDIST_WORKER" not in os.environ, "several workers would meet on the loopback: run as root, or without -n"
        yield
        return
    # While there is a way to Debian's mirror and to Go's modules: the network below has none.
    find_consul()
    bucket.build()
    pebble.build()
    with own_network():
        yield


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """PostgreSQL, RabbitMQ and Consul, running and set up."""
    with running_platform(Platform.set_up) as made:
        yield made


@pytest.fixture
def runner(platform: Platform, tmp_path: Path) -> Iterator[Runner]:
    """Starts stand-ins; ends them with the test, and gives back a platform with everything running."""
    made = Runner(platform, tmp_path)
    try:
        yield made
    finally:
        made.close()
        for name in ("postgresql", "rabbitmq", "consul"):
            if name not in platform.running:
                platform.start(name)
        platform.forget_services()


@pytest.fixture(scope="module")
def telephony() -> Iterator[Telephony]:
    """OpenSIPS, FreeSWITCH and rtpengine, running, with phones 1001 to 1009."""
    with running_telephony() as made:
        yield made


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """rtpengine and its Redis; the node program's loopback is theirs."""
    monkeypatch.setattr(kept_calls, "LOOPBACK", LOOPBACK)
    with running_relay() as made:
        yield made
