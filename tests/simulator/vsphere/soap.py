"""vCenter's own interface (SOAP, `/sdk`), as far as `components/clouds/vsphere/interface.py` asks it: names of methods and
properties of the vSphere Web Services API, and the shape of answers, as govmomi's simulator v0.54.1 gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from components.clouds.vsphere.account import RIGHTS
from tests.simulator.account import facts_of
from tests.simulator.vsphere.functions import networks_of
from tests.simulator.vsphere.machines import ON, path_of, start
from tests.simulator.vsphere.resources import (
    CLUSTERS,
    CORE_MHZ,
    CORES,
    DATACENTERS,
    DISK,
    HOST_MEMORY_MIB,
    HOSTS_PER_CLUSTER,
    PACKAGE,
    RULE,
    STORE_GIB,
    TEMPLATES,
    VM,
    cluster_of,
    stores_of,
)
from tests.simulator.world import World

GIB = 2**30
NAMESPACE = "{urn:vim25}"
PARTS = {
    "rootFolder": ("Folder", "group-d1"),
    "propertyCollector": ("PropertyCollector", "propertyCollector"),
    "viewManager": ("ViewManager", "ViewManager"),
    "sessionManager": ("SessionManager", "SessionManager"),
    "authorizationManager": ("AuthorizationManager", "AuthorizationManager"),
    "virtualDiskManager": ("VirtualDiskManager", "virtualDiskManager"),
    "searchIndex": ("SearchIndex", "SearchIndex"),
}
ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>'
)


class Fault(Exception):
    """What vCenter refuses."""


Thing = tuple[str, str, Mapping[str, Any]]
"""Type, id and properties by path."""


def answer(world: World, document: bytes) -> tuple[int, bytes]:
    """Status and document that answer a call."""
    (call,) = ElementTree.fromstring(document)[0]
    method = call.tag.removeprefix(NAMESPACE)
    try:
        told = "".join(_answer(world, method, call))
    except Fault as fault:
        body = f"<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>{escape(str(fault))}</faultstring>"
        return 500, ENVELOPE.format(body=f"{body}</soapenv:Fault>").encode()
    return 200, ENVELOPE.format(body=f'<{method}Response xmlns="urn:vim25">{told}</{method}Response>').encode()


def text(call: Element, name: str) -> str:
    """The text of a part of a call."""
    return call.findtext(f".//{NAMESPACE}{name}", "")


def ref(name: str, type: str, id: str) -> str:
    """A thing as an element."""
    return f"<{name} type={quoteattr(type)}>{escape(id)}</{name}>"


def _answer(world: World, method: str, call: Element) -> Iterator[str]:
    told = facts_of(world, PACKAGE)
    if method == "RetrieveServiceContent":
        release = told.get("release", "8.0.3")
        about = f"<about><fullName>VMware vCenter Server {release} build-1</fullName><version>{release}</version></about>"
        yield f"<returnval>{about}{''.join(ref(name, *one) for name, one in PARTS.items())}</returnval>"
    elif method == "Login":
        if told["refused"]:
            raise Fault(told["refused"])
        yield f"<returnval><userName>{escape(text(call, 'userName'))}</userName></returnval>"
    elif method == "CreateContainerView":
        yield ref("returnval", "ContainerView", f"view of {text(call, 'type')}")
    elif method == "RetrieveProperties":
        yield from _read(world, call)
    elif method == "FetchUserPrivilegeOnEntities":
        has = "".join(f"<privileges>{name}</privileges>" for name in RIGHTS if name not in told.get("withheld", ()))
        yield f"<returnval>{ref('entity', 'Datacenter', text(call, 'entities'))}{has}</returnval>"
    elif method == "FindByUuid":
        if world.find(VM, text(call, "uuid")):
            yield ref("returnval", "VirtualMachine", f"vm-{text(call, 'uuid')}")
    elif method == "FindByInventoryPath":
        yield from _find_path(world, "/" + text(call, "inventoryPath").strip("/"))
    elif method == "QueryVirtualDiskUuid":
        store, _, path = text(call, "name").removeprefix("[").partition("] ")
        disk = world.find(DISK, path)
        if disk is None or disk.inputs["datastore"] != store:
            raise Fault(f"File {text(call, 'name')} was not found")
        yield "<returnval>60 00 C2 9a 00 00 00 00-00 00 00 00 00 00 00 00</returnval>"
    elif method == "PowerOnVM_Task":
        _start(world, text(call, "_this").removeprefix("vm-"))
        yield ref("returnval", "Task", "task-1")
    elif method != "Logout":
        raise Fault(f"Unable to resolve WSDL method name {method}")


def _find_path(world: World, path: str) -> Iterator[str]:
    if path[1:] in DATACENTERS:
        yield ref("returnval", "Datacenter", DATACENTERS[path[1:]])
    yield from (ref("returnval", "VirtualMachine", f"vm-{one.id}") for one in world.all(VM) if path_of(one) == path)


def _start(world: World, id: str) -> None:
    machine = world.find(VM, id)
    if machine is None:
        raise Fault(f"The object 'vim.VirtualMachine:vm-{id}' has already been deleted or has not been completely created")
    if machine.outputs["powerState"] == ON:
        raise Fault("The attempted operation cannot be performed in the current state (Powered on).")
    with world.change():
        world.put(start(machine))


def _read(world: World, call: Element) -> Iterator[str]:
    paths = [one.text or "" for one in call.iter(f"{NAMESPACE}pathSet")]
    wanted, asked = text(call, "type"), text(call, "obj")
    for type, id, properties in list_things(world):
        if type == wanted and asked in (id, f"view of {type}"):
            assert set(paths) <= KNOWN[type], f"{type}: {set(paths) - KNOWN[type]}"
            told = "".join(_tell(path, properties[path]) for path in paths if properties.get(path) is not None)
            yield f"<returnval>{ref('obj', type, id)}{told}</returnval>"


def _tell(path: str, value: Any) -> str:
    if isinstance(value, tuple):
        return f"<propSet><name>{path}</name>{ref('val', *value)}</propSet>"
    if isinstance(value, Sequence) and not isinstance(value, str):
        rules = "".join(
            f'<ClusterRuleInfo xsi:type="ClusterAntiAffinityRuleSpec"><name>{escape(one)}</name></ClusterRuleInfo>'
            for one in value
        )
        return f'<propSet><name>{path}</name><val xsi:type="ArrayOfClusterRuleInfo">{rules}</val></propSet>'
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<propSet><name>{path}</name><val>{escape(shown)}</val></propSet>"


KNOWN: Mapping[str, set[str]] = {
    "Datacenter": {"name"},
    "ClusterComputeResource": {"name", "configurationEx.drsConfig.enabled", "configurationEx.rule"},
    "HostSystem": {
        "name",
        "parent",
        "runtime.connectionState",
        "runtime.inMaintenanceMode",
        "summary.hardware.cpuMhz",
        "summary.hardware.memorySize",
        "summary.hardware.numCpuCores",
        "summary.hardware.numCpuPkgs",
        "summary.quickStats.overallMemoryUsage",
    },
    "Datastore": {"name", "summary.accessible", "summary.freeSpace"},
    "Network": {"name"},
    "VirtualMachine": {"name", "config.template", "config.guestId", "runtime.powerState"},
}
"""Paths of properties by type that are asked for (vSphere Web Services API)."""


def list_things(world: World) -> Iterator[Thing]:
    """What there is, with its properties."""
    told = facts_of(world, PACKAGE)
    yield from (("Datacenter", id, {"name": name}) for name, id in DATACENTERS.items())
    for name, id in CLUSTERS.items():
        rules = [one.inputs["name"] for one in world.all(RULE) if one.inputs["computeClusterId"] == id]
        drs = name not in told.get("without_drs", ())
        yield (
            "ClusterComputeResource",
            id,
            {"name": name, "configurationEx.drsConfig.enabled": drs, "configurationEx.rule": rules},
        )
        for number in range(1, int(told.get("hosts", HOSTS_PER_CLUSTER)) + 1):
            yield "HostSystem", f"host-{id}-{number}", _host(world, told, name, id, number)
    for name, id in stores_of(world).items():
        free = int(told.get("free_gib", STORE_GIB)) * GIB
        yield "Datastore", id, {"name": name, "summary.accessible": True, "summary.freeSpace": free}
    yield from (("Network", id, {"name": name}) for name, id in networks_of(world).items())
    for template in TEMPLATES:
        yield "VirtualMachine", template.uuid, {"name": template.name, "config.template": True, "config.guestId": template.guest}
    for machine in world.all(VM):
        state = machine.outputs.get("powerState", ON)
        yield (
            "VirtualMachine",
            f"vm-{machine.id}",
            {"name": machine.inputs["name"], "config.template": False, "runtime.powerState": state},
        )


def _host(world: World, told: Mapping[str, Any], cluster: str, id: str, number: int) -> Mapping[str, Any]:
    inside = [one for one in world.all(VM) if "resourcePoolId" in one.inputs and cluster_of(one) == id]
    used = sum(one.inputs["memory"] for one in inside) // HOSTS_PER_CLUSTER
    return {
        "name": f"{cluster}-esxi-{number}",
        "parent": ("ClusterComputeResource", id),
        "runtime.connectionState": "connected",
        "runtime.inMaintenanceMode": False,
        "summary.hardware.cpuMhz": CORE_MHZ,
        "summary.hardware.memorySize": int(told.get("memory_gib", HOST_MEMORY_MIB // 1024)) * GIB,
        "summary.hardware.numCpuCores": 2 * CORES,
        "summary.hardware.numCpuPkgs": 2,
        "summary.quickStats.overallMemoryUsage": used,
    }
