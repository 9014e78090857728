"""Hetzner Cloud: by name among what wears the stack's label."""

from __future__ import annotations

from collections.abc import Mapping

from components.clouds.adoption import Way, made_of, tell


def listed(name: str, field: str) -> Way:
    """By name among what wears the stack's label."""
    return Way(
        lambda inputs, answer: [tell(one["id"]) for one in answer[field] if one["name"] == inputs["name"]],
        f"hcloud:index/{name}:{name}",
        lambda inputs: {"withSelector": f"stack={inputs['labels']['stack']}"},
    )


WAYS: Mapping[str, Way] = {
    "hcloud:index/firewall:Firewall": listed("getFirewalls", "firewalls"),
    "hcloud:index/network:Network": listed("getNetworks", "networks"),
    "hcloud:index/networkSubnet:NetworkSubnet": made_of("{networkId}-{ipRange}"),
    "hcloud:index/placementGroup:PlacementGroup": listed("getPlacementGroups", "placementGroups"),
    "hcloud:index/primaryIp:PrimaryIp": listed("getPrimaryIps", "primaryIps"),
    "hcloud:index/rdns:Rdns": made_of("p-{primaryIpId}-{ipAddress}"),
    "hcloud:index/server:Server": listed("getServers", "servers"),
    "hcloud:index/sshKey:SshKey": listed("getSshKeys", "sshKeys"),
    "hcloud:index/volume:Volume": listed("getVolumes", "volumes"),
    "hcloud:index/volumeAttachment:VolumeAttachment": made_of("{volumeId}"),
    "hcloud:index/zoneRrset:ZoneRrset": made_of("{zone}/{name}/{type}"),
}
"""By type, for all that the adapter makes."""
