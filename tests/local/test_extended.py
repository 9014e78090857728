"""`extended` with clusters and every count raised: as many nodes as a large deployment has, on one machine."""

import os
from collections.abc import Iterator

import pytest

from tests.local.conftest import FIGURES, Figure
from tests.local.deployment import Deployment
from tests.local.ports import check_tcp_ports, check_udp_ports, nodes_of
from tests.local.test_many_nodes import switch_off_and_on
from tests.local.test_running import MEMORY

pytestmark = [
    pytest.mark.nodes,
    pytest.mark.skipif(not os.environ.get("WEBITEL_TEST_LONG"), reason="thirteen nodes: WEBITEL_TEST_LONG=1"),
]

COUNTS = {"db": 3, "bus": 3, "media": 3, "web": 2}
MEMORY_GIB = 20


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path_factory.mktemp("extended"), f"t{os.getpid()}-ext", {"tier": "extended", "counts": COUNTS})
    deployment.make_checkout()
    try:
        request.config.stash[FIGURES].append(("up of thirteen nodes", deployment.up().seconds, "s"))
        yield deployment
    finally:
        deployment.end()


def test_nothing_is_left_to_do(extended: Deployment, figure: Figure) -> None:
    assert len(nodes_of(extended)) == 13
    done = extended.up()
    assert "Nothing to change." in done.output
    figure("up of thirteen nodes with nothing to change", done.seconds)


def test_memory_of_all_nodes(extended: Deployment, figure: Figure) -> None:
    used = sum(int(extended.at(key).python_on_node(MEMORY)) for key in nodes_of(extended)) / 2**20
    figure("memory of thirteen nodes, without caches", used, "GiB")
    assert used < MEMORY_GIB


def test_ports_between_nodes_are_those_of_the_plan(extended: Deployment) -> None:
    check_tcp_ports(extended)
    check_udp_ports(extended)


def test_all_off_and_on(extended: Deployment, figure: Figure) -> None:
    figure("thirteen nodes off and on: seconds until all healthy", switch_off_and_on(extended))
