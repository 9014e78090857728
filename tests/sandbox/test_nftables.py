"""What the kernel makes of a node's nftables is what the plan opens, to each node and network by itself."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.model.naming import SIP
from components.model.plan import Node, Plan
from components.model.planning.firewall import node_openings
from components.model.settings import Settings
from components.model.share import resolve_catalogue
from tests.clouds.conformance.program import Config, read_config
from tests.plans import compose_configuration, make_plan

pytestmark = [pytest.mark.sandbox, pytest.mark.skipif(os.geteuid() != 0, reason="only root makes networks")]

STACKS: dict[str, Config] = {
    "local-single": {},
    "hetzner-basic": {"counts": {"data": 3, "app": 2}, "phones": ["198.51.100.0/24"]},
    "aws-extended": {"counts": {"db": 3, "bus": 3, "media": 3, "web": 2}, "carriers": ["203.0.113.128/25"]},
    # Two nodes have one address in turn: the node's own outside, or forwarded to it.
    "hetzner-extended": {"counts": {"sip": 2}, "address_token": "a-token", "phones": ["192.168.7.0/24"]},
    "gcp-basic": {"counts": {"edge": 2}},
}

FROM_SHARED = ("freeswitch rtp", "freeswitch sip")
"""What nodes for SIP call with the address that they have in turn."""

Open = tuple[str, str, str, str]
"""The rule's comment, the protocol, the ports, and one address or network that may come."""


def fill(plan: Plan, text: str) -> tuple[str, dict[str, str]]:
    """The text with an address for every node, and these by key."""
    addresses = {node.key: str(ipaddress.ip_address("10.20.0.9") + 2 * n) for n, node in enumerate(plan.nodes)}
    public = {f"{key}.public": f"192.0.2.{n}" for n, key in enumerate((*addresses, SIP), 1)}
    return re.sub(r"\{\{address:([^}]+)\}\}", lambda found: {**addresses, **public}[found[1]], text), addresses


def read_sources(match: dict[str, Any]) -> Iterator[str]:
    """The networks of one comparison of `nft -j`."""
    right = match["right"]
    for one in right["set"] if isinstance(right, dict) and "set" in right else [right]:
        if isinstance(one, dict):
            yield f"{one['prefix']['addr']}/{one['prefix']['len']}"
        else:
            yield one


def loaded(path: Path) -> set[Open]:
    """What the input chain lets in once the file is loaded, read back from the kernel."""
    subprocess.run(["nft", "-f", str(path)], check=True)
    subprocess.run(["nft", "-f", str(path)], check=True)  # over itself, as a reload does
    shown = json.loads(subprocess.check_output(["nft", "-j", "list", "chain", "inet", "webitel", "input"]))["nftables"]
    found: set[Open] = set()
    for rule in (entry["rule"] for entry in shown if "rule" in entry):
        if " " not in rule.get("comment", "") or not any("accept" in part for part in rule["expr"]):
            continue
        matches = {part["match"]["left"]["payload"]["field"]: part["match"] for part in rule["expr"] if "match" in part}
        ports = matches["dport"]["right"]
        protocol = matches["dport"]["left"]["payload"]["protocol"]
        shown_ports = "-".join(map(str, ports["range"])) if isinstance(ports, dict) and "range" in ports else json.dumps(ports)
        for source in read_sources(matches["saddr"]) if "saddr" in matches else ["anybody"]:
            found.add((rule["comment"], protocol, shown_ports, source))
    return found


def planned(plan: Plan, node: Node, settings: Settings, addresses: dict[str, str]) -> set[Open]:
    """What the plan lets in."""
    found: set[Open] = set()
    for rule in node_openings(plan, node, settings, resolve_catalogue(settings)):
        ports = rule.ports
        if "," in ports:
            ports = json.dumps({"set": [int(port) for port in re.findall(r"\d+", ports)]})
        sources = ["anybody"] if "0.0.0.0/0" in rule.networks else [*rule.networks, *(addresses[key] for key in rule.nodes)]
        if plan.sip_address and f"{rule.service} {rule.listener}" in FROM_SHARED:
            sources.append(plan.sip_address)
        for source in sources:
            found.add((f"{rule.service} {rule.listener}", rule.protocol, ports, source.removesuffix("/32")))
    return found


def settings_of(stack: str) -> Settings:
    """The settings of a stack, with what is set here."""
    return Settings.model_validate(read_config(stack, STACKS[stack]))


@pytest.mark.parametrize("stack", STACKS)
def test_the_kernel_opens_what_the_plan_opens(stack: str, tmp_path: Path) -> None:
    settings = settings_of(stack)
    plan = make_plan(settings, stack)
    for node in plan.nodes:
        text, addresses = fill(plan, compose_configuration(plan, node, settings).files["/etc/nftables.conf"])
        path = tmp_path / node.key
        path.write_text(text)
        assert loaded(path) == planned(plan, node, settings, addresses), node.key
