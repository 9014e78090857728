"""The plan as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.table import Table

from cli.console import format_count, make_table, measure_width, out
from components.model.backup import keep_versions_days, list_own_buckets
from components.model.catalogue.standby import ADDRESS
from components.model.catalogue.tiers import TIERS
from components.model.clouds.facts import PublicAddress
from components.model.plan import Node, Opening, Plan
from components.model.planning.capacity import recordings_days, recordings_gib, recordings_gib_per_day
from components.model.planning.planner import documentation_values
from components.model.planning.sums import Sum, licence_cores, sum_by_role, sum_by_zone, sum_nodes
from components.model.settings import Settings
from stacks.load import Deployment

OUTSIDE = ("internet", "carriers", "phones", "operators")
"""Audiences outside the deployment, in the order they are shown."""


def show_plan(deployment: Deployment, everything: bool = False) -> None:
    """Print the plan as tables."""
    plan, settings = deployment.plan, deployment.settings
    tier, cloud = TIERS[plan.tier], plan.facts
    place = cloud.title if not cloud.priced else f"{cloud.title} {plan.region}"
    out.print(
        f"{plan.stack}   {place}   {tier.title}: about {format_calls(tier.calls_per_day)} calls a day   Webitel {plan.release}"
    )
    out.print(nodes_table(plan))
    for table in sum_tables(plan):
        out.print(table)
    out.print(facts_table(plan, settings, everything))


def nodes_table(plan: Plan) -> Table:
    """Return a line a node, with the price where the cloud has one; short names where the whole ones leave no room."""
    table = fill_nodes_table(plan, short=False)
    return table if measure_width(table) <= out.width else fill_nodes_table(plan, short=True)


def fill_nodes_table(plan: Plan, *, short: bool) -> Table:
    """Return the table. A short name has the role in it, which then needs no column; such a table fits in 80 columns."""
    priced, apart = bool(plan.monthly_price.as_of), len(plan.zones) > 1
    title = f"{plan.monthly_price.currency}/month"
    titles = [
        "node",
        *(["role"] if not short else []),
        *(["zone"] if apart else []),
        "machine",
        "vCPU",
        "GiB" if short else "memory",
        "disks GiB",
        "private",
        "public",
        *([title] if priced else []),
    ]
    table = make_table(*titles, right=("vCPU", "GiB", "memory", title))

    def add(node: Node, *cells: str) -> None:
        price = [format_price(node.monthly_price)] if priced else []
        zone = [node.zone] if apart else []
        table.add_row(*([node.key] if short else [node.name, node.role]), *zone, *cells, *price)

    for node in plan.nodes:
        machine = node.machine_type
        memory = f"{machine.memory_gib:g}" + ("" if short else " GiB")
        add(
            node,
            machine.name,
            str(machine.vcpus),
            memory,
            list_sizes(node),
            node.private_address or "later",
            str(node.public.value),
        )
    for node in plan.kept:
        add(node, "gone, disks kept", "", "", list_sizes(node), "", "")
    return table


def sum_tables(plan: Plan) -> Iterator[Table]:
    """Return what all of it costs, or what it takes of hosts of one's own; nothing of what is only tried."""
    if plan.bill:
        yield bill_table(plan)
    elif plan.facts.in_earnest:
        yield capacity_table(plan)


def capacity_table(plan: Plan) -> Table:
    """Return a line for each role with what its nodes take of the hosts, one for all, and one a host where they are several."""
    table = make_table("taken of your hosts", "nodes", "vCPU", "GiB", "disks GiB", right=("nodes", "vCPU", "GiB", "disks GiB"))

    def add(what: str, found: Sum, style: str | None = None) -> None:
        cells = (str(found.nodes), str(found.vcpus), f"{found.memory_gib:,g}", f"{found.disk_gib:,}")
        table.add_row(what, *cells, style=style)

    for role, found in sum_by_role(plan).items():
        add(role, found)
    add("total", sum_nodes(plan.nodes, plan.kept), "bold")
    if len(zones := sum_by_zone(plan)) > 1:
        for zone, found in zones.items():
            add(f"on {zone}", found)
    return table


def bill_table(plan: Plan) -> Table:
    """Return a line for each part of the month's bill, and their sum."""
    table = make_table("a month", plan.monthly_price.currency, "for", "prices of", right=(plan.monthly_price.currency,))
    for line in plan.bill:
        about = "about " if line.derived and line.amount is not None else ""
        table.add_row(line.what, f"{about}{format_price(line.amount)}", line.detail, line.as_of)
    table.add_row("total", format_price(plan.monthly_price.amount), "without tax", "", style="bold")
    return table


def list_sizes(node: Node) -> str:
    """Return such as `40 + 200`, GiB."""
    return " + ".join(str(disk.size_gib) for disk in node.disks)


def facts_table(plan: Plan, settings: Settings, everything: bool) -> Table:
    """Return what is open to whom, how long recordings last, what is not fit for production."""
    table = make_table("what", "which", header=False)

    def add(title: str, lines: Iterable[str]) -> None:
        for number, line in enumerate(lines):
            table.add_row("" if number else title, line)

    for audience in OUTSIDE:
        openings = [opening for opening in plan.openings if opening.audience == audience]
        add(f"open from {'the internet' if audience == 'internet' else audience}", describe_openings(openings) or ["nothing"])
    inner = [opening for opening in plan.openings if opening.audience not in OUTSIDE]
    add(
        "between nodes",
        describe_openings(inner)
        if everything
        else [f"{format_count(len(inner), 'opening')} (--all shows them)"]
        if inner
        else [],
    )
    if everything:
        add(
            "ways out",
            [
                f"{rule.role}: {rule.ports}/{rule.protocol} to {', '.join(rule.destinations)} ({', '.join(rule.purposes)})"
                for rule in plan.egress
            ],
        )
    add("SIP address", describe_address(plan))
    calls = format_calls(TIERS[plan.tier].calls_per_day)
    add(
        "recordings",
        [
            f"{recordings_gib(plan.node(name))} GiB at {plan.node(name).key}: full in about {max(days, 1):.0f} "
            f"{'days' if days >= 1.5 else 'day'} at {calls} calls a day"
            for name, days in recordings_days(plan).items()
        ],
    )
    per_day = recordings_gib_per_day(TIERS[plan.tier].calls_per_day)
    add("recordings", [f"on {plan.share}, which you run: {per_day:.0f} GiB a day at {calls} calls a day"] if plan.share else [])
    if cores := licence_cores(plan):
        add("licence", [f"at least {cores} cores, {plan.facts.licence_cores} for each CPU of the hosts"])
    add("backups", describe_buckets(plan, settings))
    if settings.budget:
        whom = ", ".join(settings.budget_mail) or "the billing account's administrators"
        alarm = f"alarm at {plan.monthly_price.currency} {settings.budget:,} a month of {plan.facts.budget_by}, to {whom}"
        add("budget", [alarm])
    add("note", plan.warnings)
    add("to be set before up", map(str, documentation_values(settings, plan.facts)))
    return table


def describe_address(plan: Plan) -> Iterator[str]:
    """Say which address nodes for SIP have beside their own, and what a router makes of it."""
    if plan.sip_address:
        keys = [node.key for node in plan.nodes_with(ADDRESS)]
        who = f"{' and '.join(keys)} in turn" if len(keys) > 1 else f"{keys[0]}, as a second node would have it in turn"
        known = plan.sip_outside or "a public address of its own"
        how = "which the node has too" if plan.facts.public_address is PublicAddress.OWN else "which is translated to it"
        outside = "" if known == plan.sip_address else f"; outside it is {known}, {how}"
        yield f"{plan.sip_address}: {who}{outside}"


def describe_buckets(plan: Plan, settings: Settings) -> Iterator[str]:
    """Say which buckets the deployment makes, and what becomes of what is in them."""
    kinds, used = plan.facts.buckets, settings.backup.bucket
    if kinds and used:
        days = keep_versions_days(settings, kinds.most_days)
        yield f"bucket {used} in {plan.region}, made by the deployment, which never deletes it; not in the bill"
        yield f"private; what is deleted in it stays {days} days: {kinds.guard}"
    if kept := [name for name in list_own_buckets(settings) if name != used]:
        yield f"not in use any more, and kept: {', '.join(kept)}"


def describe_openings(openings: Iterable[Opening]) -> list[str]:
    """Return such as `edge: 80,443/tcp nginx, 10000-19999/udp rtpengine (203.0.113.0/24)`, one line a role and set of sources."""
    protocols: dict[tuple[str, tuple[str, ...]], dict[tuple[str, str], list[str]]] = {}
    for opening in openings:
        services = protocols.setdefault((opening.role, opening.sources), {})
        services.setdefault((opening.service, opening.ports), []).append(opening.protocol)
    lines = []
    for (role, sources), services in protocols.items():
        ports: dict[tuple[str, str], list[str]] = {}
        for (service, numbers), both in services.items():
            ports.setdefault((service, "+".join(both)), []).append(numbers)
        what = ", ".join(f"{','.join(numbers)}/{protocol} {service}" for (service, protocol), numbers in ports.items())
        whence = ", ".join(source.replace("role:", "") for source in sources)
        lines.append(f"{role}: {what}" + ("" if sources in ((), ("0.0.0.0/0",)) else f" ({whence})"))
    return lines


def format_calls(number: int) -> str:
    """Return such as `50 thousand`, `1 million`."""
    return f"{number // 1_000_000} million" if number % 1_000_000 == 0 else f"{number // 1000} thousand"


def format_price(amount: float | None) -> str:
    """Whole units; `unknown` where no dated price is known."""
    return "unknown" if amount is None else f"{amount:,.0f}"
