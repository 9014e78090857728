"""KVM by libvirt in tests, and bugs that its adapter might have, on the wide stack of `test_conformance.py`."""

from __future__ import annotations

import json
import re
from typing import Any

from components.clouds.libvirt.facts import FACTS
from tests.simulator.bugs import NEIGHBOUR, Bug, Draft, forget, put, update
from tests.simulator.case import Case, Needed, Types
from tests.simulator.libvirt.machines import UUID
from tests.simulator.libvirt.resources import DISC, HOSTS, VOLUME
from tests.simulator.libvirt.view import see

MACHINE = FACTS.machine_resource


def other_address(text: str) -> str:
    network: dict[str, Any] = json.loads(text)
    for one in network["ethernets"].values():
        one["addresses"] = [f"{NEIGHBOUR}/16"]
    return json.dumps(network)


def unignored(name: str) -> Any:
    def change(draft: Draft) -> None:
        draft.ignore_changes.remove(name)

    return change


def has_uuid(sheet: object) -> bool:
    return bool(UUID.search(str(sheet)))


def has_no_screen(sheet: object) -> bool:
    """The provider gives every machine one where none of its inputs says another, and no input says none."""
    return '<xsl:template match="/domain/devices/graphics"/>' in str(sheet)


def is_disc(text: object) -> bool:
    return ".iso;" in str(text)


def is_told_apart(name: object) -> bool:
    """Of a boot volume by its disc's; a data disk has one name for good."""
    return bool(re.search(r"-(database|recordings|[0-9a-f]{8}\.qcow2)$", str(name)))


BUGS = (
    Bug("smaller machine", ":Domain", put("memory", 1024), "data-1"),
    Bug("fewer CPUs", ":Domain", put("vcpu", 1), "data-1"),
    Bug("other private address", ":CloudInitDisk", put("networkConfig", other_address), "app-1"),
    Bug("another interface than the disc says", ":Domain", put("networkInterfaces.0.mac", "52:54:00:00:00:01"), "app-1"),
    Bug("a network that is not there", ":Domain", put("networkInterfaces.0.networkName", "office"), "app-1"),
    Bug("no network, so one of QEMU's own", ":Domain", put("networkInterfaces.0.networkName", None), "app-1"),
    Bug("waiting for a lease that nobody gives", ":Domain", put("networkInterfaces.0.waitForLease", True), "app-1"),
    Bug("other user data", ":CloudInitDisk", put("userData", lambda text: text[:-8]), "app-1"),
    Bug("no SSH key", ":CloudInitDisk", put("metaData", None), "app-1"),
    Bug("no disc, so no user data", ":Domain", put("cloudinit", None), "app-1"),
    Bug("smaller disk", ":Volume", put("size", 10 * 1024**3), "data-1-database"),
    Bug("smaller boot disk", ":Volume", put("size", 4 * 1024**3), "data-1-boot"),
    Bug("disk not attached", ":Domain", put("disks", lambda disks: disks[:-1]), "data-1"),
    Bug("disk forgotten", ":Volume", forget, "data-1-database"),
    Bug("a disk by its order only", ":Domain", put("disks.1.wwn", None), "data-1"),
    Bug("a disk on a bus without names", ":Domain", put("disks.1.scsi", None), "data-1"),
    Bug("another name of a disk", ":Domain", put("disks.1.wwn", "5000000000000000"), "data-1"),
    Bug("no name of the image", ":Volume", put("baseVolumeName", "debian-11"), "app-1-boot"),
    Bug("size of a disk not ignored, so it would be made anew", ":Volume", unignored("size"), "data-1-database"),
    Bug("size of a boot disk not ignored", ":Volume", unignored("size"), "app-1-boot"),
    Bug("user data not ignored", ":CloudInitDisk", unignored("userData"), "app-1"),
    Bug("network of the disc not ignored", ":CloudInitDisk", unignored("networkConfig"), "app-1"),
    Bug("a machine that outlives its boot volume", ":Domain", put("description", None), "app-1"),
    Bug("disc for the IDE that the machine has not", ":Domain", put("machine", "q35"), "app-1"),
    Bug("no UUID of ours, so a failed start blocks the next", ":Domain", put("xml", None), "app-1"),
    Bug("a machine that stays off when its host restarts", ":Domain", put("autostart", False), "edge-1"),
    Bug("a CPU without the host's features", ":Domain", put("cpu.mode", "qemu64"), "edge-1"),
    Bug("a boot volume whose name stays, taken as it is the next time", ":Volume", put("name", "app-1.qcow2"), "app-1-boot"),
    Bug("input unknown to the provider", ":Domain", update(vcpus=2), "app-1"),
)

CASE = Case(
    types=Types(
        MACHINE,
        VOLUME,
        ("xml", "cpu", "machine", "networkInterfaces", "consoles"),
        parts={
            (DISC, ""): ("userData", "metaData", "networkConfig", "pool"),
            (VOLUME, "-boot"): ("pool", "size", "format", "baseVolumeName", "baseVolumePool"),
        },
        kept_inputs=("size", "pool", "format"),
        none_of="-boot",
    ),
    see=see,
    off=("state", "shut off"),
    stopping=("in shutdown",),
    resized_anew=True,
    bugs=BUGS,
    record_bugs=(),
    settings={"uri": HOSTS["kvm-1"]},
    variables={"LIBVIRT_DEFAULT_URI": HOSTS["kvm-1"]},
    config={"uri": HOSTS["kvm-1"]},
    several={"site": {"network": "webitel", "hosts": {name: HOSTS[name] for name in ("kvm-2", "kvm-3")}}},
    account="a host with 64 CPUs and 512 GiB",
    refusals={
        "capacity": "error creating libvirt domain: internal error: cannot set up guest memory 'pc.ram': Cannot allocate memory",
        "quota": "authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'",
        "rate": "internal error: pool 'default' has asynchronous jobs running.",
    },
    image="debian-13-genericcloud-amd64.qcow2",
    zone="",
    zones=(),
    records={},
    rule=("", "", None),
    needed=(
        Needed(MACHINE, "description", is_disc, "a new disc and boot volume leave the machine as it is, without its own"),
        Needed(MACHINE, "xml.xslt", has_no_screen, "everybody on the host has its screen and keyboard, without a password"),
        Needed(MACHINE, "xml.xslt", has_uuid, "what a failed start leaves behind blocks every next one"),
        Needed(VOLUME, "name", is_told_apart, "the volume of the machine before is taken as it is"),
        Needed(MACHINE, "autostart", True, "it stays off when its host restarts"),
        Needed(MACHINE, "cpu.mode", "host-passthrough", "programs built for AVX2 end with an illegal instruction"),
        Needed(MACHINE, "networkInterfaces[].waitForLease", False, "every run waits five minutes for an address by DHCP"),
    ),
    unknown=("Domain", {"disks": [{"speed": 1}]}),
    late=("app-1", "data-1", "edge-1"),
)
