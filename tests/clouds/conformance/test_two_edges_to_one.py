"""From two nodes for SIP back to one, and to two again, by our command line: the address that phones know stays.

The clouds' own files have who may move the address, and how. Nodes are not there: the one that stays has the calls already, as it
does when the other one leaves.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import pytest

from tests.clouds.conformance.command import OWN, Command, command_line
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.engine import Deployment, Step, replaced
from tests.clouds.conformance.pair import PAIR, find
from tests.clouds.conformance.sample import deal, do_on
from tests.simulator.aws.iam import Node as AwsNode
from tests.simulator.aws.resources import EIP, INSTANCE
from tests.simulator.gcp.forwarding import Node as GoogleNode
from tests.simulator.gcp.resources import ADDRESS
from tests.simulator.gcp.resources import INSTANCE as GOOGLE_INSTANCE
from tests.simulator.hetzner.floating import Node as HetznerNode
from tests.simulator.hetzner.resources import FLOATING, SERVER

pytestmark = pytest.mark.clouds


class Pair(NamedTuple):
    """What a cloud calls the address of two nodes and their machines, its place in the network, and how a node takes it."""

    address: str
    machine: str
    inside: str
    take: Callable[[Live, str], None]


def take_on_aws(live: Live, key: str) -> None:
    node = AwsNode(live.world, key)
    node.assign(PAIRS["aws"].inside)
    node.associate(PAIRS["aws"].inside, find(live, EIP, "sip").id)


def take_on_hetzner(live: Live, key: str) -> None:
    node = HetznerNode(live.world, key)
    node.assign(find(live, FLOATING, "sip").id)
    node.take(PAIRS["hetzner"].inside)


PAIRS: Mapping[str, Pair] = {
    "aws": Pair(EIP, INSTANCE, "10.20.128.39", take_on_aws),
    "gcp": Pair(ADDRESS, GOOGLE_INSTANCE, "10.20.0.39", lambda live, key: GoogleNode(live.world, key).take()),
    "hetzner": Pair(FLOATING, SERVER, "10.20.0.39", take_on_hetzner),
}
DEALT = deal("two edges to one", {"back and forth": 1}, tuple(PAIRS))


@pytest.fixture(scope="module", params=PAIRS)
def pair(request: pytest.FixtureRequest, start: Start, standing: Standing) -> Iterator[Live]:
    """A deployment that got a second node for SIP, which took the calls once and has handed them back."""
    do_on(DEALT["back and forth"], request.param, "takes a minute")
    stack = f"{request.param}-basic"
    live = start(stack, standing(stack, OWN))
    live.deployment.configure({**OWN, **PAIR})
    if request.param == "hetzner":
        live.deployment.run("config", "set", "--secret", "webitel:address_token", "thetoken" * 8)
    assert replaced(live.deployment.up()) == []
    for key in ("edge-2", "edge-1"):
        PAIRS[request.param].take(live, key)
    yield live
    live.simulators.stop()


def changes(deployment: Deployment) -> list[Step]:
    """What `up` would change, but for the provider of ours, which has all settings."""
    return [step for step in deployment.preview() if not step.type.startswith("pulumi:providers:")]


def scale(webitel: Command, live: Live, *words: str) -> str:
    """`scale`; returns what it refused, or nothing."""
    ran = webitel("scale", "edge", *words, live.deployment.stack, "--yes")
    return str(ran.exception) if ran.exit_code else ""


def test_back_to_one_and_to_two_again_without_another_address(pair: Live) -> None:
    deployment, cloud = pair.deployment, PAIRS[pair.deployment.stack.partition("-")[0]]
    address = find(pair, cloud.address, "sip")
    first = find(pair, cloud.machine, "edge-1").id
    with command_line(pair) as webitel:
        assert f"keep it with webitel:sip_address: {cloud.inside}" in scale(webitel, pair, "1")
        assert len([one for one in pair.world.all(cloud.machine) if "::edge-" in one.urn]) == 2
        deployment.run("config", "set", "webitel:sip_address", cloud.inside)
        assert changes(deployment) == []
        assert scale(webitel, pair, "1") == ""
        assert changes(deployment) == []
        assert find(pair, cloud.machine, "edge-1").id == first
        assert [one for one in pair.world.all(cloud.machine) if "::edge-2" in one.urn] == []
        assert find(pair, cloud.address, "sip").outputs == address.outputs
        # No leave is asked for: no address changes.
        assert scale(webitel, pair, "2") == ""
        cloud.take(pair, "edge-2")
        assert changes(deployment) == []
        assert find(pair, cloud.machine, "edge-1").id == first
