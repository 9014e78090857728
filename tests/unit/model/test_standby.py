"""Two nodes for SIP: what is placed, who has the address, what is open between them."""

from components.model.catalogue.standby import ADDRESS, FOLLOWING
from components.model.catalogue.tiers import TIERS
from components.model.machine import Public
from components.model.plan import Plan
from components.model.planning.placement import place_services
from components.model.settings import Settings
from components.model.share import resolve_catalogue
from tests.plans import make_plan


def settings(count: int = 2) -> Settings:
    return Settings.model_validate({"cloud": "local", "tier": "basic", "counts": {"edge": count}})


def plan(count: int = 2) -> Plan:
    return make_plan(settings(count), "s")


def test_both_nodes_have_all_of_it_and_one_address_between_them() -> None:
    pair = plan()
    edges = [node for node in pair.nodes if node.role == "edge"]
    assert [node.n for node in edges] == [1, 2] and all(node.public is Public.SERVICE for node in edges)
    for node in edges:
        assert {ADDRESS, "redis", "locks", *FOLLOWING} <= set(node.services)
        order = node.services.index
        assert order(ADDRESS) < order("rtpengine") < order("opensips")
    assert pair.sip_address == "10.77.1.39"
    assert pair.sip_address not in {node.private_address for node in pair.nodes}


def test_one_node_is_as_it_was() -> None:
    alone = plan(1)
    assert alone.sip_address == "" and {ADDRESS, "locks"}.isdisjoint(alone.node("edge-1").services)
    assert resolve_catalogue(settings(1)) == resolve_catalogue(Settings.model_validate({"cloud": "local", "tier": "basic"}))


def test_all_of_it_moves_by_one_lock() -> None:
    catalogue = resolve_catalogue(settings())
    assert catalogue[ADDRESS].moves and not catalogue[ADDRESS].moves_with
    assert {catalogue[name].moves_with for name in FOLLOWING} == {ADDRESS}
    assert {name for name, service in catalogue.items() if service.moves_with} == set(FOLLOWING)
    placed = place_services(TIERS["basic"], {"data": 1, "app": 1, "edge": 2}, catalogue)
    assert placed["edge", 1] == placed["edge", 2]


def test_calls_are_copied_between_the_two_and_to_nobody_else() -> None:
    copies = [opening for opening in plan().openings if opening.service == "redis"]
    assert [(one.role, one.listener, one.sources) for one in copies] == [("edge", "copy", ("role:edge",))]
    assert not [opening for opening in plan(1).openings if opening.service == "redis"]
