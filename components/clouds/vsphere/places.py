"""Where a machine's parts are in vCenter, and what is reserved for it, as the settings and the plan say."""

from __future__ import annotations

from dataclasses import dataclass

from components.model.catalogue.tiers import TIERS, is_voice
from components.model.naming import disk_name
from components.model.plan import Node, Plan
from components.model.site import Site

DATACENTER, STORE, NETWORK = "Datacenter", "datastore1", "VM Network"
"""What an installation that nobody named anything in has."""
DISKS_FOLDER = "webitel"
"""Of data disks, in their store: the folder of a machine is deleted with it."""
MIB_PER_GIB = 1024


@dataclass(frozen=True)
class Reserved:
    """What a machine has of its host whatever else runs there; `cpu_mhz` is None where nobody said how fast a core is."""

    memory_mib: int
    cpu_mhz: int | None
    shares: str
    latency: str


@dataclass(frozen=True)
class Places:
    """A deployment's names in vCenter."""

    plan: Plan
    site: Site

    @property
    def datacenter(self) -> str:
        """The datacenter."""
        return self.site.datacenter or DATACENTER

    @property
    def store(self) -> str:
        """Where boot disks and the machines' own files are."""
        return self.site.store or STORE

    @property
    def data_store(self) -> str:
        """Where data disks are."""
        return self.site.data_store or self.store

    @property
    def network(self) -> str:
        """The port group of the nodes."""
        return self.site.network or NETWORK

    def disk_path(self, node: Node, purpose: str) -> str:
        """Return where a data disk is in its store."""
        return f"{DISKS_FOLDER}/{disk_name(node.name, purpose)}.vmdk"

    def members(self, node: Node) -> list[Node]:
        """Return the nodes of a node's role in its cluster, which a rule keeps on different hosts."""
        return [one for one in self.plan.nodes if (one.role, one.zone) == (node.role, node.zone)]

    def reserve(self, node: Node) -> Reserved:
        """Return what is reserved for a node: all of its memory, and where it handles SIP or media all of its CPU too."""
        machine, voice = node.machine_type, is_voice(TIERS[self.plan.tier].role(node.role))
        # `high` without all of the CPU and memory reserved keeps a machine from being started.
        whole = voice and bool(self.site.core_mhz)
        return Reserved(
            memory_mib=int(machine.memory_gib * MIB_PER_GIB),
            cpu_mhz=machine.vcpus * self.site.core_mhz if whole else None,
            shares="high" if voice else "normal",
            latency="high" if whole else "normal",
        )
