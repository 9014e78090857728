"""`extended` as it is, then with clusters and every count raised: as many nodes as a large deployment has, on one machine."""

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
MEMORY_GIB = {7: 10, 13: 20}


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path_factory.mktemp("extended"), f"t{os.getpid()}-ext", {"tier": "extended"})
    deployment.make_checkout()
    try:
        request.config.stash[FIGURES].append(("up of seven nodes", deployment.up().seconds, "s"))
        yield deployment
    finally:
        deployment.end()


@pytest.fixture(scope="module")
def thirteen(seven: Deployment, request: pytest.FixtureRequest) -> Deployment:
    seven.set(counts=COUNTS)
    request.config.stash[FIGURES].append(("up of six more nodes", seven.up().seconds, "s"))
    return seven


def check_memory(deployment: Deployment, figure: Figure) -> None:
    keys = nodes_of(deployment)
    used = sum(int(deployment.at(key).python_on_node(MEMORY)) for key in keys) / 2**20
    figure(f"memory of {len(keys)} nodes, without caches", used, "GiB")
    assert used < MEMORY_GIB[len(keys)]


def test_memory_of_seven(seven: Deployment, figure: Figure) -> None:
    check_memory(seven, figure)


def test_ports_between_seven_are_those_of_the_plan(seven: Deployment) -> None:
    check_tcp_ports(seven)
    check_udp_ports(seven)


def test_nothing_is_left_to_do(thirteen: Deployment, figure: Figure) -> None:
    assert len(nodes_of(thirteen)) == 13
    done = thirteen.up()
    assert "Nothing to change." in done.output
    figure("up of thirteen nodes with nothing to change", done.seconds)


def test_memory_of_thirteen(thirteen: Deployment, figure: Figure) -> None:
    check_memory(thirteen, figure)


def test_ports_between_thirteen_are_those_of_the_plan(thirteen: Deployment) -> None:
    check_tcp_ports(thirteen)
    check_udp_ports(thirteen)


def test_all_off_and_on(thirteen: Deployment, figure: Figure) -> None:
    figure("thirteen nodes off and on: seconds until all healthy", switch_off_and_on(thirteen))
