"""AWS: the account, instance types by zone, quotas of vCPUs and addresses (limits only, AWS counts by itself).

Sources: `facts/clouds.md` 1; quota codes: AWS Service Quotas, service `ec2`.
"""

from __future__ import annotations

from functools import partial

from pulumi import InvokeOptions
from pulumi_aws import Provider, ec2, get_caller_identity_output, servicequotas

from components.clouds.aws.facts import FACTS
from components.clouds.questions import Asked, Questions, known
from components.model.clouds.offers import Offers, Quota
from components.model.machine import Public

VCPUS, ADDRESSES = "L-1216C47A", "L-0263D0A3"
"""Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances; EC2-VPC Elastic IPs."""


def make_questions(asked: Asked) -> Questions:
    """What AWS is asked, by the provider that the adapter makes too: one for the plan's region."""
    options = InvokeOptions(provider=Provider("aws", region=asked.plan.region))
    return Questions(partial(ask_account, options), partial(ask_offers, asked, options), partial(ask_quotas, asked, options))


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
    # Every zone's gateway has an address of its own; limits include what already runs, so the whole plan is compared.
    nodes = asked.plan.nodes
    gateways = len({node.zone for node in nodes if node.public is Public.NO})
    addresses = sum(node.public is Public.SERVICE for node in nodes) + gateways
    needed = {VCPUS: sum(node.machine_type.vcpus for node in nodes), ADDRESSES: addresses}
    quotas = []
    for code, amount in needed.items():
        found = await known(servicequotas.get_service_quota_output(service_code="ec2", quota_code=code, opts=options))
        quotas.append(
            Quota(
                found.quota_name,
                found.value,
                amount,
                f"aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {code} "
                f"--desired-value NUMBER --region {asked.plan.region}",
            )
        )
    return quotas
