"""Tables of the clouds: stacks with prices, the bill, credentials, buckets, consoles, mail."""

from __future__ import annotations

from components.clouds.registry import CLOUDS
from components.model.catalogue.tiers import TIERS
from components.model.clouds.prices import price_date
from components.model.planning.bill import TRAFFIC
from stacks.load import load_deployment
from tools.markdown import table

RUN_FOR_REAL = {*(f"local-{tier}" for tier in TIERS), "onprem-single"}
"""Stacks that somebody brought up on the real thing; the others came up on simulated clouds only."""

MACHINE_FOR_REAL = {"libvirt": "single"}
"""Tiers of which somebody made the machine by the real provider, emulated, without the node's packages (tests/kvm)."""


def describe_price(cloud: str, tier: str) -> str:
    """Return a stack's monthly price as `plan` shows it: what stands there, and the traffic of the tier's load."""
    plan = load_deployment(f"{cloud}-{tier}").plan
    price = plan.monthly_price
    if not price.as_of:
        return "-"
    traffic = next(line.amount for line in plan.bill if line.what == TRAFFIC)
    if price.amount is None or traffic is None:
        return "unknown"
    return f"{price.amount - traffic:,.0f}+{traffic:,.0f}"


def bill_table() -> str:
    """Return the bill of the middle tier on every cloud, line by line, with the date of each line's oldest figure."""
    rows = []
    for cloud in CLOUDS.values():
        plan = load_deployment(f"{cloud.name}-basic").plan
        for line in plan.bill:
            about = "about " if line.derived else ""
            amount = "unknown" if line.amount is None else f"{about}{line.amount:,.0f}"
            rows.append((f"`{cloud.name}`", line.what, f"{plan.monthly_price.currency} {amount}", line.detail, line.as_of))
    return table(("cloud", "line", "a month", "for", "prices of"), rows)


def describe_trial(cloud: str) -> str:
    """How far a cloud's stacks were tried."""
    tried = [tier for tier in TIERS if f"{cloud}-{tier}" in RUN_FOR_REAL]
    if len(tried) < len(TIERS) and CLOUDS[cloud].given:
        return f"{', '.join(tried)}: run for real, in containers" if tried else "no"
    if tier := MACHINE_FOR_REAL.get(cloud):
        return f"simulated; {tier}: machine made for real"
    return "run for real" if len(tried) == len(TIERS) else "simulated"


def stacks_table() -> str:
    """Clouds by tiers: how far each was tried, what it costs a month, how old that price is."""
    rows = [
        (
            f"`{cloud.name}`",
            cloud.default_region,
            describe_trial(cloud.name),
            *(describe_price(cloud.name, tier) for tier in TIERS),
            price_date(cloud) or "-",
        )
        for cloud in CLOUDS.values()
    ]
    return table(("cloud", "region", "tried", *(f"`{tier}`" for tier in TIERS), "prices of"), rows)


def buckets_table() -> str:
    """How the state gets into a bucket, by cloud."""
    return table(
        ("cloud", "a bucket for the state"),
        [(f"`{cloud.name}`", f"`{cloud.shared_state}`") for cloud in CLOUDS.values() if cloud.shared_state],
    )


def credentials_table() -> str:
    """Where each cloud's provider finds its credentials, and where more quota is asked for."""
    rows = []
    for cloud in CLOUDS.values():
        if cloud.real:
            sources = cloud.credentials
            variables = [
                "; or ".join(", ".join(f"`{name}`" for name in names) for names in sources.variables),
                *(f"and `{command}`" for _, _, command in sources.also.values()),
            ]
            login = f"`{sources.login}`" if sources.files else sources.login
            rows.append((cloud.title, login, "; ".join(variables), cloud.quota_page))
    return table(("cloud", "log-in, or where the token is made", "variables", "quotas"), rows)


def consoles_table() -> str:
    """Return the way to a node that nobody reaches over its network, by cloud."""
    found = [(cloud, cloud.console) for cloud in CLOUDS.values() if cloud.console]
    rows = [(f"[{cloud.title}]({one.page})", one.way, one.before, one.without) for cloud, one in found]
    return table(("vendor's page", "console", "beforehand", "without that"), rows)


def mail_table() -> str:
    """Return the ports for outgoing mail that each cloud closes."""
    return table(
        ("cloud", "closed to new accounts"),
        [(cloud.title, ", ".join(map(str, cloud.closed_mail_ports))) for cloud in CLOUDS.values() if cloud.closed_mail_ports],
    )
