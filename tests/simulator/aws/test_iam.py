"""The rules of AWS' roles, and of the address that two machines have in turn."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.simulator.conftest import CheckFailed, Driver
from tests.simulator.world import Refused

EC2 = {"Service": "ec2.amazonaws.com"}
TRUST = json.dumps({"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": EC2}]})


@pytest.fixture
def cloud(make_driver: Callable[[str], Driver]) -> Driver:
    return make_driver("aws")


def test_roles_policies_and_profiles(cloud: Driver) -> None:
    with pytest.raises(CheckFailed, match="invalid value for name"):
        cloud.create("Role", name="a role", assumeRolePolicy=TRUST)
    with pytest.raises(Refused, match="Syntax errors"):
        cloud.create("Role", name="sip", assumeRolePolicy="{")
    with pytest.raises(Refused, match="Principal"):
        cloud.create("Role", name="sip", assumeRolePolicy=json.dumps({"Statement": [{"Effect": "Allow", "Action": "x"}]}))
    with pytest.raises(Refused, match=r"Effect, Action"):
        cloud.create("Role", name="sip", assumeRolePolicy=json.dumps({"Statement": {"Principal": "*"}}))
    role = cloud.create("Role", name="sip", assumeRolePolicy=TRUST)
    with pytest.raises(Refused, match="already exists"):
        cloud.create("Role", "again", name="sip", assumeRolePolicy=TRUST)
    with pytest.raises(Refused, match="must contain resources"):
        statements = {"Statement": {"Effect": "Allow", "Action": "ec2:AssociateAddress"}}
        cloud.create("RolePolicy", name="sip", role=role.id, policy=json.dumps(statements))
    with pytest.raises(Refused, match="not found"):
        cloud.create("InstanceProfile", name="sip", role="nobody")
    cloud.create("InstanceProfile", name="sip", role=role.id)
    with pytest.raises(Refused, match="in use"):
        cloud.delete(role)


def test_an_address_is_not_released_while_it_is_associated_behind_the_providers_back(cloud: Driver) -> None:
    vpc = cloud.create("Vpc", cidrBlock="10.20.0.0/16")
    subnet = cloud.create("Subnet", vpcId=vpc.id, cidrBlock="10.20.0.0/20", availabilityZone="us-east-1a")
    interface = cloud.create("NetworkInterface", subnetId=subnet.id)
    address = cloud.create("Eip", domain="vpc")
    tied = {"networkInterface": interface.id, "associationId": "eipassoc-1"}
    cloud.world.disturb("aws:ec2/eip:Eip", address.id, **tied)
    with pytest.raises(Refused, match=r"InvalidIPAddress\.InUse"):
        cloud.delete(address)
    cloud.delete(interface)
    cloud.delete(address)
