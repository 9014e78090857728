"""Nothing leaves by a public address of the machine's own towards private networks, but to those that the settings name."""

from ipaddress import IPv4Network

import pytest

from tests.plans import compose_configuration, load_stack, make_plan

DROP = "ip daddr { 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 } counter drop"


def rules(stack: str, key: str, **changes: object) -> str:
    """The nftables of a node."""
    settings = load_stack(stack).settings.model_copy(update=changes)
    plan = make_plan(settings, stack)
    return compose_configuration(plan, plan.node(key), settings).files["/etc/nftables.conf"]


@pytest.mark.parametrize("stack", ["hetzner-basic", "digitalocean-basic"])
def test_no_audio_goes_to_a_private_address_of_the_internet(stack: str) -> None:
    text = rules(stack, "edge-1", phones=(IPv4Network("192.168.7.0/24"), IPv4Network("192.0.2.0/24")))
    source = "ip saddr {{address:edge-1.public}} "
    allowed, dropped = text.index(f"{source}ip daddr 192.168.7.0/24 accept"), text.index(f"{source}{DROP}")
    assert allowed < dropped
    assert "192.0.2.0/24 accept" not in text


@pytest.mark.parametrize(("stack", "key"), [("aws-basic", "edge-1"), ("local-single", "all-1"), ("hetzner-basic", "app-1")])
def test_what_has_no_public_address_of_its_own_needs_no_such_rule(stack: str, key: str) -> None:
    assert DROP not in rules(stack, key)
