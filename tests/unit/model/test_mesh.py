"""The mesh: on which nodes, what it opens, what is refused and what is said of it."""

from typing import Any

import pytest

from components.model.mesh import list_apart, refuse_sudden_end
from components.model.plan import Plan
from components.model.planning.standing import describe
from components.model.problems import PlanError
from components.model.settings import Settings
from components.model.share import resolve_catalogue
from tests.plans import load_stack, make_plan


def settings(stack: str, **more: Any) -> Settings:
    return Settings.model_validate({**load_stack(stack).settings.model_dump(), **more})


def plan(stack: str, **more: Any) -> Plan:
    return make_plan(settings(stack, **more), stack)


def test_every_node_has_it_and_lets_all_others_in_and_nobody_else() -> None:
    made = plan("aws-extended", mesh=True)
    assert all("mesh" in node.services for node in made.nodes)
    for node in made.nodes:
        assert node.services.index("mesh") < node.services.index("consul"), "before whatever speaks to other nodes"
    openings = [one for one in made.openings if one.service == "mesh"]
    assert {one.role for one in openings} == set(made.roles)
    for one in openings:
        assert (one.protocol, one.ports, one.audience) == ("udp", "51820", "callers")
        several = sum(node.role == one.role for node in made.nodes) > 1
        assert set(one.sources) == {f"role:{role}" for role in made.roles if role != one.role or several}


def test_nothing_of_it_is_there_unless_it_is_wanted_or_on_a_single_node() -> None:
    for made in (plan("aws-extended"), plan("aws-single", mesh=True)):
        assert not any("mesh" in node.services for node in made.nodes)
        assert not any(one.service == "mesh" for one in made.openings)


@pytest.mark.parametrize("more", [{"counts": {"edge": 2}}, {"sip_address": "10.20.0.39"}])
def test_the_address_that_two_nodes_have_in_turn_is_refused(more: dict[str, Any]) -> None:
    plan("gcp-basic", **more)
    with pytest.raises(PlanError, match=r"webitel:mesh = true: the address that nodes for SIP have in turn"):
        plan("gcp-basic", mesh=True, **more)


def test_ssh_goes_past_it_and_audio_unless_that_is_wanted_too() -> None:
    def apart(**more: Any) -> list[str]:
        given = settings("aws-basic", mesh=True, **more)
        return [f"{one.protocol} {one.ports}" for one in list_apart(given, resolve_catalogue(given))]

    assert apart() == ["tcp 22", "udp 10000-19999", "udp 20000-39999"]
    assert apart(mesh_audio=True) == ["tcp 22"]


@pytest.mark.parametrize(
    ("stack", "more", "is_told"),
    [
        ("hetzner-basic", {}, True),
        ("digitalocean-extended", {}, True),
        ("onprem-basic", {}, True),
        ("hetzner-basic", {"mesh": True}, False),
        ("hetzner-single", {}, False),
        ("hetzner-basic", {"counts": {"edge": 2}, "address_token": "a-token"}, False),
        ("aws-basic", {}, False),
    ],
)
def test_it_is_told_of_where_others_may_listen(stack: str, more: dict[str, Any], is_told: bool) -> None:
    assert any("webitel:mesh: true" in warning for warning in plan(stack, **more).warnings) == is_told


def test_it_ends_in_two_steps() -> None:
    def told(**more: Any) -> dict[str, Any]:
        given = settings("aws-basic", **more)
        return describe(make_plan(given, "aws-basic"), given)

    off = settings("aws-basic")
    with pytest.raises(PlanError, match=r"webitel:mesh = false: nodes send .* webitel:mesh_sends: false, run ./webitel up"):
        refuse_sudden_end(off, told(mesh=True))
    refuse_sudden_end(settings("aws-basic", mesh=True, mesh_sends=False), told(mesh=True))
    refuse_sudden_end(off, told(mesh=True, mesh_sends=False))
    refuse_sudden_end(off, told())
    refuse_sudden_end(settings("aws-basic", mesh=True), {})
