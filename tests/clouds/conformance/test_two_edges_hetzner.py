"""Two nodes for SIP on simulated Hetzner, by the real engine: both addresses move behind Pulumi's back, and nothing moves them
back."""

import json

import pytest

from policy.rules import RULES
from tests.clouds.conformance.checks import find_world_problems
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.engine import replaced
from tests.clouds.conformance.pair import PAIR
from tests.plans import load_stack, make_plan
from tests.simulator.hetzner.floating import NO_TOKEN, READ_ONLY, Node
from tests.simulator.hetzner.resources import FLOATING, SERVER
from tests.simulator.world import Refused

pytestmark = pytest.mark.clouds

ADDRESS = "10.20.0.39"
TOKEN = "thetoken" * 8
REVERSE = "hcloud:index/rdns:Rdns"


def configure(live: Live, **more: object) -> None:
    live.deployment.configure({**PAIR, **more})
    live.deployment.run("config", "set", "--secret", "webitel:address_token", TOKEN)


@pytest.fixture(scope="module")
def pair(start: Start, standing: Standing) -> Live:
    """A deployment with one node for SIP that got a second one: nothing is made anew for it."""
    live = start("hetzner-basic", standing("hetzner-basic"))
    configure(live)
    assert replaced(live.deployment.up()) == []
    return live


def floating(live: Live) -> str:
    (found,) = live.world.all(FLOATING)
    return found.id


def where(live: Live) -> tuple[list[str], str]:
    """Which servers have the alias, and to which the floating address leads."""
    keys = {one.id: one.urn.rpartition("::")[2] for one in live.world.all(SERVER)}
    having = [keys[one.id] for one in live.world.all(SERVER) if ADDRESS in one.outputs["networks"][0]["aliasIps"]]
    return having, keys.get(str(live.world.all(FLOATING)[0].outputs["serverId"]), "")


def take(live: Live, key: str) -> None:
    node = Node(live.world, key)
    node.assign(floating(live))
    node.take(ADDRESS)


def test_the_addresses_go_with_whoever_takes_calls_and_no_run_moves_them_back(pair: Live) -> None:
    assert pair.deployment.preview() == []
    assert where(pair) == ([], "")
    take(pair, "edge-1")
    assert where(pair) == (["edge-1"], "edge-1")
    assert pair.deployment.up() == []
    # The state learns of what was moved.
    assert {"edge-1", "sip"} <= set(pair.deployment.refresh())
    take(pair, "edge-2")
    take(pair, "edge-2")
    assert where(pair) == (["edge-2"], "edge-2")
    assert pair.deployment.up() == []
    assert pair.deployment.up("--refresh") == []
    assert pair.deployment.preview() == []
    assert where(pair) == (["edge-2"], "edge-2")


def test_a_change_of_a_server_moves_nothing_back(pair: Live) -> None:
    """What the state knows is old: the provider sends of a server what differs from it, and no more."""
    take(pair, "edge-1")
    configure(pair, tags={"team": "voice"})
    assert replaced(pair.deployment.up()) == []
    assert where(pair) == (["edge-1"], "edge-1")
    configure(pair)
    assert replaced(pair.deployment.up()) == []
    assert where(pair) == (["edge-1"], "edge-1")


def test_a_server_that_had_the_address_is_replaced_while_the_other_has_it(pair: Live) -> None:
    """The state says that the address is still here."""
    take(pair, "edge-1")
    pair.deployment.refresh()
    take(pair, "edge-2")
    (server,) = [one.urn for one in pair.world.all(SERVER) if one.urn.endswith("::edge-1")]
    assert set(replaced(pair.deployment.up("--replace", server))) == {f"{SERVER} edge-1"}
    assert where(pair) == (["edge-2"], "edge-2")
    assert pair.deployment.up() == []


@pytest.mark.parametrize(("token", "words"), [(NO_TOKEN, "unauthorized"), (READ_ONLY, "token_readonly")])
def test_with_a_smaller_right_they_do_not_move(token: str, words: str, pair: Live) -> None:
    take(pair, "edge-1")
    node = Node(pair.world, "edge-2", token)
    with pytest.raises(Refused, match=words):
        node.assign(floating(pair))
    with pytest.raises(Refused, match=words):
        node.take(ADDRESS)
    assert where(pair) == (["edge-1"], "edge-1")


def test_an_alias_does_not_come_by_itself(pair: Live) -> None:
    take(pair, "edge-1")
    with pytest.raises(Refused, match="already in use"):
        Node(pair.world, "edge-2").add(ADDRESS)


def test_the_name_leads_back_from_the_address_that_moves(pair: Live) -> None:
    configure(pair, reverse_dns=True)
    assert replaced(pair.deployment.up()) == []
    (name,) = pair.world.all(REVERSE)
    (address,) = pair.world.all(FLOATING)
    assert name.id == f"f-{address.id}-{address.outputs['ipAddress']}"
    configure(pair)
    pair.deployment.up()


def test_the_token_stands_in_no_plain_text_of_the_state(pair: Live) -> None:
    assert TOKEN not in json.dumps(pair.deployment.state())
    assert TOKEN not in pair.deployment.file.read_text()


def test_all_else_is_as_the_plan_says(pair: Live) -> None:
    settings = load_stack("hetzner-basic").settings.model_copy(update={**PAIR, "address_token": TOKEN})
    found = find_world_problems(make_plan(settings, "hetzner-basic"), settings, pair.world)
    # The first machine is as it was made.
    assert [one for one in found if not one.startswith("edge-1: user data")] == []
    assert [text for one in pair.world.all() for rule in RULES for text in rule.check(one.type, one.inputs)] == []


def test_the_end_is_clean_wherever_the_addresses_are(pair: Live) -> None:
    take(pair, "edge-2")
    (address,) = [one for one in pair.deployment.state() if one["type"] == FLOATING]
    assert address["protect"] and address["inputs"]["deleteProtection"]
    configure(pair, release_data=True)
    pair.deployment.up()
    assert where(pair) == (["edge-2"], "edge-2")
    pair.deployment.run("state", "unprotect", "--all", "--yes")
    pair.deployment.destroy()
    assert pair.world.all() == []
