"""Where a machine's parts are on Proxmox VE: numbers, stores and files, as the settings and the plan say."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from components.model.catalogue.tiers import TIERS, is_voice
from components.model.clouds.tags import write_words
from components.model.plan import Node, Plan
from components.model.planning.addresses import address_offset
from components.model.site import Site

STORE, FILES_STORE, BRIDGE = "local-lvm", "local", "vmbr0"
"""What a fresh installation has."""
CONTROLLER = "virtio-scsi-single"
"""With which a disk has a thread of its own."""
KEEPER = "Keeps a data disk. Never start it."
"""What is written at a machine that never runs."""
MIB_PER_GIB = 1024
IDS = 10_000
"""Numbers that a deployment has: two for each place of a node and four for its disks."""
FIRST_IDS = (10_000_000, 90_000)
"""The first number of a deployment that says none, and how many such there are; the largest is 999,999,999."""
IDS_PER_PLACE = 3


@dataclass(frozen=True)
class Places:
    """A deployment's numbers, stores and files."""

    plan: Plan
    site: Site
    image: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def first_id(self) -> int:
        """The first number of the deployment's machines."""
        start, many = FIRST_IDS
        chosen = int(hashlib.sha256(self.plan.stack.encode()).hexdigest()[:8], 16) % many
        return self.site.first_id or start + chosen * IDS

    def vm_id(self, node: Node, purpose: str = "") -> int:
        """Return the number of a node's machine, or of the one that keeps its data disk; no count moves it."""
        roles = [role.name for role in TIERS[self.plan.tier].roles]
        place = address_offset(0, roles.index(node.role), node.n)
        return self.first_id + IDS_PER_PLACE * place + ("", "database", "recordings").index(purpose)

    @property
    def store(self) -> str:
        """Where boot disks are."""
        return self.site.store or STORE

    @property
    def data_store(self) -> str:
        """Where data disks are."""
        return self.site.data_store or self.store

    @property
    def files_store(self) -> str:
        """Where images and snippets are."""
        return self.site.files_store or FILES_STORE

    @property
    def bridge(self) -> str:
        """The bridge of the nodes."""
        return self.site.network or BRIDGE

    @property
    def template(self) -> tuple[str, int] | None:
        """The template that `webitel:image` names as `9000` or `pve/9000`: its host, "" = the machine's own, and its number. None
        where the image is a URL."""
        host, _, number = self.image.rpartition("/")
        return (host, int(number)) if number.isdecimal() and "/" not in host else None

    def is_voice(self, node: Node) -> bool:
        """Return whether a node handles SIP or media, and so wants steady latency."""
        return is_voice(TIERS[self.plan.tier].role(node.role))

    def tags_of(self, node: Node) -> list[str]:
        """Return the tags of everything that belongs to a node, in the order in which Proxmox VE keeps them."""
        return write_words(self.plan.stack, node.role, node.key, self.tags, "-")

    def image_file(self, host: str) -> str:
        """Return the name of the image on a host: no other deployment's, even where the store is shared."""
        kept = re.sub(r"[^A-Za-z0-9._-]", "-", self.image.rpartition("/")[2])
        return f"{self.plan.stack}-{host}-{kept}"
