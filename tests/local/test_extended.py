"""`extended` as it is, then with clusters and every count raised: as many nodes as a large deployment has, on one machine."""

import os
from collections.abc import Iterator

import pytest

from tests.local.conftest import FIGURES, Figure
from tests.local.deployment import Deployment
from tests.local.ports import check_tcp_ports, check_udp_ports, nodes_of
from tests.local.power import switch_off_and_on
from tests.local.test_running import MEMORY
from tests.long_form import only_long

pytestmark = [
    pytest.mark.nodes,
    only_long("thirteen nodes"),
]

COUNTS = {7: None, 13: {"db": 3, "bus": 3, "media": 3, "web": 2}}
MEMORY_GIB = {7: 10, 13: 20}
"""By number of nodes."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    made = Deployment(tmp_path_factory.mktemp("extended"), f"t{os.getpid()}-ext", {"tier": "extended"})
    made.make_checkout()
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module", params=COUNTS)
def extended(deployment: Deployment, request: pytest.FixtureRequest) -> Deployment:
    """Seven nodes, then thirteen of them."""
    deployment.set(counts=COUNTS[request.param])
    request.config.stash[FIGURES].append((f"up to {request.param} nodes", deployment.up().seconds, "s"))
    assert len(nodes_of(deployment)) == request.param
    return deployment


def test_nothing_is_left_to_do(extended: Deployment, figure: Figure) -> None:
    done = extended.up()
    assert "Nothing to change." in done.output
    figure(f"up of {len(nodes_of(extended))} nodes with nothing to change", done.seconds)


def test_memory_of_all_nodes(extended: Deployment, figure: Figure) -> None:
    keys = nodes_of(extended)
    used = sum(int(extended.at(key).python_on_node(MEMORY)) for key in keys) / 2**20
    figure(f"memory of {len(keys)} nodes, without caches", used, "GiB")
    assert used < MEMORY_GIB[len(keys)]


def test_ports_between_nodes_are_those_of_the_plan(extended: Deployment) -> None:
    check_tcp_ports(extended)
    check_udp_ports(extended)


def test_all_off_and_on(extended: Deployment, figure: Figure) -> None:
    figure(f"{len(nodes_of(extended))} nodes off and on: seconds until all healthy", switch_off_and_on(extended))
