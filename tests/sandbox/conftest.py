"""One platform for all tests that run stand-ins."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.platform import Platform, missing_programs
from tests.sandbox.runner import Runner


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """PostgreSQL, RabbitMQ and Consul, running and set up."""
    if missing := missing_programs():
        pytest.fail(f"not installed here: {', '.join(missing)}; ./webitel test sandbox installs it")
    # Not below pytest's own directory: only its owner may enter that one, and PostgreSQL runs under another account.
    with tempfile.TemporaryDirectory(prefix="webitel-platform-", ignore_cleanup_errors=True) as folder:
        made = Platform(Path(folder))
        try:
            made.set_up()
            yield made
        finally:
            made.close()


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
