"""Names of a pool of Xen Orchestra, as the settings and the plan say them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from components.model.clouds.tags import write_words
from components.model.plan import Node, Plan
from components.model.site import Site

STORE, NETWORK = "Local storage", "Pool-wide network associated with eth0"
"""What a fresh installation has."""
BYTES_PER_GIB = 1 << 30
HOST = "{host}"
"""In the name of a store: the host of the node, where every host has a store of its own."""


@dataclass(frozen=True)
class Places:
    """Stores, network and tags of a deployment."""

    plan: Plan
    site: Site
    tags: Mapping[str, str] = field(default_factory=dict)

    def store(self, node: Node, *, data: bool = False) -> str:
        """Return the name of the store of a node's boot disk, or of its data disks."""
        boot = self.site.store or STORE
        return ((self.site.data_store or boot) if data else boot).replace(HOST, node.zone)

    @property
    def network(self) -> str:
        """The name of the network of the nodes."""
        return self.site.network or NETWORK

    def tags_of(self, node: Node) -> list[str]:
        """Return the tags of a node's machine."""
        return write_words(self.plan.stack, node.role, node.key, self.tags, "=")
