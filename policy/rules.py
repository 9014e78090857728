"""What a deployment of ours never has, asked of single resources: pure functions over a resource's type and inputs.

These know the tiers and the clouds' facts and no plan, so they find what somebody changed by hand in a program or a plan;
`planned.py` holds openings against the plan.
`__main__.py` makes a Pulumi policy pack of them; `tests/clouds/conformance` asks them of every simulated deployment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from components.model.catalogue.service import Audience
from components.model.catalogue.services import CATALOGUE
from components.model.planning.check_values import MIN_PREFIX_LENGTH
from policy.resources import (
    MACHINE_TYPES,
    PACKAGES,
    check_metadata,
    check_public_address,
    check_unencrypted_disk,
    list_openings,
)
from policy.rights import check_rights
from policy.values import Inputs, reach

Check = Callable[[str, Inputs], Iterator[str]]

OPERATOR_PORTS = tuple(
    listener.port for service in CATALOGUE.values() for listener in service.listeners if Audience.OPERATORS in listener.audiences
)
"""TCP ports for operators only."""


@dataclass(frozen=True)
class Rule:
    """A rule of the pack. `check` yields what is wrong with a resource."""

    name: str
    description: str
    check: Check


def check_shared_cpu(type: str, inputs: Inputs) -> Iterator[str]:
    """Find a shared or burstable machine type."""
    if path := MACHINE_TYPES.get(type):
        cloud, name = PACKAGES[type.partition(":")[0]], reach(inputs, path)
        if isinstance(name, str) and cloud.is_shared(name):
            yield f"{path} = {name}: {cloud.shared_reason}; use a dedicated type"


def check_open_ssh(type: str, inputs: Inputs) -> Iterator[str]:
    """Find SSH from networks as wide as the world."""
    for opening in list_openings(type, inputs):
        for port in (
            port for port in OPERATOR_PORTS if opening.protocol in ("tcp", "all") and opening.first <= port <= opening.last
        ):
            for network in filter(is_world, opening.networks):
                yield f"port {port} is open to {network}: name the networks of your operators in webitel:operators"


RULES = (
    Rule("no-shared-cpu", "Calls need dedicated CPUs: shared ones are throttled under load.", check_shared_cpu),
    Rule("no-open-ssh", "SSH is for the operators' networks only.", check_open_ssh),
    Rule("no-unplanned-address", "Only roles that are reached from outside have public addresses.", check_public_address),
    Rule("no-metadata-without-token", "The cloud's metadata is asked with a token, by the machine itself.", check_metadata),
    Rule("no-wide-rights", "A machine has no right in the account but to move the address of SIP.", check_rights),
    Rule("no-unencrypted-disk", "Disks are encrypted where the cloud asks.", check_unencrypted_disk),
)


def is_world(network: str) -> bool:
    """Return whether a network is as good as everybody: wider than any operator's."""
    return ip_network(network, strict=False).prefixlen < MIN_PREFIX_LENGTH
