"""Machines of Xen Orchestra with their disks (`facts/onprem.md` 5; vatesfr/terraform-provider-xenorchestra 6fb9198,
xoa/resource_xenorchestra_vm.go, and the xenorchestra-go-sdk that it calls)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from provider.server import UNKNOWN, Failure, Properties, Request
from tests.simulator.account import facts_of
from tests.simulator.call import Call
from tests.simulator.resource import Simulated
from tests.simulator.world import Refused, Thing
from tests.simulator.xen.resources import GIB, PACKAGE, TEMPLATES, VM, id_of, read_pool

TEMPLATE_DISK_GIB = 3
"""Of the image that the recipe of `docs/operate/xen.md` puts in."""
HOST_MEMORY_GIB, STORE_GIB = 512, 20_000
MOST_VDI_GIB = 2040
"""A VHD; and where a template comes with a CD drive, that has place 3."""
CD_PLACE = 3
MOST_CPUS = 128
RUNNING, OFF = "Running", "Halted"
DESTROY = "destroy"
BOOTED = ("cloudConfig", "cloudNetworkConfig", "hvmBootFirmware", "template")
"""What a machine has from its creation on, whatever is said later: the drive is written once (onprem.md 5.2)."""


class NotStarted(Refused):
    """A machine that was made and does not start."""


class Vm(Simulated):
    """A machine is copied of a template, changed and then started. A start that fails leaves it there, halted, and no state knows
    it: names are not unique, so that the next creation makes another one."""

    type = VM
    untold: ClassVar = ("cloudConfig", "cloudNetworkConfig", "cloneType")

    def check_plan(self, inputs: Properties, old: Properties | None) -> Iterator[Failure]:
        low, high = inputs.get("memoryMin"), inputs.get("memoryMax")
        if UNKNOWN not in (low, high) and low is not None and high is not None and low > high:
            yield Failure("memoryMin", f"memory_min ({low}) must be less than or equal to memory_max ({high})")
        if inputs.get("destroyCloudConfigVdiAfterBoot") and not inputs.get("cloudConfig"):
            yield Failure(
                "cloudConfig", "cloud_config must be specified when destroy_cloud_config_vdi_after_boot is set to `true`"
            )

    def create(self, request: Request, inputs: Properties) -> tuple[str, Properties]:
        try:
            return super().create(request, inputs)
        except NotStarted:
            with self.account.world.change() as world:
                call = Call(self.account, request, inputs)
                world.put(Thing(VM, self.make_id(call), request.urn, inputs, {**self._describe(call), "powerState": OFF}))
            raise

    def make(self, call: Call) -> Properties:
        inputs, pool = call.inputs, read_pool(call.world)
        known = {
            "template": [id_of("template", name) for name in pool.templates],
            "affinityHost": [id_of("host", name) for name in pool.hosts],
        }
        for name, ids in known.items():
            if call.old is None and inputs.get(name) and inputs[name] not in ids:
                raise Refused(f"jsonrpc2: code 1 message: no such {name} {inputs[name]}")
        for device in inputs["networks"]:
            if device["networkId"] not in [id_of("network", name) for name in pool.networks]:
                raise Refused(f"jsonrpc2: code 1 message: no such network {device['networkId']}")
        if not 1 <= inputs["cpus"] <= MOST_CPUS:
            raise Refused(f"jsonrpc2: code -32000 message: VALUE_OUT_OF_RANGE(VCPUs_max, 1, {MOST_CPUS}, {inputs['cpus']})")
        if inputs.get("memoryMin", GIB) < GIB / 8:
            raise Refused("jsonrpc2: code -32000 message: MEMORY_CONSTRAINT_VIOLATION")
        self._check_disks(call)
        made = self._describe(call)
        if inputs["memoryMax"] > self._free_memory(call):
            raise NotStarted(
                f"jsonrpc2: code -32000 message: HOST_NOT_ENOUGH_FREE_MEMORY({inputs['memoryMax']}, {self._free_memory(call)})"
            )
        return made

    def change(self, call: Call) -> Properties:
        before = {disk["nameLabel"]: disk for disk in call.outputs["disks"]}
        halts = call.is_changed("memoryMax") or call.inputs["cpus"] > call.outputs["maxCpus"]
        for number, disk in enumerate(call.inputs["disks"]):
            old = call.outputs["disks"][number] if number < len(call.outputs["disks"]) else None
            if old and old["srId"] != disk["srId"]:
                raise Refused("disk update action 'disk migration Update (Sr ID update)' not handled")
            if old and disk["size"] < before.get(disk["nameLabel"], old)["size"]:
                raise Refused("jsonrpc2: code -32000 message: VDI_SIZE_TOO_SMALL: a disk only grows")
            halts |= bool(old and old["size"] != disk["size"])
        if halts and facts_of(call.world, PACKAGE).get("without_tools"):
            raise Refused(f"failed to gracefully stop vm ({call.id}) since PV drivers were never detected")
        made = super().change(call)
        # What was halted by hand and is changed so that it has to start again runs afterwards.
        return {**made, "powerState": RUNNING if halts else call.outputs["powerState"]}

    def _check_disks(self, call: Call) -> None:
        stores = [id_of("store", name) for name in read_pool(call.world).stores]
        for number, disk in enumerate(call.inputs["disks"]):
            if disk["srId"] not in stores:
                raise Refused(f"jsonrpc2: code 1 message: no such SR {disk['srId']}")
            if not 0 <= disk["size"] <= MOST_VDI_GIB * GIB:
                raise Refused("jsonrpc2: code -32000 message: SR_BACKEND_FAILURE_79(VDI Invalid size)")
            if number == 0 and call.old is None and disk["size"] < TEMPLATE_DISK_GIB * GIB:
                raise Refused("jsonrpc2: code -32000 message: VDI_SIZE_TOO_SMALL: a disk of a template only grows")

    def _free_memory(self, call: Call) -> float:
        return float(facts_of(call.world, PACKAGE)["limits"].get("memory", HOST_MEMORY_GIB)) * GIB

    def _describe(self, call: Call) -> Properties:
        inputs, known = call.inputs, {disk["vdiId"]: disk for disk in call.outputs.get("disks") or []}
        disks: list[Properties] = []
        for number, disk in enumerate(inputs["disks"]):
            before: Mapping[str, Any] = next(iter(list(known.values())[number : number + 1]), {})
            fixed = {name: before.get(name) or f"{name}-{call.number()}" for name in ("vbdId", "vdiId")}
            place = before.get("position") or str(number if number < CD_PLACE else number + 1)
            disks.append({**disk, **fixed, "position": place})
        networks = [
            {**device, "device": str(number), "macAddress": device.get("macAddress") or "9a:00:00:00:00:01"}
            for number, device in enumerate(inputs["networks"])
        ]
        return {
            "booted": call.outputs.get("booted") or {name: inputs.get(name) for name in BOOTED},
            "powerState": call.outputs.get("powerState") or inputs.get("powerState", RUNNING),
            "memoryMin": inputs.get("memoryMin") or inputs["memoryMax"],
            "maxCpus": max(inputs["cpus"], call.outputs.get("maxCpus", 0)),
            "disks": disks,
            "networks": networks,
            "ipv4Addresses": [],
            "ipv6Addresses": [],
        }

    def show(self, thing: Thing) -> Properties:
        return {name: value for name, value in super().show(thing).items() if name not in ("booted", "maxCpus")}

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        there = self.account.world.find(VM, id)
        super().delete(request, id, inputs, outputs)
        if there is None:
            raise Refused(f"jsonrpc2: code 1 message: no such object {id}")

    def end(self, call: Call, thing: Thing) -> None:
        if DESTROY in (thing.inputs.get("blockedOperations") or ()):
            raise Refused(f"jsonrpc2: code 7 message: forbidden operation: {DESTROY} is blocked for {thing.id}")


def firmware_of(template: str) -> str:
    """The firmware by which a template starts."""
    return next((firmware for name, firmware in TEMPLATES.items() if id_of("template", name) == template), "bios")


def inner_disks(machine: Thing) -> list[Thing]:
    """The data disks of a machine, as what they would be elsewhere: named as the resource that made them."""
    return [
        Thing("disk", disk["vdiId"], f"{machine.urn}-{disk['nameLabel'].rpartition('-')[2]}", disk)
        for disk in machine.outputs["disks"][1:]
    ]


TYPES = (Vm,)
