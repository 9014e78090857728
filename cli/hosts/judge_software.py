"""Whether what is installed on a host leaves room for what the plan brings."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from urllib.parse import urlsplit

from cli.hosts.finding import Verdict
from cli.hosts.foreign import HARMLESS
from cli.hosts.wish import Wish
from cloud_init.host.facts import Clock, Facts, Names, Reached, Software, Source
from components.model.host_limits import CLOCK, State

DEBIAN = ("Debian", "Debian Backports")
"""How Debian's own archive and its backports call themselves, on whichever mirror."""
DEBIANS_OWN = ".debian.org"
"""Where they are even if their lists were never fetched."""
SHOWN = 4


def judge(wish: Wish, facts: Facts) -> Iterator[Verdict]:
    """Judge the software. On a node that is ours already, ours is no other's."""
    ours = bool(facts.system and facts.system.ours_stack == wish.stack)
    if facts.software:
        yield from judge_software(wish, facts.software, ours=ours)
    if facts.clock:
        yield judge_clock(facts.clock)
    if facts.names:
        yield judge_names(facts.names)
    if facts.reached:
        yield from judge_reached(facts.reached)


def judge_software(wish: Wish, software: Software, *, ours: bool) -> Iterator[Verdict]:
    """Judge packages, sources, and whoever filters or confines."""
    if not ours:
        installed = {name for name, state in software.packages.items() if state == "installed"}
        others = sorted(installed - set(software.left))
        serious = [name for name in others if not any(fnmatch.fnmatch(name, one) for one in HARMLESS)]
        state: State = "fail" if serious else "warn" if others else "pass"
        yield Verdict(
            "other programs",
            state,
            f"{', '.join(serious or others)} {'is' if len(serious or others) == 1 else 'are'} installed" if others else "none",
            remedy=f"take another host, or remove {'it' if len(serious or others) == 1 else 'them'}: apt purge "
            f"{' '.join(serious or others)}; or say that you know: accepts: [other programs] in webitel:hosts",
        )
        broken, kept = software.broken, (*software.held, *software.pins)
        whole: State = "fail" if broken else "warn" if kept else "pass"
        found = f"half installed: {', '.join(broken)}" if broken else f"held or pinned: {', '.join(kept[:SHOWN])}"
        yield Verdict("packages", whole, found if broken or kept else "whole")
        tables = bool(software.tables)
        active = f"{', '.join(software.firewalls)} active" if software.firewalls else ""
        filters = active or (f"tables of nftables: {', '.join(software.tables[:SHOWN])}" if tables else "none")
        yield Verdict("firewall", "fail" if active else "warn" if tables else "pass", filters)
    yield judge_sources(wish, software.sources)
    confined = "SELinux enforces" if software.selinux else "AppArmor" if software.app_armor else "neither"
    yield Verdict("confinement", "fail" if software.selinux else "pass", confined)


def judge_sources(wish: Wish, sources: tuple[Source, ...]) -> Verdict:
    """Judge where packages may come from: another release of Debian's by the same right changes everything."""
    ours = {urlsplit(url).hostname for url in wish.urls}
    rest = [one for one in sources if urlsplit(one.uri).hostname not in ours and one.uri.partition(":")[0] != "file"]
    wrong = [
        one for one in rest
        if one.origin in DEBIAN and one.codename and not one.codename.startswith("bookworm") and one.priority > 100
    ]  # fmt: skip
    foreign = [one for one in rest if one.origin not in DEBIAN and not f"{urlsplit(one.uri).hostname}".endswith(DEBIANS_OWN)]
    found = [f"{one.uri} {one.suite}" for one in wrong or foreign]
    return Verdict("sources", "fail" if wrong else "warn" if foreign else "pass", "; ".join(dict.fromkeys(found)) or "Debian's")


def judge_clock(clock: Clock) -> Verdict:
    """Judge who keeps the time. `up` brings chrony, so nobody is no reason to refuse."""
    if not clock.daemons:
        return Verdict("time", "warn", "nobody keeps it; `up` installs chrony")
    offset = f", {clock.offset:.1f} ms off" if clock.offset is not None else ""
    told = f"{' and '.join(clock.daemons)}{f' from {clock.source}' if clock.source else ''}{offset}"
    if clock.offset is not None and CLOCK.judge(clock.offset) == "fail":
        return Verdict("time", "fail", told)
    if clock.synchronised is False:
        return Verdict("time", "warn", f"{told}, not in step yet", remedy="let it reach a time server: UDP 123")
    return Verdict("time", "warn" if len(clock.daemons) > 1 else "pass", told)


def judge_names(names: Names) -> Verdict:
    """Judge what names mean there."""
    if not names.servers or "127.0.0.1" not in names.localhost:
        lacks = "no name server" if not names.servers else f"localhost is {', '.join(names.localhost) or 'nobody'}"
        return Verdict("names", "fail", lacks)
    return Verdict("names", "pass" if names.full else "warn", names.full or f"{names.host} leads nowhere")


def judge_reached(reached: tuple[Reached, ...]) -> Iterator[Verdict]:
    """Judge whether everything that packages come from answers."""
    silent = [one for one in reached if one.problem]
    for one in silent:
        yield Verdict("package sources", "fail", f"{hide_log_in(one.url)}: {one.problem}")
    if not silent:
        slowest = max(one.milliseconds for one in reached)
        yield Verdict("package sources", "pass", f"all {len(reached)} answer, the slowest in {slowest} ms")


def hide_log_in(url: str) -> str:
    """Return an address without a name and password in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
