"""Google's instances: firewalls of a network by tag and priority, also inside a subnet (`facts/clouds.md` 2.1-2.2)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from tests.simulator.case import Answer, Seen, find_by_link
from tests.simulator.gcp.resources import INSTANCE, LINK, NETWORK, SUBNETWORK, Firewall, RouterNat
from tests.simulator.reach import EVERYWHERE, Machine, Rule
from tests.simulator.world import Thing, World


def look(world: World) -> list[Machine]:
    """Every instance. What no rule meets is closed inwards and open outwards."""
    return [_look_at(world, instance) for instance in world.all(INSTANCE)]


def _find(world: World, type: str, reference: str) -> Thing:
    wanted = reference.removeprefix(LINK)
    return next(thing for thing in world.all(type) if wanted in (thing.id, thing.inputs["name"]))


def _look_at(world: World, instance: Thing) -> Machine:
    place = instance.outputs["networkInterfaces"][0]
    subnetwork = _find(world, SUBNETWORK, place["subnetwork"])
    network = _find(world, NETWORK, subnetwork.inputs["network"])
    public = next((config["natIp"] for config in place["accessConfigs"]), "")
    return Machine(
        id=instance.id,
        name=instance.inputs["name"],
        network=network.id,
        private=place["networkIp"],
        public=public,
        reachable=bool(public),
        way_out=bool(public) or _has_nat(world, network, subnetwork),
        ingress=(tuple(_rules_of(world, instance, network, "INGRESS")),),
        egress=((*_rules_of(world, instance, network, "EGRESS"), Rule("any", 1, 65535, EVERYWHERE)),),
    )


def _has_nat(world: World, network: Thing, subnetwork: Thing) -> bool:
    for nat in world.all(RouterNat.type):
        routers = [thing for thing in world.all() if thing.key in nat.uses]
        if not any(network.key in router.uses and router.get("region") == subnetwork.get("region") for router in routers):
            continue
        if nat.inputs["sourceSubnetworkIpRangesToNat"] != "LIST_OF_SUBNETWORKS" or subnetwork.key in nat.uses:
            return True
    return False


def _rules_of(world: World, instance: Thing, network: Thing, direction: str) -> Iterator[Rule]:
    tags = {*(instance.inputs.get("tags") or [])}
    # At one priority a deny goes before an allow.
    firewalls = sorted(world.all(Firewall.type), key=lambda one: (one.inputs["priority"], not one.inputs.get("denies")))
    for firewall in firewalls:
        inputs = firewall.inputs
        targets = {*(inputs.get("targetTags") or [])}
        if network.key not in firewall.uses or firewall.get("direction") != direction or inputs.get("disabled"):
            continue
        if targets and not targets & tags:
            continue
        name = "sourceRanges" if direction == "INGRESS" else "destinationRanges"
        networks = tuple(map(ip_network, firewall.get(name) or []))
        sources = {*(inputs.get("sourceTags") or [])}
        machines = frozenset(one.id for one in world.all(INSTANCE) if sources & {*(one.inputs.get("tags") or [])})
        for entry in (*(inputs.get("allows") or []), *(inputs.get("denies") or [])):
            protocol = {"all": "any", "6": "tcp", "17": "udp", "1": "icmp"}.get(entry["protocol"], entry["protocol"])
            for ports in entry.get("ports") or ["1-65535"]:
                first, _, last = ports.partition("-")
                yield Rule(protocol, int(first), int(last or first), networks, machines, not inputs.get("denies"))


def see(world: World) -> list[Seen]:
    """Instances; a firewall is worn by its tag."""
    disks = {thing.id: thing for thing in world.all("gcp:compute/disk:Disk")}
    firewalls = [one for one in world.all("gcp:compute/firewall:Firewall") if one.get("targetTags")]
    seen = []
    for instance in world.all("gcp:compute/instance:Instance"):
        interface = (instance.outputs.get("networkInterfaces") or instance.inputs["networkInterfaces"])[0]
        access = interface.get("accessConfigs") or []
        # What cannot be written to holds no data of ours.
        writable = [one for one in instance.get("attachedDisks") or () if one.get("mode", "READ_WRITE") == "READ_WRITE"]
        attached = {one["deviceName"]: find_by_link(disks, one["source"]) for one in writable}
        metadata = instance.get("metadata") or {}
        seen.append(
            Seen(
                name=instance.get("name"),
                runs=instance.get("currentStatus") == "RUNNING",
                machine_type=instance.get("machineType"),
                image=instance.inputs["bootDisk"]["initializeParams"]["image"],
                user_data=metadata.get("startup-script", ""),
                place=instance.get("zone"),
                private_address=interface["networkIp"],
                public_address=access[0].get("natIp") if access else None,
                firewalls=tuple(
                    one.get("name") for one in firewalls if set(one.get("targetTags")) & set(instance.get("tags") or ())
                ),
                disks={disk.get("name"): disk.get("size") for disk in attached.values()},
                devices={disk.get("name"): f"/dev/disk/by-id/google-{name}" for name, disk in attached.items()},
                boot_gib=instance.inputs["bootDisk"]["initializeParams"].get("size"),
                apart=instance.get("resourcePolicies") or "",
                seat=(instance.get("scheduling") or {}).get("availabilityDomain"),
                # Keys in the metadata are asked for no longer once OS Login decides who comes in.
                lets_in="ssh-keys" in metadata and metadata.get("enable-oslogin", "").lower() != "true",
                labels=tuple(f"{name}={value}" for name, value in (instance.get("labels") or {}).items()),
            )
        )
    return seen


def read_record(thing: Thing) -> Iterator[Answer]:
    """What a record answers."""
    yield from ((thing.inputs["name"], thing.inputs["type"], value) for value in thing.inputs["rrdatas"])
