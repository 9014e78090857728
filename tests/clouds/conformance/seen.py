"""The machines of a simulated cloud, told in one way for all clouds. Read from what exists, never from the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.simulator.world import Thing, World


@dataclass(frozen=True)
class Seen:
    """A machine as the cloud has it; `more_addresses` are public ones beside the one of IPv4.

    `boot_gib` is None where the boot disk comes with the machine type; `encrypted` is None where the cloud has no input
    for it (its disks always are, or never). `disks` are the attached data disks, GiB by the disk's name. `apart` names
    the group that keeps its machines on different hosts, "" = none, None where the cloud has neither groups nor zones.
    `guarded`: the cloud itself refuses the machine's deletion; `tokens_only`: its metadata needs a token; both None
    where the cloud has no such thing or it is not used. `runs`: as far as the simulated cloud ever turns one off.
    """

    name: str
    machine_type: str
    image: str
    user_data: str
    place: str
    private_address: str
    public_address: str | None
    firewalls: tuple[str, ...]
    disks: Mapping[str, int] = field(default_factory=dict)
    boot_gib: int | None = None
    encrypted: bool | None = None
    apart: str | None = ""
    guarded: bool | None = None
    tokens_only: bool | None = None
    runs: bool = True
    labels: tuple[str, ...] = ()
    more_addresses: tuple[str, ...] = ()


def see_hetzner(world: World) -> list[Seen]:
    """Servers."""
    firewalls = {thing.id: thing.get("name") for thing in world.all("hcloud:index/firewall:Firewall")}
    groups = {thing.id: thing.get("name") for thing in world.all("hcloud:index/placementGroup:PlacementGroup")}
    volumes = {thing.id: thing for thing in world.all("hcloud:index/volume:Volume")}
    attached: dict[str, dict[str, int]] = {}
    for thing in world.all("hcloud:index/volumeAttachment:VolumeAttachment"):
        volume = volumes[str(thing.get("volumeId"))]
        attached.setdefault(str(thing.get("serverId")), {})[volume.get("name")] = volume.get("size")
    return [
        Seen(
            name=server.get("name"), machine_type=server.get("serverType"), image=server.get("image"),
            user_data=server.inputs.get("userData", ""), place=server.get("location"),
            private_address=server.get("networks")[0]["ip"],
            public_address=server.outputs.get("ipv4Address") or None,
            firewalls=tuple(firewalls[str(id)] for id in server.get("firewallIds") or ()),
            disks=attached.get(server.id, {}),
            apart=groups.get(str(server.get("placementGroupId")), ""),
            more_addresses=tuple(filter(None, [server.outputs.get("ipv6Address")])),
            runs=server.get("status") == "running",
            labels=tuple(f"{name}={value}" for name, value in (server.get("labels") or {}).items()),
        )
        for server in world.all("hcloud:index/server:Server")
    ]


def see_digitalocean(world: World) -> list[Seen]:
    """Droplets."""
    volumes = {thing.id: thing for thing in world.all("digitalocean:index/volume:Volume")}
    attached: dict[str, dict[str, int]] = {}
    for thing in world.all("digitalocean:index/volumeAttachment:VolumeAttachment"):
        volume = volumes[thing.get("volumeId")]
        attached.setdefault(str(thing.get("dropletId")), {})[volume.get("name")] = volume.get("size")

    def worn(droplet: Thing) -> tuple[str, ...]:
        return tuple(
            firewall.get("name") for firewall in world.all("digitalocean:index/firewall:Firewall")
            if set(firewall.get("tags") or ()) & set(droplet.get("tags") or ())
            or int(droplet.id) in (firewall.get("dropletIds") or ()))

    return [
        Seen(
            name=droplet.get("name"), machine_type=droplet.get("size"), image=droplet.get("image"),
            user_data=droplet.inputs.get("userData", ""), place=droplet.get("region"),
            private_address=droplet.outputs["ipv4AddressPrivate"],
            public_address=droplet.outputs.get("ipv4Address") or None,
            runs=droplet.get("status") == "active", firewalls=worn(droplet), disks=attached.get(droplet.id, {}), apart=None,
            labels=tuple(droplet.get("tags") or ()),
            more_addresses=tuple(filter(None, [droplet.outputs.get("ipv6Address")])),
        )
        for droplet in world.all("digitalocean:index/droplet:Droplet")
    ]


def see_aws(world: World) -> list[Seen]:
    """Instances, each with an interface of its own."""
    groups = {thing.id: thing.get("name") for thing in world.all("aws:ec2/securityGroup:SecurityGroup")}
    volumes = {thing.id: thing for thing in world.all("aws:ebs/volume:Volume")}
    interfaces = {thing.id: thing for thing in world.all("aws:ec2/networkInterface:NetworkInterface")}
    associated = {
        thing.get("networkInterfaceId"): thing.get("publicIp")
        for thing in world.all("aws:ec2/eipAssociation:EipAssociation")
    }
    attached: dict[str, list[Thing]] = {}
    for thing in world.all("aws:ec2/volumeAttachment:VolumeAttachment"):
        attached.setdefault(thing.get("instanceId"), []).append(volumes[thing.get("volumeId")])
    seen = []
    for instance in world.all("aws:ec2/instance:Instance"):
        interface = interfaces[instance.outputs["primaryNetworkInterfaceId"]]
        root, disks, tags = instance.outputs["rootBlockDevice"], attached.get(instance.id, []), instance.get("tags") or {}
        metadata = instance.get("metadataOptions") or {}
        seen.append(Seen(
            name=tags.get("Name", ""), machine_type=instance.get("instanceType"), image=instance.get("ami"),
            user_data=instance.inputs.get("userDataBase64", ""), place=instance.outputs["availabilityZone"],
            private_address=interface.outputs["privateIp"],
            public_address=associated.get(interface.id) or instance.outputs.get("publicIp") or None,
            firewalls=tuple(groups[id] for id in interface.get("securityGroups") or ()),
            disks={disk.get("tags")["Name"]: disk.get("size") for disk in disks}, boot_gib=root["volumeSize"],
            encrypted=bool(root["encrypted"]) and all(disk.get("encrypted") for disk in disks),
            apart=instance.get("placementGroup") or "", guarded=bool(instance.get("disableApiTermination")),
            tokens_only=metadata.get("httpTokens") == "required" and metadata.get("httpPutResponseHopLimit") == 1,
            labels=tuple(f"{name}={value}" for name, value in tags.items())))
    return seen


def see_gcp(world: World) -> list[Seen]:
    """Instances; a firewall is worn by its tag."""
    disks = {thing.id: thing for thing in world.all("gcp:compute/disk:Disk")}
    firewalls = [one for one in world.all("gcp:compute/firewall:Firewall") if one.get("targetTags")]
    seen = []
    for instance in world.all("gcp:compute/instance:Instance"):
        interface = (instance.outputs.get("networkInterfaces") or instance.inputs["networkInterfaces"])[0]
        access = interface.get("accessConfigs") or []
        attached = [find_by_link(disks, one["source"]) for one in instance.get("attachedDisks") or ()]
        seen.append(Seen(
            name=instance.get("name"), machine_type=instance.get("machineType"),
            image=instance.inputs["bootDisk"]["initializeParams"]["image"],
            user_data=(instance.get("metadata") or {}).get("startup-script", ""), place=instance.get("zone"),
            private_address=interface["networkIp"], public_address=access[0].get("natIp") if access else None,
            firewalls=tuple(one.get("name") for one in firewalls if set(one.get("targetTags")) & set(instance.get("tags") or ())),
            disks={disk.get("name"): disk.get("size") for disk in attached},
            boot_gib=instance.inputs["bootDisk"]["initializeParams"].get("size"),
            apart=instance.get("resourcePolicies") or "",
            labels=tuple(f"{name}={value}" for name, value in (instance.get("labels") or {}).items())))
    return seen


def see_azure(world: World) -> list[Seen]:
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
        seen.append(Seen(
            name=machine.get("vmName"), machine_type=machine.inputs["hardwareProfile"]["vmSize"],
            image=":".join(map(str, storage["imageReference"].values())), user_data=system.get("customData", ""),
            place=f"{machine.get('location')}-{machine.get('zones')[0]}", private_address=place["privateIPAddress"],
            public_address=find_by_link(addresses, public["id"]).get("ipAddress") if public else None,
            firewalls=(find_by_link(groups, group["id"]).get("networkSecurityGroupName"),) if group else (),
            disks={disk.get("diskName"): disk.get("diskSizeGB") for disk in attached},
            boot_gib=storage["osDisk"].get("diskSizeGB"),
            labels=tuple(f"{name}={value}" for name, value in (machine.get("tags") or {}).items())))
    return seen


def find_by_link(things: Mapping[str, Thing], link: str) -> Thing:
    """The thing whose id stands at the end of a link; Azure does not look at the case."""
    return next(thing for id, thing in things.items() if link.lower().endswith(id.lower()))


SEE: Mapping[str, Callable[[World], list[Seen]]] = {
    "aws": see_aws, "azure": see_azure, "digitalocean": see_digitalocean, "gcp": see_gcp, "hetzner": see_hetzner,
}
"""By cloud."""
