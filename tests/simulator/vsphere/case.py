"""VMware vSphere in tests, and bugs that its adapter might have, on the wide stack of `test_conformance.py`."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from components.clouds.vsphere.facts import FACTS
from tests.simulator.bugs import NEIGHBOUR, Bug, Draft, forget, put, update, with_
from tests.simulator.case import Case, Needed, Types
from tests.simulator.vsphere.resources import DISK, RULE
from tests.simulator.vsphere.view import see

MACHINE = FACTS.machine_resource
AT_CREATION = ("extraConfig", "clone", "guestId", "firmware")


def edit_metadata(change: Any) -> Any:
    """Changes cloud-init's metadata inside its wrapping."""

    def edit(draft: Draft) -> None:
        told = draft.inputs["extraConfig"]
        metadata = json.loads(gzip.decompress(base64.b64decode(told["guestinfo.metadata"])))
        change(metadata)
        told["guestinfo.metadata"] = base64.b64encode(gzip.compress(json.dumps(metadata).encode())).decode()

    return edit


def tell(name: str, value: Any) -> Any:
    """Changes a value of guestinfo, whose names have dots."""

    def edit(draft: Draft) -> None:
        told = draft.inputs["extraConfig"]
        told[name] = value(told[name]) if callable(value) else value

    return edit


def move(metadata: Any) -> None:
    for one in metadata["network"]["ethernets"].values():
        one["addresses"] = [f"{NEIGHBOUR}/16"]


BUGS = (
    Bug("smaller machine", ":VirtualMachine", put("memory", 1024), "data-1"),
    Bug("memory that may be swapped out", ":VirtualMachine", put("memoryReservation", 0), "data-1"),
    Bug("latency sensitivity without all of the CPU", ":VirtualMachine", put("latencySensitivity", "high"), "edge-1"),
    Bug("other private address", ":VirtualMachine", edit_metadata(move), "app-1"),
    Bug("a MAC address that vCenter chooses", ":VirtualMachine", put("networkInterfaces.0.useStaticMac", None), "app-1"),
    Bug("a card without a driver", ":VirtualMachine", put("networkInterfaces.0.adapterType", "e1000"), "app-1"),
    Bug("no key, so nobody gets in", ":VirtualMachine", edit_metadata(lambda told: told.pop("public-keys")), "app-1"),
    Bug("an identity that is not the node's", ":VirtualMachine", edit_metadata(lambda told: told.update({"instance-id": "a"}))),
    Bug("other user data", ":VirtualMachine", tell("guestinfo.userdata", lambda text: text[:-8]), "app-1"),
    Bug("disks that have no names", ":VirtualMachine", put("enableDiskUuid", False), "data-1"),
    Bug("disk not attached", ":VirtualMachine", put("disks", lambda disks: disks[:1]), "data-1"),
    Bug(
        "a disk of its own that goes with the machine", ":VirtualMachine", put("disks.1", with_(attach=False, size=300)), "data-1"
    ),
    Bug("what attaching means already", ":VirtualMachine", put("disks.1", with_(keepOnRemove=True)), "data-1"),
    Bug("smaller boot disk", ":VirtualMachine", put("disks.0.size", 12), "app-1"),
    Bug("smaller disk", ":VirtualDisk", put("size", 10), "data-1-database"),
    Bug("no disk kept", ":VirtualDisk", forget, "data-1-database"),
    Bug(
        "a disk that a new size would make anew",
        ":VirtualDisk",
        lambda draft: draft.ignore_changes.remove("size"),
        "data-1-database",
    ),
    Bug("another guest than the template's", ":VirtualMachine", put("guestId", "debian11_64Guest"), "app-1"),
    Bug("a copy that needs its template", ":VirtualMachine", put("clone.linkedClone", True), "app-1"),
    Bug("a clock that jumps", ":VirtualMachine", put("syncTimeWithHost", True), "edge-1"),
    Bug("a cluster that nothing remembers", ":VirtualMachine", put("replaceTrigger", None), "app-1"),
    Bug("nothing that keeps a role apart", ":ComputeClusterVmAntiAffinityRule", forget),
    Bug("a rule without one of its members", ":ComputeClusterVmAntiAffinityRule", put("virtualMachineIds", lambda ids: ids[1:])),
    Bug("a rule that starts nothing after a host is lost", ":ComputeClusterVmAntiAffinityRule", put("mandatory", True)),
    Bug("input unknown to the provider", ":VirtualMachine", update(vcpus=2), "app-1"),
)

CASE = Case(
    types=Types(
        MACHINE,
        DISK,
        AT_CREATION,
        kept_inputs=("size", "type", "datacenter", "datastore", "vmdkPath", "createDirectories"),
    ),
    see=see,
    off=("powerState", "poweredOff"),
    bugs=BUGS,
    record_bugs=(),
    settings={"vsphereServer": "vcenter.example.com", "user": "webitel@vsphere.local", "password": "simulated"},
    variables={"VSPHERE_SERVER": "vcenter.example.com", "VSPHERE_USER": "webitel@vsphere.local", "VSPHERE_PASSWORD": "simulated"},
    account="VMware vCenter Server 8.0.3 build-1, webitel@vsphere.local",
    refusals={
        "capacity": "error powering on virtual machine: The available Memory resources in the parent resource pool are "
        "insufficient for the operation.",
        "quota": "error cloning virtual machine: Permission to perform this operation was denied.",
        "rate": "error reconfiguring virtual machine: Another task is already in progress.",
    },
    image="debian-12-new",
    zone="",
    zones=(),
    records={},
    rule=("", "", None),
    needed=(
        Needed(MACHINE, "waitForGuestNetTimeout", 0, "every run waits five minutes for a guest that tells its address"),
        Needed(MACHINE, "extraConfigRebootRequired", False, "a change that nothing reads restarts it"),
        Needed(MACHINE, "forcePowerOff", True, "a machine that hears nothing keeps its successor from being made"),
        Needed(MACHINE, "syncTimeWithHost", False, "two set its clock, and it jumps"),
        Needed(MACHINE, "clone.linkedClone", False, "it goes with its template"),
        Needed(MACHINE, "replaceTrigger", bool, "nothing tells in which cluster it stands"),
        Needed(RULE, "mandatory", False, "where a host is lost, its machines stay off"),
    ),
    unknown=("VirtualMachine", {"networkInterfaces": [{"speed": 1}]}),
)
