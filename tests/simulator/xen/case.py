"""XCP-ng in tests, and bugs that its adapter might have, on the wide stack of `test_conformance.py`."""

from __future__ import annotations

from components.clouds.xen.facts import FACTS
from tests.simulator.bugs import Bug, Draft, put, update
from tests.simulator.case import Case, Needed, Types
from tests.simulator.xen.machines import inner_disks
from tests.simulator.xen.resources import GIB, id_of
from tests.simulator.xen.view import see

MACHINE = FACTS.machine_resource
AT_CREATION = ("template", "cloudConfig", "cloudNetworkConfig", "hvmBootFirmware", "networks")


def swap_disks(draft: Draft) -> None:
    draft.inputs["disks"].reverse()


BUGS = (
    Bug("smaller machine", ":Vm", put("cpus", 1), "data-1"),
    Bug("memory in MiB", ":Vm", update(memoryMax=8192, memoryMin=8192), "app-1"),
    Bug("memory that is taken back", ":Vm", put("memoryMin", GIB), "app-1"),
    Bug("less memory than its least", ":Vm", put("memoryMax", GIB), "app-1"),
    Bug("a CPU that is taken away in steps", ":Vm", update(cpuCap=50), "edge-1"),
    Bug("other private address", ":Vm", put("cloudNetworkConfig", lambda text: text.replace("10.20.", "10.21.")), "app-1"),
    Bug("network configuration of version 2", ":Vm", put("cloudNetworkConfig", '{"version": 2, "ethernets": {}}'), "app-1"),
    Bug("network configuration of another interface", ":Vm", put("networks.0.macAddress", "00:16:3E:00:00:01"), "app-1"),
    Bug("no network configuration", ":Vm", put("cloudNetworkConfig", None), "app-1"),
    Bug("no user data", ":Vm", put("cloudConfig", None), "app-1"),
    Bug("user data that is cut", ":Vm", put("cloudConfig", lambda text: text[:-200]), "app-1"),
    Bug("user data that goes before it is read", ":Vm", update(destroyCloudConfigVdiAfterBoot=True), "app-1"),
    Bug("firmware that the template was not made for", ":Vm", put("hvmBootFirmware", "uefi"), "app-1"),
    Bug("a template that is none", ":Vm", put("template", "debian-12"), "app-1"),
    Bug("a store by its name", ":Vm", put("disks.0.srId", "Local storage"), "app-1"),
    Bug("a network by its name", ":Vm", put("networks.0.networkId", "voice"), "app-1"),
    Bug("a host by its name", ":Vm", put("affinityHost", "xcp1"), "app-1"),
    Bug("another host", ":Vm", put("affinityHost", id_of("host", "xcp2")), "data-1"),
    Bug("no host", ":Vm", put("affinityHost", None), "data-1"),
    Bug("disk size in GiB", ":Vm", put("disks.1.size", 300), "data-1"),
    Bug("smaller disk", ":Vm", put("disks.1.size", 10 * GIB), "data-1"),
    Bug("boot disk smaller than its template's", ":Vm", put("disks.0.size", 2 * GIB), "app-1"),
    Bug("disk not attached", ":Vm", put("disks", lambda disks: disks[:1]), "data-1"),
    Bug("data disks before the boot disk", ":Vm", swap_disks, "data-1"),
    Bug(
        "another node's disk by its name",
        ":Vm",
        put("disks.1.nameLabel", lambda name: name.replace("data-1", "data-2")),
        "data-1",
    ),
    Bug("data that anybody may delete", ":Vm", put("blockedOperations", []), "data-1"),
    Bug("a machine that nobody can delete", ":Vm", put("blockedOperations", ["destroy"]), "app-1"),
    Bug("an address that is waited for", ":Vm", put("networks.0.expectedIpCidr", "10.20.0.0/16"), "app-1"),
    Bug("not started with its host", ":Vm", put("autoPoweron", False), "app-1"),
    Bug("off", ":Vm", update(powerState="Halted"), "app-1"),
    Bug("no tags", ":Vm", update(tags=[]), "app-1"),
    Bug("input unknown to the provider", ":Vm", update(userdata="x"), "app-1"),
)

CASE = Case(
    types=Types(MACHINE, MACHINE, AT_CREATION, guarded=(MACHINE,), guard="blockedOperations", inner_disks=inner_disks),
    see=see,
    off=("powerState", "Halted"),
    bugs=BUGS,
    record_bugs=(),
    settings={"url": "wss://xo.example.com", "token": "simulated"},
    variables={"XOA_TOKEN": "simulated", "XOA_URL": "wss://xo.example.com"},
    account="Xen Orchestra, 1 host",
    refusals={
        "capacity": "jsonrpc2: code -32000 message: NO_HOSTS_AVAILABLE()",
        "quota": "jsonrpc2: code 2 message: not enough permissions",
        "rate": "jsonrpc2: code -32000 message: OTHER_OPERATION_IN_PROGRESS(VM, clone)",
    },
    image="debian-12-b",
    zone="",
    zones=(),
    records={},
    rule=("", "", None),
    unknown=("Vm", {"disks": [{"speed": 1}]}),
    needed=(
        Needed(MACHINE, "autoPoweron", True, "it stays off when its host was restarted"),
        Needed(MACHINE, "networks[].expectedIpCidr", None, "an address is waited for that only guest tools tell"),
        Needed(MACHINE, "destroyCloudConfigVdiAfterBoot", False, "the drive goes before it is read"),
    ),
    apart=True,
)
