"""AWS: functions that find what exists, and what the account is told (`facts/clouds.md`)."""

from __future__ import annotations

from collections.abc import Mapping

from provider.server import Properties, ProviderError
from tests.simulator.account import Function, limit, offers, read_facts
from tests.simulator.aws import buckets, images, routes
from tests.simulator.call import Account
from tests.simulator.lookups import Lookups

PLACES = ("us-east-1a", "us-east-1b", "us-east-1c")
"""Zones."""

LOOKUPS = Lookups(
    names={
        "aws:ec2": (
            "Vpc",
            "Subnet",
            "InternetGateway",
            "NatGateway",
            "RouteTable",
            "SecurityGroup",
            "NetworkInterface",
            "ElasticIp",
            "Instance",
            "KeyPair",
        ),
        "aws:vpc": ("SecurityGroupRule",),
        "aws:ebs": ("Volume",),
    },
    lists={
        "aws:ec2/getEips": ("aws:ec2/eip:Eip", "allocationIds"),
        "aws:ec2/getInstances": ("aws:ec2/instance:Instance", "ids"),
        "aws:ec2/getNatGateways": ("aws:ec2/natGateway:NatGateway", "ids"),
        "aws:ec2/getNetworkInterfaces": ("aws:ec2/networkInterface:NetworkInterface", "ids"),
        "aws:ec2/getRouteTables": ("aws:ec2/routeTable:RouteTable", "ids"),
        "aws:ec2/getSecurityGroups": ("aws:ec2/securityGroup:SecurityGroup", "ids"),
        "aws:ec2/getSubnets": ("aws:ec2/subnet:Subnet", "ids"),
        "aws:ec2/getVpcs": ("aws:ec2/vpc:Vpc", "ids"),
        "aws:ebs/getEbsVolumes": ("aws:ebs/volume:Volume", "ids"),
        "aws:vpc/getSecurityGroupRules": ("aws:vpc/securityGroupRule:SecurityGroupRule", "ids"),
    },
    nothing="no matching EC2 {name} found",
    types={"aws:ec2/getElasticIp": "aws:ec2/eip:Eip"},
)


def _identity(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    return {"accountId": "123456789012", "arn": "arn:aws:iam::123456789012:user/test", "userId": "AIDATEST", "id": "123456789012"}


def _offerings(account: Account, arguments: Properties) -> Properties:
    if arguments.get("locationType") != "availability-zone":
        raise ProviderError("InvalidParameterValue: locationType")
    (wish,) = arguments["filters"]
    found = [(name, zone) for zone, names in offers(account, "aws", PLACES).items() for name in names if name in wish["values"]]
    return {
        **arguments,
        "id": "us-east-1",
        "region": "us-east-1",
        "instanceTypes": [name for name, _ in found],
        "locations": [zone for _, zone in found],
        "locationTypes": ["availability-zone"] * len(found),
    }


def _quota(account: Account, arguments: Properties) -> Properties:
    known = {
        "L-1216C47A": ("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 256),
        "L-0263D0A3": ("EC2-VPC Elastic IPs", 5),
        "L-F678F1CE": ("VPCs per Region", 5),
        "L-0EA8095F": ("Inbound or outbound rules per security group", 60),
    }
    code = arguments["quotaCode"]
    service = "ec2" if code in ("L-1216C47A", "L-0263D0A3") else "vpc"
    if arguments["serviceCode"] != service or code not in known:
        raise ProviderError(f"NoSuchResourceException: {arguments}")
    name, usual = known[code]
    return {
        **arguments,
        "id": code,
        "quotaName": name,
        "value": limit(account, code, usual),
        "adjustable": True,
        "arn": "",
        "defaultValue": usual,
        "globalQuota": False,
        "region": "us-east-1",
        "serviceName": "EC2",
        "usageMetrics": [],
    }


def _bucket(account: Account, arguments: Properties) -> Properties:
    """Tells of a bucket of this account, and of another one's only that it is there (`facts/backups.md` 5.1)."""
    name = arguments["bucket"]
    if name in buckets.TAKEN:
        raise ProviderError(f"reading S3 Bucket ({name}): Forbidden: status code 403")
    found = account.world.find(buckets.BUCKET, name)
    if not found:
        raise ProviderError(f"reading S3 Bucket ({name}): NotFound: couldn't find resource, status code 404")
    return {**arguments, "id": name, "arn": found.outputs["arn"], "bucketRegion": found.outputs["bucketRegion"]}


FUNCTIONS: Mapping[str, Function] = {
    **LOOKUPS.make_functions(),
    **images.FUNCTIONS,
    **routes.FUNCTIONS,
    "aws:index/getCallerIdentity:getCallerIdentity": _identity,
    "aws:s3/getBucket:getBucket": _bucket,
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": _offerings,
    "aws:servicequotas/getServiceQuota:getServiceQuota": _quota,
}
"""By token."""
