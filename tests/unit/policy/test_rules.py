"""The policy pack's rules on single resources; tests/conformance asks them of whole deployments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from policy.rules import RULES

AZURE_RULE = {
    "direction": "Inbound",
    "access": "Allow",
    "protocol": "Tcp",
    "destinationPortRange": "22",
    "sourceAddressPrefix": "*",
}
HETZNER_NETS = [{"ipv4Enabled": True, "ipv6Enabled": False}]
MOVE, ENI = "ec2:AssignPrivateIpAddresses", "arn:aws:ec2:us-east-1:123456789012:network-interface/eni-1"


def write_policy(action: str | list[str], resource: str) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]})


WRONG: list[tuple[str, str, Mapping[str, Any]]] = [
    ("no-shared-cpu", "aws:ec2/instance:Instance", {"instanceType": "t3.large"}),
    ("no-shared-cpu", "azure-native:compute:VirtualMachine", {"hardwareProfile": {"vmSize": "Standard_B4ms"}}),
    ("no-shared-cpu", "digitalocean:index/droplet:Droplet", {"size": "s-4vcpu-8gb"}),
    ("no-shared-cpu", "gcp:compute/instance:Instance", {"machineType": "e2-standard-4"}),
    ("no-shared-cpu", "hcloud:index/server:Server", {"serverType": "cpx31", "publicNets": HETZNER_NETS}),
    (
        "no-open-ssh",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"ipProtocol": "tcp", "fromPort": 20, "toPort": 30, "cidrIpv4": "0.0.0.0/0"},
    ),
    ("no-open-ssh", "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {"ipProtocol": "-1", "cidrIpv6": "::/0"}),
    (
        "no-open-ssh",
        "aws:ec2/securityGroup:SecurityGroup",
        {"ingress": [{"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["0.0.0.0/1"]}]},
    ),
    ("no-open-ssh", "azure-native:network:NetworkSecurityGroup", {"securityRules": [AZURE_RULE]}),
    (
        "no-open-ssh",
        "digitalocean:index/firewall:Firewall",
        {"inboundRules": [{"protocol": "tcp", "portRange": "all", "sourceAddresses": ["0.0.0.0/0"]}]},
    ),
    ("no-open-ssh", "gcp:compute/firewall:Firewall", {"allows": [{"protocol": "all"}], "sourceRanges": ["0.0.0.0/0"]}),
    (
        "no-open-ssh",
        "hcloud:index/firewall:Firewall",
        {"rules": [{"direction": "in", "protocol": "tcp", "port": "22", "sourceIps": ["::/0"]}]},
    ),
    ("no-unplanned-address", "aws:ec2/eip:Eip", {"tags": {"webitel:role": "data"}}),
    ("no-unplanned-address", "aws:ec2/subnet:Subnet", {"mapPublicIpOnLaunch": True}),
    ("no-unplanned-address", "azure-native:network:PublicIPAddress", {"tags": {"role": "app"}}),
    (
        "no-unplanned-address",
        "gcp:compute/instance:Instance",
        {"labels": {"role": "data"}, "networkInterfaces": [{"accessConfigs": [{}]}]},
    ),
    ("no-unplanned-address", "digitalocean:index/droplet:Droplet", {"size": "c-4", "ipv6": True}),
    ("no-unplanned-address", "hcloud:index/primaryIp:PrimaryIp", {"labels": {"role": "bus"}}),
    ("no-unplanned-address", "hcloud:index/server:Server", {"serverType": "ccx33"}),
    (
        "no-open-ssh",
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        {"type": "ingress", "protocol": "6", "fromPort": 22, "toPort": 22, "cidrBlocks": ["0.0.0.0/0"]},
    ),
    ("no-open-ssh", "azure-native:network:SecurityRule", AZURE_RULE),
    (
        "no-open-ssh",
        "digitalocean:index/firewall:Firewall",
        {"inboundRules": [{"protocol": "tcp", "portRange": "0", "sourceAddresses": ["0.0.0.0/0"]}]},
    ),
    ("no-open-ssh", "gcp:compute/firewall:Firewall", {"allows": [{"protocol": "TCP", "ports": ["22"]}]}),
    ("no-wide-rights", "aws:iam/rolePolicy:RolePolicy", {"policy": write_policy("ec2:*", ENI)}),
    ("no-wide-rights", "aws:iam/rolePolicy:RolePolicy", {"policy": write_policy(MOVE, "*")}),
    ("no-wide-rights", "aws:iam/rolePolicy:RolePolicy", {"policy": write_policy([MOVE, "ec2:DescribeAddresses"], ENI)}),
    ("no-wide-rights", "aws:iam/policy:Policy", {"policy": json.dumps({"Statement": {"Effect": "Allow", "NotAction": "iam:*"}})}),
    ("no-wide-rights", "aws:iam/role:Role", {"managedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]}),
    ("no-wide-rights", "aws:iam/rolePolicyAttachment:RolePolicyAttachment", {"policyArn": "arn"}),
    ("no-wide-rights", "aws:ec2/instance:Instance", {"iamInstanceProfile": "admin", "tags": {"webitel:role": "app"}}),
    ("no-wide-rights", "gcp:projects/iAMCustomRole:IAMCustomRole", {"permissions": ["compute.instances.delete"]}),
    ("no-wide-rights", "gcp:projects/iAMMember:IAMMember", {"role": "roles/editor"}),
    ("no-wide-rights", "gcp:projects/iAMMember:IAMMember", {"role": "projects/p/roles/s_sip_move"}),
    ("no-wide-rights", "gcp:projects/iAMPolicy:IAMPolicy", {"policyData": "{}"}),
    ("no-wide-rights", "gcp:compute/instance:Instance", {"serviceAccount": {"email": "x"}, "labels": {"role": "app"}}),
    ("no-metadata-without-token", "aws:ec2/instance:Instance", {"instanceType": "m7a.large"}),
    ("no-metadata-without-token", "aws:ec2/instance:Instance", {"metadataOptions": {"httpTokens": "optional"}}),
    (
        "no-metadata-without-token",
        "aws:ec2/launchTemplate:LaunchTemplate",
        {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 5}},
    ),
    ("no-metadata-without-token", "aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults", {"httpTokens": "no-preference"}),
    ("no-unencrypted-disk", "aws:ebs/volume:Volume", {"size": 10}),
    ("no-unencrypted-disk", "aws:ec2/instance:Instance", {"rootBlockDevice": {"encrypted": False}}),
]


@pytest.mark.parametrize(("rule", "type", "inputs"), WRONG)
def test_each_wrong_thing_is_found(rule: str, type: str, inputs: Mapping[str, Any]) -> None:
    assert rule in {one.name for one in RULES for _ in one.check(type, inputs)}


@pytest.mark.parametrize(
    ("type", "inputs"),
    [
        ("gcp:compute/firewall:Firewall", {"direction": "EGRESS", "allows": [{"protocol": "all"}]}),
        (
            "hcloud:index/firewall:Firewall",
            {"rules": [{"direction": "in", "protocol": "udp", "port": "10000-19999", "sourceIps": ["0.0.0.0/0"]}]},
        ),
        (
            "azure-native:network:NetworkSecurityGroup",
            {"securityRules": [{**AZURE_RULE, "sourceAddressPrefix": "203.0.113.0/24"}]},
        ),
        ("aws:ec2/eip:Eip", {"tags": {"Name": "aws-basic-nat"}}),
        ("hcloud:index/firewall:Firewall", {"rules": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}),
        ("webitel:index:Health", {}),
        (
            "aws:ec2/launchTemplate:LaunchTemplate",
            {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1}},
        ),
    ],
)
def test_what_is_right_is_left_alone(type: str, inputs: Mapping[str, Any]) -> None:
    assert [text for one in RULES for text in one.check(type, inputs)] == []
