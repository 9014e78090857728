"""What the pages for people, Prometheus' rules and Grafana's dashboards have from the code: `python -m tools.pages` writes it, a
test says that it is current.

A page holds blocks between `<!-- name -->` and `<!-- /name -->`; what stands in them is made here.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.smoke.checks import make_checks
from cloud_init.alerts import RULES, render_rules
from cloud_init.dashboards import write_dashboards
from components.clouds.registry import CLOUDS
from components.model.catalogue.alert import Severity
from components.model.catalogue.alerts import ALERTS
from components.model.catalogue.service import Audience, OnChange, PackageSource, Service
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.tiers import TIERS, Role, Tier
from components.model.clouds.facts import load_prices
from components.model.clouds.prices import price_date
from components.model.machine import Size
from components.model.planning.bill import TRAFFIC
from components.model.settings import ExistingNetwork, Settings
from stacks.load import load_deployment

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    "README.md",
    "NOTICE",
    "docs/operate/clouds.md",
    "docs/operate/day-two.md",
    "docs/operate/smoke.md",
    "docs/operate/monitoring.md",
    "docs/settings.md",
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


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


RUN_FOR_REAL = {f"local-{tier}" for tier in TIERS}
"""Stacks that somebody brought up on the real thing; the others came up on simulated clouds only."""


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
    return "run for real" if {f"{cloud}-{tier}" for tier in TIERS} <= RUN_FOR_REAL else "simulated"


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


def describe_type(schema: Mapping[str, Any]) -> str:
    """Return a setting's type in words, from its JSON Schema."""
    if "anyOf" in schema:
        kinds = [describe_type(kind) for kind in schema["anyOf"] if kind.get("type") != "null"]
        return " or ".join(kinds)
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "$ref" in schema and "properties" in find_definition(schema):
        return "map of the rows below"
    if "$ref" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in PackageSource)
    if schema.get("type") == "array":
        items = schema["items"]
        if "enum" in items:
            return "list of " + ", ".join(f"`{value}`" for value in items["enum"])
        return f"list of {'networks' if items.get('format') == 'ipv4network' else 'texts'}"
    if schema.get("type") == "object" and "$ref" in schema["additionalProperties"]:
        return "map of the rows below"
    if schema.get("type") == "object":
        return "map of " + ("numbers" if schema["additionalProperties"].get("type") == "integer" else "texts")
    if schema.get("type") == "integer":
        return f"number, {schema['minimum']} to {schema['maximum']}"
    if schema.get("type") == "boolean":
        return "true or false"
    return "network" if schema.get("format") == "ipv4network" else "text"


def find_definition(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a reference in the settings' schema is to."""
    found: Mapping[str, Any] = Settings.model_json_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    return found


def show_value(value: object) -> str:
    """Return a value as a stack file may have it."""
    return value if isinstance(value, str) else json.dumps(value)


def show_default(value: object) -> str:
    """Return what a setting is unless set; nothing where that is nothing."""
    return "" if value in ("", None, [], {}) or value == ExistingNetwork().model_dump() else f"`{show_value(value)}`"


def settings_table() -> str:
    """Return every setting with type, default and an example, in the order of the model."""
    rows = []
    schema = Settings.model_json_schema()
    for name, row in schema["properties"].items():
        rows.append(describe_setting(name, row, name in schema["required"]))
        rows += list_inner(name, row)
    return table(("setting", "type", "unless set", "what it is", "example"), rows)


def list_inner(name: str, row: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the rows of what stands in a setting: in itself, or in each entry of a map."""
    inner = (row.get("additionalProperties") or {}) if row.get("type") == "object" else row
    if "$ref" not in inner or "properties" not in (definition := find_definition(inner)):
        return []
    prefix = name if inner is row else f"{name}.*"
    rows = []
    for part, one in definition["properties"].items():
        rows.append(describe_setting(f"{prefix}.{part}", one, part in definition.get("required", ())))
        rows += list_inner(f"{prefix}.{part}", one)
    return rows


def describe_setting(name: str, row: Mapping[str, Any], required: bool) -> tuple[str, ...]:
    """Return a row of the settings' table."""
    examples = ", ".join(f"`{show_value(example)}`" for example in row.get("examples", ()))
    default = "required" if required else show_default(row["default"])
    return (f"`{name}`", describe_type(row), default, row["description"], examples)


def sources_list() -> str:
    """Where the price list is from, with licences."""
    rows = load_prices()["sources"].values()
    return "\n".join(f"- {row['name']}, {row['date'] or row['date_estimate']}: {row['licence']}" for row in rows)


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
    size, unit = next((size, unit) for size, unit in ((3600, "h"), (60, "min"), (1, "s")) if seconds % size == 0)
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
    RULES.write_text(render_rules())
    write_dashboards()
    return 0


if __name__ == "__main__":
    sys.exit(main())
