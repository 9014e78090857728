"""From settings to the plan: everything decided before the first API call, offline and without credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from components.model.catalogue.service import PackageSource, Service
from components.model.catalogue.tiers import MEDIA, SIP, TIERS, Role, Tier
from components.model.clouds.facts import Cloud, resolve_cloud
from components.model.clouds.machines import check_machine_type, choose_machine_type, fits
from components.model.clouds.prices import NodePrice, price_node, sum_prices
from components.model.naming import explain_name, node_name
from components.model.plan import MachineType, Node, Plan, Public
from components.model.planning import firewall
from components.model.planning.addresses import address_offset, resolve_network, subnet_of
from components.model.planning.check_shape import (
    check_counts,
    check_disk_sizes,
    check_leaving,
    check_network,
    check_public_network,
    count_nodes,
    explain_count,
    tier_size,
    unknown_role,
)
from components.model.planning.check_values import check_values, documentation_values, resolve_package_source
from components.model.planning.disks import check_kept, choose_disks, keeps_disk, list_kept, make_kept
from components.model.planning.placement import choose_consul_servers, find_clashes, find_unknown_calls, place_services
from components.model.problems import PlanError, Problem, setting_problem
from components.model.secrets import DEPLOYMENT_SECRETS, SECRETS
from components.model.settings import Settings
from components.model.share import RECORDINGS, read_share, resolve_catalogue

__all__ = ["PlanError", "Problem", "documentation_values", "make_plan", "plan_to_json"]

Catalogue = Mapping[str, Service]


def make_plan(settings: Settings, stack: str, catalogue: Catalogue | None = None) -> Plan:
    """The plan of a deployment, by default of the catalogue as its settings have it. Raises one PlanError with all problems."""
    catalogue = catalogue or resolve_catalogue(settings)
    tier, cloud = TIERS[settings.tier], resolve_cloud(settings)
    region = settings.region or cloud.default_region
    broken = [Problem("", "", f"the catalogue is broken: {text}") for text in find_unknown_calls(catalogue)]
    if broken:
        raise PlanError(broken)
    asked = count_nodes(tier, settings)
    # A wrong count must not hide what else is wrong, so the rest is checked with the tier's.
    wrong = {role.name for role in tier.roles if explain_count(role, asked[role.name], catalogue)}
    counts = {role.name: role.count if role.name in wrong else asked[role.name] for role in tier.roles}
    machines, problems = choose_machines(tier, settings, cloud, region)
    placed = place_services(tier, counts, catalogue)
    problems += [
        *check_name(stack, counts),
        *check_counts(tier, settings, catalogue),
        *check_disk_sizes(tier, settings, cloud, machines),
        *check_network(tier, settings, cloud, counts),
        *check_public_network(tier, settings, cloud, counts),
        *check_leaving(settings, stack, tier, counts, catalogue),
        *check_kept(settings, stack, tier, cloud, catalogue),
        *check_values(settings, cloud),
        *dict.fromkeys(Problem("", "", f"the catalogue is broken: {text}")
                       for services in placed.values() for text in find_clashes(services, catalogue)),
    ]
    if problems:
        raise PlanError(problems)
    nodes, prices = make_nodes(settings, stack, tier, cloud, machines, placed, catalogue)
    kept, prices_kept = make_kept(settings, stack, tier, cloud, region, machines, catalogue)
    total, price_warning = sum_prices(cloud, region, [*prices, *prices_kept])
    used = {name for node in nodes for service in node.services for name in catalogue[service].secrets}
    return Plan(
        stack=stack, cloud=cloud.name, tier=tier.name, region=region, release=settings.release,
        package_source=resolve_package_source(settings).value, domain=settings.domain.lower(),
        network=str(resolve_network(settings)), nodes=nodes,
        openings=firewall.derive(nodes, settings, cloud, catalogue),
        egress=firewall.derive_egress(nodes, settings, catalogue),
        secrets=tuple(name for name in SECRETS if name in used or name in DEPLOYMENT_SECRETS),
        consul_servers=tuple(node_name(stack, role, n) for role, n in choose_consul_servers(tier, counts)),
        share=share.source if (share := read_share(settings)) else "",
        monthly_price=total,
        warnings=(*find_warnings(settings, stack, cloud, tier, machines), *filter(None, [price_warning])),
        zone=settings.zone or (cloud.zones[0] if cloud.zones else ""), kept=kept,
    )


def choose_machines(
    tier: Tier, settings: Settings, cloud: Cloud, region: str,
) -> tuple[dict[str, MachineType], list[Problem]]:
    """The machine type of every role, and what is wrong with the ones given by hand (which are then left out)."""
    machines: dict[str, MachineType] = {}
    problems = []
    for role in tier.roles:
        fit = choose_machine_type(cloud, tier_size(role, cloud), region, is_voice(role))
        machines[role.name] = fit
        if name := settings.machine_types.get(role.name):
            if problem := check_machine_type(cloud, role.name, name, fit, region):
                problems.append(problem)
            else:
                machines[role.name] = cloud.machine_type(name) or fit
    for name, machine in settings.machine_types.items():
        if name not in machines:
            problems.append(setting_problem(f"machine_types.{name}", machine, unknown_role(name, tier)))
    return machines, problems


def is_voice(role: Role) -> bool:
    """Whether a role handles SIP or media."""
    return not set(role.services).isdisjoint((*MEDIA, *SIP))


def check_name(stack: str, counts: Mapping[str, int]) -> Iterator[Problem]:
    """A stack name that makes no valid node name."""
    longest = max((node_name(stack, role, count) for role, count in counts.items()), key=len)
    if why := explain_name(longest):
        yield Problem("stack name", stack, f"{why}; use a name such as aws-basic")


def make_nodes(
    settings: Settings, stack: str, tier: Tier, cloud: Cloud, machines: Mapping[str, MachineType],
    placed: Mapping[tuple[str, int], tuple[str, ...]], catalogue: Catalogue,
) -> tuple[tuple[Node, ...], list[NodePrice]]:
    """The nodes in rollout order, and what each costs."""
    region = settings.region or cloud.default_region
    publics = {role.name: role.public if role.public is Public.SERVICE else cloud.private_node for role in tier.roles}
    nat_nodes = sum(publics[role] is Public.NO for role, _ in placed)
    network = resolve_network(settings)
    leaving = {name if name.startswith(f"{stack}-") else f"{stack}-{name}" for name in settings.leaving}
    nodes, prices = [], []
    for index, role in enumerate(tier.roles):
        for n in (n for name, n in placed if name == role.name):
            services, machine = placed[role.name, n], machines[role.name]
            disks = choose_disks(role, n, services, machine, settings, cloud, catalogue)
            price = price_node(cloud, region, machine, disks, publics[role.name], nat_nodes)
            prices.append(price)
            subnet = subnet_of(network, cloud, publics[role.name])
            address = str(subnet.network_address + address_offset(cloud.first_host, index, n))
            nodes.append(Node(
                name=node_name(stack, role.name, n), role=role.name, n=n, services=services, machine_type=machine,
                disks=disks, private_address=address if cloud.fixed_addresses else None, public=publics[role.name],
                monthly_price=price.amount, leaving=node_name(stack, role.name, n) in leaving,
            ))
    return tuple(nodes), prices


def find_warnings(
    settings: Settings, stack: str, cloud: Cloud, tier: Tier, machines: Mapping[str, MachineType],
) -> Iterator[str]:
    """What is allowed and should be known."""
    if settings.phones == "internet":
        yield "webitel:phones = internet: SIP is open to the world, scanners and toll fraud will come"
    if cloud.real and not settings.carriers and not settings.phones:
        yield "SIP is closed to everybody: set webitel:carriers or webitel:phones"
    if cloud.real and resolve_package_source(settings) is PackageSource.SANDBOX:
        yield "webitel:package_source = sandbox: OpenSIPS, FreeSWITCH, Grafana and the Webitel services are stand-ins"
    if settings.leaving:
        yield "nodes on their way out (webitel:leaving); webitel scale brings it to its end"
    if back := [f"{role}-{n}" for role, n in list_kept(settings, stack, tier, back=True)]:
        yield f"{', '.join(back)}: kept disks are taken again; a database on them becomes a copy of its cluster's leader"
    for role in tier.roles:
        if keeps_disk(settings, role.name, RECORDINGS):
            yield (f"webitel:disk_sizes.{role.name}.{RECORDINGS}: beside webitel:recordings_share the disk is kept for what is "
                   "on it; copy that once (README)")
        machine, size = machines[role.name], tier_size(role, cloud)
        if not fits(machine, size):
            disk = f", {size.boot_gib} GiB disk" if 0 < machine.root_disk_gib < size.boot_gib else ""
            yield (f"webitel:machine_types.{role.name} = {machine.name}: smaller than the tier's "
                   f"{size.vcpus} vCPU, {size.memory_gib:g} GiB{disk}")


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """The plan as `webitel plan --json` prints it: a stable shape, documented in README.md."""
    return {
        "stack": plan.stack, "cloud": plan.cloud, "tier": plan.tier, "region": plan.region,
        "nodes": [
            {
                "name": node.name, "role": node.role, "services": list(node.services),
                "machine_type": node.machine_type.name, "vcpus": node.machine_type.vcpus,
                "memory_gib": node.machine_type.memory_gib,
                "disks": [{"purpose": disk.purpose, "size_gib": disk.size_gib} for disk in node.disks],
                "private_address": node.private_address, "public": node.public.value,
                "monthly_price": node.monthly_price,
            }
            for node in plan.nodes
        ],
        "kept_disks": [
            {"name": node.name, "disks": [{"purpose": disk.purpose, "size_gib": disk.size_gib} for disk in node.disks],
             "monthly_price": node.monthly_price}
            for node in plan.kept
        ],
        "openings": [
            {
                "role": opening.role, "service": opening.service, "protocol": opening.protocol, "ports": opening.ports,
                "audience": opening.audience, "sources": list(opening.sources),
            }
            for opening in plan.openings
        ],
        "monthly_price": asdict(plan.monthly_price),
        "warnings": list(plan.warnings),
    }
