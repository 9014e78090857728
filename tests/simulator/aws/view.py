"""AWS' instances: security groups at interfaces, routes by subnet (`facts/clouds.md` 1.1-1.2)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from tests.simulator.aws.machines import EipAssociation
from tests.simulator.aws.resources import (
    ASSOCIATION,
    EIP,
    GROUP,
    INSTANCE,
    INTERFACE,
    NAT,
    ROUTE,
    SUBNET,
    TABLE,
    SecurityGroupEgressRule,
    SecurityGroupIngressRule,
)
from tests.simulator.case import Answer, Seen
from tests.simulator.reach import EVERYWHERE, Machine, Rule
from tests.simulator.world import Thing, World

_PROTOCOLS = {"-1": "any", "6": "tcp", "17": "udp", "1": "icmp"}
_SIDES = {"ingress": SecurityGroupIngressRule.type, "egress": SecurityGroupEgressRule.type}


def look(world: World) -> list[Machine]:
    """Every instance."""
    groups = {instance.id: _groups_of(world, instance) for instance in world.all(INSTANCE)}
    return [_look_at(world, instance, groups) for instance in world.all(INSTANCE)]


def _interface_of(world: World, instance: Thing) -> Thing | None:
    return world.find(INTERFACE, instance.get("primaryNetworkInterfaceId"))


def _groups_of(world: World, instance: Thing) -> list[str]:
    interface = _interface_of(world, instance)
    return list((interface.inputs.get("securityGroups") if interface else instance.inputs.get("vpcSecurityGroupIds")) or [])


def _look_at(world: World, instance: Thing, groups: dict[str, list[str]]) -> Machine:
    interface = _interface_of(world, instance)
    subnet = world.find(SUBNET, interface.inputs["subnetId"] if interface else instance.inputs["subnetId"])
    assert subnet is not None
    public = instance.get("publicIp") or _elastic_address(world, instance, interface)
    to_gateway = _routes_to(world, subnet, "gatewayId")
    inward, outward = (tuple(_rules_of(world, groups[instance.id], side, groups)) for side in ("ingress", "egress"))
    if not groups[instance.id]:  # the network's default group: open among those who wear it, and outwards
        others = frozenset(id for id, worn in groups.items() if not worn)
        inward, outward = (Rule("any", 1, 65535, (), others),), (Rule("any", 1, 65535, EVERYWHERE),)
    return Machine(
        id=instance.id,
        name=(instance.inputs.get("tags") or {}).get("Name", instance.id),
        network=subnet.inputs["vpcId"],
        private=instance.get("privateIp"),
        public=public,
        reachable=bool(public) and bool(to_gateway),
        way_out=bool(public and to_gateway) or _has_nat(world, subnet),
        ingress=(inward,),
        egress=(outward,),
    )


def _elastic_address(world: World, instance: Thing, interface: Thing | None) -> str:
    targets = {instance.id, interface.id if interface else ""}
    for one in world.all(EipAssociation.type):
        if targets & {one.inputs.get("networkInterfaceId"), one.inputs.get("instanceId")}:
            return str(one.get("publicIp"))
    for address in world.all(EIP):
        if targets & {address.inputs.get("networkInterface"), address.inputs.get("instance")}:
            return str(address.get("publicIp"))
    return ""


def _routes_to(world: World, subnet: Thing, target: str) -> list[str]:
    """The targets of that kind to which the subnet's route table sends everything."""
    tables = [one.inputs["routeTableId"] for one in world.all(ASSOCIATION) if one.inputs.get("subnetId") == subnet.id]
    single = [one.inputs for one in world.all(ROUTE) if one.inputs["routeTableId"] in tables]
    inline = [
        {**route, "destinationCidrBlock": route.get("cidrBlock")}
        for table in world.all(TABLE)
        if table.id in tables
        for route in table.inputs.get("routes") or []
    ]
    routes = [*single, *inline]
    return [route[target] for route in routes if route.get("destinationCidrBlock") == "0.0.0.0/0" and route.get(target)]


def _has_nat(world: World, subnet: Thing) -> bool:
    for id in _routes_to(world, subnet, "natGatewayId"):
        nat = world.find(NAT, id)
        home = world.find(SUBNET, nat.inputs["subnetId"]) if nat else None
        if home and _routes_to(world, home, "gatewayId"):
            return True
    return False


def _zone_of_nat(world: World, interface: Thing) -> str | None:
    """Where the NAT gateway stands to which an interface's subnet sends everything."""
    subnet = world.find(SUBNET, interface.inputs["subnetId"])
    for id in _routes_to(world, subnet, "natGatewayId") if subnet else ():
        nat = world.find(NAT, id)
        home = world.find(SUBNET, nat.inputs["subnetId"]) if nat else None
        return str(home.get("availabilityZone")) if home else None
    return None


def _rules_of(world: World, worn: list[str], side: str, groups: dict[str, list[str]]) -> Iterator[Rule]:
    for thing in world.all(_SIDES[side]):
        if thing.inputs["securityGroupId"] in worn:
            rule = thing.inputs
            yield _read(
                rule["ipProtocol"],
                rule.get("fromPort"),
                rule.get("toPort"),
                [rule.get("cidrIpv4"), rule.get("cidrIpv6")],
                [rule.get("referencedSecurityGroupId")],
                groups,
            )
    for group in world.all(GROUP):
        if group.id in worn:
            for rule in group.inputs.get(side) or []:
                ends = [*(rule.get("cidrBlocks") or []), *(rule.get("ipv6CidrBlocks") or [])]
                others = [*(rule.get("securityGroups") or []), *([group.id] if rule.get("self") else [])]
                yield _read(rule["protocol"], rule["fromPort"], rule["toPort"], ends, others, groups)


def _untracked(world: World, worn: list[str]) -> Iterator[tuple[str, str]]:
    """What everybody may send and be answered from by every port: such a flow is not tracked (`facts/real-clouds.md` B20)."""
    found: dict[str, list[Any]] = {"ingress": [], "egress": []}
    for side, rules in found.items():
        of_all = (thing.inputs for thing in world.all(_SIDES[side]) if thing.inputs["securityGroupId"] in worn)
        rules += [rule for rule in of_all if rule.get("cidrIpv4") == "0.0.0.0/0"]
    for rule in found["ingress"]:
        wide = {rule["ipProtocol"]: (0, 65535), "-1": (None, None)}
        if any((one.get("fromPort"), one.get("toPort")) == wide.get(one["ipProtocol"], ()) for one in found["egress"]):
            yield rule["ipProtocol"], f"{rule.get('fromPort'):g}-{rule.get('toPort'):g}"


def _read(protocol: str, first: Any, last: Any, ends: list[Any], others: list[Any], groups: dict[str, list[str]]) -> Rule:
    name = _PROTOCOLS.get(protocol, protocol)
    machines = frozenset(id for id, worn in groups.items() if {*worn} & {*others})
    networks = tuple(ip_network(end) for end in ends if end)
    return Rule(name, 1 if name == "any" else first, 65535 if name == "any" else last, networks, machines)


NVME = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_"


def speed_of(kind: str | None, volume: Any) -> int:
    """IOPS of a volume: 3000 are part of gp3, what spins has too few to count."""
    return int(volume.get("iops") or (0 if kind in ("standard", "st1", "sc1") else 3000))


def see(world: World) -> list[Seen]:
    """Instances, each with an interface of its own."""
    groups = {thing.id: thing.get("name") for thing in world.all("aws:ec2/securityGroup:SecurityGroup")}
    volumes = {thing.id: thing for thing in world.all("aws:ebs/volume:Volume")}
    interfaces = {thing.id: thing for thing in world.all("aws:ec2/networkInterface:NetworkInterface")}
    associated = {
        thing.get("networkInterfaceId"): thing.get("publicIp") for thing in world.all("aws:ec2/eipAssociation:EipAssociation")
    }
    attached: dict[str, list[Thing]] = {}
    for thing in world.all("aws:ec2/volumeAttachment:VolumeAttachment"):
        attached.setdefault(thing.get("instanceId"), []).append(volumes[thing.get("volumeId")])
    spread = {one.get("name") for one in world.all("aws:ec2/placementGroup:PlacementGroup") if one.get("strategy") == "spread"}
    seen = []
    for instance in world.all("aws:ec2/instance:Instance"):
        interface = interfaces[instance.outputs["primaryNetworkInterfaceId"]]
        root, disks, tags = instance.outputs["rootBlockDevice"], attached.get(instance.id, []), instance.get("tags") or {}
        metadata = instance.get("metadataOptions") or {}
        seen.append(
            Seen(
                name=tags.get("Name", ""),
                runs=instance.get("instanceState") == "running",
                machine_type=instance.get("instanceType"),
                image=instance.get("ami"),
                # cloud-init reads it from the metadata.
                user_data=instance.inputs.get("userDataBase64", "") if metadata.get("httpEndpoint") != "disabled" else "",
                place=instance.outputs["availabilityZone"],
                private_address=interface.outputs["privateIp"],
                public_address=associated.get(interface.id) or instance.outputs.get("publicIp") or None,
                firewalls=tuple(groups[id] for id in interface.get("securityGroups") or ()),
                boot_iops=speed_of(root.get("volumeType"), root),
                data_iops=min((speed_of(disk.get("type"), disk) for disk in disks), default=None),
                disks={disk.get("tags")["Name"]: disk.get("size") for disk in disks},
                boot_gib=root["volumeSize"],
                encrypted=bool(root["encrypted"]) and all(disk.get("encrypted") for disk in disks),
                devices={disk.get("tags")["Name"]: f"{NVME}{disk.id.replace('-', '')}" for disk in disks},
                untracked=frozenset(_untracked(world, interface.get("securityGroups") or [])),
                lets_in=bool(instance.get("keyName")),
                apart=instance.get("placementGroup") if instance.get("placementGroup") in spread else "",
                way_out=_zone_of_nat(world, interface),
                guarded=bool(instance.get("disableApiTermination")),
                tokens_only=metadata.get("httpTokens") == "required" and metadata.get("httpPutResponseHopLimit") == 1,
                labels=tuple(f"{name}={value}" for name, value in tags.items()),
            )
        )
    return seen


def read_reverse_names(world: World) -> Iterator[Answer]:
    """To which names addresses lead."""
    for thing in world.all("aws:ec2/eipDomainName:EipDomainName"):
        address = world.find(EIP, thing.inputs["allocationId"])
        if address:
            yield str(address.get("publicIp")), "PTR", thing.outputs["ptrRecord"]


def read_record(thing: Thing) -> Iterator[Answer]:
    """What a record answers."""
    yield from ((thing.outputs["fqdn"], thing.inputs["type"], value) for value in thing.inputs["records"])
