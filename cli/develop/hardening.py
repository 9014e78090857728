"""What lynis finds on nodes, beside a stock Debian: a number for a report. It runs from a folder that goes, installed nowhere."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from cli.console import Failure

STOCK = 58
"""The index of Debian 12 as its cloud image is, in a container (`facts/lynis.md`)."""

SECONDS = 300.0

SCRIPT = """set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
apt-get -qq download lynis >/dev/null
dpkg-deb -x lynis_*.deb .
cd usr/share/lynis
sh ../../sbin/lynis audit system --quick --quiet --no-colors --profile ../../../etc/lynis/default.prf \
  --plugindir "$folder/etc/lynis/plugins" --logfile /dev/null --report-file "$folder/report" >/dev/null 2>&1 </dev/null || true
grep -a -E '^(hardening_index|suggestion\\[\\]|warning\\[\\])=' "$folder/report"
"""

COMMAND = f"sh -c {shlex.quote(SCRIPT)}"
"""As one program: of several, `sudo` would run the first as root."""


@dataclass(frozen=True)
class Hardening:
    """A node's index, of 100, and what was found: the test's name and its words."""

    index: int
    findings: tuple[tuple[str, str], ...]


def measure_hardening(stack: str) -> Iterator[tuple[str, Hardening]]:
    """Run lynis on every node of a deployment; nodes by key."""
    from cli.engine.engine import open_engine
    from cli.nodes.access import ask_nodes, read_access

    with open_engine(stack) as engine:
        access = read_access(engine)
    answers = asyncio.run(ask_nodes(access, list(access.nodes.values()), COMMAND, SECONDS))
    for key, answer in answers.items():
        if answer.problem or answer.status:
            raise Failure(f"{key}: lynis did not run: {answer.problem or answer.errors.strip()[-300:] or 'it has no report'}")
        yield key, read_report(answer.output)


def read_report(text: str) -> Hardening:
    """Read what lynis reported. Each finding once, whatever the number of places."""
    index = re.search(r"^hardening_index=(\d+)$", text, re.MULTILINE)
    if not index:
        raise Failure("lynis has ended without an index")
    found = re.findall(r"^(?:suggestion|warning)\[\]=([A-Z]+-\d+)\|([^|\n]*)", text, re.MULTILINE)
    return Hardening(int(index[1]), tuple(sorted(dict(reversed(found)).items())))
