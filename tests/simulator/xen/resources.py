"""What a pool of Xen Orchestra has when nothing of ours is there (`facts/onprem.md` 5): hosts, stores, networks, templates. All
of it is its owner's, and asked for by names that have to be unique."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provider.server import Properties, ProviderError
from tests.simulator.account import facts_of
from tests.simulator.resource import Simulated
from tests.simulator.world import World

PACKAGE = "xenorchestra"
VM = "xenorchestra:index/vm:Vm"
ERRORS: Mapping[str, str] = {
    "capacity": "jsonrpc2: code -32000 message: HOST_NOT_ENOUGH_FREE_MEMORY(17179869184, 8589934592)",
    "quota": "jsonrpc2: code 2 message: not enough permissions",
    "rate": "jsonrpc2: code -32000 message: OTHER_OPERATION_IN_PROGRESS(VM, clone)",
    "error": "jsonrpc2: code -32000 message: INTERNAL_ERROR",
}
POOL = "office"
HOSTS = ("xcp1", "xcp2", "xcp3")
STORES = ("Local storage", "ceph")
NETWORKS = ("Pool-wide network associated with eth0", "voice")
TEMPLATES: Mapping[str, str] = {"debian-12": "bios", "debian-12-b": "bios", "debian-12-uefi": "uefi"}
"""By name, with their firmware."""
GIB = 2**30


@dataclass(frozen=True)
class Pool:
    """A pool as a test has it: `tell(world, "xenorchestra", stores=..., templates=...)` has others, a name twice too."""

    hosts: Sequence[str]
    stores: Sequence[str]
    networks: Sequence[str]
    templates: Sequence[str]


def read_pool(world: World) -> Pool:
    """What there is."""
    facts = facts_of(world, PACKAGE)
    return Pool(
        facts.get("hosts") or HOSTS,
        facts.get("stores") or STORES,
        facts.get("networks") or NETWORKS,
        facts.get("templates") or tuple(TEMPLATES),
    )


def id_of(kind: str, name: str) -> str:
    """The id of what has a name."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {name}"))


def check_settings(settings: Properties) -> None:
    """Refuses an address that is none of a web socket, and a token beside a user; without them the provider takes XOA_URL and
    XOA_TOKEN from the environment (xoa/provider.go)."""
    url = settings.get("url")
    if url and not str(url).startswith(("ws://", "wss://")):
        raise ProviderError(f"expected `{url}` to begin with ws in order to munge the URL to its http/https equivalent")
    if settings.get("token") and (settings.get("username") or settings.get("password")):
        raise ProviderError('"token": conflicts with username')


TYPES: tuple[type[Simulated], ...] = ()
