"""Given hosts on which one node for SIP becomes two and one again, with calls held all the time: the address that phones know is
the same from the first day."""

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.local.conftest import Figure
from tests.local.pair import CALLS, Pair, check_after, other
from tests.local.power import wait_all_healthy
from tests.local.rack import Rack, make_rack

pytestmark = pytest.mark.nodes

FIRST = ("data-1", "app-1", "edge-1")
PLACE = 200
"""Of the address, in the hosts' network."""
LOSS_SECONDS, HAND_OVER_SECONDS, NOTHING_SECONDS = 25.0, 10.0, 1.0
"""Bounds for a busy machine; the figures are printed."""


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """Three hosts, with the address on the only edge."""
    for made in make_rack(tmp_path_factory, "basic", kind=Pair):
        deployment = made.deployment
        address = str(deployment.network[PLACE])
        deployment.settings |= {"sip_address": address, "carriers": [f"{deployment.gateway}/32"]}
        for place, key in enumerate(FIRST, 20):
            made.add(key, place)
        made.choose(*FIRST)
        deployment.up("--yes")
        yield made


@pytest.fixture(scope="module")
def pair(rack: Rack) -> Pair:
    assert isinstance(rack.deployment, Pair)
    rack.deployment.let_in()
    return rack.deployment


def incus(*words: str) -> None:
    """Do something to a host past all of its own."""
    subprocess.run(["incus", *words], check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)


def test_the_only_edge_has_the_address_and_calls_go(pair: Pair) -> None:
    assert pair.active() == "edge-1"
    check_after(pair, "edge-1")


def test_a_second_edge_comes_while_calls_go_on(rack: Rack, pair: Pair, figure: Figure) -> None:
    lost: list[float] = []
    with pair.held_calls(lost):
        rack.add("edge-2", 23)
        rack.choose(*FIRST, "edge-2")
        done = pair.up("--json", "--yes")
        assert not {"replace", "delete"} & set(json.loads(done.output)["changes"]), done.output
        assert pair.active() == "edge-1"
    figure(f"longest silence of {CALLS} calls while a second edge comes", max(lost))
    assert max(lost) < NOTHING_SECONDS
    check_after(pair, "edge-1")


def test_a_hand_over_drops_no_call(pair: Pair, figure: Figure) -> None:
    lost: list[float] = []
    with pair.held_calls(lost):
        said = pair.webitel("handover", "edge", pair.name, "--from", "edge-1").output
        assert "edge-1 stands by." in said and pair.active() == "edge-2"
        time.sleep(3)
    figure(f"longest silence of {CALLS} calls handed over between given hosts", max(lost))
    assert max(lost) < HAND_OVER_SECONDS
    check_after(pair, "edge-2")


def test_a_lost_host_drops_no_call(rack: Rack, pair: Pair, figure: Figure) -> None:
    key = pair.active()
    lost: list[float] = []
    with pair.held_calls(lost):
        incus("stop", "--force", rack.hosts[key].container)
        time.sleep(LOSS_SECONDS)
        assert pair.active() == other(key)
    figure(f"longest silence of {CALLS} calls whose given host is lost", max(lost))
    assert max(lost) < LOSS_SECONDS
    incus("start", rack.hosts[key].container)
    wait_all_healthy(pair, 240)
    assert pair.active() == other(key), "nobody wins it back"


def test_one_edge_again_drops_no_call(rack: Rack, pair: Pair, figure: Figure) -> None:
    pair.webitel("handover", "edge", pair.name, "--from", "edge-1")
    wait_all_healthy(pair, 240)
    lost: list[float] = []
    with pair.held_calls(lost):
        pair.webitel("scale", "edge", "1", pair.name, "--yes")
        assert pair.active() == "edge-1"
    figure(f"longest silence of {CALLS} calls while the second edge leaves", max(lost))
    assert max(lost) < HAND_OVER_SECONDS
    rack.choose(*FIRST)
    check_after(pair, "edge-1")
