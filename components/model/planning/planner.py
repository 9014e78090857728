"""From settings to the plan: everything decided before the first API call, offline and without credentials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from ipaddress import IPv4Address
from typing import Any

from components.model.backup import warn_of_bucket
from components.model.catalogue.service import PackageSource
from components.model.catalogue.tiers import TIERS, Role, Tier
from components.model.clouds.facts import CloudFacts, resolve_facts
from components.model.clouds.machines import check_machine_type, fits
from components.model.clouds.prices import NodePrice, price_node
from components.model.machine import MachineType, Public
from components.model.mesh import warn_of_plain_network
from components.model.naming import node_name
from components.model.plan import Node, Plan, Price
from components.model.planning import firewall
from components.model.planning.addresses import address_offset, subnet_of
from components.model.planning.audio import choose_default, warn_of_audio
from components.model.planning.bill import make_bill, sum_bill
from components.model.planning.check_shape import count_nodes, explain_count
from components.model.planning.checks import CHECKS
from components.model.planning.crowds import find_crowds
from components.model.planning.disks import choose_disks, keeps_disk, list_kept, make_kept
from components.model.planning.draft import Catalogue, Draft
from components.model.planning.existing import find_subnets, place_in
from components.model.planning.hosts import find_host, warn_of_hosts
from components.model.planning.mail import warn_of_closed_mail
from components.model.planning.placement import find_unknown_calls
from components.model.planning.readiness import describe_plain_http, documentation_values
from components.model.planning.sums import licence_cores, sum_by_role, sum_by_zone
from components.model.planning.zones import warn_of_losses
from components.model.problems import PlanError, Problem
from components.model.secret_specs import DEPLOYMENT_SECRETS, SECRETS
from components.model.settings import Settings
from components.model.share import RECORDINGS, read_share, resolve_catalogue
from components.model.standby import choose_address, choose_outside, warn_of_token

__all__ = ["PlanError", "Problem", "describe_plain_http", "documentation_values", "make_plan", "plan_to_json"]


def make_plan(settings: Settings, stack: str, facts: CloudFacts, catalogue: Catalogue | None = None) -> Plan:
    """Plan a deployment on the cloud of these facts, by default with the catalogue as its settings have it.

    Raises one PlanError with all problems.
    """
    draft = make_draft(settings, stack, facts, catalogue or resolve_catalogue(settings))
    if problems := [problem for check in CHECKS for problem in check(draft)]:
        raise PlanError(problems)
    nodes, prices = make_nodes(draft)
    kept, prices_kept = make_kept(draft)
    gateways = count_gateways(draft, [node.zone for node in nodes if node.public is Public.NO])
    address, outside = choose_address(draft), choose_outside(draft)
    shared = bool(address) and draft.facts.moved_by_cloud
    bill = make_bill(draft.facts, draft.region, draft.tier.name, nodes, kept, gateways, shared=int(shared))
    unpriced = (what for price in (*prices, *prices_kept) for what in price.unpriced)
    total, price_warning = sum_bill(draft.facts, draft.region, bill, unpriced)
    used = {name for node in nodes for service in node.services for name in draft.catalogue[service].secrets}
    openings = firewall.derive(nodes, settings, draft.facts, draft.catalogue)
    egress = firewall.derive_egress(nodes, settings, draft.facts, draft.catalogue)
    crowds = find_crowds(draft.facts, openings, egress)
    return Plan(
        stack=stack,
        facts=draft.facts,
        tier=draft.tier.name,
        region=draft.region,
        release=settings.release,
        package_source=draft.package_source.value,
        domain=settings.domain.lower(),
        network=str(draft.network),
        nodes=nodes,
        openings=openings,
        egress=egress,
        secrets=tuple(name for name in SECRETS if name in used or name in DEPLOYMENT_SECRETS),
        consul_servers=tuple(node_name(stack, role, n) for role, n in draft.quorum),
        sip_address=address,
        sip_outside=outside,
        share=share.source if (share := read_share(settings)) else "",
        monthly_price=total,
        warnings=(
            *find_warnings(draft),
            *warn_of_losses(nodes, draft),
            *crowds,
            *filter(None, [price_warning, compare_budget(settings, total)]),
        ),
        zone=draft.home,
        slots={zone: draft.slot_of(zone) for zone in dict.fromkeys(node.zone for node in nodes)},
        kept=kept,
        bill=bill,
        existing=settings.existing_network if draft.is_given else None,
    )


def make_draft(settings: Settings, stack: str, facts: CloudFacts, catalogue: Catalogue) -> Draft:
    """Decide what every check needs. Raises a PlanError where the catalogue itself is broken."""
    if broken := [Problem("", "", f"the catalogue is broken: {text}") for text in find_unknown_calls(catalogue)]:
        raise PlanError(broken)
    tier, facts = TIERS[settings.tier], resolve_facts(facts, settings)
    asked = count_nodes(tier, settings)
    wrong = {role.name for role in tier.roles if explain_count(role, asked[role.name], catalogue)}
    counts = {role.name: role.count if role.name in wrong else asked[role.name] for role in tier.roles}
    return Draft(settings, stack, facts, tier, catalogue, counts, choose_machines(settings, facts, tier, catalogue))


def choose_machines(settings: Settings, facts: CloudFacts, tier: Tier, catalogue: Catalogue) -> dict[str, MachineType]:
    """Choose the machine type of every role: as set where that can be used, else the cheapest that fits."""
    region = settings.region or facts.default_region
    chosen = {}
    for role in tier.roles:
        fit = choose_default(facts, tier, role.name, region, catalogue)
        name = settings.machine_types.get(role.name, "")
        usable = name and check_machine_type(facts, role.name, name, fit, region) is None
        chosen[role.name] = (facts.machine_type(name) if usable else None) or fit
    return chosen


def count_gateways(draft: Draft, zones: Sequence[str]) -> int:
    """Return how many NAT gateways of ours let the nodes of these zones out; a network that was given has its own way."""
    if draft.is_given:
        return 0
    return len(set(zones)) if draft.has_zone_subnets else bool(zones)


def make_nodes(draft: Draft) -> tuple[tuple[Node, ...], list[NodePrice]]:
    """Return the nodes in rollout order, and what each costs."""
    stack, tier, facts = draft.stack, draft.tier, draft.facts
    publics = {role.name: draft.public_of(role.name) for role in tier.roles}
    inner = [(role, n) for role, n in draft.placed if publics[role] is Public.NO]
    gateways = count_gateways(draft, [draft.zone_of(role, n) for role, n in inner])
    leaving = {name if name.startswith(f"{stack}-") else f"{stack}-{name}" for name in draft.settings.leaving}
    nodes, prices = [], []
    for index, role in enumerate(tier.roles):
        for n in (n for name, n in draft.placed if name == role.name):
            services, machine = draft.placed[role.name, n], draft.machines[role.name]
            disks = choose_disks(draft, role, n, services)
            price = price_node(facts, draft.region, machine, disks, publics[role.name], len(inner) / gateways if gateways else 0)
            prices.append(price)
            zone = draft.zone_of(role.name, n)
            given, address = choose_place(draft, role.name, zone, index, n)
            nodes.append(
                Node(
                    name=node_name(stack, role.name, n),
                    role=role.name,
                    n=n,
                    services=services,
                    machine_type=machine,
                    disks=disks,
                    private_address=str(address) if facts.fixed_addresses else None,
                    public=publics[role.name],
                    monthly_price=price.amount,
                    leaving=node_name(stack, role.name, n) in leaving,
                    zone=zone,
                    subnet=given,
                )
            )
    return tuple(nodes), prices


def choose_place(draft: Draft, role: str, zone: str, role_index: int, n: int) -> tuple[str, IPv4Address]:
    """Return the company's subnet in which a node stands, "" in a network of our own, and the node's address."""
    facts, given, public = draft.facts, draft.settings.existing_network, draft.public_of(role)
    if facts.given:
        return "", IPv4Address(find_host(draft.settings, role, n).private)
    if draft.is_given:
        (found,) = find_subnets(given, facts, public, zone)
        return found, place_in(given.subnets[found], facts, role_index, n)
    subnet = subnet_of(draft.network, facts, public, draft.slot_of(zone))
    return "", subnet.network_address + address_offset(facts.first_host, role_index, n)


def find_warnings(draft: Draft) -> Iterator[str]:
    """Find what is allowed and should be known."""
    settings, facts = draft.settings, draft.facts
    if settings.phones == "internet":
        yield "webitel:phones = internet: SIP is open to the world; expect scanners and toll fraud"
    if facts.in_earnest and not settings.carriers and not settings.phones:
        yield "SIP is closed to everybody: set webitel:carriers or webitel:phones"
    if facts.in_earnest and draft.package_source is PackageSource.SANDBOX:
        yield "webitel:package_source = sandbox: OpenSIPS, FreeSWITCH, Grafana and the Webitel services are stand-ins"
    yield from describe_plain_http(settings, facts)
    yield from warn_of_token(draft)
    yield from warn_of_plain_network(draft)
    if draft.is_given:
        yield f"{settings.existing_network.id} is yours: its NAT, routes and what they cost are not in the bill"
    yield from warn_of_bucket(settings)
    yield from warn_of_closed_mail(draft)
    yield from warn_of_audio(draft)
    yield from warn_of_hosts(draft)
    if settings.leaving:
        yield "nodes are leaving (webitel:leaving); finish with ./webitel scale"
    if back := [f"{role}-{n}" for role, n in list_kept(settings, draft.stack, draft.tier, back=True)]:
        yield f"{', '.join(back)}: kept disks are used again; a database on them becomes a copy of its cluster's leader"
    for role in draft.tier.roles:
        if keeps_disk(settings, role.name, RECORDINGS):
            yield (
                f"webitel:disk_sizes.{role.name}.{RECORDINGS}: with webitel:recordings_share the disk is kept for what is "
                "on it; copy that once (docs/operate/availability.md)"
            )
        yield from find_slow_boot(draft, role)
        machine, size = draft.machines[role.name], draft.size_of(role)
        if not fits(machine, size):
            disk = f", {size.boot_gib} GiB disk" if 0 < machine.root_disk_gib < size.boot_gib else ""
            yield (
                f"webitel:machine_types.{role.name} = {machine.name}: smaller than the tier's "
                f"{size.vcpus} vCPU, {size.memory_gib:g} GiB{disk}"
            )


def compare_budget(settings: Settings, price: Price) -> str:
    """Say where the bill at the tier's load is more than the budget, or where there is none for those to be alarmed; "" where all
    is well."""
    if settings.budget_mail and not settings.budget:
        return "webitel:budget_mail alarms nobody without webitel:budget; set one such as 2000"
    if not settings.budget or price.amount is None or price.amount <= settings.budget:
        return ""
    return f"webitel:budget = {settings.budget}: the bill at the tier's load is {price.currency} {price.amount:,.0f}"


def find_slow_boot(draft: Draft, role: Role) -> Iterator[str]:
    """Find a boot disk that somebody chose too small for what its services write there."""
    key = f"{role.name}.boot"
    iops = max(draft.catalogue[name].boot_iops for name in role.services)
    if (gib := draft.settings.disk_sizes.get(key)) and gib < (fast := draft.facts.boot_gib_for(iops)):
        yield f"webitel:disk_sizes.{key} = {gib}: too slow for a broker's {iops:,} IOPS on {draft.facts.title}; use {fast}"


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as `webitel plan --json` prints it: a stable shape, documented in `docs/operate/json.md`."""
    return {
        "stack": plan.stack,
        "cloud": plan.cloud,
        "tier": plan.tier,
        "region": plan.region,
        "sip_address": plan.sip_address,
        "sip_outside": plan.sip_outside,
        "nodes": [
            {
                "name": node.name,
                "role": node.role,
                "services": list(node.services),
                "machine_type": node.machine_type.name,
                "vcpus": node.machine_type.vcpus,
                "memory_gib": node.machine_type.memory_gib,
                "disks": [{"purpose": disk.purpose, "size_gib": disk.size_gib} for disk in node.disks],
                "private_address": node.private_address,
                "zone": node.zone,
                "public": node.public.value,
                "monthly_price": node.monthly_price,
            }
            for node in plan.nodes
        ],
        "kept_disks": [
            {
                "name": node.name,
                "disks": [{"purpose": disk.purpose, "size_gib": disk.size_gib} for disk in node.disks],
                "monthly_price": node.monthly_price,
            }
            for node in plan.kept
        ],
        "openings": [
            {
                "role": opening.role,
                "service": opening.service,
                "protocol": opening.protocol,
                "ports": opening.ports,
                "audience": opening.audience,
                "sources": list(opening.sources),
            }
            for opening in plan.openings
        ],
        "capacity": {
            "roles": [{"role": role, **asdict(found)} for role, found in sum_by_role(plan).items()],
            "zones": [{"zone": zone, **asdict(found)} for zone, found in sum_by_zone(plan).items()],
            "licence_cores": licence_cores(plan),
        },
        "bill": [asdict(line) for line in plan.bill],
        "monthly_price": asdict(plan.monthly_price),
        "warnings": list(plan.warnings),
    }
