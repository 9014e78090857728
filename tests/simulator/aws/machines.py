"""AWS: interfaces, addresses, instances and volumes (`facts/clouds.md` 1.1, 1.3-1.5, `facts/schemas/README.md` 14-18)."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import Any, ClassVar

from components.model.clouds.facts import load_machine_types
from provider.server import Properties, Request
from tests.simulator.aws import buckets, iam
from tests.simulator.aws.iam import PROFILE
from tests.simulator.aws.images import find_image
from tests.simulator.aws.resources import (
    EIP,
    GROUP,
    INSTANCE,
    INTERFACE,
    KEY,
    NAT,
    PLACEMENT,
    SUBNET,
    VOLUME,
    Aws,
    check_zone,
    gateway_of,
    region_of,
)
from tests.simulator.call import Call
from tests.simulator.world import Refused, Thing

_TYPES = {machine.name for machine in load_machine_types("aws")}
_DEVICE = re.compile(r"/dev/(sd[b-z]|xvd[b-z][a-z]?)")
_KEPT_FIRST, _KEPT_LAST = 4, 1  # addresses of a subnet that AWS keeps
_PUBLIC = "198.19.0.0/18"


def take_private(call: Call, subnet: Thing, wanted: str | None) -> str:
    """A private address of a subnet."""
    return call.take_address(
        subnet.inputs["vpcId"], subnet.inputs["cidrBlock"], first=_KEPT_FIRST, last=_KEPT_LAST, wanted=wanted
    )


def take_public(call: Call, wanted: str | None) -> str:
    """A public address."""
    return call.take_address("the internet", _PUBLIC, first=1, last=1, wanted=wanted)


def check_groups(call: Call, groups: list[str], subnet: Thing) -> None:
    """At most 5 groups, all of the subnet's network."""
    if len(groups) > 5:
        raise Refused("SecurityGroupsPerInterfaceLimitExceeded: 5 security groups an interface")
    for id in groups:
        if call.find(GROUP, id).inputs["vpcId"] != subnet.inputs["vpcId"]:
            raise Refused(f"InvalidGroup.NotFound: {id} does not belong to {subnet.inputs['vpcId']}")


def check_volume(kind: str, size: int | None, iops: int | None, throughput: int | None) -> None:
    """What EBS refuses: sizes, IOPS and throughput that do not fit together."""
    if size is None or not 1 <= size <= 65536:
        raise Refused(f"InvalidParameterValue: volume of {size} GiB")
    if kind == "gp3":
        rate = iops or 3000
        if not 3000 <= rate <= max(3000, size * 500) or (throughput or 125) > rate / 4:
            raise Refused(f"InvalidParameterCombination: gp3 of {size} GiB with {rate} IOPS and {throughput} MiB/s")


class NetworkInterface(Aws):
    """Fixed private addresses, security groups; the instance's default group where none is named."""

    type = INTERFACE
    references: ClassVar = {"subnetId": SUBNET, "securityGroups": GROUP}

    def make(self, call: Call) -> Properties:
        subnet = call.find(SUBNET, call.inputs["subnetId"])
        groups = call.inputs.get("securityGroups") or []
        check_groups(call, groups, subnet)
        wanted = call.inputs.get("privateIps") or [call.inputs.get("privateIp") or call.outputs.get("privateIp")]
        addresses = [take_private(call, subnet, address) for address in wanted]
        return {
            **super().make(call),
            "privateIp": addresses[0],
            "privateIps": addresses,
            "securityGroups": groups,
            "macAddress": f"02:{int(call.id[-10:], 16) % 2**32:08x}",
            "interfaceType": "interface",
            "privateDnsName": f"ip-{addresses[0].replace('.', '-')}.ec2.internal",
        }


def associate(call: Call, address: Thing, target: Thing) -> None:
    """Ties an elastic address to an interface or instance, once each; the network needs its gateway for that."""
    call.hold(f"association of {address.id}")
    interface = target if target.type == INTERFACE else None
    call.hold(f"public address of {interface.id if interface else interface_of(target)}")
    subnet = call.find(SUBNET, interface.inputs["subnetId"] if interface else target.get("subnetId"))
    call.use(gateway_of(call, subnet.inputs["vpcId"]))


def interface_of(instance: Thing) -> str:
    """The id of an instance's first interface."""
    return str(instance.get("primaryNetworkInterfaceId"))


class Eip(Aws):
    type = EIP
    references: ClassVar = {"networkInterface": INTERFACE, "instance": INSTANCE}

    def make(self, call: Call) -> Properties:
        address = take_public(call, call.outputs.get("publicIp"))
        for name, type in (("networkInterface", INTERFACE), ("instance", INSTANCE)):
            if target := call.inputs.get(name):
                associate(call, Thing(EIP, call.id, "", {}), call.find(type, target))
        return {
            **super().make(call),
            "allocationId": call.id,
            "publicIp": address,
            "domain": "vpc",
            "publicDns": f"ec2-{address.replace('.', '-')}.{region_of(call)}.compute.amazonaws.com",
        }

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        """Refused while it is associated: the provider ends the association that its state knows, and asks AWS for none
        (`facts/edge-aws.md` 3)."""
        address = self.account.world.find(EIP, id)
        at = address and self.account.world.find(INTERFACE, str(address.outputs.get("networkInterface")))
        if address and at and outputs.get("associationId") != address.outputs["associationId"]:
            raise Refused(f"InvalidIPAddress.InUse: Address {id} is in use by {at.id}")
        super().delete(request, id, inputs, outputs)


class EipAssociation(Aws):
    type = "aws:ec2/eipAssociation:EipAssociation"
    references: ClassVar = {"allocationId": EIP, "networkInterfaceId": INTERFACE, "instanceId": INSTANCE}

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        targets = [
            call.find(type, inputs[name])
            for name, type in (("networkInterfaceId", INTERFACE), ("instanceId", INSTANCE))
            if inputs.get(name)
        ]
        if not inputs.get("allocationId") or len(targets) != 1:
            raise Refused("MissingParameter: an allocationId, and either networkInterfaceId or instanceId")
        address = call.find(EIP, inputs["allocationId"])
        associate(call, address, targets[0])
        private = targets[0].get("privateIp")
        if inputs.get("privateIpAddress") not in (None, private):
            raise Refused(f"InvalidParameterValue: {inputs['privateIpAddress']} is not assigned to {targets[0].id}")
        return {**super().make(call), "publicIp": address.get("publicIp"), "privateIpAddress": private}


class EipDomainName(Aws):
    """A name that leads to the address already; the address cannot be released before it goes (`facts/real-clouds.md` B27)."""

    type = "aws:ec2/eipDomainName:EipDomainName"
    references: ClassVar = {"allocationId": EIP}

    def make_id(self, call: Call) -> str:
        return str(call.inputs["allocationId"])

    def make(self, call: Call) -> Properties:
        name, address = call.inputs["domainName"], call.find(EIP, call.inputs["allocationId"]).get("publicIp")
        records = [one for one in call.world.all("aws:route53/record:Record") if one.inputs["type"] == "A"]
        if not any(one.get("fqdn") == name.rstrip(".") and address in one.inputs["records"] for one in records):
            raise Refused(f"InvalidAddress.Unmappable: {name} does not lead to {address}")
        return {**super().make(call), "ptrRecord": f"{name.rstrip('.')}."}


class NatGateway(Aws):
    """Zonal and public: a subnet with a way to the internet gateway, an elastic address of its own."""

    type = NAT
    references: ClassVar = {"subnetId": SUBNET, "allocationId": EIP}

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        if inputs.get("availabilityMode") == "regional":
            raise Refused("this simulator knows zonal NAT gateways only")
        if not inputs.get("subnetId"):
            raise Refused("MissingParameter: subnetId")
        subnet = call.find(SUBNET, inputs["subnetId"])
        made = {"privateIp": take_private(call, subnet, inputs.get("privateIp") or call.outputs.get("privateIp"))}
        if inputs["connectivityType"] == "public":
            if not inputs.get("allocationId"):
                raise Refused("MissingParameter: allocationId")
            call.use(gateway_of(call, subnet.inputs["vpcId"]))
            call.hold(f"association of {inputs['allocationId']}")
            made["publicIp"] = call.find(EIP, inputs["allocationId"]).get("publicIp")
        return {**super().make(call), **made, "availabilityMode": "zonal", "networkInterfaceId": f"eni-{call.id[4:]}"}


class Instance(Aws):
    """Runs with the interface it is given, or with one of its own in a subnet."""

    type = INSTANCE
    references: ClassVar = {
        "subnetId": SUBNET,
        "vpcSecurityGroupIds": GROUP,
        "primaryNetworkInterface.networkInterfaceId": INTERFACE,
        "networkInterfaces[].networkInterfaceId": INTERFACE,
        "placementGroup": PLACEMENT,
    }
    mentions: ClassVar = {"keyName": KEY, "iamInstanceProfile": PROFILE}
    once: ClassVar = ("keyName",)
    untold: ClassVar = ("userDataBase64", "forceDestroy")
    values: ClassVar = {"instanceType": _TYPES}

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        find_image(call.account, inputs["ami"], region_of(call))
        if len(base64.b64decode(inputs.get("userDataBase64") or "")) > 16384:
            raise Refused("InvalidParameterValue: User data is limited to 16384 bytes")
        root = inputs.get("rootBlockDevice") or {}
        size = root.get("volumeSize", 8)
        if size < 8 or size < ((call.old or {}).get("rootBlockDevice") or {}).get("volumeSize", 8):
            raise Refused(f"InvalidBlockDeviceMapping: root volume of {size} GiB is smaller than before")
        check_volume(root.get("volumeType", "gp2"), size, root.get("iops"), root.get("throughput"))
        network = self._connect(call)
        group = inputs.get("placementGroup")
        if group and call.find(PLACEMENT, group).inputs["strategy"] == "spread":
            others = [one for one in call.world.all(INSTANCE) if one.id != call.id and one.inputs.get("placementGroup") == group]
            if sum(one.get("availabilityZone") == network["availabilityZone"] for one in others) >= 7:
                raise Refused("InstanceLimitExceeded: 7 running instances a zone in a spread placement group")
        return {
            **super().make(call),
            **network,
            "instanceState": call.outputs.get("instanceState", "running"),
            "rootBlockDevice": {
                "volumeType": "gp2",
                "deleteOnTermination": True,
                "encrypted": False,
                **root,
                "volumeSize": size,
                "volumeId": f"vol-{call.id[2:]}",
                "deviceName": "/dev/xvda",
            },
        }

    def _connect(self, call: Call) -> Properties:
        inputs = call.inputs
        given: Properties = inputs.get("primaryNetworkInterface") or next(iter(inputs.get("networkInterfaces") or []), {})
        if id := given.get("networkInterfaceId"):
            interface = call.find(INTERFACE, id)
            call.hold(f"attachment of {id}")
            subnet = call.find(SUBNET, interface.inputs["subnetId"])
            private, groups, public = interface.get("privateIp"), interface.get("securityGroups"), ""
        else:
            if not inputs.get("subnetId"):
                raise Refused("MissingInput: No subnets found for the default VPC. Please specify a subnet.")
            subnet = call.find(SUBNET, inputs["subnetId"])
            groups = inputs.get("vpcSecurityGroupIds") or []
            check_groups(call, groups, subnet)
            id = f"eni-{call.id[2:]}"
            private = take_private(call, subnet, inputs.get("privateIp") or call.outputs.get("privateIp"))
            wish = inputs.get("associatePublicIpAddress")
            asked = wish if wish is not None else subnet.inputs.get("mapPublicIpOnLaunch")
            public = take_public(call, call.outputs.get("publicIp")) if asked else ""
        zone = subnet.get("availabilityZone")
        if inputs.get("availabilityZone") not in (None, zone):
            raise Refused(f"InvalidParameterValue: {inputs['availabilityZone']} is not the zone of {subnet.id}, {zone}")
        return {
            "primaryNetworkInterfaceId": id,
            "privateIp": private,
            "subnetId": subnet.id,
            "availabilityZone": zone,
            "vpcSecurityGroupIds": groups,
            "publicIp": public,
            "privateDns": f"ip-{private.replace('.', '-')}.ec2.internal",
        }

    def end(self, call: Call, thing: Thing) -> None:
        if thing.inputs.get("disableApiTermination") and not thing.inputs.get("forceDestroy"):
            raise Refused(f"OperationNotPermitted: The instance '{thing.id}' may not be terminated")


class InstanceState(Aws):
    """Starts or stops an instance at its creation; its end changes nothing."""

    type = "aws:ec2transitgateway/instanceState:InstanceState"
    mentions: ClassVar = {"instanceId": INSTANCE}

    def make_id(self, call: Call) -> str:
        return str(call.inputs["instanceId"])

    def make(self, call: Call) -> Properties:
        instance = call.find(INSTANCE, call.inputs["instanceId"])
        call.world.put(replace(instance, outputs={**instance.outputs, "instanceState": call.inputs["state"]}))
        return super().make(call)


class Volume(Aws):
    type = VOLUME

    def make(self, call: Call) -> Properties:
        inputs: Any = call.inputs
        check_zone(call, inputs["availabilityZone"])
        kind = inputs.get("type") or "gp2"
        check_volume(kind, inputs.get("size"), inputs.get("iops"), inputs.get("throughput"))
        if call.old and inputs["size"] < call.old["size"]:
            raise Refused(f"InvalidParameterValue: New size cannot be smaller than existing size {call.old['size']}")
        rates = {"iops": inputs.get("iops") or 3000, "throughput": inputs.get("throughput") or 125} if kind == "gp3" else {}
        return {**super().make(call), "type": kind, "encrypted": inputs.get("encrypted") or False, **rates}


class VolumeAttachment(Aws):
    type = "aws:ec2/volumeAttachment:VolumeAttachment"
    references: ClassVar = {"instanceId": INSTANCE, "volumeId": VOLUME}
    untold: ClassVar = ("stopInstanceBeforeDetaching",)

    def find_imported(self, id: str) -> str:
        return self.find_by(id, lambda inputs: f"{inputs['deviceName']}:{inputs['volumeId']}:{inputs['instanceId']}")

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        instance, volume = call.find(INSTANCE, inputs["instanceId"]), call.find(VOLUME, inputs["volumeId"])
        if not _DEVICE.fullmatch(inputs["deviceName"]):
            raise Refused(f"InvalidParameterValue: Value ({inputs['deviceName']}) for parameter device is invalid")
        call.hold(f"attachment of {volume.id}")
        call.hold(f"{inputs['deviceName']} of {instance.id}")
        if instance.get("availabilityZone") != volume.inputs["availabilityZone"]:
            raise Refused(f"InvalidVolume.ZoneMismatch: {volume.id} is not in the zone of {instance.id}")
        return super().make(call)


TYPES = (
    *iam.TYPES,
    NetworkInterface,
    Eip,
    EipAssociation,
    EipDomainName,
    NatGateway,
    Instance,
    InstanceState,
    Volume,
    VolumeAttachment,
    *buckets.TYPES,
)
