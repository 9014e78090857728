"""`webitel:sip_address`: where it can be had, with one node for SIP as with two, and which addresses are refused."""

from typing import Any

import pytest

from components.model.catalogue.standby import ADDRESS, FOLLOWING
from components.model.clouds.facts import PublicAddress
from components.model.plan import Plan
from components.model.problems import PlanError
from components.model.settings import Settings
from tests.plans import make_plan

KEY = "ssh-ed25519 " + "A" * 68
DATA = {"database": "/dev/disk/by-id/one", "recordings": "/dev/disk/by-id/two"}
HOSTS: tuple[dict[str, Any], ...] = (
    {"address": "10.1.0.5", "role": "data", "host_key": KEY, "devices": DATA},
    {"address": "10.1.0.6", "role": "app", "host_key": KEY},
    {"address": "10.1.0.7", "role": "edge", "host_key": KEY},
    {"address": "10.1.0.8", "role": "edge", "host_key": KEY},
)
ONE = HOSTS[:3]


def plan(cloud: str = "onprem", tier: str = "basic", **more: Any) -> Plan:
    if cloud == "onprem":
        more.setdefault("hosts", HOSTS)
    return make_plan(Settings.model_validate({"cloud": cloud, "tier": tier, **more}), "s")


def problems(**more: Any) -> str:
    with pytest.raises(PlanError) as caught:
        plan(**more)
    return str(caught.value)


def test_two_given_hosts_have_the_address_that_their_owner_gives() -> None:
    pair = plan(sip_address="10.1.0.20")
    assert pair.sip_address == pair.sip_outside == "10.1.0.20"
    edges = [node for node in pair.nodes if node.role == "edge"]
    assert [node.private_address for node in edges] == ["10.1.0.7", "10.1.0.8"]
    for node in edges:
        assert {ADDRESS, "locks", *FOLLOWING} <= set(node.services)


@pytest.mark.parametrize("cloud", ["onprem", "local"])
def test_one_node_may_have_it_from_the_first_day(cloud: str) -> None:
    address = {"onprem": "10.1.0.20", "local": "10.77.1.240"}[cloud]
    given: dict[str, Any] = {"hosts": ONE} if cloud == "onprem" else {}
    alone = plan(cloud, sip_address=address, **given)
    assert alone.sip_address == address
    assert {ADDRESS, "locks", *FOLLOWING} <= set(alone.node("edge-1").services)
    assert not [one for one in alone.openings if one.listener == "copy"]


def test_without_it_one_host_is_as_it_was() -> None:
    alone = plan(hosts=ONE)
    assert alone.sip_address == alone.sip_outside == "" and ADDRESS not in alone.node("edge-1").services


def test_two_given_hosts_need_one() -> None:
    assert "webitel:sip_address: needed with two nodes of role edge; use a free address of their network, such as" in problems()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.1.0.6", "it is the address of app-1"),
        ("10.1.0.7", "it is the address of edge-1"),
        ("10.1.1.20", "not in the nodes' network 10.1.0.0/24"),
        ("10.1.0.0", "no address for a node"),
        ("10.1.0.255", "no address for a node"),
    ],
)
def test_an_address_that_cannot_be_had(address: str, words: str) -> None:
    said = problems(sip_address=address)
    assert f"webitel:sip_address = {address}: {words}" in said and "such as 10.1.0.2" in said


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.77.1.1", "it is the router's"),
        ("10.77.1.12", "a node of role data would get it"),
        ("10.77.1.35", "a node of role edge would get it"),
    ],
)
def test_an_address_that_we_would_give_to_a_node(address: str, words: str) -> None:
    assert words in problems(cloud="local", sip_address=address)
    assert "would get it" in problems(cloud="local", network="10.77.0.0/16", sip_address="10.77.2.11")


def test_an_address_behind_a_router_that_translates() -> None:
    outside = {"public_address": "203.0.113.9", "translated": True}
    hosts = [*HOSTS[:2], *(host | outside for host in HOSTS[2:])]
    pair = plan(hosts=hosts, sip_address="10.1.0.20")
    assert pair.facts.public_address is PublicAddress.TRANSLATED
    assert (pair.sip_address, pair.sip_outside) == ("10.1.0.20", "203.0.113.9")
    hosts[3] = hosts[3] | {"public_address": "203.0.113.10"}
    said = problems(hosts=hosts, sip_address="10.1.0.20")
    assert (
        "webitel:hosts = 203.0.113.9, 203.0.113.10: " in said and "translates one public address to webitel:sip_address" in said
    )


def test_hosts_with_a_public_address_beside_the_private_one_are_refused() -> None:
    hosts = [*HOSTS[:2], *(host | {"public_address": f"203.0.113.{n}"} for n, host in enumerate(HOSTS[2:], 9))]
    assert "only one address moves" in problems(hosts=hosts, sip_address="10.1.0.20")


HYPERVISORS = ("libvirt", "proxmox", "vsphere", "xen")


def test_on_hypervisors_two_nodes_have_the_address_that_a_tenth_would_get() -> None:
    for cloud in HYPERVISORS:
        pair = plan(cloud, counts={"edge": 2}, network="10.30.0.0/24")
        assert pair.sip_address == pair.sip_outside == "10.30.0.39", cloud
        chosen = plan(cloud, counts={"edge": 2}, network="10.30.0.0/24", sip_address="10.30.0.200")
        assert chosen.sip_address == "10.30.0.200", cloud
        assert plan(cloud, network="10.30.0.0/24").sip_address == "", cloud
    gateway = problems(cloud="proxmox", network="10.30.0.0/24", site={"gateway": "10.30.0.254"}, sip_address="10.30.0.254")
    assert "it is the router's" in gateway


def test_the_router_before_a_hypervisor_translates_one_address_to_both() -> None:
    def behind(*addresses: str) -> dict[str, Any]:
        given = {f"edge-{n}": address for n, address in enumerate(addresses, 1)}
        return {"cloud": "libvirt", "counts": {"edge": 2}, "site": {"public_addresses": given}}

    assert plan(**behind("203.0.113.5", "203.0.113.5")).sip_outside == "203.0.113.5"
    said = problems(**behind("203.0.113.5", "203.0.113.6"))
    assert "webitel:site.public_addresses = 203.0.113.5, 203.0.113.6: two nodes take turns" in said


def test_on_aws_two_nodes_have_an_address_of_their_subnet_and_a_public_one() -> None:
    pair, alone = plan("aws", counts={"edge": 2}), plan("aws")
    assert (pair.sip_address, pair.sip_outside) == ("10.20.128.39", "")
    assert [node.private_address for node in pair.nodes if node.role == "edge"] == ["10.20.128.30", "10.20.128.31"]
    details = [next(line.detail for line in one.bill if line.what == "addresses") for one in (alone, pair)]
    assert details == ["2 public IPv4", "4 public IPv4"], "that of the second node, and the one that moves"
    assert plan("aws", counts={"edge": 1}, sip_address="10.20.128.39").sip_address == pair.sip_address
    assert plan("aws", "extended", counts={"sip": 2}).sip_address == "10.20.128.69"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.20.128.2", "AWS keeps it for itself"),
        ("10.20.128.31", "a node of role edge would get it"),
        ("10.20.0.200", "not in the nodes' network 10.20.128.0/20"),
    ],
)
def test_on_aws_the_address_is_one_of_the_subnet(address: str, words: str) -> None:
    assert f"webitel:sip_address = {address}: {words}" in problems(cloud="aws", counts={"edge": 2}, sip_address=address)


def test_on_aws_both_nodes_stand_in_one_zone() -> None:
    zones: dict[str, Any] = {"cloud": "aws", "counts": {"edge": 2}, "zones": ["a", "b"]}
    assert "webitel:node_zones.edge-2 = b: edge-1 is in zone a" in problems(**zones)
    assert plan(**zones, node_zones={"edge-2": "a"}).sip_address == "10.20.128.39"


def test_on_google_two_nodes_have_a_private_and_a_public_address_in_any_zones() -> None:
    pair, alone = plan("gcp", counts={"edge": 2}), plan("gcp")
    assert (pair.sip_address, pair.sip_outside) == ("10.20.0.39", "")
    details = [next(line.detail for line in one.bill if line.what == "addresses") for one in (alone, pair)]
    assert details == ["2 public IPv4", "4 public IPv4"], "that of the second node, and the one that moves"
    assert plan("gcp", counts={"edge": 2}, zones=["a", "b"]).sip_address == "10.20.0.39"
    assert plan("gcp", "extended", counts={"sip": 2}).sip_address == "10.20.0.69"
    assert "Google Cloud keeps it" in problems(cloud="gcp", counts={"edge": 2}, sip_address="10.20.255.254")


def test_on_google_no_address_is_forwarded_in_a_given_network() -> None:
    subnets = {"projects/p/regions/europe-west3/subnetworks/telephony": {"range": "10.40.0.0/24"}}
    given = {"id": "projects/p/global/networks/company", "subnets": subnets}
    told = problems(cloud="gcp", counts={"edge": 2}, existing_network=given)
    assert "webitel:counts.edge = 2: nothing says yet that Google Cloud forwards an address" in told


def test_in_a_given_network_it_is_one_of_its_subnet() -> None:
    subnets = {
        "subnet-0123456789abcdef0": {"range": "10.40.0.0/24", "zone": "a", "public": True},
        "subnet-0123456789abcdef1": {"range": "10.40.1.0/24", "zone": "a", "public": False},
    }
    given: dict[str, Any] = {
        "cloud": "aws",
        "counts": {"edge": 2},
        "existing_network": {"id": "vpc-0123456789abcdef0", "subnets": subnets},
    }
    assert plan(**given).sip_address == "10.40.0.39"
    assert "a node of role edge would get it" in problems(**given, sip_address="10.40.0.31")
    assert "not in the nodes' network 10.40.0.0/24" in problems(**given, sip_address="10.40.1.99")


TOKEN = {"address_token": "a secret"}


def test_on_hetzner_two_nodes_have_an_alias_and_a_public_address() -> None:
    pair = plan("hetzner", counts={"edge": 2}, **TOKEN)
    assert (pair.sip_address, pair.sip_outside) == ("10.20.0.39", "")
    assert plan("hetzner", counts={"edge": 1}, sip_address="10.20.0.39", **TOKEN).sip_address == pair.sip_address
    assert plan("hetzner", "extended", counts={"sip": 2}, **TOKEN).sip_address == "10.20.0.69"
    assert any("a node of role edge could read, change and delete all of the project" in one for one in pair.warnings)
    assert not any("address_token" in one for one in plan("hetzner", **TOKEN).warnings), "no node gets it"


def test_on_hetzner_nothing_moves_without_a_token_of_its_owners() -> None:
    said = problems(cloud="hetzner", counts={"edge": 2})
    assert "webitel:counts.edge = 2: nodes move the address with a token of yours" in said
    assert "./webitel pulumi config set --secret webitel:address_token --stack STACK; or use 1" in said
    said = problems(cloud="hetzner", sip_address="10.20.0.39")
    assert "webitel:sip_address = 10.20.0.39: nodes move" in said and "or remove the setting" in said


@pytest.mark.parametrize("cloud", ["azure", "digitalocean"])
def test_other_clouds_refuse_both_clearly(cloud: str) -> None:
    assert "webitel:counts.edge = 2: " in problems(cloud=cloud, counts={"edge": 2})
    assert "webitel:sip_address = 10.0.0.5: " in problems(cloud=cloud, sip_address="10.0.0.5")


def test_where_this_machine_translates_one_public_address_leads_to_both() -> None:
    pair = plan("local", counts={"edge": 2}, local_network="nat")
    assert (pair.sip_address, pair.sip_outside) == ("10.77.1.39", "198.18.1.39")


def test_a_single_server_has_its_own() -> None:
    assert "webitel:sip_address" in problems(cloud="local", tier="single", sip_address="10.77.0.240")


def services(made: Plan) -> dict[str, tuple[str, ...]]:
    return {node.key: node.services for node in made.nodes}


def test_a_second_node_and_back_is_no_change_of_the_first() -> None:
    alone, pair = plan(hosts=ONE, sip_address="10.1.0.20"), plan(sip_address="10.1.0.20")
    assert services(pair) == services(alone) | {"edge-2": services(alone)["edge-1"]}


def test_the_role_for_sip_of_the_largest_tier_has_two_nodes_too() -> None:
    pair = plan("local", "extended", counts={"sip": 2})
    assert pair.sip_address == "10.77.2.69"
    for node in pair.nodes:
        assert (ADDRESS in node.services) == (node.role == "sip")
