"""KVM by libvirt: domains (`facts/onprem.md` 6; dmacvicar/terraform-provider-libvirt v0.8.3, resource_libvirt_domain.go)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any, ClassVar
from xml.etree import ElementTree

from provider.server import Properties, Request
from tests.simulator.call import Call
from tests.simulator.libvirt.resources import DISC, DOMAIN, VOLUME, OnHost, host_of, is_on
from tests.simulator.world import Refused, Thing

NETWORKS = ("default", "webitel")
BRIDGED = ("webitel",)
"""Those that are the host's own bridge."""
HOST_MEMORY_MIB = 512 * 1024
MOST_VCPUS = 255
"""Of a machine of the kind `pc`."""
RUNNING, OFF = "running", "shut off"
START = "error creating libvirt domain: "
"""What the provider says where a start fails: the definition is there by then."""
UUID = re.compile(r"<uuid>([-0-9a-f]{36})</uuid>")
WIDE_NAME = re.compile(r"[0-9a-fA-F]{16}")


class Domain(OnHost):
    """Defined first and started then, so a start that fails leaves it there, off. One of the same name is refused, and replaced
    where it has the same UUID and does not run. An interface without a network is taken: it gets QEMU's own, where nobody reaches
    it (`facts/onprem.md` 6.11)."""

    type = DOMAIN
    # Looked at once: a volume that a machine uses is deleted like any other.
    mentions: ClassVar = {"disks[].volumeId": VOLUME, "cloudinit": DISC}
    untold: ClassVar = ("xml", "cloudinit")

    def make_id(self, call: Call) -> str:
        found = UUID.search((call.inputs.get("xml") or {}).get("xslt") or "")
        return found[1] if found else str(uuid.uuid4())

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        world = self.account.world
        same = world.find(DOMAIN, self.make_id(Call(self.account, request, inputs)))
        if same and same.outputs["state"] == RUNNING:
            raise Refused(f"{START}Requested operation is not valid: domain is already running")
        if same:
            world.erase(DOMAIN, same.id)
        try:
            return super().create(request, inputs)
        except Refused as refused:
            if str(refused).startswith(START):
                self._leave(request, inputs)
            raise

    def _leave(self, request: Request, inputs: Properties) -> None:
        with self.account.world.change() as world:
            id = self.make_id(Call(self.account, request, inputs))
            world.put(Thing(DOMAIN, id, request.urn, inputs, {"state": OFF, "host": host_of(request.settings)}))

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        self._define(call, inputs)
        self._start(call, inputs)
        return {**super().make(call), "state": RUNNING}

    def _define(self, call: Call, inputs: Properties) -> None:
        for one in call.world.all(DOMAIN):
            if one.inputs["name"] == inputs["name"] and one.id != call.id:
                said = f"operation failed: domain '{inputs['name']}' already exists with uuid {one.id}"
                raise Refused(f"error defining libvirt domain: {said}")
        for type, id in (*((VOLUME, volume) for volume in volumes_of(inputs)), (DISC, inputs.get("cloudinit"))):
            if id and not is_on(call.find(type, id), call.request):
                raise Refused(f"can't retrieve volume {id}: Storage volume not found")
        for wish in inputs.get("networkInterfaces") or []:
            if wish.get("networkName") and wish["networkName"] not in NETWORKS:
                raise Refused(f"can't retrieve network '{wish['networkName']}'")
        for console in inputs.get("consoles") or []:
            if not console["targetPort"].isdecimal() or int(console["targetPort"]) >= 2**16:
                raise Refused(f'invalid port when parsing "{console["targetPort"]}"')
        for disk in inputs.get("disks") or []:
            if disk.get("wwn") and not WIDE_NAME.fullmatch(disk["wwn"]):
                raise Refused("error defining libvirt domain: XML error: malformed wwn")
        if sheet := (inputs.get("xml") or {}).get("xslt"):
            try:
                ElementTree.fromstring(sheet)
            except ElementTree.ParseError as error:
                raise Refused("error applying XSLT stylesheet: exit status 4") from error
        if inputs.get("cloudinit") and "q35" in (inputs.get("machine") or ""):
            raise Refused("error defining libvirt domain: unsupported configuration: IDE controllers are unsupported")
        if not 0 < inputs["vcpu"] <= MOST_VCPUS:
            raise Refused("error defining libvirt domain: unsupported configuration: Maximum CPUs greater than 255")
        if inputs["memory"] <= 0:
            raise Refused("error defining libvirt domain: numerical overflow: value too large")

    def _start(self, call: Call, inputs: Properties) -> None:
        if inputs["memory"] > HOST_MEMORY_MIB:
            raise Refused(f"{START}internal error: cannot set up guest memory 'pc.ram': Cannot allocate memory")
        mine = volumes_of(inputs)
        for other in call.world.all(DOMAIN):
            if other.id != call.id and other.outputs["state"] == RUNNING and mine & volumes_of(other.inputs):
                raise Refused(f'{START}internal error: Failed to get "write" lock')

    def show(self, thing: Thing) -> Properties:
        return {**self._show(thing.inputs), "running": thing.outputs["state"] == RUNNING}

    def read(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> tuple[Properties, Properties] | None:
        """Of a running machine on a host's bridge, the bridge is told and no network (`facts/onprem.md` 6.11)."""
        if (found := super().read(request, id, inputs, outputs)) is None:
            return None
        told, shown = deepcopy(found)
        for values in (told, shown) if shown["running"] else ():
            for interface in values.get("networkInterfaces") or []:
                if interface.get("networkName") in BRIDGED:
                    interface["networkName"] = ""
        return told, shown

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        there = self.account.world.find(DOMAIN, id)
        super().delete(request, id, inputs, outputs)
        if there is None or not is_on(there, request):
            raise Refused("error retrieving libvirt domain by delete: Domain not found: no domain with matching uuid")


def volumes_of(inputs: Mapping[str, Any]) -> set[str]:
    """The ids of a machine's volumes."""
    return {disk["volumeId"] for disk in inputs.get("disks") or [] if disk.get("volumeId")}


def start(thing: Thing) -> Thing:
    """The domain after its start."""
    return replace(thing, outputs={**thing.outputs, "state": RUNNING})


TYPES = (Domain,)
