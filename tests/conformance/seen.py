"""The machines of a simulated cloud, told in one way for all clouds. Read from what exists, never from the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.simulator.world import Thing, World


@dataclass(frozen=True)
class Seen:
    """A machine as the cloud has it.

    `boot_gib` is None where the boot disk comes with the machine type; `encrypted` is None where the cloud has no input
    for it (its disks always are, or never). `disks` are the attached data disks, GiB by the disk's name. `kept_disks`
    are those of them that stay when the machine goes. `apart` names what keeps the machine from others of its role,
    "" = nothing. `guarded`: the cloud itself refuses its deletion; None where it cannot.
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
    apart: str = ""
    guarded: bool | None = None
    labels: tuple[str, ...] = ()


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
            guarded=bool(server.get("deleteProtection") and server.get("rebuildProtection")),
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
            firewalls=worn(droplet), disks=attached.get(droplet.id, {}), labels=tuple(droplet.get("tags") or ()),
        )
        for droplet in world.all("digitalocean:index/droplet:Droplet")
    ]


SEE: Mapping[str, Callable[[World], list[Seen]]] = {"hetzner": see_hetzner, "digitalocean": see_digitalocean}
"""By cloud."""
