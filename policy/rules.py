"""What a deployment of ours never has, asked of single resources: pure functions over a resource's type and inputs.

They know the tiers and the clouds' facts and no plan, so they find what somebody changed by hand in a program or a plan.
`__main__.py` makes a Pulumi policy pack of them; `tests/clouds/conformance` asks them of every simulated deployment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from components.clouds.registry import CLOUDS
from components.model.catalogue.service import Audience
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.tiers import TIERS
from components.model.clouds.facts import CloudFacts
from components.model.machine import Public
from components.model.planning.check_values import MIN_PREFIX_LENGTH

Inputs = Mapping[str, Any]
Check = Callable[[str, Inputs], Iterator[str]]

PACKAGES: Mapping[str, CloudFacts] = {cloud.package: cloud for cloud in CLOUDS.values() if cloud.package}
SERVED = frozenset(role.name for tier in TIERS.values() for role in tier.roles if role.public is Public.SERVICE)
"""Roles that are reached from outside."""

OPERATOR_PORTS = tuple(
    listener.port for service in CATALOGUE.values() for listener in service.listeners if Audience.OPERATORS in listener.audiences
)
"""TCP ports for operators only."""

MACHINE_TYPES: Mapping[str, str] = {
    "aws:ec2/instance:Instance": "instanceType",
    "azure-native:compute:VirtualMachine": "hardwareProfile.vmSize",
    "digitalocean:index/droplet:Droplet": "size",
    "gcp:compute/instance:Instance": "machineType",
    "hcloud:index/server:Server": "serverType",
}
"""By type of a machine, the input with its machine type."""


@dataclass(frozen=True)
class Rule:
    """A rule of the pack. `check` yields what is wrong with a resource."""

    name: str
    description: str
    check: Check


def check_shared_cpu(type: str, inputs: Inputs) -> Iterator[str]:
    """Find a shared or burstable machine type."""
    if path := MACHINE_TYPES.get(type):
        cloud, name = PACKAGES[type.partition(":")[0]], reach(inputs, path)
        if isinstance(name, str) and cloud.is_shared(name):
            yield f"{path} = {name}: {cloud.shared_reason}; use a dedicated type"


def check_open_ssh(type: str, inputs: Inputs) -> Iterator[str]:
    """Find SSH from networks as wide as the world."""
    for protocol, ports, sources in list_openings(type, inputs):
        for port in (port for port in OPERATOR_PORTS if protocol in ("tcp", "all") and includes(ports, port)):
            for source in sources:
                if is_world(source):
                    yield f"port {port} is open to {source}: name the networks of your operators in webitel:operators"


def check_public_address(type: str, inputs: Inputs) -> Iterator[str]:
    """Find public addresses of nodes that nobody has to reach; IPv6, which no plan and no firewall of ours knows."""
    role = role_of(inputs)
    cloud = PACKAGES.get(type.partition(":")[0])
    closed = role is not None and role not in SERVED
    why = f"nodes of role {role} have no address of their own on {cloud.title if cloud else type}"
    if type == "aws:ec2/instance:Instance" and inputs.get("associatePublicIpAddress"):
        yield "associatePublicIpAddress: an address that goes with the machine; it takes an Eip"
    if type == "aws:ec2/subnet:Subnet" and inputs.get("mapPublicIpOnLaunch"):
        yield "mapPublicIpOnLaunch: every machine of the subnet would be reached from outside"
    if type == "aws:ec2/eip:Eip" and closed:
        yield why
    if type == "azure-native:network:PublicIPAddress" and closed:
        yield why
    if (
        type == "gcp:compute/instance:Instance"
        and closed
        and any(one.get("accessConfigs") for one in known(inputs.get("networkInterfaces")))
    ):
        yield why
    if type == "digitalocean:index/droplet:Droplet" and inputs.get("ipv6"):
        yield "ipv6: no firewall of ours knows IPv6"
    if type == "hcloud:index/primaryIp:PrimaryIp" and closed:
        yield why
    if type == "hcloud:index/server:Server" and any(
        net.get("ipv6Enabled", True) for net in known(inputs.get("publicNets")) or [{}]
    ):
        yield "ipv6Enabled: no firewall of ours knows IPv6"


def check_unencrypted_disk(type: str, inputs: Inputs) -> Iterator[str]:
    """Find disks without encryption where the cloud leaves it to who orders them: AWS. Hetzner has none to ask for."""
    if type == "aws:ebs/volume:Volume" and inputs.get("encrypted") is not True:
        yield "encrypted: not set"
    if type == "aws:ec2/instance:Instance":
        disks = [inputs.get("rootBlockDevice") or {}, *known(inputs.get("ebsBlockDevices"))]
        if any(disk.get("encrypted") is not True for disk in disks):
            yield "rootBlockDevice.encrypted: not set"


RULES = (
    Rule("no-shared-cpu", "Calls need dedicated CPUs: shared ones are throttled under load.", check_shared_cpu),
    Rule("no-open-ssh", "SSH is for the operators' networks only.", check_open_ssh),
    Rule("no-unplanned-address", "Only roles that are reached from outside have public addresses.", check_public_address),
    Rule("no-unencrypted-disk", "Disks are encrypted where the cloud asks.", check_unencrypted_disk),
)


def list_openings(type: str, inputs: Inputs) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Return what a firewall resource lets in: protocol (`all` = every one), ports (`all` = every one) and sources."""
    if type == "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule":
        protocol = "all" if inputs.get("ipProtocol") == "-1" else str(inputs.get("ipProtocol"))
        ports = "all" if protocol == "all" else f"{inputs.get('fromPort')}-{inputs.get('toPort')}"
        yield protocol, ports, [one for one in (inputs.get("cidrIpv4"), inputs.get("cidrIpv6")) if one]
    elif type == "aws:ec2/securityGroup:SecurityGroup":
        for rule in known(inputs.get("ingress")):
            protocol = "all" if rule.get("protocol") == "-1" else str(rule.get("protocol"))
            ports = "all" if protocol == "all" else f"{rule.get('fromPort')}-{rule.get('toPort')}"
            yield protocol, ports, [*(rule.get("cidrBlocks") or ()), *(rule.get("ipv6CidrBlocks") or ())]
    elif type == "azure-native:network:NetworkSecurityGroup":
        for rule in known(inputs.get("securityRules")):
            if rule.get("direction") == "Inbound" and rule.get("access") == "Allow":
                protocol = "all" if rule.get("protocol") == "*" else str(rule.get("protocol")).lower()
                for ports in rule.get("destinationPortRanges") or [rule.get("destinationPortRange")]:
                    prefixes = rule.get("sourceAddressPrefixes") or [rule.get("sourceAddressPrefix")]
                    yield protocol, "all" if ports == "*" else str(ports), [one for one in prefixes if one]
    elif type == "digitalocean:index/firewall:Firewall":
        for rule in known(inputs.get("inboundRules")):
            yield str(rule.get("protocol")), str(rule.get("portRange") or "all"), rule.get("sourceAddresses") or ()
    elif type == "gcp:compute/firewall:Firewall" and inputs.get("direction", "INGRESS") == "INGRESS":
        for rule in known(inputs.get("allows")):
            for ports in rule.get("ports") or ["all"]:
                yield str(rule.get("protocol")), str(ports), inputs.get("sourceRanges") or ()
    elif type == "hcloud:index/firewall:Firewall":
        for rule in known(inputs.get("rules")):
            if rule.get("direction") == "in":
                ports = rule.get("port") or "any"
                yield str(rule.get("protocol")), "all" if ports == "any" else str(ports), rule.get("sourceIps") or ()


def includes(ports: str, port: int) -> bool:
    """Return whether `22`, `20-30` or `all` has a port."""
    first, _, last = ports.partition("-")
    return ports == "all" or (first.isdigit() and int(first) <= port <= int(last or first))


def is_world(source: Any) -> bool:
    """Return whether a source is as good as everybody: `*`, `Internet` or a network wider than any operator's."""
    try:
        return ip_network(str(source)).prefixlen < MIN_PREFIX_LENGTH
    except ValueError:
        return source in ("*", "Internet", "Any")


def role_of(inputs: Inputs) -> str | None:
    """Return the role that a resource's tags or labels name, None without one."""
    for name in ("labels", "tags"):
        worn = inputs.get(name)
        if isinstance(worn, Mapping):
            return worn.get("role") or worn.get("webitel:role")
    return None


def known(values: Any) -> list[Any]:
    """Return the maps of a list; an unknown list of a preview has none."""
    return [one for one in values if isinstance(one, Mapping)] if isinstance(values, list | tuple) else []


def reach(inputs: Inputs, path: str) -> Any:
    """Return the value at a dotted path, None without one."""
    value: Any = inputs
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
