"""Google Cloud: disks, instances, placement (`facts/clouds.md` 2.3-2.5, `facts/schemas/README.md` 20-23)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from components.model.clouds.facts import load_machine_types
from provider.server import Failure, Properties
from tests.simulator.call import Call
from tests.simulator.gcp import buckets, forwarding
from tests.simulator.gcp.resources import (
    ADDRESS,
    DISK,
    INSTANCE,
    LINK,
    NETWORK,
    POLICY,
    SUBNETWORK,
    Google,
    take_private,
)
from tests.simulator.world import Refused, Thing

_TYPES = {machine.name for machine in load_machine_types("gcp")} | {"e2-micro", "e2-medium", "e2-standard-2", "n2-standard-2"}
_IMAGES = re.compile(r"(projects/)?debian-cloud/(global/images/(family/)?)?debian-1[23](-.*)?")
_DISKS = ("pd-standard", "pd-balanced", "pd-ssd", "pd-extreme", "hyperdisk-balanced", "hyperdisk-extreme", "hyperdisk-throughput")
_TAG = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_PUBLIC = "198.19.64.0/18"
_STOPPING = "allowStoppingForUpdate=true or a stopped VM"


def check_disk(kind: str, machine: str = "") -> None:
    """Refuses disk types that do not exist or that a machine family does not take (clouds.md 2.3)."""
    if kind not in _DISKS:
        raise Refused(f"googleapi: Error 404: The resource 'diskTypes/{kind}' was not found, notFound")
    family = machine.partition("-")[0]
    hyper = kind.startswith("hyperdisk")
    if (
        (family in ("c4", "c4d", "n4") and not hyper)
        or (family in ("c2", "c2d", "n2", "e2") and hyper)
        or (family in ("c3", "c3d") and kind in ("pd-standard", "pd-extreme"))
    ):
        raise Refused(f"googleapi: Error 400: [{kind}] features are not compatible for creating instance of {machine}")


class Disk(Google):
    type = DISK

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        kind = inputs["type"].rpartition("/")[2]
        check_disk(kind)
        size = inputs.get("size") or 500
        if not (4 if kind.startswith("hyperdisk") else 10) <= size <= 65536:
            raise Refused(f"googleapi: Error 400: Disk size {size} GB of {kind}")
        if inputs.get("provisionedIops") and kind in ("pd-standard", "pd-balanced", "pd-ssd"):
            raise Refused(f"googleapi: Error 400: provisionedIops do not belong to {kind}")
        return {**super().make(call), "size": size, "diskId": call.lasting("diskId", str), "users": []}


class ResourcePolicy(Google):
    type = POLICY

    def make(self, call: Call) -> Properties:
        if not _TAG.fullmatch(call.inputs["name"]):
            raise Refused(f"googleapi: Error 400: Invalid value for field 'resource.name': '{call.inputs['name']}'")
        group = call.inputs.get("groupPlacementPolicy") or {}
        if not 1 <= group.get("availabilityDomainCount", 1) <= 8:
            raise Refused("googleapi: Error 400: availabilityDomainCount is 1 to 8")
        if call.is_changed("groupPlacementPolicy"):
            raise Refused("googleapi: Error 400: a placement policy cannot be changed")
        return super().make(call)


class Instance(Google):
    """Sees only its private address; start-up scripts run at every boot; what is in metadata is all there is."""

    type = INSTANCE
    untold: ClassVar = ("allowStoppingForUpdate",)

    def check_plan(self, inputs: Properties, old: Properties | None) -> Iterator[Failure]:
        boot: Any = inputs["bootDisk"]
        if isinstance(boot, dict) and not boot.get("source") and not (boot.get("initializeParams") or {}).get("image"):
            yield Failure("bootDisk", "initializeParams.image or source must be given")
        if not inputs["networkInterfaces"]:
            yield Failure("networkInterfaces", "at least one is needed")

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        machine = inputs["machineType"].rpartition("/")[2]
        if machine not in _TYPES:
            raise Refused(f"googleapi: Error 404: The resource 'machineTypes/{machine}' was not found, notFound")
        metadata = inputs.get("metadata") or {}
        sizes = [len(value.encode()) for value in metadata.values()]
        if any(size > 262144 for size in sizes) or sum(sizes) > 524288:
            raise Refused("googleapi: Error 400: Value for field 'resource.metadata' is too large: 256 KiB each, 512 KiB in all")
        tags = inputs.get("tags") or []
        if len(tags) > 64 or not all(_TAG.fullmatch(tag) for tag in tags):
            raise Refused(f"googleapi: Error 400: Invalid value for field 'resource.tags': {tags}")
        self._check_placement(call)
        made = super().make(call)
        return {
            **made,
            "bootDisk": self._boot(call, machine),
            "attachedDisks": self._attach(call, machine, made["zone"]),
            "networkInterfaces": [self._connect(call, index, wish) for index, wish in enumerate(inputs["networkInterfaces"])],
            "instanceId": call.lasting("instanceId", lambda number: str(8_000_000_000 + number)),
            "currentStatus": call.outputs.get("currentStatus", "RUNNING"),
            "cpuPlatform": "AMD Milan",
            "metadataFingerprint": "m",
            "tagsFingerprint": "t",
            "labelFingerprint": "l",
        }

    def change(self, call: Call) -> Properties:
        stopping = [
            name
            for name, spec in self.account.schema.inputs(self.type).items()
            if spec.get("inPlaceNeeds") == _STOPPING and call.is_changed(name)
        ]
        if stopping and not call.inputs.get("allowStoppingForUpdate"):
            raise Refused(
                f"Changing {', '.join(stopping)} on a started instance requires stopping it. "
                "To acknowledge this, please set allow_stopping_for_update = true in your config."
            )
        if call.is_changed("resourcePolicies"):
            raise Refused("googleapi: Error 400: a placement policy of a running instance cannot be changed")
        return self.make(call)

    def end(self, call: Call, thing: Thing) -> None:
        super().end(call, thing)
        if thing.inputs.get("deletionProtection"):
            raise Refused(f"googleapi: Error 412: Resource cannot be deleted if it is protected against deletion: {thing.id}")

    def _boot(self, call: Call, machine: str) -> Properties:
        boot: Properties = call.inputs["bootDisk"]
        given = boot.get("initializeParams") or {}
        kind = (given.get("type") or "pd-standard").rpartition("/")[2]
        check_disk(kind, machine)
        if given.get("image") and not _IMAGES.fullmatch(given["image"].removeprefix(LINK)):
            raise Refused(f"googleapi: Error 404: image '{given['image']}' was not found, notFound")
        if not 10 <= given.get("size", 10) <= 65536:
            raise Refused(f"googleapi: Error 400: boot disk of {given['size']} GB, the image needs 10")
        image = LINK + "projects/debian-cloud/global/images/debian-12-bookworm-v20261110"
        return {
            "autoDelete": True,
            **boot,
            "initializeParams": {"size": 10, **given, "type": kind, "image": image},
            "source": f"{LINK}{call.id.replace('/instances/', '/disks/')}",
            "deviceName": boot.get("deviceName") or "boot",
        }

    def _attach(self, call: Call, machine: str, zone: str) -> list[Properties]:
        attached = []
        for index, wish in enumerate(call.inputs.get("attachedDisks") or []):
            disk = self.refer(call, DISK, wish["source"], "attachedDisks")
            if disk.get("zone") != zone:
                raise Refused(f"googleapi: Error 400: disk {disk.id} and the instance are in different zones")
            check_disk(disk.inputs["type"].rpartition("/")[2], machine)
            if wish.get("mode", "READ_WRITE") == "READ_WRITE":
                call.hold(f"attachment of {disk.id}")
            name = wish.get("deviceName") or f"persistent-disk-{index + 1}"
            call.hold(f"device {name} of {call.id}")
            attached.append({**wish, "deviceName": name})
        return attached

    def _connect(self, call: Call, index: int, wish: Properties) -> Properties:
        if not wish.get("subnetwork"):
            if not wish.get("network"):
                raise Refused("googleapi: Error 400: one of network or subnetwork must be given")
            network = self.refer(call, NETWORK, wish["network"], "network")
            if not network.inputs.get("autoCreateSubnetworks"):
                raise Refused("googleapi: Error 400: a network in custom subnet mode needs the subnetwork")
            raise Refused("this simulator knows networks in custom subnet mode only")
        subnetwork = self.refer(call, SUBNETWORK, wish["subnetwork"], "subnetwork")
        if subnetwork.get("region") not in call.id.partition("/zones/")[2]:
            raise Refused(f"googleapi: Error 400: {subnetwork.id} is not in the instance's region")
        before: Properties = (call.outputs.get("networkInterfaces") or [{}] * (index + 1))[index]
        private = take_private(call, subnetwork, wish.get("networkIp") or before.get("networkIp"))
        access = []
        for number, config in enumerate(wish.get("accessConfigs") or []):
            old: Any = (before.get("accessConfigs") or [{}] * (number + 1))[number]
            access.append({"networkTier": "PREMIUM", **config, "natIp": self._take_public(call, config, old, subnetwork)})
        return {
            **wish,
            "networkIp": private,
            "accessConfigs": access,
            "name": f"nic{index}",
            "network": subnetwork.inputs["network"],
            "subnetwork": LINK + subnetwork.id,
        }

    def _take_public(self, call: Call, config: Properties, before: Properties, subnetwork: Thing) -> str:
        wanted = config.get("natIp")
        if not wanted:
            return call.take_address("the internet", _PUBLIC, first=1, last=1, wanted=before.get("natIp"))
        for address in call.world.all(ADDRESS):
            if address.get("address") == wanted and address.inputs["addressType"] == "EXTERNAL":
                if address.get("region") != subnetwork.get("region"):
                    raise Refused(f"googleapi: Error 400: address {wanted} is of {address.get('region')}")
                call.use(address)
                call.hold(f"use of {address.id}")
                return str(wanted)
        raise Refused(f"googleapi: Error 400: Invalid value for field 'natIP': '{wanted}'. The external IP was not found.")

    def _check_placement(self, call: Call) -> None:
        domain = (call.inputs.get("scheduling") or {}).get("availabilityDomain")
        if not call.inputs.get("resourcePolicies"):
            if domain:
                raise Refused("googleapi: Error 400: availabilityDomain needs a placement policy")
            return
        policy = self.refer(call, POLICY, call.inputs["resourcePolicies"], "resourcePolicies")
        most = (policy.inputs.get("groupPlacementPolicy") or {}).get("availabilityDomainCount", 0)
        if domain is not None and not 1 <= domain <= most:
            raise Refused(f"googleapi: Error 400: availabilityDomain {domain} of {most}")


TYPES = (Disk, ResourcePolicy, Instance, *forwarding.TYPES, *buckets.TYPES)
