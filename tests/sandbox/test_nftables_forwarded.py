"""Where a cloud forwards a public address as it is, the node rewrites each packet by itself: by the kernel, with the file that a
node on Google Cloud gets. What leads to the node is a cable here, not Google's network."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.model.settings import Settings
from tests.plans import compose_configuration, make_plan
from tests.sandbox.network import own_network
from tests.sandbox.test_nftables import fill
from tests.sandbox.test_nftables_audio import INSIDE, OUTSIDE, RTP, inside, load, other_network, run, udp

pytestmark = [pytest.mark.sandbox, pytest.mark.skipif(os.geteuid() != 0, reason="only root makes networks")]

PUBLIC, NEIGHBOUR = "203.0.113.5", "10.20.0.99"
"""The address that is forwarded, and another machine of the deployment's network."""


@pytest.fixture
def forwarded(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """The private address that the node has with it, and a network from which the public one leads to the node."""
    settings = Settings.model_validate({"cloud": "gcp", "tier": "basic", "counts": {"edge": 2}})
    plan = make_plan(settings, "s")
    text = compose_configuration(plan, plan.node("edge-1"), settings).files["/etc/nftables.conf"]
    for place, address in (("sip.public", PUBLIC), ("edge-1.public", INSIDE)):
        text = text.replace("{{address:" + place + "}}", address)
    rules = tmp_path / "rules"
    rules.write_text(fill(plan, text)[0])
    with own_network():
        other = other_network()
        run(f"ip address add {plan.sip_address}/32 dev inside")
        run(f"ip route add {NEIGHBOUR}/32 dev inside")
        with inside(other):
            run(f"ip route add {PUBLIC}/32 via {INSIDE}")
            run(f"ip address add {NEIGHBOUR}/32 dev outside")
            run(f"ip route add {plan.sip_address}/32 via {INSIDE} src {NEIGHBOUR}")
        load(rules)
        yield plan.sip_address, other
        os.close(other)


def test_audio_comes_and_goes_with_the_public_address(forwarded: tuple[str, int]) -> None:
    inner, other = forwarded
    node = udp(inner, RTP)
    with inside(other):
        phone = udp(OUTSIDE, 4000)
    # The node's own first packet: nothing has to be remembered of an earlier one.
    node.sendto(b"out", (OUTSIDE, 4000))
    assert phone.recvfrom(100) == (b"out", (PUBLIC, RTP))
    phone.sendto(b"in", (PUBLIC, RTP))
    assert node.recvfrom(100) == (b"in", (OUTSIDE, 4000))


def test_a_page_is_served_at_the_public_address(forwarded: tuple[str, int]) -> None:
    _, other = forwarded
    with socket.create_server(("0.0.0.0", 443)) as web, inside(other):
        web.settimeout(5)
        with socket.create_connection((PUBLIC, 443), timeout=5) as browser:
            served, _ = web.accept()
            with served:
                served.sendall(b"page")
                assert browser.recv(100) == b"page" and browser.getpeername() == (PUBLIC, 443)


def test_inside_the_deployments_network_nothing_is_rewritten(forwarded: tuple[str, int]) -> None:
    inner, other = forwarded
    node = udp(inner, RTP)
    with inside(other):
        machine = udp(NEIGHBOUR, 4000)
    node.sendto(b"out", (NEIGHBOUR, 4000))
    assert machine.recvfrom(100) == (b"out", (inner, RTP))


def test_without_the_rules_the_public_address_leads_nowhere(forwarded: tuple[str, int]) -> None:
    """So the tests above are about the rules."""
    inner, other = forwarded
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    node = udp(inner, RTP)
    with inside(other):
        phone = udp(OUTSIDE, 4000)
    node.sendto(b"out", (OUTSIDE, 4000))
    assert phone.recvfrom(100) == (b"out", (inner, RTP))
