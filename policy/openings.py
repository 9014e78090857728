"""What a rule of a firewall lets in, in one spelling, and which resources look like one; no cloud's own words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from policy.values import Inputs, texts_of

EVERY_PORT = (0, 65535)
ANYWHERE = "0.0.0.0/0"

PROTOCOLS: Mapping[str, str] = {"-1": "all", "*": "all", "any": "all", "6": "tcp", "17": "udp"}
"""Other spellings of a protocol; `all` is every one."""

WITH_PORTS = ("tcp", "udp", "all")


@dataclass(frozen=True)
class Opening:
    """A protocol (`all` = every one) and ports that are open to networks or to whoever wears a tag.

    `others` are sources whose addresses the resource does not say: other groups' nodes. `blind` are sources that can hold any
    address, without anybody seeing it here: prefix lists, a cloud's named networks.
    """

    protocol: str
    first: int
    last: int
    networks: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()

    @property
    def ports(self) -> str:
        """The ports as a person writes them."""
        if self.protocol not in WITH_PORTS:
            return self.protocol
        if (max(self.first, 1), self.last) == (1, EVERY_PORT[1]):
            return f"every port ({self.protocol})"
        return f"port {self.first}{f'-{self.last}' if self.last != self.first else ''}/{self.protocol}"


def make_opening(protocol: Any, ports: Any, **sources: tuple[str, ...]) -> Opening:
    """Return an opening of a protocol and ports as the clouds write them; ports that nobody can read are every port."""
    spelt = str(protocol).lower()
    spelt = PROTOCOLS.get(spelt, spelt)
    given = sources.pop("networks", ())
    sources["blind"] = (*sources.get("blind", ()), *(one for one in given if not is_network(one)))
    sources["networks"] = tuple(filter(is_network, given))
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", str(ports)) if spelt in ("tcp", "udp") else None
    first, last = (int(found[1]), int(found[2] or found[1])) if found else EVERY_PORT
    return Opening(spelt, first, last, **sources)


def name_sources(inputs: Inputs, *names: str) -> tuple[str, ...]:
    """Return the inputs of these names that are set, with what is known of them: `prefixListId pl-1`."""
    return tuple(" ".join((name, *texts_of(inputs[name]))) for name in names if is_set(inputs, name))


def is_set(inputs: Inputs, name: str) -> bool:
    """Return whether an input is there, be it known or not."""
    return name in inputs and inputs[name] not in (None, False, "", [], ())


RULE_TYPE = re.compile(
    r"firewall|security_?groups?(rule|ingress|$)|securityrule|networkacl|prefix_?list|securitypolic|accessrule|inboundnat"
    r"|inboundrule|ingressrule|ingresspolicy|publicports|secgroup|adminrule|userrule|(pre|post|local)rule$|jitnetwork"
    r"|accesscontrollist",
    re.IGNORECASE,
)
"""Types that let somebody in, by their name."""

RULE_INPUTS = frozenset(
    (
        "cidrBlocks", "cidrIpv4", "fromPort", "inboundRules", "ingress", "ingressRules", "prefixListId", "prefixListIds",
        "securityRules", "sourceAddressPrefix", "sourceAddressPrefixes", "sourceAddresses", "sourceIpRanges", "sourceIps",
        "sourceRanges", "srcIpRanges", "srcNetworks",
    )
)  # fmt: skip
"""Inputs, at any depth, that only what lets somebody in has."""


def is_rule(type: str, inputs: Inputs) -> bool:
    """Return whether a resource looks like one that lets somebody in."""
    return bool(RULE_TYPE.search(type.rpartition(":")[2])) or has_rule_inputs(inputs)


def has_rule_inputs(values: Any) -> bool:
    """Return whether an input of a rule stands anywhere in values."""
    if isinstance(values, Mapping):
        return bool(RULE_INPUTS.intersection(values)) or any(map(has_rule_inputs, values.values()))
    return isinstance(values, list | tuple) and any(map(has_rule_inputs, values))


def is_network(source: str) -> bool:
    """Return whether a source is an address or a network rather than a name of the cloud's."""
    try:
        ip_network(source, strict=False)
    except ValueError:
        return False
    return True
