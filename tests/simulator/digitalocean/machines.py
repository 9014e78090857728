"""DigitalOcean's droplets and what is attached to them (`facts/clouds.md` 4.3-4.5, `facts/schemas/README.md` 8-12)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

from components.model.clouds.facts import load_machine_types
from provider.server import Failure, Properties, Request
from tests.simulator.call import Call
from tests.simulator.digitalocean.resources import CREATED, DROPLET, RESERVED_IP, SSH_KEY, VOLUME, VPC
from tests.simulator.resource import Simulated
from tests.simulator.world import Refused

_IMAGES = {"debian-12-x64", "debian-13-x64", "ubuntu-24-04-x64"}
_MACHINES = {machine.name: machine for machine in load_machine_types("digitalocean")}
_NAME = re.compile(r"(?=.{1,255}$)[a-zA-Z0-9]?[a-z0-9A-Z.\-]*[a-z0-9A-Z]")
_USER_DATA = 65536
_NO_TEXT = re.compile(r"[^\t\n\r\x20-\x7e\u00a0-\U0010ffff]")


class Droplet(Simulated):
    """Its private address is known when it is there, and cannot be chosen."""

    type = DROPLET
    references: ClassVar = {"vpcUuid": VPC, "volumeIds": VOLUME}
    values: ClassVar = {"size": set(_MACHINES)}
    untold: ClassVar = ("userData", "sshKeys", "dropletAgent", "resizeDisk", "gracefulShutdown")

    def check_plan(self, inputs: Properties, old: Properties | None) -> Iterator[Failure]:
        if isinstance(inputs["name"], str) and not _NAME.fullmatch(inputs["name"]):
            yield Failure("name", f"{inputs['name']} is no host name")

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        if inputs["image"] not in _IMAGES:
            raise Refused(f"422 image {inputs['image']} is invalid")
        if len((inputs.get("userData") or "").encode()) > _USER_DATA:
            raise Refused(f"422 user_data is too long (maximum is {_USER_DATA} bytes)")
        if _NO_TEXT.search(inputs.get("userData") or ""):
            raise Refused("422 user_data must be plain text")
        for key in (inputs.get("sshKeys") or []) if call.old is None else []:  # of no use later, so not looked up again
            if not any(key in (known.id, known.get("fingerprint")) for known in call.world.all(SSH_KEY)):
                raise Refused(f"422 {key} are invalid key identifiers for Droplet creation")
        region = inputs.get("region") or "nyc3"
        networks = self._join(call, region)
        machine = _MACHINES.get(inputs["size"])
        disk = machine.root_disk_gib if machine else 25
        if call.old and not inputs.get("resizeDisk", True):
            disk = call.outputs["disk"]
        elif call.old and disk < call.outputs["disk"]:
            raise Refused(f"422 size {inputs['size']} has a disk of {disk} GB, smaller than {call.outputs['disk']} GB")
        return {
            **networks,
            "region": region,
            "status": call.outputs.get("status", "active"),
            "locked": False,
            "createdAt": CREATED,
            "disk": disk,
            "dropletUrn": f"do:droplet:{call.id}",
            "volumeIds": inputs.get("volumeIds") or [],
            "memory": int(machine.memory_gib * 1024) if machine else 1024,
            "vcpus": machine.vcpus if machine else 1,
            "priceMonthly": machine.monthly["any"] if machine else 6,
            "priceHourly": 0.1,
            "privateNetworking": True,
        }

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        with self.account.world.change() as world:
            droplet = world.find(self.type, id)
            if droplet and inputs.get("gracefulShutdown"):
                world.put(replace(droplet, outputs={**droplet.outputs, "status": "off"}))  # and off it stays, whatever follows
        super().delete(request, id, inputs, outputs)

    def _join(self, call: Call, region: str) -> Properties:
        id = call.inputs.get("vpcUuid")
        block = "10.110.0.0/20"  # the region's own network
        if id:
            vpc = call.find(VPC, id, "vpcUuid")
            if vpc.inputs["region"] != region:
                raise Refused(f"422 vpc_uuid {id} is in {vpc.inputs['region']}, the droplet in {region}")
            block = vpc.get("ipRange")
        before = call.outputs.get("ipv4AddressPrivate")
        # The first address is the gateway's; DigitalOcean's own services take the next few.
        private = call.take_address(f"vpc {id or region}", block, first=2, last=1, wanted=before)
        found: Properties = {"ipv4AddressPrivate": private, "vpcUuid": id or f"default-{region}", "ipv4Address": ""}
        if call.inputs.get("publicNetworking") is not False:
            found["ipv4Address"] = call.take_address(
                "the internet", "198.18.128.0/18", first=1, last=1, wanted=call.outputs.get("ipv4Address") or None
            )
        found["publicNetworking"] = call.inputs.get("publicNetworking") is not False
        found["ipv6Address"] = f"2001:db8:d0::{call.id}" if call.inputs.get("ipv6") else ""
        return found


class VolumeAttachment(Simulated):
    """Made again, it is there once: the provider asks where the volume is before it attaches it (its source, v2)."""

    type = "digitalocean:index/volumeAttachment:VolumeAttachment"
    references: ClassVar = {"dropletId": DROPLET, "volumeId": VOLUME}

    def make_id(self, call: Call) -> str:
        return f"{call.inputs['dropletId']}-{call.inputs['volumeId']}-{call.number():06x}"

    def make(self, call: Call) -> Properties:
        droplet, volume = call.find(DROPLET, call.inputs["dropletId"]), call.find(VOLUME, call.inputs["volumeId"])
        if droplet.get("region") != volume.inputs["region"]:
            raise Refused(f"422 volume in {volume.inputs['region']}, droplet in {droplet.get('region')}")
        for other in call.world.all(self.type):
            if other.id != call.id and other.inputs == call.inputs:
                call.world.remove(other)
        call.hold(f"attachment of volume {volume.id}")
        if sum(_is_attachment(user) for user in call.world.users_of(droplet)) >= 7:
            raise Refused("422 a droplet takes 7 volumes")
        return {}

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        """The provider detaches that volume from that droplet, whichever of its resources attached it."""
        for other in self.account.world.all(self.type):
            if all(other.inputs[name] == inputs[name] for name in self.references):
                id = other.id
        super().delete(request, id, inputs, outputs)


class ReservedIpAssignment(Simulated):
    """A droplet has one reserved address at most."""

    type = "digitalocean:index/reservedIpAssignment:ReservedIpAssignment"
    references: ClassVar = {"dropletId": DROPLET, "ipAddress": RESERVED_IP}

    def make_id(self, call: Call) -> str:
        return f"{call.inputs['dropletId']}-{call.inputs['ipAddress']}-{call.number():06x}"

    def make(self, call: Call) -> Properties:
        droplet, address = call.find(DROPLET, call.inputs["dropletId"]), call.find(RESERVED_IP, call.inputs["ipAddress"])
        if droplet.get("region") != address.inputs["region"]:
            raise Refused(f"422 address of {address.inputs['region']}, droplet in {droplet.get('region')}")
        if droplet.get("publicNetworking") is False:
            raise Refused("422 a droplet without public networking takes no reserved IP")
        call.hold(f"reserved IP of droplet {droplet.id}")
        call.hold(f"assignment of {address.id}")
        return {}


def _is_attachment(thing: Any) -> bool:
    return bool(thing.type == VolumeAttachment.type)


TYPES = (Droplet, VolumeAttachment, ReservedIpAssignment)
