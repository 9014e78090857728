"""Bugs that an adapter might have, planted in what it registers: each has to be found by the checks or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.clouds.conformance.checks import TYPES
from tests.clouds.conformance.program import Draft

Change = Callable[[Draft], None]


@dataclass(frozen=True)
class Bug:
    """What is done to every resource of a type (the end of its token), or to the one whose name fits."""

    title: str
    type: str
    change: Change
    name: str = ""

    def fits(self, draft: Draft) -> bool:
        """Whether the bug goes into this registration."""
        return draft.type.endswith(self.type) and self.name in ("", draft.name)


def put(path: str, value: Any) -> Change:
    """Sets an input; `a.0.b` goes through lists and maps. None takes it away."""
    *way, last = path.split(".")

    def change(draft: Draft) -> None:
        place: Any = draft.inputs
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        key: Any = int(last) if isinstance(place, list) else last
        if value is None:
            del place[key]
        else:
            place[key] = value(place[key]) if callable(value) else value

    return change


def each(path: str, choose: Callable[[Any], bool], edit: Callable[[Any], Any]) -> Change:
    """Edits the chosen elements of a list; what `edit` makes None is dropped. At least one has to be chosen."""

    def change(draft: Draft) -> None:
        found = draft.inputs[path]
        assert any(map(choose, found)), f"no such element in {path}: {found}"
        edited = [edit(dict(one)) if choose(one) else one for one in found]
        draft.inputs[path] = [one for one in edited if one is not None]

    return change


def drop(_: Any) -> None:
    """Takes an element away."""


def with_(**values: Any) -> Callable[[Any], Any]:
    """An element with other values."""
    return lambda one: {**one, **values}


def has(**values: Any) -> Callable[[Any], bool]:
    """Whether an element has these values."""
    return lambda one: all(one.get(key) == value for key, value in values.items())


def unprotect(draft: Draft) -> None:
    draft.protect = False


def forget_ignoring(draft: Draft) -> None:
    draft.ignore_changes = draft.ignore_changes[1:]


def successor_first(draft: Draft) -> None:
    draft.delete_before_replace = False


def forget(draft: Draft) -> None:
    draft.forgotten = True


def update(**values: Any) -> Change:
    """Sets inputs, also such as the program leaves out."""
    return lambda draft: draft.inputs.update(values)


def leak(draft: Draft) -> None:
    draft.inputs["files"]["/etc/motd"] = draft.inputs["private_key"]


def common(cloud: str) -> list[Bug]:
    """Bugs of every adapter."""
    types = TYPES[cloud]
    return [
        Bug("data disk not protected", types.disk, unprotect, "data-1-database"),
        Bug("input of creation not ignored", types.machine, forget_ignoring, "app-1"),
        Bug("machine replaced before it is gone", types.machine, successor_first, "app-1"),
        Bug("secrets not protected", ":Secrets", unprotect),
        Bug("a secret in a file's text", ":NodeConfiguration", leak, "app-1"),
        Bug("address of another node", ":NodeConfiguration", update(address=NEIGHBOUR), "app-1"),
        Bug("no device for the database", ":NodeConfiguration", update(devices={}), "data-1"),
        *([Bug("public address not protected", types.addresses, unprotect, "edge-1")] if types.addresses else []),
        *([Bug("SSH key with a fixed name", types.keys, update(**{"keyName" if cloud == "aws" else "name": "webitel"}))]
          if types.keys else []),
        *([Bug("an attachment that outlives its successor", types.attachments, successor_first, "data-1-database")]
          if types.attachments else []),
    ]


RTP = "10000-19999"
OTHER_RTP = "20000-29999"
NEIGHBOUR = "10.20.0.99"
WORLD = "0.0.0.0/0"
RULE_IN = ":SecurityGroupIngressRule"
RULE_OUT = ":SecurityGroupEgressRule"

BUGS: Mapping[str, list[Bug]] = {
    "hetzner": [
        Bug("dropped rule", ":Firewall", each("rules", has(direction="in", port="443"), drop), "edge"),
        Bug("widened source", ":Firewall", each("rules", has(direction="in", port="22"), with_(sourceIps=[WORLD])), "edge"),
        Bug("other port range", ":Firewall", each("rules", has(direction="in", port=RTP), with_(port=OTHER_RTP)), "edge"),
        Bug("other protocol", ":Firewall", each("rules", has(direction="in", port="443"), with_(protocol="udp")), "edge"),
        Bug("a rule too many", ":Firewall", put("rules", lambda rules: [*rules, {
            "direction": "in", "protocol": "tcp", "port": "5432", "sourceIps": [WORLD]}]), "data"),
        Bug("no rule out, so everything out", ":Firewall", each("rules", has(direction="out"), drop), "data"),
        Bug("a way out dropped", ":Firewall", each("rules", has(direction="out", port="123"), drop), "app"),
        Bug("firewall not attached", ":Server", put("firewallIds", []), "data-1"),
        Bug("public address too many", ":Server", put("publicNets.0.ipv6Enabled", True), "data-1"),
        Bug("no public address", ":Server", put("publicNets.0.ipv4Enabled", False), "app-1"),
        Bug("smaller machine type", ":Server", put("serverType", "ccx13"), "data-1"),
        Bug("other private address", ":Server", put("networks.0.ip", NEIGHBOUR), "app-1"),
        Bug("other user data", ":Server", put("userData", lambda text: text[:-8]), "app-1"),
        Bug("smaller disk", ":Volume", put("size", 10), "data-1-database"),
        Bug("disk elsewhere", ":Volume", put("location", "nbg1"), "data-1-database"),
        Bug("disk not attached", ":VolumeAttachment", forget, "data-1-database"),
        Bug("a server that nobody can delete", ":Server", update(deleteProtection=True, rebuildProtection=True)),
        Bug("half a protection by the cloud", ":Server", update(rebuildProtection=True)),
        Bug("a network that nobody can delete", ":Network", update(deleteProtection=True)),
        Bug("a disk not protected by the cloud", ":Volume", update(deleteProtection=False), "data-1-database"),
        Bug("an address not protected by the cloud", ":PrimaryIp", update(deleteProtection=False), "edge-1"),
        Bug("no placement group", ":Server", put("placementGroupId", None), "data-2"),
        Bug("no labels", ":Server", update(labels={})),
        Bug("input unknown to the cloud", ":Server", update(userdata="x"), "app-1"),
    ],
    "digitalocean": [
        Bug("dropped rule", ":Firewall", each("inboundRules", has(portRange="443"), drop), "edge"),
        Bug("widened source", ":Firewall", each("inboundRules", has(portRange="22"), with_(sourceAddresses=[WORLD])), "edge"),
        Bug("another role's nodes", ":Firewall", each("inboundRules", has(portRange="5432"), lambda rule: {
            **rule, "sourceTags": rule["sourceTags"][:1]}), "data"),
        Bug("other port range", ":Firewall", each("inboundRules", has(portRange=RTP), with_(portRange=OTHER_RTP)), "edge"),
        Bug("a rule too many", ":Firewall", put("inboundRules", lambda rules: [*rules, {
            "protocol": "tcp", "portRange": "5432", "sourceAddresses": [WORLD]}]), "data"),
        Bug("a way out dropped", ":Firewall", each("outboundRules", has(portRange="123"), drop), "app"),
        Bug("no way to the other nodes", ":Firewall", each("outboundRules", has(portRange="1-65535"), drop), "app"),
        Bug("everything out", ":Firewall", each("outboundRules", has(portRange="123"), with_(portRange="1-65535")), "data"),
        Bug("firewall not attached", ":Firewall", put("tags", []), "data"),
        Bug("firewall of another role", ":Droplet", put("tags", lambda tags: [tags[0], f"{tags[0]}:edge"]), "data-1"),
        Bug("public address too many", ":Droplet", put("ipv6", True), "data-1"),
        Bug("no public address", ":Droplet", put("publicNetworking", False), "app-1"),
        Bug("outside the network", ":Droplet", put("vpcUuid", None), "app-1"),
        Bug("smaller machine type", ":Droplet", put("size", "c-2"), "data-1"),
        Bug("other user data", ":Droplet", put("userData", lambda text: text[:-8]), "app-1"),
        Bug("smaller disk", ":Volume", put("size", 10), "data-1-database"),
        Bug("other name of a disk", ":Volume", put("name", "data"), "data-1-database"),
        Bug("disk not attached", ":VolumeAttachment", forget, "data-1-database"),
        Bug("input unknown to the cloud", ":Droplet", update(userdata="x"), "app-1"),
    ],
    "aws": [
        Bug("dropped rule", RULE_IN, forget, f"edge-in-tcp-443-{WORLD}"),
        Bug("widened source", RULE_IN, put("cidrIpv4", WORLD), "edge-in-tcp-22-203.0.113.0/24"),
        Bug("other port range", RULE_IN, update(fromPort=20000, toPort=29999), f"edge-in-udp-{RTP}-{WORLD}"),
        Bug("another role's rule", RULE_IN, forget, "data-in-tcp-5432-app"),
        Bug("other protocol", RULE_IN, put("ipProtocol", "udp"), "data-in-tcp-5432-app"),
        Bug("a way out dropped", RULE_OUT, forget, f"app-out-udp-123-{WORLD}"),
        Bug("everything out", RULE_OUT, put("cidrIpv4", WORLD), "data-out-network"),
        Bug("no way to the other nodes", RULE_OUT, forget, "app-out-network"),
        Bug("firewall not attached", ":NetworkInterface", put("securityGroups", []), "data-1"),
        Bug("public address too many", ":EipAssociation", put("networkInterfaceId", None), "edge-1"),
        Bug("no public address", ":EipAssociation", forget, "edge-1"),
        Bug("smaller machine type", ":Instance", put("instanceType", "c7i.large"), "data-1"),
        Bug("other private address", ":NetworkInterface", put("privateIps", [NEIGHBOUR]), "app-1"),
        Bug("other user data", ":Instance", put("userDataBase64", lambda text: text[:-8]), "app-1"),
        Bug("unencrypted disk", ":Volume", put("encrypted", False), "data-1-database"),
        Bug("unencrypted boot disk", ":Instance", put("rootBlockDevice.encrypted", False), "app-1"),
        Bug("smaller boot disk", ":Instance", put("rootBlockDevice.volumeSize", 8), "app-1"),
        Bug("smaller disk", ":Volume", put("size", 10), "data-1-database"),
        Bug("disk in another zone", ":Volume", put("availabilityZone", "us-east-1b"), "data-1-database"),
        Bug("disk not attached", ":VolumeAttachment", forget, "data-1-database"),
        Bug("metadata without token", ":Instance", put("metadataOptions.httpTokens", "optional"), "app-1"),
        Bug("no protection by the cloud", ":Instance", put("disableApiTermination", False)),
        Bug("no placement group", ":Instance", put("placementGroup", None), "data-2"),
        Bug("input unknown to the cloud", ":Instance", update(userdata="x"), "app-1"),
    ],
    "gcp": [
        Bug("dropped rule", ":Firewall", forget, "edge-internet"),
        Bug("widened source", ":Firewall", put("sourceRanges", [WORLD]), "edge-operators"),
        Bug("another role's rule", ":Firewall", forget, "data-from-app"),
        Bug("another role's nodes", ":Firewall", put("sourceTags", ["gcp-basic-edge"]), "data-from-app"),
        Bug("for every node", ":Firewall", put("targetTags", None), "edge-internet"),
        Bug("other port range", ":Firewall", each("allows", has(protocol="udp"), with_(ports=[OTHER_RTP])), "edge-internet"),
        Bug("all ports", ":Firewall", each("allows", has(protocol="tcp"), with_(ports=["1-65535"])), "data-from-app"),
        Bug("everything out", ":Firewall", forget, "out"),
        Bug("a way out dropped", ":Firewall", forget, "app-out-1"),
        Bug("no way to the other nodes", ":Firewall", forget, "out-network"),
        Bug("firewall not attached", ":Instance", put("tags", []), "data-1"),
        Bug("public address too many", ":Instance", put("networkInterfaces.0.accessConfigs", [{}]), "data-1"),
        Bug("no public address", ":Instance", put("networkInterfaces.0.accessConfigs", []), "edge-1"),
        Bug("smaller machine type", ":Instance", put("machineType", "c3-highcpu-4"), "data-1"),
        Bug("other private address", ":Instance", put("networkInterfaces.0.networkIp", NEIGHBOUR), "app-1"),
        Bug("other user data", ":Instance", put("metadata.startup-script", lambda text: text[:-8]), "app-1"),
        Bug("smaller boot disk", ":Instance", put("bootDisk.initializeParams.size", 10), "app-1"),
        Bug("smaller disk", ":Disk", put("size", 10), "data-1-database"),
        Bug("disk in another zone", ":Disk", put("zone", "europe-west3-b"), "data-1-database"),
        Bug("disk not attached", ":Instance", put("attachedDisks", []), "data-1"),
        Bug("no placement policy", ":Instance", put("resourcePolicies", None), "data-2"),
        Bug("input unknown to the cloud", ":Instance", update(userdata="x"), "app-1"),
    ],
    "azure": [
        Bug("dropped rule", ":NetworkSecurityGroup", each("securityRules", has(destinationPortRange="443", direction="Inbound"),
                                                          drop), "edge"),
        Bug("widened source", ":NetworkSecurityGroup", each("securityRules", has(destinationPortRange="22"), with_(
            sourceAddressPrefix="*")), "edge"),
        Bug("a node less", ":NetworkSecurityGroup", each("securityRules", has(name="in-tcp-5432-app"), lambda rule: {
            **rule, "sourceAddressPrefixes": rule["sourceAddressPrefixes"][:1]}), "data"),
        Bug("other port range", ":NetworkSecurityGroup", each("securityRules", has(destinationPortRange=RTP), with_(
            destinationPortRange=OTHER_RTP)), "edge"),
        Bug("all ports", ":NetworkSecurityGroup", each("securityRules", has(destinationPortRange=RTP), with_(
            destinationPortRange="*")), "edge"),
        Bug("not closed inside", ":NetworkSecurityGroup", each("securityRules", has(name="close-inbound"), drop), "data"),
        Bug("everything out", ":NetworkSecurityGroup", each("securityRules", has(name="close-outbound"), drop), "app"),
        Bug("a way out dropped", ":NetworkSecurityGroup", each("securityRules", has(destinationPortRange="123"), drop), "app"),
        Bug("denied, not allowed", ":NetworkSecurityGroup", each("securityRules", has(destinationPortRange="443",
            direction="Inbound"), with_(access="Deny")), "edge"),
        Bug("firewall not attached", ":NetworkInterface", put("networkSecurityGroup", None), "data-1"),
        Bug("no public address", ":NetworkInterface", put("ipConfigurations.0.publicIPAddress", None), "edge-1"),
        Bug("smaller machine type", ":VirtualMachine", put("hardwareProfile.vmSize", "Standard_F2s_v2"), "data-1"),
        Bug("other private address", ":NetworkInterface", put("ipConfigurations.0.privateIPAddress", NEIGHBOUR), "app-1"),
        Bug("other user data", ":VirtualMachine", put("osProfile.customData", lambda text: text[:-8]), "app-1"),
        Bug("smaller boot disk", ":VirtualMachine", put("storageProfile.osDisk.diskSizeGB", 30), "app-1"),
        Bug("smaller disk", ":Disk", put("diskSizeGB", 10), "data-1-database"),
        Bug("disk in another zone", ":Disk", put("zones", ["3"]), "data-1-database"),
        Bug("disk not attached", ":VirtualMachine", put("storageProfile.dataDisks", []), "data-1"),
        Bug("disks on a controller that it lacks", ":VirtualMachine", put("storageProfile.diskControllerType", "SCSI"), "app-1"),
        Bug("one zone for all", ":VirtualMachine", put("zones", ["1"]), "data-2"),
        Bug("input unknown to the cloud", ":VirtualMachine", update(userdata="x"), "app-1"),
    ],
}
"""By cloud, on the wide stack of test_conformance.py."""
