"""What is installed, where from, and which programs of the system keep the time or filter packets."""

from __future__ import annotations

import concurrent.futures
import fnmatch
import itertools
import json
import pathlib
import re
import socket
import time

from cloud_init.host.facts import Clock, Names, Reached, Software, Source
from cloud_init.host.running import read, run

APT = pathlib.Path("/etc/apt")
FIREWALLS = ("ufw", "firewalld", "netfilter-persistent", "iptables")
CLOCKS = {"chrony": "chrony", "systemd-timesyncd": "systemd-timesyncd", "ntp": "ntpd", "ntpsec": "ntpsec", "openntpd": "openntpd"}
"""Unit -> what people call it."""
PATIENCE = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=8", "-o", "Acquire::https::Timeout=8")
REACH_SECONDS = 25.0
REFUSED_LOG_IN = re.compile(r"\b40[13]\b")
"""Whoever refuses a log-in answers: credentials come later."""
STATES = {"ii": "installed", "hi": "installed"}


def look_at_software(patterns: tuple[str, ...], targets: tuple[tuple[str, str], ...] = ()) -> Software:
    """Look at packages of certain names, at apt, and at whatever filters or confines."""
    shown = run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}\t${Package}\n").stdout
    rows = [line.partition("\t") for line in shown.splitlines()]
    known = {name: state for state, _, name in rows}
    packages = {name: state.strip() for name, state in known.items() if any(fnmatch.fnmatch(name, one) for one in patterns)}
    active = [unit for unit in FIREWALLS if run("systemctl", "is-active", unit).stdout.strip() == "active"]
    if "Status: active" not in run("ufw", "status").stdout:
        active = [unit for unit in active if unit != "ufw"]  # its unit is active though it filters nothing
    return Software(
        left=tuple(sorted(packages.keys() & find_left())),
        packages={name: STATES.get(state, state) for name, state in packages.items() if state[:1] in "ihuF"},
        sources=tuple(list_sources(targets)),
        held=tuple(name for name, state in known.items() if state.startswith("h")),
        pins=tuple(sorted(str(one) for one in pathlib.Path("/etc/apt").glob("preferences*/*") if one.is_file())),
        broken=tuple(line.split()[0] for line in run("dpkg", "--audit").stdout.splitlines() if line.startswith(" ")),
        firewalls=tuple(active),
        tables=tuple(" ".join(line.split()[1:]) for line in run("nft", "list", "tables").stdout.splitlines()),
        app_armor=read("/sys/module/apparmor/parameters/enabled") == "Y",
        selinux=read("/sys/fs/selinux/enforce") == "1",
    )


def find_left() -> set[str]:
    """Return what was installed when an earlier deployment left this host (`cloud_init/node/apply/host_leave.py`)."""
    text = read("/var/lib/webitel/left.json")
    return set(json.loads(text)["packages"]) if text else set()


def list_sources(targets: tuple[tuple[str, str], ...] = ()) -> list[Source]:
    """List the sources that apt has, as it understands them; those whose lists it never got, as it would ask them."""
    found = []
    lines = run("apt-cache", "policy").stdout.splitlines()
    for line, below in itertools.pairwise(lines):
        at = re.match(r"\s*(-?\d+) (\w+://\S+) (\S+)", line)
        if at and "release" in below:
            about = dict(part.split("=", 1) for part in below.strip().removeprefix("release ").split(",") if "=" in part)
            codename = about.get("n", "")
            found.append(Source(at[2], at[3].partition("/")[0], about.get("o", ""), codename, int(at[1])))
    known = {(one.uri.rstrip("/"), one.suite) for one in found}
    found += [Source(uri, suite, "", "", 500) for uri, suite in targets if (uri.rstrip("/"), suite) not in known]
    return list(dict.fromkeys(found))


def list_targets() -> tuple[tuple[str, str], ...]:
    """List what apt is told to ask, as address and suite. (`apt-get indextargets` leaves out what was never fetched.)"""
    found = []
    for file in (APT / "sources.list", *sorted(APT.glob("sources.list.d/*.list"))):
        found += re.findall(r"^\s*deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", read(file), re.MULTILINE)
    for file in sorted(APT.glob("sources.list.d/*.sources")):
        for stanza in re.split(r"\n\s*\n", read(file)):
            lines = [line for line in stanza.splitlines() if not line.startswith("#")]
            # A line that begins with a blank goes on with the one before it.
            fields = re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t]+.*)*)", "\n".join(lines), re.MULTILINE)
            told = {name.lower(): value.split() for name, value in fields}
            if "deb" in told.get("types", ()) and told.get("enabled") != ["no"]:
                found += [(uri, suite) for uri in told.get("uris", ()) for suite in told.get("suites", ())]
    return tuple(dict.fromkeys(found))


def look_at_clock() -> Clock:
    """Look at who keeps the time, and how well."""
    daemons = tuple(name for unit, name in CLOCKS.items() if run("systemctl", "is-active", unit).stdout.strip() == "active")
    said = dict(line.split("=", 1) for line in run("timedatectl", "show").stdout.splitlines() if "=" in line)
    source, offset = "", None
    if "chrony" in daemons:
        fields = run("chronyc", "-c", "-n", "tracking").stdout.strip().split(",")
        if len(fields) > 5:
            source, offset = fields[1], abs(float(fields[4])) * 1000
    elif "systemd-timesyncd" in daemons:
        source = run("timedatectl", "show-timesync", "-p", "ServerName", "--value").stdout.strip()
    synchronised = said.get("NTPSynchronized")
    return Clock(
        daemons=daemons,
        synchronised=None if synchronised is None else synchronised == "yes",
        source=source,
        offset=offset,
        zone=said.get("Timezone") or read("/etc/timezone"),
    )


def look_at_names() -> Names:
    """Look at what the host is called and how it finds names."""
    try:
        local = sorted({str(found[4][0]) for found in socket.getaddrinfo("localhost", None)})
    except OSError:
        local = []
    servers = re.findall(r"^nameserver\s+(\S+)", read("/etc/resolv.conf"), re.MULTILINE)
    return Names(socket.gethostname(), run("hostname", "-f").stdout.strip(), tuple(local), tuple(servers))


def reach_sources(urls: tuple[str, ...], targets: tuple[tuple[str, str], ...] = ()) -> tuple[Reached, ...]:
    """Ask everything that packages come from, Debian's own sources too, by apt's own way out."""
    debian = [find_list(uri, suite) for uri, suite in targets if uri.startswith("http")]
    wanted = list(dict.fromkeys([*debian, *urls]))
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        return tuple(pool.map(reach, wanted))


def find_list(uri: str, suite: str) -> str:
    """Return the address of a source's list of lists; a suite that is a folder has it inside."""
    base = uri.rstrip("/")
    return f"{base}/{suite.lstrip('/')}InRelease" if suite.endswith("/") else f"{base}/dists/{suite}/InRelease"


def reach(url: str) -> Reached:
    """Ask for one file, which goes away again."""
    begun = time.monotonic()
    # Its own process takes what apt was told about proxies and authorities, and gives up in time.
    done = run("sh", "-c", 'd=$(mktemp -d) && chmod 755 "$d" && /usr/lib/apt/apt-helper "$@" "$d/f"; s=$?; rm -rf "$d"; exit $s',
               "reach", *PATIENCE, "download-file", url, seconds=REACH_SECONDS)  # fmt: skip
    took = round((time.monotonic() - begun) * 1000)
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    why = next((line for line in reversed(said) if line.startswith("E:")), said[-1] if said else "")
    refused = next((line for line in said if REFUSED_LOG_IN.search(line)), "")
    return Reached(url, took, "" if done.returncode == 0 or refused else why.removeprefix("E: "))
