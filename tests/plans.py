"""Plans of settings that stand in no stack file, and what their nodes get."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from ipaddress import IPv4Network
from typing import Any

from cloud_init import compose
from cloud_init.compose import Configuration
from components.model.catalogue.service import Service
from components.model.catalogue.tiers import TIERS
from components.model.given_hosts import ACCEPT
from components.model.plan import Node, Plan
from components.model.planning import planner
from components.model.planning.addresses import address_offset
from components.model.settings import Settings
from sandbox import build
from stacks.load import Deployment, find_facts, load_deployment


def make_plan(settings: Settings, stack: str, catalogue: Mapping[str, Service] | None = None) -> Plan:
    """Plan settings on their cloud, with a catalogue of the test's own where it gives one, and hosts where it needs some and the
    test has none."""
    return planner.make_plan(with_hosts(settings), stack, find_facts(settings.cloud), catalogue)


def with_hosts(settings: Settings) -> Settings:
    """Return the settings with as many hosts as there are nodes, where hosts are given; each at the address that its node would
    have in a network of ours."""
    facts = find_facts(settings.cloud)
    if not facts.given or settings.hosts:
        return settings
    network = settings.network or IPv4Network(facts.default_network)
    hosts = []
    for index, role in enumerate(TIERS[settings.tier].roles):
        disks = {"database": role.disks.database, "recordings": role.disks.recordings}
        for n in range(1, settings.counts.get(role.name, role.count) + 1):
            address = network.network_address + address_offset(facts.first_host, index, n)
            devices = {purpose: f"/dev/disk/by-id/{purpose}" for purpose, gib in disks.items() if gib}
            hosts.append({"address": str(address), "role": role.name, "host_key": ACCEPT, "devices": devices})
    return Settings.model_validate({**settings.model_dump(exclude_unset=True), "hosts": hosts})


@cache
def load_stack(stack: str) -> Deployment:
    """Load a committed stack once for all tests of a process, which leave it as it is."""
    return load_deployment(stack)


@cache
def compose_stack(stack: str) -> Mapping[str, Configuration]:
    """Compose what every node of a committed stack must have, by the node's key; once, likewise."""
    settings, plan = load_stack(stack).settings, load_stack(stack).plan
    return {node.key: compose_configuration(plan, node, settings) for node in plan.nodes}


def load_yaml(text: str) -> Any:
    """Load a YAML document as the composer does; Python's own reader takes half a second for some user data."""
    return compose.load_yaml(text)


def compose_configuration(plan: Plan, node: Node, settings: Settings) -> Configuration:
    """Compose what a node must have, as the program does."""
    return compose.compose_configuration(plan, node, settings, build)
