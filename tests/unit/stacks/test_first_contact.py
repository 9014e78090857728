"""The throw-away host key in the user data of a new machine."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cloud_init.compose import compose_user_data
from cloud_init.sent import HOST_KEY_BYTES, add_host_key, encode, measure_sent
from components.clouds.first_network import write_network, write_network_v1
from components.clouds.registry import CLOUDS
from components.host_keys import throw_away_key
from components.model.settings import Settings
from components.model.site import Site
from stacks.first_contact import find_boot_keys
from tests.clouds.conformance.checks import read_sent
from tests.plans import load_yaml, make_plan


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("tier", ["single", "basic", "extended"])
def test_a_machine_boots_with_that_key_and_else_with_what_was_composed(cloud: str, tier: str) -> None:
    settings = Settings.model_validate({"cloud": cloud, "tier": tier})
    plan = make_plan(settings, "try")
    for node in plan.nodes:
        composed, key = compose_user_data(plan, node, settings), throw_away_key("seed", node.key)
        sent = add_host_key(composed, *key, plan.facts)
        text, found = read_sent(sent)
        assert text == composed.decoded
        document = load_yaml(f"{text}ssh_keys:\n  ed25519_private: |\n{found}")
        assert document["ssh_keys"] == {"ed25519_private": key.private, "ed25519_public": key.public}
        assert {name: document[name] for name in document if name != "ssh_keys"} == load_yaml(composed.decoded)
        assert measure_sent(sent, plan.facts) - measure_sent(composed.sent, plan.facts) < HOST_KEY_BYTES
        assert sent == add_host_key(composed, *key, plan.facts)
        assert read_sent(composed.sent) == (composed.decoded, "")


def test_our_key_comes_with_it_where_nothing_else_tells_it() -> None:
    """As a document of cloud-init the one that everybody has, and the rest as it was."""
    settings = Settings.model_validate({"cloud": "xen", "tier": "single", "image": "debian-12"})
    plan = make_plan(settings, "try")
    (node,) = plan.nodes
    composed, key = compose_user_data(plan, node, settings), throw_away_key("seed", node.key)
    text, found = read_sent(add_host_key(composed, *key, plan.facts, "ssh-ed25519 AAAA ours\n"))
    document = load_yaml(f"{text}ssh_keys:\n  ed25519_private: |\n{found}")
    assert document.pop("ssh_authorized_keys") == ["ssh-ed25519 AAAA ours"]
    assert document.pop("ssh_keys") == {"ed25519_private": key.private, "ed25519_public": key.public}
    assert document == load_yaml(composed.decoded)


def test_both_versions_of_a_network_say_the_same() -> None:
    settings = Settings.model_validate({"cloud": "xen", "tier": "single", "image": "debian-12", "network": "10.9.0.0/24"})
    plan, mac = make_plan(settings, "try"), "00:16:3E:00:00:01"
    (node,) = plan.nodes
    (first,) = json.loads(write_network_v1(plan, Site(), node, mac))["config"]
    second = json.loads(write_network(plan, Site(), node, mac))["ethernets"]["eth0"]
    (subnet,) = first["subnets"]
    assert (first["name"], first["mac_address"]) == (second["set-name"], second["match"]["macaddress"])
    assert [subnet["address"]] == second["addresses"] == [f"{node.private_address}/24"]
    assert (subnet["gateway"], subnet["dns_nameservers"]) == (second["gateway4"], second["nameservers"]["addresses"])


def test_that_it_has_no_room_is_known_before_anything_is_made() -> None:
    facts = CLOUDS["hetzner"]
    settings = Settings.model_validate({"cloud": "hetzner", "tier": "single"})
    plan = make_plan(settings, "try")
    size = measure_sent(encode(compose_user_data(plan, plan.nodes[0], settings).decoded, facts), facts)
    tight = replace(plan, facts=replace(facts, user_data_limit=size + HOST_KEY_BYTES - 1))
    with pytest.raises(ValueError, match="1 over the limit on Hetzner"):
        compose_user_data(tight, tight.nodes[0], settings)


@pytest.mark.parametrize(
    ("running", "keys"),
    [
        ({}, {"data-1", "app-1", "edge-1"}),
        ({"data-1": {}, "app-1": {"boot_key": True}}, {"app-1", "edge-1"}),
        ({"data-1": {}, "app-1": {}, "edge-1": {}}, set()),
    ],
    ids=["all are new", "one of an earlier version, one of this, one new", "an earlier version"],
)
def test_a_machine_that_runs_without_it_never_gets_it(running: dict[str, Any], keys: set[str]) -> None:
    plan = make_plan(Settings.model_validate({"cloud": "aws", "tier": "basic"}), "try")
    assert find_boot_keys(plan, running) == keys
