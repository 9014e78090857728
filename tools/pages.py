"""What the pages for people, Prometheus' rules and Grafana's dashboards have from the code: `python -m tools.pages` writes it, a
test says that it is current.

A page holds blocks between `<!-- name -->` and `<!-- /name -->`; what stands in them is made here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cli.smoke.checks import make_checks
from cloud_init.alerts import write_rules
from cloud_init.dashboards import write_dashboards
from components.clouds.registry import CLOUDS
from components.model.catalogue.alert import Severity
from components.model.catalogue.alerts import ALERTS
from components.model.catalogue.service import Audience, OnChange, Service
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.tiers import TIERS, Role, Tier
from components.model.clouds.facts import load_prices
from components.model.host_checks import CHECKS
from components.model.machine import Size
from stacks.load import load_deployment
from tools.markdown import table
from tools.page_clouds import bill_table, buckets_table, consoles_table, credentials_table, mail_table, stacks_table
from tools.page_settings import settings_table

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    "README.md",
    "NOTICE",
    "docs/operate/clouds.md",
    "docs/operate/day-two.md",
    "docs/operate/smoke.md",
    "docs/operate/hosts-check.md",
    "docs/operate/monitoring.md",
    "docs/settings.md",
)


def describe_size(size: Size) -> str:
    """Return a size in a few words, with where it comes from."""
    return f"{size.vcpus} vCPU, {size.memory_gib:g} GiB, {size.boot_gib} GiB ({size.source})"


def describe_role(tier: Tier, role: Role) -> tuple[str, ...]:
    """Return a row of the tiers' table."""
    disks = [f"{purpose} {size}" for purpose, size in vars(role.disks).items() if size]
    load = f"{tier.calls_per_day:,}".replace(",", " ")
    first = role is tier.roles[0]
    return (
        f"`{tier.name}`" if first else "",
        load if first else "",
        role.name,
        str(role.count),
        describe_size(role.size),
        ", ".join(disks) or "-",
        role.public.value,
    )


def tiers_table() -> str:
    """Tiers with their roles, and the clouds."""
    rows = [describe_role(tier, role) for tier in TIERS.values() for role in tier.roles]
    head = ("tier", "calls a day", "role", "nodes", "size of a node (whose figure)", "data disks, GiB", "public")
    clouds = ", ".join(f"`{cloud.name}` ({cloud.title})" for cloud in CLOUDS.values())
    return f"Clouds: {clouds}.\n\n{table(head, rows)}"


def topology_table() -> str:
    """Tiers in a line each."""
    rows = [
        (
            f"`{tier.name}`",
            f"{tier.calls_per_day:,}".replace(",", " "),
            str(sum(role.count for role in tier.roles)),
            ", ".join(role.name + (f" x {role.count}" if role.count > 1 else "") for role in tier.roles),
        )
        for tier in TIERS.values()
    ]
    return table(("tier", "calls a day", "nodes", "roles"), rows)


def describe_listeners(service: Service) -> str:
    """Ports by who may connect; what only this node uses is left out."""
    parts = []
    for listener in service.listeners:
        audiences = [audience.value for audience in listener.audiences if audience is not Audience.NODE]
        if audiences:
            parts.append(f"{listener.ports}/{listener.protocol} {' and '.join(audiences)}")
    return ", ".join(parts) or "-"


def services_table() -> str:
    """Services with units, open ports, and what they do when a file of theirs or their program's version changes."""
    rows = []
    for service in CATALOGUE.values():
        roles = [
            f"{tier.name}: {role.name}"
            for tier in TIERS.values()
            for role in tier.roles
            if service.name in role.services and tier.name != "single"
        ]
        place = ", ".join(roles) if roles else service.placement.value
        rows.append(
            (
                service.title,
                ", ".join(f"`{unit}`" for unit in service.units) or "-",
                place,
                describe_listeners(service),
                service.on_change.value,
                describe_new_version(service),
            )
        )
    return table(("service", "units", "where", "open to", "a changed file", "a new version"), rows)


def describe_new_version(service: Service) -> str:
    """Return what a new version of its program does, and whether it waits for `--disruptive`."""
    if not service.packages:
        return "-"
    restarts = service.on_new_version is OnChange.RESTART
    return service.on_new_version.value + (", `--disruptive`" if restarts and service.drops_calls else "")


def sources_list() -> str:
    """Where the price list is from, with licences."""
    rows = load_prices()["sources"].values()
    return "\n".join(f"- {row['name']}, {row['date'] or row['date_estimate']}: {row['licence']}" for row in rows)


def host_checks_table() -> str:
    """Return what has to be true of given hosts, whose figures that is, and what to do where it is not."""
    rows = [
        (name, one.looks_at, one.passes, one.warns, one.fails, one.source, one.remedy, one.mends or "-")
        for name, one in CHECKS.items()
    ]
    return table(("check", "looks at", "pass", "warn", "fail", "whose", "remedy", "`--apply`"), rows)


def smoke_table() -> str:
    """Return what the smoke test asks, and what to do where the answer is wrong."""
    return table(("check", "passes when", "where it fails"), [(one.name, one.asks, one.remedy) for one in make_checks()])


ALL_HEALTHY = re.compile(r"\b\d+ of \d+ services healthy\.")
"""The last line but one of a first `up`, which is shown as it is for the default stack."""


def count_services() -> str:
    """Return what a first `up` on this machine ends with."""
    services = sum(len(node.services) for node in load_deployment("local-single").plan.nodes)
    return f"{services} of {services} services healthy."


def alerts_table() -> str:
    """Alerts with what they mean for callers, what wakes somebody first."""
    rules = [alert for alerts in ALERTS.values() for alert in alerts]
    order = list(Severity)
    rows = [
        (f"`{alert.name}`", alert.severity.value, describe_seconds(alert.seconds), alert.means)
        for alert in sorted(rules, key=lambda alert: order.index(alert.severity))
    ]
    return table(("alert", "severity", "after", "means"), rows)


def describe_seconds(seconds: int) -> str:
    """Return a time in the largest unit that fits."""
    size, unit = next((size, unit) for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")) if seconds % size == 0)
    return f"{seconds // size} {unit}" if seconds else "at once"


BLOCKS: Mapping[str, Callable[[], str]] = {
    "topology": topology_table,
    "tiers": tiers_table,
    "stacks": stacks_table,
    "bill": bill_table,
    "buckets": buckets_table,
    "credentials": credentials_table,
    "consoles": consoles_table,
    "mail": mail_table,
    "services": services_table,
    "settings": settings_table,
    "smoke": smoke_table,
    "host checks": host_checks_table,
    "sources": sources_list,
    "alerts": alerts_table,
}


def renew(text: str) -> str:
    """Return a page with every block as the code has it now; a ValueError names a block that nobody makes."""
    for name in dict.fromkeys(re.findall(r"^<!-- (\w+) -->$", text, re.MULTILINE)):
        if name not in BLOCKS:
            raise ValueError(f"nobody makes the block <!-- {name} -->: {', '.join(BLOCKS)}")
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        found = pattern.search(text)
        if not found:
            raise ValueError(f"<!-- {name} --> has no end: <!-- /{name} -->")
        text = f"{text[: found.start()]}{found[1]}{BLOCKS[name]()}\n{found[2]}{text[found.end() :]}"
    return ALL_HEALTHY.sub(count_services(), text)


def main() -> int:
    """Write every page anew."""
    for page in PAGES:
        (ROOT / page).write_text(renew((ROOT / page).read_text()))
    write_rules()
    write_dashboards()
    return 0


if __name__ == "__main__":
    sys.exit(main())
