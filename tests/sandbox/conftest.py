"""One platform for all tests that run stand-ins, and the three programs of telephony for those that attack them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.attacker import PASSWORD, md5
from tests.sandbox.platform import Platform, running_platform
from tests.sandbox.runner import Runner
from tests.sandbox.telephony import Telephony, missing_programs


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
    if missing := missing_programs():
        pytest.fail(f"not installed here: {', '.join(missing)}; ./webitel test sandbox installs it")
    with tempfile.TemporaryDirectory(prefix="webitel-telephony-", ignore_cleanup_errors=True) as folder:
        made = Telephony(Path(folder))
        try:
            made.set_up()
            for number in range(1001, 1010):
                made.add_phone(str(number), "webitel", md5(f"{number}:webitel:{PASSWORD}"))
            yield made
        finally:
            made.close()
