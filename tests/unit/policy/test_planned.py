"""Openings held against a plan: each kind of rule that a cloud has, one step too far and exactly right."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from components.model.settings import Settings
from policy.planned import PlannedOpenings
from policy.values import UNKNOWN
from tests.plans import make_plan

RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
OLD_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
AZURE = "azure-native:network:SecurityRule"
GOOGLE = "gcp:compute/firewall:Firewall"
DIGITALOCEAN = "digitalocean:index/firewall:Firewall"
HETZNER = "hcloud:index/firewall:Firewall"

WORLD = "0.0.0.0/0"
WEB = {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIpv4": WORLD}
CARRIER = "198.51.100.0/24"


@cache
def openings_of(cloud: str) -> PlannedOpenings:
    settings = Settings.model_validate(
        {"cloud": cloud, "tier": "basic", "domain": "example.com", "operators": ["203.0.113.0/24"], "carriers": [CARRIER]}
    )
    return PlannedOpenings(make_plan(settings, f"{cloud}-basic"))


def azure(**inputs: Any) -> Mapping[str, Any]:
    rule = {
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "destinationPortRange": "443",
        "sourceAddressPrefix": "*",
    }
    return {"networkSecurityGroupName": "azure-basic-edge", **rule, **inputs}


def google(ports: str, **inputs: Any) -> Mapping[str, Any]:
    return {"allows": [{"protocol": "tcp", "ports": [ports]}], "targetTags": ["gcp-basic-edge"], **inputs}


def digitalocean(port: str, **sources: Any) -> Mapping[str, Any]:
    return {"name": "digitalocean-basic-data", "inboundRules": [{"protocol": "tcp", "portRange": port, **sources}]}


def hetzner(port: str, source: str, role: str = "edge") -> Mapping[str, Any]:
    return {"labels": {"role": role}, "rules": [{"direction": "in", "protocol": "tcp", "port": port, "sourceIps": [source]}]}


def old(protocol: str, port: int, **sources: Any) -> Mapping[str, Any]:
    return {"type": "ingress", "protocol": protocol, "fromPort": port, "toPort": port, **sources}


@pytest.mark.parametrize(
    ("cloud", "type", "inputs", "says"),
    [
        ("aws", RULE, {**WEB, "fromPort": 5432, "toPort": 5432}, "port 5432/tcp is open to 0.0.0.0/0"),
        ("aws", RULE, {**WEB, "fromPort": 23, "toPort": 65535}, "port 23-65535/tcp is open to 0.0.0.0/0"),
        ("aws", RULE, {**WEB, "fromPort": 443, "toPort": 444}, "port 443-444/tcp"),
        ("aws", RULE, {**WEB, "ipProtocol": "udp"}, "port 443/udp"),
        ("aws", RULE, {"ipProtocol": "-1", "cidrIpv4": CARRIER}, "every port (all) is open to 198.51.100.0/24"),
        ("aws", RULE, {"ipProtocol": "icmp", "fromPort": -1, "toPort": -1, "cidrIpv4": WORLD}, "icmp is open to"),
        ("aws", RULE, {**WEB, "cidrIpv4": "::/0"}, "open to ::/0"),
        ("aws", RULE, {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "prefixListId": "pl-6da5"}, "prefixListId pl-6da5"),
        ("aws", RULE, {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "prefixListId": UNKNOWN}, "prefixListId, which"),
        ("aws", RULE, {**WEB, "tags": {"Name": "aws-basic-data-in-tcp-443"}}, "port 443/tcp"),
        ("aws", RULE, {"ipProtocol": "tcp", "fromPort": 8500, "toPort": 8500, "referencedSecurityGroupId": "sg-1"}, "sg-1"),
        ("aws", RULE, {"ipProtocol": "tcp", "fromPort": 8500, "toPort": 8500, "referencedSecurityGroupId": UNKNOWN}, "ref"),
        ("aws", OLD_RULE, old("tcp", 5060, cidrBlocks=[WORLD]), "port 5060/tcp is open to 0.0.0.0/0"),
        ("aws", OLD_RULE, old("6", 5060, cidrBlocks=[WORLD]), "port 5060/tcp is open to 0.0.0.0/0"),
        ("aws", OLD_RULE, old("tcp", 443, prefixListIds=["pl-1"]), "prefixListIds pl-1"),
        ("aws", OLD_RULE, old("tcp", 8500, self=True), "self"),
        ("aws", GROUP, {"ingress": [old("tcp", 5432, cidrBlocks=["10.0.0.0/8"])]}, "10.0.0.0/8"),
        ("aws", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", {"ingress": [old("-1", 0, self=True)]}, "every port"),
        ("azure", AZURE, azure(destinationPortRange="5432"), "port 5432/tcp is open to 0.0.0.0/0"),
        ("azure", AZURE, azure(destinationPortRange="*"), "every port (tcp)"),
        ("azure", AZURE, azure(protocol="*"), "every port (all)"),
        ("azure", AZURE, azure(destinationPortRange=None, destinationPortRanges=["443", "8443"]), "port 8443/tcp"),
        ("azure", AZURE, azure(sourceAddressPrefix="VirtualNetwork"), "VirtualNetwork, which can hold any address"),
        ("azure", AZURE, azure(networkSecurityGroupName="azure-basic-data"), "port 443/tcp"),
        ("azure", "azure-native:network/v20240301:SecurityRule", azure(destinationPortRange="5432"), "port 5432/tcp"),
        ("azure", "azure-native_network_v20240301:network:SecurityRule", azure(destinationPortRange="5432"), "port 5432/tcp"),
        ("gcp", GOOGLE, google("5432", sourceRanges=[WORLD]), "port 5432/tcp"),
        ("gcp", GOOGLE, google("1000-2000"), "port 1000-2000/tcp is open to 0.0.0.0/0"),
        ("gcp", GOOGLE, google("22", sourceTags=["gcp-basic-app"]), "open to gcp-basic-app"),
        ("gcp", GOOGLE, google("443", sourceServiceAccounts=["a@example.com"]), "sourceServiceAccounts a@example.com"),
        ("digitalocean", DIGITALOCEAN, digitalocean("0", sourceAddresses=[WORLD]), "every port (tcp)"),
        ("digitalocean", DIGITALOCEAN, digitalocean("5432", sourceTags=["somebody-elses"]), "somebody-elses"),
        ("digitalocean", DIGITALOCEAN, digitalocean("8500", sourceDropletIds=[1]), "sourceDropletIds"),
        ("hetzner", HETZNER, hetzner("any", WORLD), "every port (tcp)"),
        ("hetzner", HETZNER, hetzner("443", WORLD, "data"), "port 443/tcp"),
        ("hetzner", HETZNER, hetzner("5060", "198.51.0.0/16"), "198.51.0.0/16"),
    ],
)  # fmt: skip
def test_what_the_plan_does_not_open_is_found(cloud: str, type: str, inputs: Mapping[str, Any], says: str) -> None:
    found = list(openings_of(cloud).check(type, inputs))
    assert len(found) == 1 and says in found[0], found


@pytest.mark.parametrize(
    ("cloud", "type", "inputs"),
    [
        ("aws", RULE, WEB),
        ("aws", RULE, {"ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432, "referencedSecurityGroupId": UNKNOWN}),
        ("aws", RULE, {"ipProtocol": "udp", "fromPort": 5060, "toPort": 5060, "cidrIpv4": "198.51.100.7/32"}),
        ("aws", OLD_RULE, {**old("tcp", 5432, cidrBlocks=[WORLD]), "type": "egress"}),
        ("aws", "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", {"ipProtocol": "-1", "cidrIpv4": WORLD}),
        ("azure", AZURE, azure()),
        ("azure", AZURE, azure(access="Deny", destinationPortRange="*")),
        ("azure", AZURE, azure(direction="Outbound", destinationPortRange="*")),
        ("gcp", GOOGLE, google("443", sourceRanges=[WORLD])),
        ("gcp", GOOGLE, {"direction": "EGRESS", "allows": [{"protocol": "all"}]}),
        ("digitalocean", DIGITALOCEAN, digitalocean("5432", sourceTags=["webitel:digitalocean-basic:app"])),
        ("hetzner", HETZNER, hetzner("443", WORLD)),
        ("hetzner", HETZNER, {"rules": [{"direction": "out", "protocol": "tcp", "port": "any", "destinationIps": [WORLD]}]}),
    ],
)
def test_what_the_plan_opens_is_left_alone(cloud: str, type: str, inputs: Mapping[str, Any]) -> None:
    assert list(openings_of(cloud).check(type, inputs)) == []


@pytest.mark.parametrize(
    ("type", "inputs"),
    [
        ("gcp:compute/networkFirewallPolicyRule:NetworkFirewallPolicyRule", {}),
        ("aws:ec2/managedPrefixList:ManagedPrefixList", {}),
        ("aws:ec2/networkAclRule:NetworkAclRule", {}),
        ("aws:lightsail/instancePublicPorts:InstancePublicPorts", {}),
        ("aws-native:ec2:SecurityGroupIngress", {}),
        ("azure:network/networkSecurityRule:NetworkSecurityRule", {}),
        ("openstack:networking/secGroupRule:SecGroupRule", {}),
        ("somebody:index:Door", {"spec": [{"sourceRanges": [WORLD]}]}),
        ("azure-native:network:Subnet", {"networkSecurityGroup": {"securityRules": [{"access": "Allow"}]}}),
    ],
)
def test_a_rule_that_nobody_here_can_read_is_refused(type: str, inputs: Mapping[str, Any]) -> None:
    found = list(openings_of("aws").check(type, inputs))
    assert len(found) == 1 and "the pack cannot read it" in found[0]


def test_without_a_plan_nothing_may_be_open() -> None:
    found = list(PlannedOpenings(None, "the stack has no settings").check(RULE, WEB))
    assert found == ["port 443/tcp is open to 0.0.0.0/0: there is no plan to hold it against: the stack has no settings"]
