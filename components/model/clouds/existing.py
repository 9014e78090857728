"""Networks that a company has already, in which a deployment may stand."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class GivenNetworks:
    """How the cloud names them. `shape` and `subnet_shape` are regular expressions; groups `network` and `region` of a subnet's
    name are compared with the network's and the deployment's. The examples may hold `{network}` and `{region}`. `by_zone`: a
    subnet belongs to a zone. `resource` is the type of a network that a deployment makes itself, `place` the type of a resource
    with a node's name and the outputs that tell its subnet and its private address.
    """

    shape: str
    example: str
    subnet_shape: str
    subnet_example: str
    resource: str
    place: tuple[str, str, str]
    by_zone: bool = False

    def explain_subnet(self, subnet: str, network: str, region: str) -> str:
        """Return why a text names no subnet of that network; "" = it does."""
        found = re.fullmatch(self.subnet_shape, subnet)
        if not found:
            return "not a subnet"
        parts = found.groupdict()
        if parts.get("network", network).lower() != network.lower():
            return f"a subnet of {parts['network']}"
        return "" if parts.get("region", region) == region else f"a subnet of {parts['region']}, the deployment is in {region}"
