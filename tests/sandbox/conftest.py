"""One platform for all tests that run stand-ins, and the three programs of telephony for those that attack them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.platform import Platform, running_platform
from tests.sandbox.runner import Runner
from tests.sandbox.telephony import Telephony, running_telephony


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
