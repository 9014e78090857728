"""AWS: the account, instance types by zone, the image, quotas of vCPUs, addresses, networks and rules.

Sources: `facts/clouds.md` 1; codes of Service Quotas: `facts/real-clouds.md` B18. AWS tells limits; what is used of
addresses and networks is counted here, of vCPUs it is not told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from pulumi import InvokeOptions
from pulumi_aws import Provider, ec2, get_caller_identity_output, s3, servicequotas
from pulumi_aws.ec2.outputs import GetRouteTableRouteResult as Route

from components.clouds.aws.adapter import DEBIAN, IMAGE
from components.clouds.aws.facts import FACTS
from components.clouds.aws.groups import own_rules
from components.clouds.questions import Asked, Questions, SubnetFound, find_bucket, find_given, find_image, known
from components.model.clouds.offers import Finding, Offers, Quota
from components.model.machine import Public

BUCKET = "aws:s3/bucket:Bucket"
STACK_TAG = "webitel:stack"
EVERYWHERE = "0.0.0.0/0"
INTERNET_GATEWAY = "igw-"
"""How an internet gateway's id begins; a firewall's endpoint may stand in its place."""


@dataclass(frozen=True)
class Limit:
    """A quota of AWS: its service and code, how much the plan needs, how much others have, None = AWS does not tell."""

    service: str
    code: str
    needed: float
    used: float | None = None


def make_questions(asked: Asked) -> Questions:
    """List what AWS is asked, through the same provider as the adapter's: one for the plan's region."""
    options = InvokeOptions(provider=Provider("aws", region=asked.plan.region))
    return Questions(
        partial(ask_account, options),
        partial(ask_offers, asked, options),
        partial(ask_quotas, asked, options),
        {
            "image": partial(ask_image, asked, options),
            **({"bucket": partial(ask_buckets, asked, options)} if asked.buckets else {}),
            **({"network": partial(ask_network, asked, options)} if asked.plan.existing else {}),
        },
    )


async def ask_account(options: InvokeOptions) -> str:
    identity = await known(get_caller_identity_output(opts=options))
    return f"account {identity.account_id}, {identity.arn}"


async def ask_offers(asked: Asked, options: InvokeOptions) -> Offers:
    names = [machine.name for machine in FACTS.machine_types]
    found = await known(
        ec2.get_instance_type_offerings_output(
            location_type="availability-zone", filters=[{"name": "instance-type", "values": names}], opts=options
        )
    )
    types: dict[str, list[str]] = {}
    for name, zone in zip(found.instance_types, found.locations, strict=True):
        types.setdefault(zone.removeprefix(asked.plan.region), []).append(name)
    return Offers("zone", asked.plan.zone, types)


async def ask_quotas(asked: Asked, options: InvokeOptions) -> list[Quota]:
    own = {STACK_TAG: asked.plan.stack}
    addresses = [len((await known(ec2.get_eips_output(tags=tags, opts=options))).allocation_ids or ()) for tags in (None, own)]
    networks = [len((await known(ec2.get_vpcs_output(tags=tags, opts=options))).ids or ()) for tags in (None, own)]
    quotas = []
    for limit in list_limits(asked, addresses[0] - addresses[1], networks[0] - networks[1]):
        found = await known(
            servicequotas.get_service_quota_output(service_code=limit.service, quota_code=limit.code, opts=options)
        )
        quotas.append(
            Quota(
                found.quota_name,
                found.value,
                limit.needed,
                f"aws service-quotas request-service-quota-increase --service-code {limit.service} --quota-code {limit.code} "
                f"--desired-value NUMBER --region {asked.plan.region}",
                limit.used,
            )
        )
    return quotas


def list_limits(asked: Asked, addresses: int, networks: int) -> Iterator[Limit]:
    """List the quotas to compare the whole plan with, since limits count what runs already. `addresses` and `networks`: those
    of others."""
    plan = asked.plan
    own = sum(node.public is Public.SERVICE for node in plan.nodes) + plan.gateways  # each has an address of its own
    own += bool(plan.sip_address)
    # One rule more, or one a subnet that was given, lets everything out into the network.
    inside = len(plan.networks)
    rules = [len(found) + more for role in plan.roles for found, more in zip(own_rules(plan, role), (0, inside), strict=True)]
    # Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances; EC2-VPC Elastic IPs; VPCs per Region; inbound or outbound
    # rules per security group.
    yield Limit("ec2", "L-1216C47A", sum(node.machine_type.vcpus for node in plan.nodes))
    yield Limit("ec2", "L-0263D0A3", own, addresses)
    if not plan.existing:
        yield Limit("vpc", "L-F678F1CE", 1, networks)
    yield Limit("vpc", "L-0EA8095F", max(rules))


async def ask_network(asked: Asked, options: InvokeOptions) -> list[Finding]:
    plan, given = asked.plan, asked.plan.existing
    assert given

    async def tell(id: str) -> SubnetFound:
        found = await known(ec2.get_subnet_output(id=id, opts=options))
        if found.vpc_id != given.id:
            return SubnetFound([found.cidr_block], f"it is in {found.vpc_id}, not in webitel:existing_network.id = {given.id}")
        wanted = f"{plan.region}{given.subnets[id].zone}"
        if found.availability_zone != wanted:
            return SubnetFound([found.cidr_block], f"it is in {found.availability_zone}, not in {wanted}")
        routes = await list_routes(id, given.id, options)
        return SubnetFound([found.cidr_block], *(judge_public(routes) if given.subnets[id].public else judge_private(routes)))

    return await find_given(plan, tell, r"no matching EC2 Subnet|InvalidSubnetID")


async def list_routes(subnet: str, vpc: str, options: InvokeOptions) -> Sequence[Route]:
    """Return the routes of a subnet: of the table that it is associated with, else of the VPC's main one."""
    try:
        table = await known(ec2.get_route_table_output(subnet_id=subnet, opts=options))
    except Exception as error:  # a provider's refusal has no class of its own
        if not re.search("returned no results|no matching EC2 Route Table", str(error)):
            raise
        main = ec2.GetRouteTableFilterArgs(name="association.main", values=["true"])
        table = await known(ec2.get_route_table_output(vpc_id=vpc, filters=[main], opts=options))
    return table.routes


def judge_public(routes: Sequence[Route]) -> tuple[str, str]:
    """Return what does not fit a subnet whose nodes are reached from outside, and what may not; "" = nothing."""
    if way := next((one for one in routes if one.cidr_block == EVERYWHERE), None):
        nat = f"0.0.0.0/0 leads to {way.nat_gateway_id}, so nobody reaches its nodes; it needs a route to an internet gateway"
        return (nat if way.nat_gateway_id else ""), ""
    if any(one.gateway_id.startswith(INTERNET_GATEWAY) for one in routes):
        return "", ""
    return "it has no route for 0.0.0.0/0; nodes that are reached from outside need one to an internet gateway", ""


def judge_private(routes: Sequence[Route]) -> tuple[str, str]:
    """Likewise of a subnet whose nodes have no public address. Routes that a gateway propagates are told to nobody."""
    ways = [one for one in routes if one.cidr_block == EVERYWHERE]
    if found := [one.gateway_id for one in ways if one.gateway_id.startswith(INTERNET_GATEWAY)]:
        return f"0.0.0.0/0 leads to {found[0]}, through which nodes without a public address get no answer", ""
    doubt = "it has no route for 0.0.0.0/0 but one that a gateway may propagate, and its nodes fetch their packages that way"
    return "", "" if ways else doubt


async def ask_image(asked: Asked, options: InvokeOptions) -> list[Finding]:
    wish = ec2.GetAmiFilterArgs(name="image-id" if asked.image else "name", values=[asked.image or IMAGE])
    owners = None if asked.image else [DEBIAN]
    answer = known(ec2.get_ami_output(owners=owners, most_recent=True, filters=[wish], opts=options))
    example = f"the newest {IMAGE} of {DEBIAN}"
    return await find_image(asked.image or IMAGE, example, answer, "returned no results|InvalidAMIID")


FREE, OTHERS = r"404|NotFound|NoSuchBucket|couldn't find", r"403|Forbidden|AccessDenied|301|PermanentRedirect"
"""What the provider says of a name that nobody has, and of one that somebody else has."""


async def ask_buckets(asked: Asked, options: InvokeOptions) -> list[Finding]:
    """Ask whether the names of buckets that are not made yet are free."""
    return [
        await find_bucket(name, known(s3.get_bucket_output(bucket=name, opts=options)), FREE, OTHERS)
        for name in asked.buckets
        if not asked.has(BUCKET, name)
    ]
