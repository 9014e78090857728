"""Two nodes for SIP on simulated AWS, by the real engine: the address moves behind Pulumi's back, and nothing moves it back."""

import json

import pytest

from policy.rules import RULES
from tests.clouds.conformance.checks import find_world_problems
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.engine import EngineError
from tests.clouds.conformance.pair import PAIR, find, grow
from tests.plans import load_stack, make_plan
from tests.simulator.aws.iam import POLICY, PROFILE, ROLE, Node
from tests.simulator.aws.resources import EIP, INSTANCE, INTERFACE
from tests.simulator.world import Refused

pytestmark = pytest.mark.clouds

ADDRESS = "10.20.128.39"


@pytest.fixture(scope="module")
def pair(start: Start, standing: Standing) -> Live:
    return grow(start, standing, "aws-basic")


def where(live: Live) -> tuple[list[str], str | None]:
    """Which nodes' interfaces have the address, and with which the Elastic IP is associated."""
    ends = {one.id: one.urn.rpartition("::")[2] for one in live.world.all(INTERFACE)}
    having = [ends[one.id] for one in live.world.all(INTERFACE) if ADDRESS in one.get("privateIps")]
    tied = find(live, EIP, "sip").outputs.get("networkInterface")
    return having, ends.get(str(tied))


def test_the_address_goes_with_whoever_takes_calls_and_no_run_moves_it_back(pair: Live) -> None:
    assert pair.deployment.preview() == []
    first, second = (Node(pair.world, f"edge-{n}") for n in (1, 2))
    first.assign(ADDRESS)
    first.associate(ADDRESS, find(pair, EIP, "sip").id)
    assert where(pair) == (["edge-1"], "edge-1")
    assert pair.deployment.up() == []
    # The state learns of what was moved.
    assert {"edge-1", "sip"} <= set(pair.deployment.refresh())
    second.assign(ADDRESS)
    assert where(pair) == (["edge-2"], "edge-2"), "the Elastic IP comes along"
    assert pair.deployment.up() == []
    assert pair.deployment.up("--refresh") == []
    assert pair.deployment.preview() == []
    assert where(pair) == (["edge-2"], "edge-2")


def test_the_machines_may_do_that_and_nothing_else(pair: Live) -> None:
    machines = {one.urn.rpartition("::")[2]: one.get("iamInstanceProfile") for one in pair.world.all(INSTANCE)}
    profile = find(pair, PROFILE, "sip")
    assert machines == {"data-1": None, "app-1": None, "edge-1": profile.id, "edge-2": profile.id}
    (policy,) = pair.world.all(POLICY)
    assert policy.inputs["role"] == profile.inputs["role"] == find(pair, ROLE, "sip").id
    move, associate = json.loads(policy.inputs["policy"])["Statement"]
    ends = [find(pair, INTERFACE, f"edge-{n}").get("arn") for n in (1, 2)]
    assert (move["Action"], move["Resource"]) == ("ec2:AssignPrivateIpAddresses", ends)
    assert (associate["Action"], associate["Resource"]) == (
        "ec2:AssociateAddress",
        [find(pair, EIP, "sip").get("arn"), *ends],
    )
    node = Node(pair.world, "edge-1")
    with pytest.raises(Refused, match="UnauthorizedOperation"):
        node.associate(ADDRESS, find(pair, EIP, "edge-2").id)
    node.interface = find(pair, INTERFACE, "app-1")
    with pytest.raises(Refused, match="UnauthorizedOperation"):
        node.assign("10.20.0.99")
    with pytest.raises(Refused, match="UnauthorizedOperation"):
        Node(pair.world, "edge-1", sender="198.51.100.7").assign(ADDRESS)
    with pytest.raises(Refused, match="UnauthorizedOperation"):
        Node(pair.world, "app-1", sender="198.51.100.7").assign(ADDRESS)


@pytest.mark.parametrize("number", [0, 1])
def test_with_one_right_less_it_does_not_move(number: int, pair: Live) -> None:
    policy = pair.world.all(POLICY)[0]
    rights = json.loads(policy.inputs["policy"])
    del rights["Statement"][number]
    pair.world.edit(POLICY, policy.id, policy=json.dumps(rights))
    node = Node(pair.world, "edge-1")
    try:
        with pytest.raises(Refused, match="UnauthorizedOperation"):
            node.assign(ADDRESS)
            node.associate(ADDRESS, find(pair, EIP, "sip").id)
    finally:
        pair.world.edit(POLICY, policy.id, policy=policy.inputs["policy"])


def test_all_else_is_as_the_plan_says(pair: Live) -> None:
    settings = load_stack("aws-basic").settings.model_copy(update=PAIR)
    found = find_world_problems(make_plan(settings, "aws-basic"), settings, pair.world)
    # The first machine is as it was made: its user data, and in no placement group until it is replaced.
    left = [one for one in found if not one.startswith("edge-1: user data")]
    assert left == ["edge: nothing keeps its nodes apart in us-east-1a: groups ['aws-basic-edge']"]
    assert [text for one in pair.world.all() for rule in RULES for text in rule.check(one.type, one.inputs)] == []


def test_the_end_is_clean_wherever_the_address_is(pair: Live) -> None:
    """What Pulumi knows of the association may be old."""
    ends = [one for one in pair.deployment.state() if one["type"] == INTERFACE and "::edge-" in one["urn"]]
    assert len(ends) == 2 and all(find(pair, EIP, "sip").urn in one["dependencies"] for one in ends), "they go first"
    node = Node(pair.world, "edge-2")
    node.assign(ADDRESS)
    node.associate(ADDRESS, find(pair, EIP, "sip").id)
    with pytest.raises(EngineError, match="protected"):
        pair.deployment.destroy()
    pair.deployment.run("state", "unprotect", "--all", "--yes")
    pair.deployment.destroy()
    assert pair.world.all() == []
