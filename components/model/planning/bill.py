"""The month's bill of a deployment, line by line. What is paid by the hour and what the tier's load makes, without tax.

No line of backups: there is no dated price of object storage yet. A line more is a function more in `make_bill`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.tiers import TIERS
from components.model.clouds.facts import CloudFacts
from components.model.clouds.prices import (
    Figure,
    currency_of,
    find_figure,
    free_traffic_gib,
    is_transfer_pooled,
    price_address,
    price_date,
    price_machine,
    price_nat,
    price_nat_data,
    price_node_disks,
    price_traffic,
)
from components.model.machine import Public
from components.model.plan import BillLine, Node, Price
from components.model.planning.capacity import (
    MINUTES_PER_CALL,
    NAT_GIB_PER_NODE,
    OUTER_LEGS,
    RTP_BITS_PER_SECOND,
    traffic_gib_per_month,
)
from components.model.planning.zone_traffic import zone_traffic_gb

NAT, TRAFFIC, BETWEEN_ZONES = "NAT", "traffic", "between zones"
"""Lines that are not a sum of what single nodes cost."""


def make_bill(
    facts: CloudFacts, region: str, tier: str, nodes: Sequence[Node], kept: Sequence[Node], gateways: int, shared: int = 0
) -> tuple[BillLine, ...]:
    """Return the lines, in the order in which they are shown; `gateways` let nodes without an address out, `shared` are public
    addresses that nodes have in turn."""
    if not facts.priced:
        return ()
    lines = [
        list_machines(facts, region, nodes),
        list_disks(facts, region, [*nodes, *kept]),
        list_addresses(facts, region, nodes, gateways + shared),
        list_nat(facts, region, nodes, gateways),
        list_traffic(facts, region, tier, nodes),
        list_zone_traffic(facts, region, tier, nodes),
    ]
    return tuple(line for line in lines if line)


def sum_bill(facts: CloudFacts, region: str, bill: Sequence[BillLine], unpriced: Iterable[str]) -> tuple[Price, str]:
    """Return the price of all, and a warning that names what has no dated price ("" when everything has one)."""
    known = round(sum(line.amount or 0.0 for line in bill), 2)
    apart = {line.what for line in bill if line.amount is None and line.what in (NAT, TRAFFIC, BETWEEN_ZONES)}
    names = sorted({*unpriced, *apart})
    price = Price(None if names else known, currency_of(facts), price_date(facts))
    return price, f"monthly price unknown: no dated price in {region} of {', '.join(names)}" if names else ""


def make_line(what: str, detail: str, figures: Sequence[Figure | None]) -> BillLine:
    """Return the line of these figures: unknown where one of them is."""
    known = [figure for figure in figures if figure]
    return BillLine(
        what,
        round(sum(figure.price for figure in known), 2) if len(known) == len(figures) else None,
        detail,
        min((figure.as_of for figure in known), default=""),
        any(figure.derived for figure in known),
    )


def list_machines(facts: CloudFacts, region: str, nodes: Sequence[Node]) -> BillLine:
    """Return the line of machines."""
    types = Counter(node.machine_type.name for node in nodes)
    detail = ", ".join(f"{number} {name}" if number > 1 else name for name, number in types.items())
    return make_line("machines", detail, [price_machine(facts, region, node.machine_type) for node in nodes])


def list_disks(facts: CloudFacts, region: str, nodes: Sequence[Node]) -> BillLine | None:
    """Return the line of disks that are paid apart."""
    figures, sizes = [], Counter[str]()
    for node in nodes:
        figures += [figure for _, figure in price_node_disks(facts, region, node.machine_type, node.disks)]
        for disk in node.disks:
            if disk.is_data or not node.machine_type.root_disk_gib:
                sizes[facts.disk_type_for(node.machine_type, data=disk.is_data)] += disk.size_gib
    detail = ", ".join(f"{gib:,} GiB {kind}" for kind, gib in sizes.items())
    return make_line("disks", detail, figures) if figures else None


def list_addresses(facts: CloudFacts, region: str, nodes: Sequence[Node], more: int) -> BillLine:
    """Return the line of public addresses: the nodes', and `more` that are no node's own."""
    number = sum(node.public is not Public.NO for node in nodes) + more
    figure = price_address(facts, region)
    included = "" if figure is None or figure.price else ", included"
    return make_line("addresses", f"{number} public IPv4{included}", [figure.times(number) if figure else None])


def list_nat(facts: CloudFacts, region: str, nodes: Sequence[Node], gateways: int) -> BillLine | None:
    """Return the line of the gateways for nodes without an address."""
    inner = sum(node.public is Public.NO for node in nodes)
    if not inner or not gateways:
        return None
    gib = inner * NAT_GIB_PER_NODE
    gateway = price_nat(facts, region, inner / gateways)
    detail = f"{f'{gateways} gateways' if gateways > 1 else 'a gateway'}, {gib} GiB through {'them' if gateways > 1 else 'it'}"
    return make_line(NAT, detail, [gateway.times(gateways) if gateway else None, price_nat_data(facts, region, gib)])


def list_traffic(facts: CloudFacts, region: str, tier: str, nodes: Sequence[Node]) -> BillLine:
    """Return the line of audio at the tier's load."""
    calls = TIERS[tier].calls_per_day
    gib = traffic_gib_per_month(calls)
    # One of several senders works at a time, and what a machine includes is its own unless all share it.
    senders = [node for node in nodes if any(CATALOGUE[name].sends_audio for name in node.services)][:1]
    included = sum(node.machine_type.transfer_gib for node in (nodes if is_transfer_pooled(facts) else senders))
    free = min(gib, included or free_traffic_gib(facts, region))
    detail = (
        f"{gib:,.0f} GiB out: {calls:,} calls a day of {MINUTES_PER_CALL:g} min, {OUTER_LEGS} legs of "
        f"{RTP_BITS_PER_SECOND // 1000} kbit/s" + (f"; {free:,.0f} GiB included" if free else "")
    )
    return make_line(TRAFFIC, detail, [price_traffic(facts, region, max(0.0, gib - included))])


def list_zone_traffic(facts: CloudFacts, region: str, tier: str, nodes: Sequence[Node]) -> BillLine | None:
    """Return the line of calls between zones, where there are several."""
    if len({node.zone for node in nodes}) < 2:
        return None
    gb = zone_traffic_gb(tier, nodes)
    figure = find_figure(facts, region, "zone_traffic")
    detail = f"{gb:,.0f} GB of calls from zone to zone, without what the database copies"
    return make_line(BETWEEN_ZONES, detail, [figure.times(gb) if figure else None])
