"""Hetzner Cloud: functions that find what exists, and what the account is told (`facts/clouds.md`)."""

from __future__ import annotations

from collections.abc import Mapping

from components.model.clouds.facts import load_machine_types
from provider.server import Properties, ProviderError
from tests.simulator.account import Function, offers
from tests.simulator.call import Account
from tests.simulator.lookups import Lookups

PLACES = ("fsn1", "nbg1", "hel1")
"""Regions."""
IMAGES = ("debian-12", "debian-13")

LOOKUPS = Lookups(
    names={
        "hcloud:index": (
            *("Network", "Server", "Firewall", "SshKey", "PrimaryIp", "FloatingIp", "Volume", "PlacementGroup"),
            *("Zone", "ZoneRrset"),
        ),
    },
    lists={
        "hcloud:index/getFirewalls": ("hcloud:index/firewall:Firewall", "firewalls"),
        "hcloud:index/getFloatingIps": ("hcloud:index/floatingIp:FloatingIp", "floatingIps"),
        "hcloud:index/getNetworks": ("hcloud:index/network:Network", "networks"),
        "hcloud:index/getPlacementGroups": ("hcloud:index/placementGroup:PlacementGroup", "placementGroups"),
        "hcloud:index/getPrimaryIps": ("hcloud:index/primaryIp:PrimaryIp", "primaryIps"),
        "hcloud:index/getServers": ("hcloud:index/server:Server", "servers"),
        "hcloud:index/getSshKeys": ("hcloud:index/sshKey:SshKey", "sshKeys"),
        "hcloud:index/getVolumes": ("hcloud:index/volume:Volume", "volumes"),
    },
    nothing="no {name} found with {asked}",
)


def _server_types(account: Account, arguments: Properties) -> Properties:
    names = [machine.name for machine in load_machine_types("hetzner")]
    found = offers(account, "hetzner", PLACES)
    return {
        "id": "types",
        "serverTypes": [
            {
                "id": number,
                "name": name,
                "locations": [
                    {"id": n, "name": place, "available": name in found[place], "isDeprecated": False, "recommended": True}
                    for n, place in enumerate(found)
                ],
            }
            for number, name in enumerate(names)
        ],
    }


def _image(account: Account, arguments: Properties) -> Properties:
    if arguments.get("name") not in IMAGES or arguments.get("withArchitecture") != "x86":
        raise ProviderError(f"no image found with name {arguments.get('name')}")
    return {**arguments, "id": 1, "architecture": "x86", "type": "system", "isDeprecated": False}


FUNCTIONS: Mapping[str, Function] = {
    **LOOKUPS.make_functions(),
    "hcloud:index/getImage:getImage": _image,
    "hcloud:index/getServerTypes:getServerTypes": _server_types,
}
"""By token."""
