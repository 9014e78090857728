"""Hosts that are given: what the stack file has to say of each, and what follows from it."""

from collections.abc import Mapping
from typing import Any

import pytest

from components.model.clouds.facts import PublicAddress
from components.model.plan import Plan
from components.model.planning.planner import documentation_values
from components.model.problems import PlanError
from components.model.settings import Settings
from stacks.load import make_deployment

KEY = "ssh-ed25519 " + "A" * 68
DATA = {"database": "/dev/disk/by-id/one", "recordings": "/dev/disk/by-id/two"}
ALL = {"address": "10.1.0.5", "role": "all", "host_key": KEY, "devices": DATA}
BASIC = (
    {"address": "10.1.0.5", "role": "data", "host_key": KEY, "devices": DATA},
    {"address": "10.1.0.6", "role": "app", "host_key": KEY},
    {"address": "203.0.113.7", "role": "edge", "host_key": KEY, "private_address": "10.1.0.7"},
)


def plan(*hosts: Mapping[str, Any], tier: str = "single", **more: Any) -> Plan:
    values = {"cloud": "onprem", "tier": tier, "hosts": hosts, **more}
    return make_deployment(Settings.model_validate(values), "test").plan


def problems(*hosts: Mapping[str, Any], tier: str = "single", **more: Any) -> str:
    with pytest.raises(PlanError) as caught:
        plan(*hosts, tier=tier, **more)
    return str(caught.value)


def test_nodes_stand_on_the_hosts_of_their_role_in_their_order() -> None:
    more = {"address": "10.1.0.16", "role": "app", "host_key": KEY}
    made = plan(*BASIC, more, tier="basic")
    assert {node.key: node.private_address for node in made.nodes} == {
        "data-1": "10.1.0.5",
        "app-1": "10.1.0.6",
        "app-2": "10.1.0.16",
        "edge-1": "10.1.0.7",
    }
    assert made.network == "10.1.0.0/24"
    assert (made.bill, made.monthly_price.amount, made.monthly_price.as_of) == ((), 0.0, "")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, PublicAddress.PRIVATE),
        ({"private_address": "10.2.0.5"}, PublicAddress.OWN),
        ({"public_address": "203.0.113.9"}, PublicAddress.OWN),
        ({"public_address": "203.0.113.9", "translated": True}, PublicAddress.TRANSLATED),
    ],
)
def test_what_a_host_knows_of_its_public_address(changes: Mapping[str, Any], expected: PublicAddress) -> None:
    assert plan({**ALL, **changes}).facts.public_address is expected


def test_the_account_is_the_one_that_is_set() -> None:
    assert plan(ALL).facts.login_user == "debian"
    assert plan(ALL, host_user="root").facts.login_user == "root"


def test_operators_log_in_to_each_host_itself() -> None:
    made = plan(*BASIC, tier="basic", operators=["10.9.0.0/24"])
    assert {one.role: one.sources for one in made.openings if one.service == "ssh"} == dict.fromkeys(
        ("data", "app", "edge"), ("10.9.0.0/24",)
    )


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ([], "0 of role all: 1 is needed; add 1 such as"),
        ([{**ALL, "role": "app"}], "tier single has no role app"),
        ([{**ALL, "devices": {}}], "webitel:hosts.1.devices.database: say where the data go"),
        ([{**ALL, "devices": {**DATA, "database": "srv"}}], "neither a device nor a directory"),
        ([{**ALL, "devices": dict.fromkeys(DATA, "/dev/sdb")}], "stands twice; every purpose has its own"),
        ([{**ALL, "host_key": "SHA256:abc"}], "not a host key; use one such as ssh-ed25519"),
        ([{**ALL, "address": "rack.lan"}], "rack.lan is a name; write the address too"),
        ([{**ALL, "translated": True}], "then public_address is another one than private_address"),
        ([ALL, {**ALL, "address": "10.1.0.6"}], "2 of role all"),
    ],
)
def test_what_is_wrong_with_one(hosts: list[Mapping[str, Any]], words: str) -> None:
    assert words in problems(*hosts)


def test_what_is_wrong_with_several() -> None:
    twice = {**BASIC[1], "address": BASIC[0]["address"]}
    assert "hosts 1 and 2 have it; one each" in problems(BASIC[0], twice, BASIC[2], tier="basic")
    outside = {**BASIC[1], "address": "203.0.113.6"}
    assert "would speak to each other over the internet" in problems(BASIC[0], outside, BASIC[2], tier="basic")
    assert "not in webitel:network" in problems(*BASIC, tier="basic", network="10.7.0.0/24")
    assert "2 are needed; add 1" in problems(*BASIC, tier="basic", counts={"app": 2})


def test_other_clouds_make_their_machines_themselves() -> None:
    assert "makes its machines itself" in problems(ALL, cloud="hetzner")


def test_a_host_proves_itself_before_anything_is_sent() -> None:
    def said(**changes: Any) -> str:
        settings = Settings.model_validate({"cloud": "onprem", "tier": "single", "hosts": [ALL | changes]})
        return "\n".join(map(str, documentation_values(settings, plan(ALL).facts)))

    assert "hosts" not in said() and "hosts" not in said(host_key="accept")
    assert "webitel:hosts.1.host_key: nothing tells 10.1.0.5" in said(host_key="")
    assert "ssh-keyscan -t ed25519 -p 2222 10.1.0.5" in said(host_key="", address="10.1.0.5:2222")
    assert "webitel:hosts.1.address = 192.0.2.5: an example" in said(public_address="192.0.2.5")


def test_what_should_be_known() -> None:
    def warnings(**changes: Any) -> str:
        return "\n".join(plan(ALL | changes).warnings)

    assert "hosts" not in warnings()
    assert "shares the fate of the disk" in warnings(devices={**DATA, "database": "/srv/database"})
    assert "may be another disk after a restart" in warnings(devices={**DATA, "database": "/dev/sdb"})
    assert "whichever machine answers at 10.1.0.5 first" in warnings(host_key="accept")
    spare = {"address": "10.1.0.16", "role": "app", "host_key": KEY}
    assert "the last stand idle" in "\n".join(plan(*BASIC, spare, tier="basic", counts={"app": 1}).warnings)
