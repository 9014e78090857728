"""A network of the company's: what is refused, and where nodes stand in it."""

from typing import Any

import pytest

from components.clouds.registry import CLOUDS
from components.model.planning.existing import describe_network, refuse_other_network
from components.model.planning.planner import PlanError
from components.model.planning.standing import Resource, read_standing
from components.model.settings import Settings
from tests.plans import make_plan

PUBLIC, PRIVATE = "subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"
SUBNETS: dict[str, dict[str, Any]] = {
    PUBLIC: {"range": "10.40.0.0/24", "zone": "a", "public": True},
    PRIVATE: {"range": "10.40.1.0/24", "zone": "a"},
}
EDGE = "10.40.0.30"
"""The address of `edge-1`."""
GIVEN: dict[str, Any] = {"id": "vpc-0123456789abcdef0", "subnets": SUBNETS}


def plan_with(given: dict[str, Any], **values: Any) -> Any:
    basics = {"cloud": "aws", "tier": "basic", "region": "eu-central-1"}
    return make_plan(Settings.model_validate({**basics, **values, "existing_network": given}), "test")


def without(id: str) -> dict[str, Any]:
    return {**GIVEN, "subnets": {key: subnet for key, subnet in SUBNETS.items() if key != id}}


def changed(id: str, **values: Any) -> dict[str, Any]:
    return {**GIVEN, "subnets": {**SUBNETS, id: {**SUBNETS[id], **values}}}


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        GIVEN,
        {"cloud": "hetzner", "region": ""},
        r"webitel:existing_network.id = vpc-.*on Hetzner a deployment makes its own network",
    ),
    (GIVEN, {"cloud": "digitalocean", "region": ""}, "choose its range by webitel:network, such as 10"),
    (GIVEN, {"cloud": "local", "region": ""}, "a deployment makes its own network; remove the setting"),
    (GIVEN, {"network": "10.50.0.0/16"}, "webitel:network = 10.50.0.0/16: webitel:existing_network has its own ranges"),
    ({**GIVEN, "id": "vpc"}, {}, "webitel:existing_network.id = vpc: not a network; use one such as vpc-0123456789abcdef0"),
    (
        {**GIVEN, "subnets": {}},
        {},
        r"existing_network.subnets = none: public subnets in zone a: none; write it such as ID: \{range",
    ),
    (
        without(PRIVATE),
        {},
        r"private subnets in zone a: none; write it such as ID: \{range: 10.40.1.0/24, zone: a, public: false\}",
    ),
    (GIVEN, {"zones": ["a", "b"], "counts": {"app": 2}}, "private subnets in zone b: none"),
    (changed(PRIVATE, public=True), {}, "public subnets in zone a: 2, and it must be one"),
    (changed(PRIVATE, zone=""), {}, r"subnets.subnet-0b+.zone: say in which zone it is: a, b, c"),
    (changed(PRIVATE, range="10.40.0.128/25"), {}, "range = 10.40.0.128/25: overlaps subnet-0a"),
    (changed(PRIVATE, range="8.8.8.0/24"), {}, "range = 8.8.8.0/24: not a private network"),
    (changed(PRIVATE, first="10.40.2.9"), {}, r"first = 10.40.2.9: not in 10.40.1.0/24; use an address such as 10.40.1.10"),
    (
        changed(PRIVATE, range="10.40.1.0/28"),
        {},
        "range = 10.40.1.0/28: too small: nodes have fixed places, the last is 10.40.1.20",
    ),
    ({"id": GIVEN["id"], "subnets": {"net": SUBNETS[PUBLIC], PRIVATE: SUBNETS[PRIVATE]}}, {}, "subnets.net = net: not a subnet"),
]


@pytest.mark.parametrize(("given", "values", "message"), REFUSED)
def test_what_cannot_be(given: dict[str, Any], values: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan_with(given, **values)


def test_nodes_stand_in_the_subnets_from_the_first_address_on() -> None:
    plan = plan_with(changed(PRIVATE, first="10.40.1.100"))
    assert {node.key: (node.subnet, node.private_address) for node in plan.nodes} == {
        "data-1": (PRIVATE, "10.40.1.100"),
        "app-1": (PRIVATE, "10.40.1.110"),
        "edge-1": (PUBLIC, "10.40.0.30"),
    }
    assert set(plan.networks) == {"10.40.0.0/24", "10.40.1.0/24"} and plan.gateways == 0
    assert not any("NAT" in line.what for line in plan.bill)
    assert any("is yours: its NAT, routes and what they cost are not in the bill" in text for text in plan.warnings)


@pytest.mark.parametrize(
    ("cloud", "tier", "refused"),
    [("hetzner", "basic", True), ("digitalocean", "extended", True), ("hetzner", "single", False), ("azure", "extended", False)],
)
def test_no_public_address_but_of_those_reached_from_outside(cloud: str, tier: str, refused: bool) -> None:
    settings = Settings.model_validate({"cloud": cloud, "tier": tier, "private_only": True})
    if refused:
        with pytest.raises(PlanError, match=r"webitel:private_only = true: on .* by a public address of their own.*NAT"):
            make_plan(settings, "test")
    else:
        assert {node.public.value for node in make_plan(settings, "test").nodes} <= {"service", "no"}


def test_a_subnet_of_another_region_or_network_is_none() -> None:
    network = "projects/company/global/networks/main"
    subnets = {"projects/company/regions/us-east1/subnetworks/tel": {"range": "10.40.0.0/24"}}
    with pytest.raises(PlanError, match="a subnet of us-east1, the deployment is in europe-west3"):
        plan_with({"id": network, "subnets": subnets}, cloud="gcp", region="europe-west3")


def test_what_is_up_stays_in_its_network() -> None:
    own, given = make_plan(Settings.model_validate({"cloud": "aws", "tier": "basic"}), "test"), plan_with(GIVEN)
    told = describe_network(given)["existing_network"]
    refuse_other_network(own, None, True, {})
    refuse_other_network(given, told, False, {})
    further = {**SUBNETS, "subnet-0cccccccccccccccc": {"range": "10.40.2.0/24", "zone": "b"}}
    refuse_other_network(plan_with({**GIVEN, "subnets": further}), told, False, {})
    for plan, before, made, message in (
        (given, None, True, "test stands in a network of its own"),
        (own, told, False, "webitel:existing_network = none: test stands in vpc-0123456789abcdef0"),
        (plan_with({**GIVEN, "id": "vpc-0fffffffffffffff0"}), told, False, "stands in vpc-0123456789abcdef0"),
        (plan_with(changed(PRIVATE, first="10.40.1.50")), told, False, "subnets = subnet-0b+: nodes stand there.*put back"),
    ):
        with pytest.raises(PlanError, match=message):
            refuse_other_network(plan, before, made, {})


@pytest.mark.parametrize(
    ("cloud", "type", "outputs"),
    [
        ("aws", "aws:ec2/networkInterface:NetworkInterface", {"subnetId": PUBLIC, "privateIp": EDGE}),
        (
            "gcp",
            "gcp:compute/instance:Instance",
            {"networkInterfaces": [{"subnetwork": f"https://compute.example/v1/{PUBLIC}", "networkIp": EDGE}]},
        ),
        (
            "azure",
            "azure-native:network:NetworkInterface",
            {"ipConfigurations": [{"subnet": {"id": PUBLIC.upper()}, "privateIPAddress": EDGE}]},
        ),
    ],
)
def test_what_an_up_that_was_cut_left_stays_in_its_network(cloud: str, type: str, outputs: dict[str, Any]) -> None:
    """No `up` said where it stands: the state's resources do."""
    facts, given = CLOUDS[cloud], plan_with(GIVEN)
    wish = Settings.model_validate({"cloud": cloud, "tier": "basic"})
    standing = read_standing({}, [Resource(type, "edge-1", outputs)], wish, facts)
    assert standing.given.keys() == {"edge-1"}
    refuse_other_network(given, standing.existing, standing.own_network, standing.given)
    others = {f"{PUBLIC[:-1]}f": SUBNETS[PUBLIC], PRIVATE: SUBNETS[PRIVATE]}
    for plan in (make_plan(wish, "test"), plan_with({**GIVEN, "subnets": others})):
        with pytest.raises(PlanError, match=r"edge-1 stands in .*, and what is up cannot move"):
            refuse_other_network(plan, standing.existing, standing.own_network, standing.given)
    assert facts.given_networks
    own = [Resource(type, "edge-1", outputs), Resource(facts.given_networks.resource, "network", {})]
    assert read_standing({}, own, wish, facts).given == {}


@pytest.mark.parametrize(("first", "right"), [("10.40.0.50", "10.40.0.70"), (None, "10.40.0.30")])
def test_what_an_up_that_was_cut_left_keeps_its_addresses(first: str | None, right: str) -> None:
    """Twenty further on than the setting says now; with the `first` that is named it stays."""

    def plan(first: str | None) -> Any:
        return plan_with(changed(PUBLIC, first=first) if first else GIVEN)

    stands = {node.key: (node.subnet, node.private_address) for node in plan(right).nodes}
    refuse_other_network(plan(right), None, False, stands)
    message = rf"\.first = {first or 'none'}: edge-1 has 10\.40\.0\.\d+, and what is up cannot move; .*; put back first: {right}$"
    with pytest.raises(PlanError, match=message):
        refuse_other_network(plan(first), None, False, stands)
