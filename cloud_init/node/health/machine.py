"""What is not a service but stops one some day: the certificate that is served, the clock, disks that fill up."""

import json
import pathlib
import re
import shutil
import ssl
import time

from .. import quiet
from ..ask.certificate import SHOWN, is_due, is_taken, remember
from ..ask.counters import read_counters
from ..ask.view import View
from ..backups import status
from ..clusters import access, cookie, encryption, mesh, newcomers, trust
from ..manifest import DiskEntry, Manifest, OrderEntry
from ..records import send
from ..report import MachineRow
from ..system import run, write_private
from . import kept_calls, updates
from .emergency import emergency_calls

GROWTH = pathlib.Path("/var/lib/webitel/growth.json")
"""By mount, the samples [seconds since the epoch, bytes used], oldest first."""
SAMPLE_SECONDS, SAMPLES_KEPT = 3600.0, 24 * 14
LEAST_SAMPLED_SECONDS = 86400.0
"""Growth means something only over a day, which has its busy and its quiet hours."""
SHARED_RATIO = 2.0
"""A file system is shared with others when it is this many times as large as the planned disk."""
COUNTING_SECONDS = 5.0
"""How long the files of such a disk may be counted, at each look."""
LATE_DAYS = 14
"""`up` renews our own long before."""
ENDS_DAYS = 30
"""Of certificates among nodes: `up` renews those that it signs twice as long before (`provider/certificates.py`)."""
AMONG_NODES = {
    "database certificate": (pathlib.Path("/etc/webitel/database.pem"), "the next ./webitel up renews it"),
    "broker certificate": (pathlib.Path("/etc/webitel/broker.pem"), "the next ./webitel up renews it"),
    "consul certificate": (trust.CERTIFICATE_FILE, "raise consul_certificate in webitel:rotate, and run ./webitel up"),
}
"""By the name of the row: what peers are shown, and who renews it."""
RECORDS_LATE_SECONDS = 600.0
"""Beyond this somebody should know that the log server takes no records; until then it may be starting again."""
ALLOWANCE = "_allowance_exceeded"
"""How the counters of AWS' driver for what was too much end (`facts/real-clouds.md` B28)."""
CLOCK_OFF_SECONDS = 1.0
"""Beyond this, tokens, certificates and Patroni's leases are at risk."""


def ask(manifest: Manifest) -> list[MachineRow]:
    """Check all of it but the disks."""
    changes = (access, trust, newcomers, encryption, mesh, cookie, kept_calls, quiet)
    told = [change.report(manifest) for change in changes]
    rows = [clock(), *among_nodes(), *filter(None, told), *log_server(), *status.report(manifest), *status.report_files(manifest)]
    if most := manifest.get("largest_packet"):
        rows += packets(manifest["address"], most)
    rows += allowances(manifest["address"])
    if numbers := manifest.get("emergency_numbers"):
        rows.append(emergency_calls(numbers, View(manifest)))
    order = manifest.get("order")
    if any(service["name"] == "nginx" for service in manifest["services"]):
        try:
            served = ssl.get_server_certificate((manifest["address"], manifest["ports"]["nginx_https"]), timeout=3)
        except OSError as error:
            rows.append({"name": "certificate", "healthy": True, "why": f"not seen: {error}", "days": None})
        else:
            rows.append(certificate(served, order))
    elif order:
        rows.append(certificate(SHOWN.read_text(), order))  # that of SIP over TLS
    return [*rows, *updates.ask(manifest)]


def interfaces(address: str) -> list[tuple[str, int]]:
    """Return name and packet size of the interface that has an address of this node's."""
    shown = run(["ip", "-json", "address", "show", "to", address], 10).stdout
    return [(one["ifname"], one["mtu"]) for one in json.loads(shown or "[]") if one]


def packets(address: str, most: int) -> list[MachineRow]:
    """Say where the interface of the private network sends larger packets than the cloud carries, which vanish. DHCP tells the
    size; an image of one's own may not take it."""
    return [
        {
            "name": "packet size",
            "healthy": True,
            "warning": True,
            "why": f"{name} sends packets of {size} bytes, and between nodes {most} get through; larger ones vanish. "
            f"Run `ip link set dev {name} mtu {most}`, and let the image's DHCP client take the size it is told",
        }
        for name, size in interfaces(address)
        if size > most
    ]


def allowances(address: str) -> list[MachineRow]:
    """Say what the cloud dropped because it was more than this machine is allowed, where the driver is told that, as AWS' is."""
    rows: list[MachineRow] = []
    for name, _ in interfaces(address):
        try:
            counters = read_counters(name)
        except OSError as error:
            rows.append({"name": "allowance", "healthy": True, "why": f"not seen: {name}: {error}"})
            continue
        over = {key: count for key, count in counters.items() if key.endswith(ALLOWANCE) and count}
        if over:
            told = ", ".join(f"{key} {count}" for key, count in over.items())
            why = f"the cloud dropped packets of {name} since it started, beyond what it allows the machine ({told}); "
            why += "a larger webitel:machine_types is allowed more"
            rows.append({"name": "allowance", "healthy": True, "warning": True, "why": why})
    return rows


def log_server() -> list[MachineRow]:
    """Say since when the log server takes no records, where there is one."""
    try:
        told = json.loads(send.STATE.read_text())
    except (OSError, ValueError):
        return []
    late = time.time() - told["since"]
    if not told["why"] or late < RECORDS_LATE_SECONDS:
        return []
    why = f"no records reach it for {late / 60:.0f} minutes ({told['why']}); they wait on the node"
    return [{"name": "log server", "healthy": True, "warning": True, "why": why}]


def certificate(served: str, order: OrderEntry | None = None) -> MachineRow:
    """Check the certificate that is served; one that nobody renews in time, or that was ordered and is not there, is worth a
    look."""
    days = count_days(served)
    row: MachineRow = {
        "name": "certificate",
        "healthy": days > 0,
        "days": days,
        "why": f"{days:.0f} days left" if days > 0 else f"it ended {-days:.0f} days ago",
    }
    if order is None:
        if 0 < days < LATE_DAYS:
            row |= {"warning": True, "why": f"{row['why']}; set webitel:certificate_pem to a new one and run `up`"}
        return row
    memory = remember()
    if not is_taken(memory, order):
        row |= {"warning": True, "why": f"not the issuer's yet: {memory['problem'] or 'a new one is on its way'}"}
    elif memory["problem"] and is_due(served):
        row |= {"warning": True, "why": f"{row['why']}, and it was not renewed: {memory['problem']}"}
    return row


def count_days(text: str) -> float:
    """Return how many days a certificate has left."""
    shown = run(["openssl", "x509", "-noout", "-enddate"], 10, text).stdout.strip()
    return round((ssl.cert_time_to_seconds(shown.removeprefix("notAfter=")) - time.time()) / 86400, 1)


def among_nodes() -> list[MachineRow]:
    """Check the certificates that only other nodes look at, as far as this node has them."""
    rows: list[MachineRow] = []
    for name, (path, remedy) in AMONG_NODES.items():
        if not path.is_file():
            continue
        try:
            days = count_days(path.read_text())
        except (OSError, ValueError) as error:
            rows.append({"name": name, "healthy": True, "warning": True, "why": f"{path} cannot be read: {error}", "days": None})
            continue
        why = f"{days:.0f} days left" if days > 0 else f"it ended {-days:.0f} days ago"
        row: MachineRow = {"name": name, "healthy": days > 0, "days": days, "why": why}
        if days < ENDS_DAYS:
            row |= {"warning": True, "why": f"{why}: {remedy}"}
        rows.append(row)
    return rows


def clock() -> MachineRow:
    """Ask chrony how far the clock is off; a node that has found no time server yet says so."""
    shown = run(["chronyc", "-n", "tracking"], 10).stdout
    found = re.search(r"^System time\s*:\s*([0-9.]+) seconds (slow|fast)", shown, re.MULTILINE)
    if not found or "Not synchronised" in shown:
        return {"name": "clock", "healthy": True, "why": "no time server has answered yet", "seconds": None}
    seconds = float(found[1]) * (1 if found[2] == "fast" else -1)
    return {
        "name": "clock",
        "healthy": abs(seconds) < CLOCK_OFF_SECONDS,
        "seconds": seconds,
        "why": f"{abs(seconds) * 1000:.1f} ms {found[2]}",
    }


def measure_disk(disk: DiskEntry) -> tuple[int, int]:
    """Measure a data disk: its size and what is free on it, bytes."""
    usage = shutil.disk_usage(disk["mount"])
    limit = disk["size_gib"] << 30
    if usage.total < SHARED_RATIO * limit:
        return usage.total, usage.free
    # A container's disk is part of its host's pool: statvfs shows the pool, and writing stops at the part's own limit.
    counted = run(["du", "-sxB1", disk["mount"]], COUNTING_SECONDS)
    if counted.returncode != 0 or not counted.stdout.strip():
        return usage.total, usage.free  # of years of recordings, which nobody has to wait for
    return limit, max(0, min(limit - int(counted.stdout.split()[0]), usage.free))


def sample_disks(mounted: list[DiskEntry]) -> None:
    """Record how full the disks are, once an hour."""
    samples = read_growth()
    now = time.time()
    for disk in mounted:
        mount = disk["mount"]
        # None of a clock that was ahead, as before a machine has asked a time server: nothing would be sampled until then.
        own = [sample for sample in samples.get(mount, []) if sample[0] <= now]
        if not own or now - own[-1][0] >= SAMPLE_SECONDS:
            size, free = measure_disk(disk)
            own.append([now, size - free])
            samples[mount] = own[-SAMPLES_KEPT:]
            write_private(GROWTH, json.dumps(samples))


def read_growth() -> dict[str, list[list[float]]]:
    """Read the samples so far."""
    found: dict[str, list[list[float]]] = json.loads(GROWTH.read_text()) if GROWTH.exists() else {}
    return found


def days_until_full(mount: str, free: int) -> float | None:
    """Estimate from the growth over the samples kept; None where they span less than a day or nothing grows."""
    own = read_growth().get(mount, [])
    if len(own) < 2 or own[-1][0] - own[0][0] < LEAST_SAMPLED_SECONDS:
        return None
    per_day = (own[-1][1] - own[0][1]) / (own[-1][0] - own[0][0]) * 86400
    return round(free / per_day, 1) if per_day > 0 else None
