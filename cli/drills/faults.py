"""The faults of the drills: done over SSH on the node itself, so that they are the same on every cloud."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from cli.drills.load import run_script
from cli.nodes import Access, NodeAccess
from components.model.services import CATALOGUE

SSH = CATALOGUE["ssh"].listeners[0].port
"""What a partition leaves open: the drill itself comes that way."""
MOST = 600
"""Seconds after which a partition ends by itself, whatever became of who made it."""

_CUT = f"""
systemd-run -q --collect --on-active={MOST} --unit=webitel-drill-heal nft delete table inet webitel_drill
nft -f - <<'END'
table inet webitel_drill {{
  chain in {{ type filter hook input priority -300; iif lo accept; tcp dport {SSH} accept; drop; }}
  chain out {{ type filter hook output priority -300; oif lo accept; tcp sport {SSH} accept; drop; }}
}}
END
"""
_MEND = """
nft delete table inet webitel_drill
systemctl stop -q webitel-drill-heal.timer 2>/dev/null || true
"""
_OFFLINE = f"""
systemd-run -q --collect --on-active={MOST} --unit=webitel-drill-heal nft delete table inet webitel_drill
nft add table inet webitel_drill
nft add chain inet webitel_drill out '{{ type filter hook output priority -300; }}'
nft add rule inet webitel_drill out tcp dport '{{ 80, 443 }}' oif != lo drop
"""
_FILL = """
set -e
place={place}
free=$(df --output=avail -B1 $place | tail -1)
fallocate -l $((free - {leave})) $place/.webitel-drill || dd if=/dev/zero of=$place/.webitel-drill bs=1M 2>/dev/null || true
"""

Act = Callable[[Access, Sequence[NodeAccess]], Awaitable[None]]
Power = Callable[[str, bool], None]
"""Takes a machine's power away (False) or gives it back, by its name; where the cloud is on this machine."""


@dataclass(frozen=True)
class Fault:
    """What is done to the nodes of a drill and how it is undone. `silent`: the node cannot be asked meanwhile."""

    begin: Act
    end: Act
    silent: bool = False


async def _nothing(access: Access, nodes: Sequence[NodeAccess]) -> None:
    """What ends by itself."""


def script(begin: str, end: str = "") -> Fault:
    """A fault that is a shell script on each of the nodes."""
    def act(text: str) -> Act:
        async def run(access: Access, nodes: Sequence[NodeAccess]) -> None:
            await asyncio.gather(*(run_script(access, node, text) for node in nodes))

        return run

    return Fault(act(begin), act(end) if end else _nothing)


def kill(*units: str) -> Fault:
    """kill -9 of everything that the units run."""
    return script(f"systemctl kill --kill-who=all -s KILL {' '.join(units)}")


def stop_units(*units: str) -> Fault:
    """Units held down."""
    names = " ".join(f"{unit}.service" for unit in units)
    return script(f"systemctl mask --runtime -q {names}; systemctl stop {names}",
                  f"systemctl unmask --runtime -q {names}; systemctl start --no-block {names}")


def fill(place: str, leave_mib: int = 0) -> Fault:
    """A disk filled up to so many MiB, and the room given back."""
    return script(_FILL.format(place=place, leave=leave_mib << 20), f"rm -f {place}/.webitel-drill")


PARTITION = script(_CUT, _MEND)
OFFLINE = script(_OFFLINE, _MEND)


def power_off(power: Power | None) -> Fault:
    """The machine's power gone until it is given back; where only SSH leads to it, a reboot that lets nothing end in order."""
    if power is None:
        # The answer of a machine that is gone never comes: the shell that waits for it is left behind.
        now = script("systemd-run -q --collect --on-active=1 systemctl reboot --force --force")
        return Fault(now.begin, _nothing, silent=True)

    def act(on: bool) -> Act:
        async def run(access: Access, nodes: Sequence[NodeAccess]) -> None:
            await asyncio.gather(*(asyncio.to_thread(power, node.name, on) for node in nodes))

        return run

    return Fault(act(False), act(True), silent=True)
