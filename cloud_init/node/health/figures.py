"""What Prometheus gets of the node program, in a file that the node exporter shows: every unit, every probe, disks, the clock,
the certificate, and what programs without an endpoint of their own say of calls."""

import operator
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping

from ..ask.view import View
from ..manifest import Manifest, ProbeEntry, ServiceEntry
from ..report import DiskRow, MachineRow, Report, ServiceRow
from ..system import Unhealthy
from . import call_figures, database_figures, machine
from .call_figures import Sample

FILE = pathlib.Path("/run/webitel-metrics/webitel.prom")
"""In memory: it is written four times a minute."""
MACHINE_SECONDS = 60.0
"""The certificate, the clock, what waits for an update and the database change slowly and take programs to be asked."""


HELP = {
    "webitel_node_healthy": "1 where every service, disk and check of the machine is as it must be.",
    "webitel_service_healthy": "1 where a service does its work, or is ready to where another node runs it.",
    "webitel_service_standby": "1 where another node runs a service that moves.",
    "webitel_unit_active": "1 where a unit of systemd is active.",
    "webitel_probe_success": "1 where a question to a service was answered as a working one would; not asked after one failed.",
    "webitel_disk_healthy": "1 where a data disk, or the share, is there.",
    "webitel_disk_size_bytes": "Size of a data disk, or of the share.",
    "webitel_disk_free_bytes": "What is free of it.",
    "webitel_disk_days_until_full": "Days until it is full, by its growth.",
    "webitel_machine_healthy": "1 where a check of the machine found nothing wrong.",
    "webitel_machine_warning": "1 where something is worth a look and nothing is broken.",
    "webitel_certificate_days": "Days that the certificate which is shown has left.",
    "webitel_clock_offset_seconds": "How far the clock is off by what chrony has been told.",
    "webitel_security_updates": "Security updates that wait for a roll-out.",
    **call_figures.HELP,
    **database_figures.HELP,
}

GIVEN_TO = "node-exporter"
"""The service that shows the file. Without it nobody asks."""
MERGED: Mapping[str, Callable[[float, float], float]] = {
    "webitel_machine_healthy": min,
    "webitel_machine_warning": max,
    "webitel_rtpengine_ports_free": operator.add,
    "webitel_rtpengine_ports_total": operator.add,
}
"""What two of the same are: a check that says several things is as bad as the worst, an interface with several addresses has the
ports of all."""
UNTOLD = ("kind", "says", "restart_cures", "address", "port", "protocol", "status", "credentials", "accept")
"""Arguments of a probe that do not tell it from another one of the same service."""


class Exporter:
    """What the watcher remembers between two rounds: the checks of the machine, and what its database said."""

    def __init__(self) -> None:
        self.rows: list[MachineRow] = []
        self.database: list[Sample] = []
        self.asked = -MACHINE_SECONDS

    def write(self, manifest: Manifest, report: Report) -> None:
        """Write the figures of a report. Where that fails the watcher goes on: the node exporter shows how old they are."""
        try:
            if any(service["name"] == GIVEN_TO for service in manifest["services"]):
                self.write_all(manifest, report)
            else:
                FILE.unlink(missing_ok=True)
        except (OSError, ValueError, Unhealthy) as error:
            print(f"figures for Prometheus: {error}", flush=True)

    def write_all(self, manifest: Manifest, report: Report) -> None:
        """Ask what is slow to change if it is due, and write everything."""
        if time.monotonic() - self.asked >= MACHINE_SECONDS:
            self.rows, self.asked = machine.ask(manifest), time.monotonic()
            self.database = list(database_figures.ask(manifest, View(manifest)))
        of_calls = call_figures.ask(manifest, View(manifest))
        write_public(format_samples([*list_samples(manifest, report, self.rows), *self.database, *of_calls]))


def write_public(text: str) -> None:
    """Write the file at once, so that nobody reads half of it."""
    FILE.parent.mkdir(exist_ok=True)
    FILE.parent.chmod(0o755)
    fresh = FILE.with_suffix(".new")
    fresh.write_text(text)
    fresh.chmod(0o644)
    fresh.replace(FILE)


def list_samples(manifest: Manifest, report: Report, rows: list[MachineRow]) -> Iterator[Sample]:
    """List what a report and the checks of the machine say."""
    healthy = report["healthy"] and all(row["healthy"] for row in rows)
    yield "webitel_node_healthy", {}, healthy
    services = {service["name"]: service for service in manifest["services"]}
    for row in report["services"]:
        yield from list_of_service(services[row["name"]], row)
    for disk in report["disks"]:
        yield from list_of_disk(disk)
    for check in rows:
        yield from list_of_machine(check)


def list_of_service(service: ServiceEntry, row: ServiceRow) -> Iterator[Sample]:
    """List what is known of a service, its units and its probes."""
    of = {"service": row["name"]}
    yield "webitel_service_healthy", of, row["healthy"]
    yield "webitel_service_standby", of, "standby" in row
    for unit, state in row["units"].items():
        yield "webitel_unit_active", {**of, "unit": unit}, state == "active"
    failed = row.get("probe")
    if "standby" in row or row.get("quiet") or (failed is None and not row["healthy"]):
        return
    for probe in service["probes"]:
        yield "webitel_probe_success", {**of, **describe(probe)}, probe != failed
        if probe == failed:
            return


def describe(probe: ProbeEntry) -> dict[str, str]:
    """Return the labels that tell a probe, with what its failure means."""
    told = " ".join(str(value) for name, value in sorted(probe.items()) if name not in UNTOLD)
    return {"probe": probe["kind"], "of": told, "says": probe["says"]}


def list_of_disk(row: DiskRow) -> Iterator[Sample]:
    """List what is known of a data disk."""
    of = {"disk": row["purpose"]}
    yield "webitel_disk_healthy", of, row["healthy"]
    if "size" in row:
        yield "webitel_disk_size_bytes", of, row["size"]
    if "free" in row:
        yield "webitel_disk_free_bytes", of, row["free"]
    if (days := row.get("days_until_full")) is not None:
        yield "webitel_disk_days_until_full", of, days


def list_of_machine(row: MachineRow) -> Iterator[Sample]:
    """List what a check of the machine found."""
    of = {"check": row["name"]}
    yield "webitel_machine_healthy", of, row["healthy"]
    yield "webitel_machine_warning", of, row.get("warning", False)
    # That of people outside. Who looks after those among nodes sees the warning in time.
    if row["name"] == "certificate" and (days := row.get("days")) is not None:
        yield "webitel_certificate_days", {}, days
    if (seconds := row.get("seconds")) is not None:
        yield "webitel_clock_offset_seconds", {}, seconds
    if "packages" in row:
        yield "webitel_security_updates", {}, len(row["packages"])


def format_samples(samples: list[Sample]) -> str:
    """Format figures as Prometheus reads them: all of one name together, below what it means."""
    named: dict[str, dict[str, float]] = {}
    for name, labels, value in samples:
        inner = ",".join(f'{key}="{escape(text)}"' for key, text in labels.items())
        series, values = f"{name}{{{inner}}}" if inner else name, named.setdefault(name, {})
        if series not in values:
            values[series] = float(value)
        elif name in MERGED:
            values[series] = MERGED[name](values[series], float(value))
        else:
            # The node exporter would take the first one too, and complain each time that it is asked (facts/monitoring.md 1.6).
            print(f"figures for Prometheus: {series} is there twice", flush=True)
    return "".join(
        f"# HELP {name} {HELP[name]}\n# TYPE {name} {kind_of(name)}\n"
        + "".join(f"{series} {value:.15g}\n" for series, value in values.items())
        for name, values in named.items()
    )


def kind_of(name: str) -> str:
    """Tell what only grows from what goes up and down."""
    return "counter" if name.endswith("_total") else "gauge"


def escape(text: str) -> str:
    """Write a label's value as Prometheus reads it."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
