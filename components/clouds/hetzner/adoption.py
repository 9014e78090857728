"""Hetzner Cloud: by name among what wears the stack's label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.clouds.adoption import Way, made_of, tell


def listed(name: str, field: str) -> Way:
    """By name among what wears the stack's label."""
    return Way(
        lambda inputs, answer: [tell(one["id"]) for one in answer[field] if one["name"] == inputs["name"]],
        f"hcloud:index/{name}:{name}",
        lambda inputs: {"withSelector": f"stack={inputs['labels']['stack']}"},
    )


def name_reverse(inputs: Mapping[str, Any]) -> str:
    """Return the id of a reverse name: of a floating address, or of a server's own."""
    kind, owner = ("f", "floatingIpId") if inputs.get("floatingIpId") else ("p", "primaryIpId")
    return f"{kind}-{tell(inputs[owner])}-{tell(inputs['ipAddress'])}"


WAYS: Mapping[str, Way] = {
    "hcloud:index/firewall:Firewall": listed("getFirewalls", "firewalls"),
    "hcloud:index/floatingIp:FloatingIp": listed("getFloatingIps", "floatingIps"),
    "hcloud:index/network:Network": listed("getNetworks", "networks"),
    "hcloud:index/networkSubnet:NetworkSubnet": made_of("{networkId}-{ipRange}"),
    "hcloud:index/placementGroup:PlacementGroup": listed("getPlacementGroups", "placementGroups"),
    "hcloud:index/primaryIp:PrimaryIp": listed("getPrimaryIps", "primaryIps"),
    "hcloud:index/rdns:Rdns": Way(lambda inputs, answer: [name_reverse(inputs)]),
    "hcloud:index/server:Server": listed("getServers", "servers"),
    "hcloud:index/sshKey:SshKey": listed("getSshKeys", "sshKeys"),
    "hcloud:index/volume:Volume": listed("getVolumes", "volumes"),
    "hcloud:index/volumeAttachment:VolumeAttachment": made_of("{volumeId}"),
    "hcloud:index/zoneRrset:ZoneRrset": made_of("{zone}/{name}/{type}"),
}
"""By type, for all that the adapter makes."""
