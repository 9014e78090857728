"""Deployments that tests share, the order of the tests, their two groups, and the figures they print.

Two workers (`-n 2`) run two groups side by side, about as long as each other: most tests of one shared deployment, in order, and
those that make machines of their own, with a second shared deployment: interrupted until it stands, then broken, then deleted.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.local.deployment import Deployment

ORDER = (
    "test_up",
    "test_closed",
    "test_running",
    "test_day_two",
    "test_failures",
    "test_secrets",
    "test_interruptions",
    "test_drift",
    "test_kept_calls",
    "test_outages",
    "test_destroy",
    "test_base_image",
)
"""What breaks more comes later; the search for secrets wants the output of failures. Other files keep their place."""
SECOND_WORKER = (
    "test_interruptions",
    "test_drift",
    "test_kept_calls",
    "test_destroy",
    "test_base_image",
    "test_incus",
    "test_incus_tools",
    "test_outages",
    "test_upgrade",
    "test_data_sources",
    "test_given_hosts",
    "test_given_root",
    "test_hosts_check",
)
"""Files that leave the first worker's deployment alone."""

FIGURES = pytest.StashKey[list[tuple[str, float, str]]]()

Figure = Callable[..., None]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [position for position, item in enumerate(items) if item.path.parent.name == "local" and item.path.stem in ORDER]
    ordered = sorted((items[position] for position in here), key=lambda item: ORDER.index(item.path.stem))
    for position, item in zip(here, ordered, strict=True):
        items[position] = item


class Groups(LoadScopeScheduling):  # type: ignore[misc]  # it says nothing of its types
    """Gives each worker a whole group. (xdist's own `--dist loadgroup` splits groups with pytest 9.2, without a word.)"""

    def _split_scope(self, nodeid: str) -> str:
        return "second" if Path(nodeid.partition("::")[0]).stem in SECOND_WORKER else "first"


@pytest.hookimpl(optionalhook=True)  # xdist's
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    """For whatever runs in workers here."""
    return Groups(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker has no terminal: it hands its figures over."""
    if (told := getattr(session.config, "workeroutput", None)) is not None:
        told["figures"] = session.config.stash[FIGURES]


@pytest.hookimpl(optionalhook=True)  # xdist's
def pytest_testnodedown(node: Any) -> None:
    """Take the figures of a worker."""
    node.config.stash[FIGURES] += [tuple(one) for one in getattr(node, "workeroutput", {}).get("figures", ())]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for what, value, unit in config.stash[FIGURES]:
        terminalreporter.write_line(f"{what}: {value:.1f} {unit}")


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Prints a measured value at the end of the run: what, value, unit."""

    def note(what: str, value: float, unit: str = "s") -> None:
        request.config.stash[FIGURES].append((what, value, unit))

    return note


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """The deployment that tests of a worker share: one node with everything, up and healthy when the first test gets it."""
    deployment = Deployment(tmp_path_factory.mktemp("single"), f"t{os.getpid()}-single", {})
    deployment.make_checkout()
    try:
        done = deployment.up()
        request.config.stash[FIGURES].append(("up, image and tools as found", done.seconds, "s"))
        yield deployment
    finally:
        deployment.end()


@pytest.fixture
def healthy(request: pytest.FixtureRequest) -> Deployment:
    """The deployment that this file shares with others, found healthy."""
    return find_healthy(request.getfixturevalue("settled" if request.path.stem in SECOND_WORKER else "single"))


@pytest.fixture(scope="session")
def unlucky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The second worker's deployment, of which nothing exists yet when the first test gets it."""
    deployment = Deployment(tmp_path_factory.mktemp("unlucky"), f"t{os.getpid()}-unlucky", {"health_timeout": 20})
    deployment.make_checkout()
    try:
        yield deployment
    finally:
        deployment.end()


@pytest.fixture(scope="session")
def settled(unlucky: Deployment) -> Deployment:
    """The second worker's deployment, brought up where no test before let it be."""
    if not unlucky.exists():
        unlucky.set(health_timeout=None)
        unlucky.up()
    return unlucky


def find_healthy(deployment: Deployment) -> Deployment:
    """Return it when it is healthy: a test repairs what it breaks, and `up` does what one that failed left broken."""
    try:
        deployment.wait_healthy(180)
    except AssertionError:
        deployment.up()
        deployment.wait_healthy(60)
    # The watcher restarts a service once in five minutes: what it did in another test does not count in this one.
    deployment.on_node("systemctl restart webitel-watch")
    return deployment
