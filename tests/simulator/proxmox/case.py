"""Proxmox VE in tests, and bugs that its adapter might have, on the wide stack of `test_conformance.py`."""

from __future__ import annotations

from components.clouds.proxmox.facts import FACTS
from tests.simulator.bugs import Bug, forget, put, update
from tests.simulator.case import Case, Needed, Types
from tests.simulator.proxmox.resources import IMAGE, SNIPPET
from tests.simulator.proxmox.view import see

MACHINE = FACTS.machine_resource
ADDRESS = "initialization.ipConfigs.0.ipv4.address"
AT_CREATION = ("disks[0].importFrom", "clone", "initialization.userDataFileId", "initialization.metaDataFileId")

BUGS = (
    Bug("smaller machine", ":VmLegacy", put("cpu.cores", 1), "data-1"),
    Bug("less memory", ":VmLegacy", put("memory.dedicated", 2048), "app-1"),
    Bug("memory that is taken back", ":VmLegacy", put("memory.floating", 2048), "app-1"),
    Bug("a CPU without its extensions", ":VmLegacy", put("cpu.type", "qemu64"), "edge-1"),
    Bug("a CPU that is taken away in steps", ":VmLegacy", put("cpu.limit", 2), "edge-1"),
    Bug("cores that only root may choose", ":VmLegacy", put("cpu.affinity", "2-5"), "edge-1"),
    Bug("other private address", ":VmLegacy", put(ADDRESS, "10.20.0.99/24"), "app-1"),
    Bug("an address without its network", ":VmLegacy", put(ADDRESS, "10.20.0.20"), "app-1"),
    Bug("a router that nobody reaches", ":VmLegacy", put("initialization.ipConfigs.0.ipv4.gateway", "10.99.0.1"), "app-1"),
    Bug("another node's user data", ":VmLegacy", put("initialization.userDataFileId", "local:snippets/nobody.yaml"), "app-1"),
    Bug("other user data", ":FileLegacy", put("sourceRaw.data", lambda text: text[:-8]), "app-1-user"),
    Bug("no key, so nobody gets in", ":VmLegacy", put("initialization.metaDataFileId", None), "app-1"),
    Bug(
        "an identity of the text",
        ":FileLegacy",
        put("sourceRaw.data", lambda text: text.replace("instance", "other")),
        "app-1-meta",
    ),
    Bug("a drive that the kernel does not see", ":VmLegacy", put("machine", "q35"), "app-1"),
    Bug("a disk that the kernel has no driver for", ":VmLegacy", put("disks.0.interface", "sata0"), "app-1"),
    Bug("a network card that it has none for", ":VmLegacy", put("networkDevices.0.model", "e1000"), "app-1"),
    Bug("smaller disk", ":VmLegacy", put("disks.0.size", 10), "data-1-database"),
    Bug("a disk of its own that goes with the machine", ":VmLegacy", put("disks.1.pathInDatastore", None), "data-1"),
    Bug("another node's disk", ":VmLegacy", put("disks.1.pathInDatastore", lambda path: path.replace("vm-", "vm-1")), "data-1"),
    Bug("disk without a name", ":VmLegacy", put("disks.1.serial", None), "data-1"),
    Bug("disk on a shared controller", ":VmLegacy", put("disks.1.interface", "scsi1"), "data-1"),
    Bug("disk not attached", ":VmLegacy", put("disks", lambda disks: disks[:1]), "data-1"),
    Bug("no disk kept", ":VmLegacy", forget, "data-1-database"),
    Bug("a disk that anybody may delete", ":VmLegacy", update(protection=False), "data-1-database"),
    Bug("a machine that nobody can delete", ":VmLegacy", update(protection=True), "app-1"),
    Bug("a keeper of a disk that runs", ":VmLegacy", update(started=True), "data-1-database"),
    Bug("disk elsewhere", ":VmLegacy", put("nodeName", "pve2"), "data-1-database"),
    Bug("a number twice", ":VmLegacy", update(vmId=20_000)),
    Bug("the template's number", ":VmLegacy", update(vmId=9000), "app-1"),
    Bug("a store that is none", ":VmLegacy", put("disks.0.datastoreId", "local-zfs"), "app-1"),
    Bug("a store that takes no disks", ":VmLegacy", put("disks.0.datastoreId", "local"), "app-1"),
    Bug("a store that takes no snippets", ":FileLegacy", put("datastoreId", "local-lvm"), "app-1-user"),
    Bug("a template that is none", ":VmLegacy", put("clone.vmId", 9005), "app-1"),
    Bug("a copy that goes with its template", ":VmLegacy", put("clone.full", False), "app-1"),
    Bug("a machine that waits for an agent", ":VmLegacy", put("agent.enabled", True), "app-1"),
    Bug("a machine off at once", ":VmLegacy", put("stopOnDestroy", True), "data-1"),
    Bug("what else is in the store is tidied up", ":VmLegacy", put("deleteUnreferencedDisksOnDestroy", True), "data-1"),
    Bug("not started with its host", ":VmLegacy", put("onBoot", False), "app-1"),
    Bug("audio through the host's table", ":VmLegacy", put("networkDevices.0.firewall", True), "edge-1"),
    Bug("a new text for a running machine", ":FileLegacy", lambda draft: draft.ignore_changes.clear(), "app-1-user"),
    Bug("no tags", ":VmLegacy", update(tags=[]), "app-1"),
    Bug("a bridge that is none", ":VmLegacy", put("networkDevices.0.bridge", "vmbr9"), "app-1"),
    Bug("input unknown to the provider", ":VmLegacy", update(userdata="x"), "app-1"),
)

CASE = Case(
    types=Types(
        MACHINE,
        MACHINE,
        AT_CREATION,
        guarded=(MACHINE,),
        guard="protection",
        parts={(SNIPPET, "-user"): ("sourceRaw",), (SNIPPET, "-meta"): ("sourceRaw",)},
    ),
    see=see,
    off=("status", "stopped"),
    bugs=BUGS,
    record_bugs=(),
    settings={"endpoint": "https://pve.example.com:8006/", "apiToken": "webitel@pve!deploy=00000000-0000-0000-0000-000000000000"},
    variables={"PROXMOX_VE_API_TOKEN": "webitel@pve!deploy=00000000-0000-0000-0000-000000000000"},
    account="Proxmox VE 9.0.10, 3 hosts",
    refusals={
        "capacity": "start failed: QEMU exited with code 1: cannot set up guest memory: not enough memory",
        "quota": "received an HTTP 403 response - Reason: Permission check failed (/vms/100, VM.Allocate)",
        "rate": "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout",
    },
    image="pve/9001",
    zone="",
    zones=(),
    records={},
    rule=("", "", None),
    unknown=("VmLegacy", {"networkDevices": [{"speed": 1}]}),
    needed=(
        Needed(MACHINE, "stopOnDestroy", False, "the database has no time to stop before a replacement"),
        Needed(MACHINE, "deleteUnreferencedDisksOnDestroy", False, "a disk that somebody took out for a while goes with it"),
        Needed(MACHINE, "onBoot", True, "it stays off when its host was restarted"),
        Needed(MACHINE, "agent.enabled", False, "every look at it waits for an agent that is not there"),
        Needed(MACHINE, "networkDevices[].firewall", False, "audio fills the host's table of connections"),
        Needed(MACHINE, "clone.full", True, "it goes with its template"),
        Needed(IMAGE, "overwrite", False, "it is loaded again when the size at its address is another one"),
    ),
    apart=True,
)
