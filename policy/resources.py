"""What the clouds' own resources are to the pack: what lets somebody in, what is a machine, an address, a disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from components.clouds.registry import CLOUDS
from components.model.catalogue.tiers import TIERS
from components.model.clouds.facts import CloudFacts
from components.model.machine import Public
from policy.openings import ANYWHERE, Opening, is_set, make_opening, name_sources
from policy.values import Inputs, maps_of, texts_of

PACKAGES: Mapping[str, CloudFacts] = {cloud.package: cloud for cloud in CLOUDS.values() if cloud.package}
SERVED = frozenset(role.name for tier in TIERS.values() for role in tier.roles if role.public is Public.SERVICE)
"""Roles that are reached from outside."""

MACHINE_TYPES: Mapping[str, str] = {
    "aws:ec2/instance:Instance": "instanceType",
    "azure-native:compute:VirtualMachine": "hardwareProfile.vmSize",
    "digitalocean:index/droplet:Droplet": "size",
    "gcp:compute/instance:Instance": "machineType",
    "hcloud:index/server:Server": "serverType",
}
"""By type of a machine, the input with its machine type."""

AWS_DEFAULTS = "aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults"
AWS_METADATA = (
    AWS_DEFAULTS,
    "aws:ec2/instance:Instance",
    "aws:ec2/launchConfiguration:LaunchConfiguration",
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:ec2/spotInstanceRequest:SpotInstanceRequest",
)
"""Types that say how a machine's metadata is asked."""


def read_aws_rule(inputs: Inputs) -> Iterator[Opening]:
    """Read `vpc.SecurityGroupIngressRule`."""
    yield make_opening(
        inputs.get("ipProtocol"),
        f"{inputs.get('fromPort')}-{inputs.get('toPort')}",
        networks=tuple(texts_of(inputs.get("cidrIpv4"), inputs.get("cidrIpv6"))),
        others=name_sources(inputs, "referencedSecurityGroupId"),
        blind=name_sources(inputs, "prefixListId"),
    )


def read_aws_old_rule(inputs: Inputs) -> Iterator[Opening]:
    """Read `ec2.SecurityGroupRule`, and what `ec2.SecurityGroup` has as a rule of `ingress`."""
    if inputs.get("type", "ingress") == "egress":
        return
    yield make_opening(
        inputs.get("protocol"),
        f"{inputs.get('fromPort')}-{inputs.get('toPort')}",
        networks=tuple(texts_of(inputs.get("cidrBlocks"), inputs.get("ipv6CidrBlocks"))),
        others=name_sources(inputs, "sourceSecurityGroupId", "securityGroups", "self"),
        blind=name_sources(inputs, "prefixListIds"),
    )


def read_aws_group(inputs: Inputs) -> Iterator[Opening]:
    """Read `ec2.SecurityGroup` and `ec2.DefaultSecurityGroup`."""
    for rule in maps_of(inputs.get("ingress")):
        yield from read_aws_old_rule(rule)


def read_azure_rule(inputs: Inputs) -> Iterator[Opening]:
    """Read `network.SecurityRule`, and what `network.NetworkSecurityGroup` has as one."""
    if str(inputs.get("direction")).lower() == "outbound" or str(inputs.get("access")).lower() == "deny":
        return
    sources = texts_of(inputs.get("sourceAddressPrefix"), inputs.get("sourceAddressPrefixes"))
    networks = tuple(ANYWHERE if one in ("*", "Internet", "Any") else one for one in sources)
    for ports in texts_of(inputs.get("destinationPortRange"), inputs.get("destinationPortRanges")) or ["*"]:
        yield make_opening(
            inputs.get("protocol"),
            ports,
            networks=networks,
            others=name_sources(inputs, "sourceApplicationSecurityGroups"),
        )


def read_azure_group(inputs: Inputs) -> Iterator[Opening]:
    """Read `network.NetworkSecurityGroup`."""
    for rule in maps_of(inputs.get("securityRules")):
        yield from read_azure_rule(rule)


def read_digitalocean(inputs: Inputs) -> Iterator[Opening]:
    """Read `Firewall` of DigitalOcean, where port 0 means all."""
    for rule in maps_of(inputs.get("inboundRules")):
        ports = rule.get("portRange")
        yield make_opening(
            rule.get("protocol"),
            "all" if ports == "0" else ports,
            networks=tuple(texts_of(rule.get("sourceAddresses"))),
            tags=tuple(texts_of(rule.get("sourceTags"))),
            others=name_sources(rule, "sourceDropletIds"),
            blind=name_sources(rule, "sourceLoadBalancerUids", "sourceKubernetesIds"),
        )


def read_google(inputs: Inputs) -> Iterator[Opening]:
    """Read `compute.Firewall`: without any source it is open to everybody."""
    if str(inputs.get("direction", "INGRESS")).upper() == "EGRESS":
        return
    sourced = any(is_set(inputs, name) for name in ("sourceRanges", "sourceTags", "sourceServiceAccounts"))
    for rule in maps_of(inputs.get("allows")):
        for ports in texts_of(rule.get("ports")) or ["all"]:
            yield make_opening(
                rule.get("protocol"),
                ports,
                networks=tuple(texts_of(inputs.get("sourceRanges"))) if sourced else (ANYWHERE,),
                tags=tuple(texts_of(inputs.get("sourceTags"))),
                blind=name_sources(inputs, "sourceServiceAccounts"),
            )


def read_hetzner(inputs: Inputs) -> Iterator[Opening]:
    """Read `Firewall` of Hetzner."""
    for rule in maps_of(inputs.get("rules")):
        if rule.get("direction") != "out":
            yield make_opening(rule.get("protocol"), rule.get("port") or "any", networks=tuple(texts_of(rule.get("sourceIps"))))


def read_proxmox(inputs: Inputs) -> Iterator[Opening]:
    """Read `firewall.RulesLegacy` of Proxmox VE, whose rules are off unless they say that they are on."""
    for rule in maps_of(inputs.get("rules")):
        if rule.get("type") == "in" and rule.get("action") == "ACCEPT" and rule.get("enabled") is not False:
            source = str(rule.get("source") or ANYWHERE)
            yield make_opening(rule.get("proto") or "any", str(rule.get("dport") or "all").replace(":", "-"), networks=(source,))


def read_screen(inputs: Inputs) -> Iterator[Opening]:
    """Read a machine of libvirt: its screen has no password, so its host must not offer it to others."""
    for screen in maps_of([inputs.get("graphics")]):
        if screen.get("listenType") == "address" and not str(screen.get("listenAddress", "127.0.0.1")).startswith("127."):
            yield make_opening("tcp", "5900-65535", networks=(ANYWHERE,))


def read_nothing(inputs: Inputs) -> Iterator[Opening]:
    """Read what lets nothing in."""
    yield from ()


READERS: Mapping[str, Callable[[Inputs], Iterator[Opening]]] = {
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": read_aws_group,
    "aws:ec2/securityGroup:SecurityGroup": read_aws_group,
    "aws:ec2/securityGroupRule:SecurityGroupRule": read_aws_old_rule,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": read_nothing,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": read_aws_rule,
    "azure-native:network:NetworkSecurityGroup": read_azure_group,
    "azure-native:network:SecurityRule": read_azure_rule,
    "digitalocean:index/firewall:Firewall": read_digitalocean,
    "gcp:compute/firewall:Firewall": read_google,
    "hcloud:index/firewall:Firewall": read_hetzner,
    "libvirt:index/domain:Domain": read_screen,
    "proxmoxve:firewall/rulesLegacy:RulesLegacy": read_proxmox,
    "vsphere:index/virtualMachine:VirtualMachine": read_nothing,
}
"""By type of a resource, what reads its openings."""


def find_reader(type: str) -> Callable[[Inputs], Iterator[Opening]] | None:
    """Return what reads a type. Azure's types of a certain version of its interface are read as the unversioned one."""
    package, separator, rest = type.partition(":")
    package = re.sub(r"^azure-native_.*", "azure-native", package)
    return READERS.get(package + separator + re.sub(r"^(\w+)/v\d\w*:", r"\1:", rest))


def list_openings(type: str, inputs: Inputs) -> Iterator[Opening]:
    """Return what a resource lets in, as far as its type is known."""
    if reader := find_reader(type):
        yield from reader(inputs)


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
        and any(one.get("accessConfigs") for one in maps_of(inputs.get("networkInterfaces")))
    ):
        yield why
    if type == "digitalocean:index/droplet:Droplet" and inputs.get("ipv6"):
        yield "ipv6: no firewall of ours knows IPv6"
    if type == "hcloud:index/primaryIp:PrimaryIp" and closed:
        yield why
    if type == "hcloud:index/server:Server" and any(
        net.get("ipv6Enabled", True) for net in maps_of(inputs.get("publicNets")) or [{}]
    ):
        yield "ipv6Enabled: no firewall of ours knows IPv6"


def check_unencrypted_disk(type: str, inputs: Inputs) -> Iterator[str]:
    """Find disks without encryption where the cloud leaves it to who orders them: AWS. Hetzner has none to ask for."""
    if type == "aws:ebs/volume:Volume" and inputs.get("encrypted") is not True:
        yield "encrypted: not set"
    if type == "aws:ec2/instance:Instance":
        disks = [inputs.get("rootBlockDevice") or {}, *maps_of(inputs.get("ebsBlockDevices"))]
        if any(disk.get("encrypted") is not True for disk in disks):
            yield "rootBlockDevice.encrypted: not set"


def check_metadata(type: str, inputs: Inputs) -> Iterator[str]:
    """Find machines, and what makes machines, whose metadata answers without a token, or to whom a proxy asks for (AWS)."""
    if type in AWS_METADATA:
        options = inputs.get("metadataOptions") if type != AWS_DEFAULTS else inputs
        options = options if isinstance(options, Mapping) else {}
        if options.get("httpEndpoint") != "disabled" and options.get("httpTokens") != "required":
            yield "metadataOptions.httpTokens: must be required, or a request that a service is led to make reads metadata"
        if (hops := options.get("httpPutResponseHopLimit")) is not None and number_of(hops) > 1:
            yield f"metadataOptions.httpPutResponseHopLimit = {hops}: must be 1, so that no token leaves the machine"


def number_of(value: object) -> float:
    """Return a number that may be written as a text; what is none is more than any."""
    try:
        return float(str(value))
    except ValueError:
        return float("inf")


def role_of(inputs: Inputs) -> str | None:
    """Return the role that a resource's tags or labels name, None without one."""
    for name in ("labels", "tags"):
        worn = inputs.get(name)
        if isinstance(worn, Mapping):
            return worn.get("role") or worn.get("webitel:role")
    return None
