"""Two nodes for SIP on simulated Google Cloud, by the real engine: the rules are led elsewhere behind Pulumi's back, and nothing
leads them back."""

import pytest

from policy.rules import RULES
from tests.clouds.conformance.checks import find_world_problems
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.engine import EngineError
from tests.clouds.conformance.pair import PAIR, find, grow
from tests.plans import load_stack, make_plan
from tests.simulator.gcp.forwarding import ACCOUNT, MEMBER, ROLE, RULE, TARGET, Node
from tests.simulator.gcp.resources import ADDRESS, INSTANCE, Firewall
from tests.simulator.world import Refused

pytestmark = pytest.mark.clouds

SHARED = "10.20.0.39"


@pytest.fixture(scope="module")
def pair(start: Start, standing: Standing) -> Live:
    return grow(start, standing, "gcp-basic")


def where(live: Live) -> set[tuple[str, str, str]]:
    """To what each protocol of each address is forwarded."""
    return {(one.get("ipAddress"), one.get("ipProtocol"), one.get("target").rpartition("/")[2]) for one in live.world.all(RULE)}


def at(live: Live, number: int) -> set[tuple[str, str, str]]:
    public = find(live, ADDRESS, "sip").get("address")
    inside = {(SHARED, side.upper(), f"gcp-basic-edge-{number}-{side}") for side in ("tcp", "udp")}
    return {(public, "L3_DEFAULT", f"gcp-basic-edge-{number}-outside"), *inside}


def test_the_addresses_go_with_whoever_takes_calls_and_no_run_moves_them_back(pair: Live) -> None:
    assert where(pair) == at(pair, 1)
    assert pair.deployment.preview() == []
    second = Node(pair.world, "edge-2")
    second.take()
    assert where(pair) == at(pair, 2)
    assert pair.deployment.up() == []
    assert {"sip-outside", "sip-tcp", "sip-udp"} <= set(pair.deployment.refresh())
    assert pair.deployment.up("--refresh") == []
    assert pair.deployment.preview() == []
    assert where(pair) == at(pair, 2)


def test_a_rule_that_stayed_behind_is_led_along(pair: Live) -> None:
    first = Node(pair.world, "edge-1")
    first.take()
    inside = find(pair, RULE, "sip-udp")
    second = Node(pair.world, "edge-2")
    second.aim(inside.id, second.aim_of(inside.id))
    assert where(pair) != at(pair, 2)
    assert pair.deployment.up() == []
    second.take()
    second.take()
    assert where(pair) == at(pair, 2), "twice is once"


def test_the_machines_may_do_that_and_nothing_else(pair: Live) -> None:
    accounts = {one.urn.rpartition("::")[2]: one.get("serviceAccount") for one in pair.world.all(INSTANCE)}
    (account,) = pair.world.all(ACCOUNT)
    mine = {"email": account.get("email"), "scopes": ["https://www.googleapis.com/auth/compute"]}
    assert accounts == {"data-1": None, "app-1": None, "edge-1": mine, "edge-2": mine}
    assert [one.inputs["permissions"] for one in (find(pair, ROLE, "sip-move"), find(pair, ROLE, "sip-lead"))] == [
        ["compute.forwardingRules.get", "compute.forwardingRules.setTarget"],
        ["compute.targetInstances.use"],
    ]
    assert {one.inputs["member"] for one in pair.world.all(MEMBER)} == {account.get("member")}
    assert "condition" not in find(pair, MEMBER, "sip-lead").inputs
    condition = find(pair, MEMBER, "sip-move").inputs["condition"]["expression"]
    rules = (find(pair, RULE, f"sip-{side}") for side in ("outside", "tcp", "udp"))
    assert condition == " || ".join(f'resource.name == "{rule.id}"' for rule in rules)
    with pytest.raises(Refused, match=r"Required 'compute\.forwardingRules\.setTarget'"):
        Node(pair.world, "app-1").take()


@pytest.mark.parametrize("name", ["sip-move", "sip-lead"])
def test_with_one_right_less_it_does_not_move(name: str, pair: Live) -> None:
    role = find(pair, ROLE, name)
    before = where(pair)
    for right in role.inputs["permissions"]:
        kept = [one for one in role.inputs["permissions"] if one != right]
        pair.world.edit(ROLE, role.id, permissions=kept)
        node = Node(pair.world, "edge-1")
        try:
            with pytest.raises(Refused, match=f"Required '{right}'"):
                node.read(pair.world.all(RULE)[0].id)
                node.take()
            assert where(pair) == before
        finally:
            pair.world.edit(ROLE, role.id, permissions=role.inputs["permissions"])


def test_a_rule_of_others_is_not_theirs_to_move(pair: Live) -> None:
    member = find(pair, MEMBER, "sip-move")
    condition = member.inputs["condition"]
    other = {**condition, "expression": condition["expression"].replace("sip-udp", "sip-others")}
    pair.world.edit(MEMBER, member.id, condition=other)
    try:
        with pytest.raises(Refused, match="forbidden"):
            Node(pair.world, "edge-1").read(find(pair, RULE, "sip-udp").id)
    finally:
        pair.world.edit(MEMBER, member.id, condition=condition)


def test_a_node_that_has_handed_over_is_replaced(pair: Live) -> None:
    """What led to it goes and comes with it; the rules stay, with their addresses."""
    Node(pair.world, "edge-2").take()
    instance, rules = find(pair, INSTANCE, "edge-1"), pair.world.all(RULE)
    pair.deployment.up("--replace", instance.urn)
    assert find(pair, INSTANCE, "edge-1").get("instanceId") != instance.get("instanceId")
    assert [(one.id, one.get("target")) for one in pair.world.all(RULE)] == [(one.id, one.get("target")) for one in rules]
    assert len(pair.world.all(TARGET)) == 6
    Node(pair.world, "edge-1").take()
    assert where(pair) == at(pair, 1)
    assert pair.deployment.preview() == []


def test_all_else_is_as_the_plan_says(pair: Live) -> None:
    settings = load_stack("gcp-basic").settings.model_copy(update=PAIR)
    found = find_world_problems(make_plan(settings, "gcp-basic"), settings, pair.world)
    # The first machine is as it was made: its user data.
    assert [one for one in found if not one.startswith("edge-1: user data")] == []
    assert [text for one in pair.world.all() for rule in RULES for text in rule.check(one.type, one.inputs)] == []


def test_what_is_sent_by_the_shared_address_is_let_in(pair: Live) -> None:
    """Tags of sources count for a machine's own address only."""
    from_edge = [one for one in pair.world.all(Firewall.type) if one.urn.endswith("-from-edge")]
    assert from_edge and all(one.inputs["sourceRanges"] == [f"{SHARED}/32"] for one in from_edge)


def test_the_end_is_clean_wherever_the_addresses_are(pair: Live) -> None:
    Node(pair.world, "edge-2").take()
    with pytest.raises(EngineError, match="protected"):
        pair.deployment.destroy()
    pair.deployment.run("state", "unprotect", "--all", "--yes")
    pair.deployment.destroy()
    assert pair.world.all() == []
    assert pair.world.all(TARGET) == []
