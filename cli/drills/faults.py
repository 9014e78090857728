"""The faults of the drills: done over SSH on the node itself, so that they are the same on every cloud."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from cli.drills.load import run_script
from cli.nodes.access import Access, NodeAccess
from cloud_init.node.manifest import PROGRAM
from cloud_init.node_command import node_command
from components.model.catalogue.services import CATALOGUE
from components.model.naming import MOUNT_ROOT

SSH = CATALOGUE["ssh"].listeners[0].port
"""What a partition leaves open: the drill itself comes that way."""
PACKAGES = [str(way.ports) for way in CATALOGUE["nftables"].egress if way.purpose.startswith("packages")]
"""The ports of package repositories."""
SCRIPT_SECONDS = 90
PARTITION_LIMIT_SECONDS = 600
"""After which a partition ends by itself, whatever became of who made it."""

CUT = f"""
systemd-run -q --collect --on-active={PARTITION_LIMIT_SECONDS} --unit=webitel-drill-heal nft delete table inet webitel_drill
nft -f - <<'END'
table inet webitel_drill {{
  chain in {{ type filter hook input priority -300; iif lo accept; tcp dport {SSH} accept; drop; }}
  chain out {{ type filter hook output priority -300; oif lo accept; tcp sport {SSH} accept; drop; }}
}}
END
"""
MEND = """
nft delete table inet webitel_drill
systemctl stop -q webitel-drill-heal.timer 2>/dev/null || true
"""
_OFFLINE = f"""
systemd-run -q --collect --on-active={PARTITION_LIMIT_SECONDS} --unit=webitel-drill-heal nft delete table inet webitel_drill
nft add table inet webitel_drill
nft add chain inet webitel_drill out '{{ type filter hook output priority -300; }}'
nft add rule inet webitel_drill out tcp dport '{{ {", ".join(PACKAGES)} }}' oif != lo drop
"""
_FILL = """
python3 - <<'END'
import subprocess, sys
sys.path.insert(0, "{folder}")
from node import machine, manifest
(disk,) = [disk for disk in manifest.load_manifest()["disks"] if disk["purpose"] == "{purpose}"]
size, free = machine.measure_disk(disk)
rest = size * (100 - {percent}) // 100
subprocess.run(["fallocate", "-l", str(free - rest), disk["mount"] + "/{file}"], check={percent} < 100)
if {percent} == 100:
    # What is left is less than one call can take: on to the last block.
    subprocess.run("head -c " + str(size) + " /dev/zero >> " + disk["mount"] + "/{file} 2>/dev/null", shell=True)
END
"""
_FILLER = ".webitel-drill"
_ALARM = "rabbitmqctl -q set_disk_free_limit 1000000GB"
_ALARM_OFF = "rabbitmqctl -q set_disk_free_limit $(sed -n 's/^disk_free_limit.absolute *= *//p' /etc/rabbitmq/rabbitmq.conf)"

Act = Callable[[Access, Sequence[NodeAccess]], Awaitable[None]]
Power = Callable[[str, bool], None]
"""Takes a machine's power away (False) or gives it back, by its name; where the cloud is on this machine."""


@dataclass(frozen=True)
class Fault:
    """What is done to the nodes of a drill and how it is undone. `silent`: the node cannot be asked meanwhile."""

    begin: Act
    end: Act
    silent: bool = False


async def nothing(access: Access, nodes: Sequence[NodeAccess]) -> None:
    """Leave alone what ends by itself."""


def script(begin: str, end: str = "") -> Fault:
    """Return a fault that is a shell script on each of the nodes."""

    def act(text: str) -> Act:
        async def run(access: Access, nodes: Sequence[NodeAccess]) -> None:
            await asyncio.gather(*(run_script(access, node, text, SCRIPT_SECONDS) for node in nodes))

        return run

    return Fault(act(begin), act(end) if end else nothing)


def kill(*units: str) -> Fault:
    """Return a kill -9 of everything that the units run."""
    return script(f"systemctl kill --kill-who=all -s KILL {' '.join(units)}")


def stop_units(*units: str) -> Fault:
    """Return units held down as a fault."""
    names = " ".join(f"{unit}.service" for unit in units)
    return script(
        f"systemctl mask --runtime -q {names}; systemctl stop {names}",
        f"systemctl unmask --runtime -q {names}; systemctl start --no-block {names}",
    )


def fill(purpose: str, percent: int) -> Fault:
    """Return the fault of a data disk filled to so many percent, and the room given back."""
    return script(
        _FILL.format(folder=PROGRAM.parent, purpose=purpose, percent=percent, file=_FILLER),
        f"rm -f {MOUNT_ROOT}/{purpose}/{_FILLER}",
    )


PARTITION = script(CUT, MEND)
HAND_OVER = script(node_command("hand-over"))
OFFLINE = script(_OFFLINE, MEND)
BROKER_FULL = script(_ALARM, _ALARM_OFF)
"""The broker's alarm for its disk, by a limit that no disk meets: the disk that it is on is the whole machine's."""


def power_off(power: Power | None) -> Fault:
    """Return the fault of a machine without power; where only SSH leads to it, a reboot that lets nothing end in order."""
    if power is None:
        # The answer of a machine that is gone never comes: the shell that waits for it is left behind.
        now = script("systemd-run -q --collect --on-active=1 systemctl reboot --force --force")
        return Fault(now.begin, nothing, silent=True)

    return Fault(_switch(power, False), _switch(power, True), silent=True)


def power_off_in_turn(power: Power, pause: float) -> Fault:
    """Power taken from all the nodes at once, and given back to one after the other, so many seconds between."""

    async def one_by_one(access: Access, nodes: Sequence[NodeAccess]) -> None:
        for number, node in enumerate(nodes):
            await asyncio.sleep(pause if number else 0)
            await asyncio.to_thread(power, node.name, True)

    return Fault(_switch(power, False), one_by_one, silent=True)


def _switch(power: Power, on: bool) -> Act:
    async def run(access: Access, nodes: Sequence[NodeAccess]) -> None:
        await asyncio.gather(*(asyncio.to_thread(power, node.name, on) for node in nodes))

    return run
