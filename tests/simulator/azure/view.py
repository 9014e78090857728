"""Azure's machines: security groups at the subnet and at the interface, by priority (`facts/clouds.md` 3.1-3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Any

from tests.simulator.azure.resources import ADDRESS, INTERFACE, MACHINE, NAT, NETWORK, RULES, SUBNET
from tests.simulator.case import Answer, Seen, find_by_link, format_number, whole
from tests.simulator.reach import EVERYWHERE, Machine, Network, Rule
from tests.simulator.world import Thing, World


def look(world: World) -> list[Machine]:
    """Every virtual machine. Without any group a public address is closed, and the network open."""
    return [_look_at(world, machine) for machine in world.all(MACHINE)]


def _find(world: World, type: str, reference: Any) -> Thing | None:
    id = str((reference or {}).get("id")).lower()
    return next((thing for thing in world.all(type) if thing.id.lower() == id), None)


def _used(world: World, thing: Thing, type: str) -> Thing:
    return next(other for other in world.all(type) if other.key in thing.uses)


def _look_at(world: World, machine: Thing) -> Machine:
    inputs = machine.inputs
    interface = _find(world, INTERFACE, inputs["networkProfile"]["networkInterfaces"][0])
    assert interface is not None
    place = interface.outputs["ipConfigurations"][0]
    subnet = _used(world, interface, SUBNET)
    network = _used(world, subnet, NETWORK)
    inside = tuple(IPv4Network(prefix) for prefix in network.inputs["addressSpace"]["addressPrefixes"])
    groups = [group for thing in (subnet, interface) if (group := _find(world, RULES, thing.inputs.get("networkSecurityGroup")))]
    address = _find(world, ADDRESS, place.get("publicIPAddress"))
    public = str(address.get("ipAddress")) if address else ""
    private = place["privateIPAddress"]
    layers = {side: tuple(tuple(_rules_of(group, side, private, inside)) for group in groups) for side in ("Inbound", "Outbound")}
    return Machine(
        id=machine.id,
        name=inputs["vmName"],
        network=network.id,
        private=private,
        public=public,
        reachable=bool(public),
        way_out=bool(public or subnet.inputs.get("natGateway") or subnet.inputs.get("defaultOutboundAccess") is not False),
        ingress=layers["Inbound"] or ((Rule("any", 1, 65535, inside),),),
        egress=layers["Outbound"],
    )


def _rules_of(group: Thing, side: str, own: str, inside: tuple[IPv4Network, ...]) -> Iterator[Rule]:
    """The group's rules in their order, and Azure's own."""
    near, far = ("destination", "source") if side == "Inbound" else ("source", "destination")
    rules = [rule for rule in group.inputs.get("securityRules") or [] if rule["direction"] == side]
    for rule in sorted(rules, key=lambda rule: rule["priority"]):
        networks, but = _read_prefixes(rule, near, inside)
        if not any(IPv4Address(own) in block for block in networks) or any(IPv4Address(own) in block for block in but):
            continue
        if (rule.get("sourcePortRange") or rule.get("sourcePortRanges")) != "*":
            raise ValueError(f"{rule['name']}: source ports other than * are not simulated")
        networks, but = _read_prefixes(rule, far, inside)
        protocol = rule["protocol"].lower().replace("*", "any")
        for ports in [rule["destinationPortRange"]] if rule.get("destinationPortRange") else rule["destinationPortRanges"]:
            first, _, last = ports.replace("*", "1-65535").partition("-")
            allow = rule["access"] == "Allow"
            yield from _split(Rule(protocol, int(first), int(last or first), networks, frozenset(), allow, but))
    yield Rule("any", 1, 65535, inside)
    yield Rule("any", 1, 65535, EVERYWHERE, allow=side == "Outbound")


def _split(rule: Rule) -> Iterator[Rule]:
    """All protocols on some ports concern TCP and UDP only."""
    if rule.protocol == "any" and (rule.first, rule.last) != (1, 65535):
        for protocol in ("tcp", "udp"):
            yield Rule(protocol, rule.first, rule.last, rule.networks, rule.machines, rule.allow, rule.but)
    else:
        yield rule


def _read_prefixes(rule: dict[str, Any], end: str, inside: tuple[IPv4Network, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The networks of an end, and what is taken out of them."""
    one = rule.get(f"{end}AddressPrefix")
    if one == "Internet":
        return EVERYWHERE, inside
    found: list[Network] = []
    for prefix in [one] if one else rule.get(f"{end}AddressPrefixes") or []:
        if prefix == "*":
            found += EVERYWHERE
        elif prefix == "VirtualNetwork":
            found += inside
        elif prefix[0].isdigit() or ":" in prefix:
            found.append(ip_network(prefix))
    return tuple(found), ()


STEPS = {32: 120, 64: 240, 128: 500, 256: 1100, 512: 2300, 1024: 5000, 2048: 7500, 4096: 7500}
"""IOPS of Premium SSD up to a size, GiB (azure-docs, disk-storage-premium-ssd-sizes.md)."""


def steps_of(gib: int) -> int:
    """What a Premium SSD of that size does."""
    return next((iops for step, iops in STEPS.items() if gib <= step), max(STEPS.values()))


def speed_of(disk: Thing) -> int:
    """What a data disk does: as it was asked for, or as its size gives."""
    if disk.get("sku")["name"] == "PremiumV2_LRS":
        return int(disk.inputs.get("diskIOPSReadWrite") or 3000)
    return steps_of(disk.get("diskSizeGB"))


def name_device(lun: int, nvme: bool) -> str:
    """What the rules of udev on a node call a data disk."""
    return f"/dev/disk/azure/data/by-lun/{lun}" if nvme else f"/dev/disk/azure/scsi1/lun{lun}"


def see(world: World) -> list[Seen]:
    """Virtual machines, each with an interface of its own."""
    interfaces = {thing.id: thing for thing in world.all("azure-native:network:NetworkInterface")}
    groups = {thing.id: thing for thing in world.all("azure-native:network:NetworkSecurityGroup")}
    addresses = {thing.id: thing for thing in world.all("azure-native:network:PublicIPAddress")}
    disks = {thing.id: thing for thing in world.all("azure-native:compute:Disk")}
    seen = []
    for machine in world.all("azure-native:compute:VirtualMachine"):
        interface = find_by_link(interfaces, machine.inputs["networkProfile"]["networkInterfaces"][0]["id"])
        place = interface.inputs["ipConfigurations"][0]
        public, group = place.get("publicIPAddress"), interface.inputs.get("networkSecurityGroup")
        storage, system = machine.inputs["storageProfile"], machine.inputs["osProfile"]
        attached = [find_by_link(disks, one["managedDisk"]["id"]) for one in storage.get("dataDisks") or ()]
        luns = [one["lun"] for one in storage.get("dataDisks") or ()]
        nvme = storage.get("diskControllerType") == "NVMe"
        seen.append(
            Seen(
                name=machine.get("vmName"),
                runs=machine.get("powerState") == "running",
                machine_type=machine.inputs["hardwareProfile"]["vmSize"],
                image=":".join(map(str, storage["imageReference"].values())),
                user_data=system.get("customData", ""),
                place="-".join((machine.get("location"), *(machine.get("zones") or ()))),
                private_address=place["privateIPAddress"],
                public_address=find_by_link(addresses, public["id"]).get("ipAddress") if public else None,
                firewalls=(find_by_link(groups, group["id"]).get("networkSecurityGroupName"),) if group else (),
                disks={disk.get("diskName"): disk.get("diskSizeGB") for disk in attached},
                devices={disk.get("diskName"): name_device(int(lun), nvme) for disk, lun in zip(attached, luns, strict=True)},
                lets_in=bool(system["linuxConfiguration"]["ssh"]["publicKeys"]),
                boot_gib=storage["osDisk"].get("diskSizeGB"),
                boot_iops=steps_of(storage["osDisk"].get("diskSizeGB") or 30),
                data_iops=min(map(speed_of, attached), default=None),
                apart=(machine.inputs.get("virtualMachineScaleSet") or {}).get("id", ""),
                way_out=_zone_of_nat(world, interface, str(machine.get("location"))),
                labels=tuple(f"{name}={value}" for name, value in (machine.get("tags") or {}).items()),
            )
        )
    return seen


def _zone_of_nat(world: World, interface: Thing, location: str) -> str | None:
    """Where the NAT gateway of an interface's subnet stands; None for one that is in no zone that anybody knows."""
    nat = _find(world, NAT, _used(world, interface, SUBNET).inputs.get("natGateway"))
    zones = nat.inputs.get("zones") if nat else None
    return f"{location}-{zones[0]}" if zones else None


def read_record(thing: Thing) -> Iterator[Answer]:
    """What a record answers."""
    name = whole(thing.inputs["relativeRecordSetName"], thing.inputs["zoneName"])
    for record in thing.inputs.get("aRecords") or ():
        yield name, "A", record["ipv4Address"]
    for record in thing.inputs.get("srvRecords") or ():
        yield name, "SRV", " ".join(format_number(record[key]) for key in ("priority", "weight", "port", "target"))
