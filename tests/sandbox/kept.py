"""What tests do with calls that rtpengine keeps in Redis: hear them, end rtpengine under them, and let the node program look."""

import signal
import time
from collections.abc import Sequence
from pathlib import Path

from cloud_init.node.health import kept_calls
from cloud_init.node.manifest import Manifest
from tests.sandbox.relay import CLI_PORT, REDIS_PORT, Relay
from tests.sandbox.relay_calls import Call
from tests.unit.node.entries import PORTS, manifest, service
from tests.waiting import wait_until

OWN: Manifest = manifest(services=[service("redis")], ports={**PORTS, "rtpengine_cli": CLI_PORT, "redis_calls": REDIS_PORT})
SILENCE_SECONDS, SETUP_SECONDS = 0.5, 0.6
"""What a call bears at most when rtpengine dies, beyond the time that its start takes here and now, and a new one when Redis
hangs, beyond what the slowest takes here and now while it does not."""
STALL_SECONDS = 0.5
QUIET_SECONDS = 0.5


def longest_gap(some: Sequence[Call]) -> float:
    """The longest silence that one of them has heard."""
    return max(gap for call in some for gap in call.gaps.values())


def revive(relay: Relay, some: list[Call], number: int = signal.SIGKILL) -> None:
    """End rtpengine and start it again: all calls go on, after no more than a short silence."""
    hear(*some)
    for call in some:
        call.forget_gaps()
    time.sleep(QUIET_SECONDS)
    usual = longest_gap(some)
    relay.kill("rtpengine", number)
    seconds = forget(relay, 1) + relay.start_rtpengine()
    hear(*some)
    assert longest_gap(some) < usual + seconds + SILENCE_SECONDS
    assert all(call.is_known() for call in some)


def slowest_setup(relay: Relay) -> float:
    """What the slowest of some new calls takes."""
    return max(relay.call().seconds for _ in range(6))


def hear(*some: Call) -> None:
    """Wait until both ends of every call hear each other."""
    wait_until(lambda: all(one.hears() for one in some), 5, "audio")


def forget(relay: Relay, left_seconds: int) -> float:
    """What comes before the start of an rtpengine that ended so long ago, 0 = not since the machine started; its seconds."""
    start = time.monotonic()
    uptime = int(Path("/proc/uptime").read_text().split(".")[0])
    relay.run_script("forget", f"systemctl() {{ echo {(uptime - left_seconds) * 1_000_000 if left_seconds else 0}; }}\n")
    return time.monotonic() - start


def gives_all() -> bool:
    """A round of the watcher."""
    kept_calls.Keeper().look(OWN, time.monotonic())
    return kept_calls.list_lost(OWN) == set()


def sweep() -> None:
    """What the watcher does within some minutes. A loaded machine answers too late now and then, and a key stays."""
    keeper, now = kept_calls.Keeper(), time.monotonic()
    for later in (0, kept_calls.STALE_SECONDS):
        keeper.look(OWN, now + later)
