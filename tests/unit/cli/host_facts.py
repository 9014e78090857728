"""A host that is as the plan wishes, for tests that plant one fault in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cli.hosts.wish import Wish, list_wishes
from cloud_init.host.facts import (
    Clock,
    Cpu,
    Device,
    Facts,
    FileSystem,
    Listener,
    Memory,
    Names,
    Network,
    Nic,
    Peer,
    Reached,
    Software,
    Source,
    Storage,
    Sync,
    System,
)
from components.model.settings import Settings
from stacks.load import make_deployment

GIB = 2**30
HOST_KEY = "ssh-ed25519 " + "A" * 68

SETTINGS: dict[str, Any] = {
    "cloud": "onprem",
    "tier": "basic",
    "domain": "voice.your-company.com",
    "operators": ["10.0.0.0/8"],
    "package_source": "sandbox",
    "hosts": [
        {
            "address": "10.20.0.10",
            "role": "data",
            "host_key": HOST_KEY,
            "devices": {"database": "/dev/disk/by-id/scsi-1", "recordings": "/srv/recordings"},
        },
        {"address": "10.20.0.11", "role": "app", "host_key": HOST_KEY},
        {"address": "10.20.0.12", "role": "edge", "host_key": HOST_KEY},
    ],
}


def make_wishes(**changed: Any) -> dict[str, Wish]:
    """The wishes of a basic deployment by key of the node; `changed` settings, or `accepts` of every host."""
    hosts = [host | {"accepts": changed.pop("accepts", [])} for host in SETTINGS["hosts"]]
    settings = Settings.model_validate(SETTINGS | {"hosts": hosts} | changed)
    deployment = make_deployment(settings, "given-basic")
    return {wish.key: wish for wish in list_wishes(deployment.plan, settings)}


SYSTEM = System(
    release="debian 12",
    architecture="amd64",
    kernel="6.1.0-50-amd64",
    headers=True,
    init="systemd",
    systemd=252,
    unified_cgroups=True,
    virtualisation="kvm",
    container=False,
    root=True,
    sudo=True,
    python="3.11.2",
    machine_id="a" * 32,
    host_keys=("ssh-ed25519 AAAA1",),
    cloud_init="done",
    ours="",
    ours_stack="",
)
CPU = Cpu(8, 8, 1, 2900.0, ("ssse3", "sse4_1", "sse4_2", "popcnt", "avx2"), "performance", 0.1)
MEMORY = Memory(32 * GIB, 0, 0, 60, "madvise")
ROOT = FileSystem("/", "/dev/vda1", "ext4", 100 * GIB, 95 * GIB, False)
DATABASE = Device("database", "/dev/disk/by-id/scsi-1", "block", 200 * GIB, 0, (), "", "", False, True)
RECORDINGS = Device("recordings", "/srv/recordings", "directory", 600 * GIB, 590 * GIB, (), "", "/srv/recordings", False, True)
NIC = Nic("eth0", "virtio_net", 1500, 10000, "full", 8, 1_000_000, 0, False)
SOFTWARE = Software(
    packages={},
    left=(),
    sources=(Source("http://debian.example.org/debian", "bookworm", "Debian", "bookworm", 500),),
    held=(),
    pins=(),
    broken=(),
    firewalls=(),
    tables=(),
    app_armor=True,
    selinux=False,
)
FACTS = Facts(
    system=SYSTEM,
    cpu=CPU,
    memory=MEMORY,
    storage=Storage((ROOT,), (DATABASE, RECORDINGS), Sync("/var/lib", "/dev/vda1", 400, 0.4, 1.1)),
    network=Network(
        NIC,
        (Listener("tcp", "0.0.0.0", 22, "sshd"), Listener("udp", "127.0.0.1", 323, "chronyd")),
        262144,
        (Peer("10.20.0.11", 25, 25, 0.3, True),),
    ),
    software=SOFTWARE,
    clock=Clock(("chrony",), True, "10.20.0.1", 0.2, "Etc/UTC"),
    names=Names("data", "data.example.com", ("127.0.0.1",), ("10.20.0.1",)),
    reached=(Reached("http://debian.example.org/debian/dists/bookworm/InRelease", 80, ""),),
)


def with_part(part: str, **changed: Any) -> Facts:
    """The facts of a good host with something else in one part."""
    return replace(FACTS, **{part: replace(getattr(FACTS, part), **changed)})


def with_device(**changed: Any) -> Facts:
    """The facts of a good host whose disk for the database is another one."""
    return with_part("storage", devices=(replace(DATABASE, **changed), RECORDINGS))


def with_nic(**changed: Any) -> Facts:
    """The facts of a good host with another interface."""
    return with_part("network", nic=replace(NIC, **changed))
