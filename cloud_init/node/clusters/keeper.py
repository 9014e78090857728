"""The program beside services that move: it starts a unit when this node gets its lock, and stops it before that can be lost."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

from .. import quiet
from ..apply.units import list_resting
from ..ask.consul import ConsulError
from ..manifest import MANIFEST, PROGRAM, CandidateEntry, ServiceEntry, load_manifest
from ..storage import shares
from ..system import ApplyError, systemctl
from . import sip_address
from .locks import LEASE_SECONDS, STOP_SECONDS, Lease, find_lock, is_yielding, list_moving
from .peers import ask_peer, serve

ROUND_SECONDS, TICK_SECONDS = 2.0, 0.5
TRY_SECONDS, STOPPED_SECONDS = 0.2, 0.05
"""Between two tries for a lock that is free and cannot be had yet, and between two looks at units that stop: nobody runs them
then, and callers wait."""
STOPPED = ("dead", "failed", "stop-post")
"""States of a unit of which no process is left, but for what clears up after them."""
RENEWAL_SECONDS = 15.0
"""What systemd's watchdog leaves this program to begin anew and go its first round, instead of LEASE_SECONDS: Python alone takes
up to 8 s on a busy machine. One that hangs there, and nowhere else, is ended later than a session is sure to last."""
LOOK_AGAIN_SECONDS = 5.0
"""Between two checks of a unit whose lock has not changed."""
SHARE_GONE_SECONDS = 20.0
"""After which a node without the share gives up services with files on it: by then it is mounted again, or never will be."""


class Keeper:
    """The program: one thread for each service looks after its lock, this one starts and stops units."""

    def __init__(self, port: int) -> None:
        self.port, self.stamp = port, 0
        # What this program starts must not talk to systemd in its name.
        self.socket = os.environ.pop("NOTIFY_SOCKET", "")
        self.leases: dict[str, Lease] = {}
        self.woken = threading.Event()
        self.calls = sip_address.Calls(lambda: self.may(sip_address.SERVICE), self.woken)
        self.threads: list[threading.Thread] = []
        self.told: dict[str, tuple[bool, float]] = {}
        self.missed: dict[str, float] = {}
        self.ended, self.renewed = threading.Event(), threading.Event()
        self.read_manifest()

    def read_manifest(self) -> None:
        """Follow a new configuration; a service that is new here gets a thread."""
        stamp = MANIFEST.stat().st_mtime_ns
        if stamp == self.stamp:
            return
        self.manifest, self.stamp = load_manifest(), stamp
        services: dict[str, list[ServiceEntry]] = {}
        for service in list_moving(self.manifest):
            services.setdefault(find_lock(service), []).append(service)
        self.services = services
        for name in self.services:
            if name not in self.leases:
                keys = [candidate["key"] for candidate in self.candidates(name)]
                position = keys.index(self.manifest["key"])
                self.leases[name] = self.make_lease(name, position)
                self.threads.append(threading.Thread(target=self.follow, args=(self.leases[name],), daemon=True))
                self.threads[-1].start()
                if name == sip_address.SERVICE:
                    self.threads.append(threading.Thread(target=self.calls.follow, args=(self.ended,), daemon=True))
                    self.threads[-1].start()

    def make_lease(self, name: str, position: int) -> Lease:
        """Return what looks after a lock; that of the address of SIP changes hands sooner, and goes to who has calls."""
        if name != sip_address.SERVICE:
            return Lease(name, self.manifest["key"], position)
        lacks, alone = (lambda: sip_address.lacks_calls(self.manifest)), (lambda: not self.others(name))
        return Lease(name, self.manifest["key"], position, True, lacks, alone)

    def candidates(self, name: str) -> list[CandidateEntry]:
        """List the nodes that may hold a lock, this one too."""
        return self.services[name][0]["candidates"]

    def units(self, name: str) -> list[str]:
        """List the units that run by a lock, callees before callers."""
        return [unit for service in self.services[name] for unit in service["units"]]

    def others(self, name: str) -> list[CandidateEntry]:
        """List the other candidates for a lock."""
        return [one for one in self.candidates(name) if one["key"] != self.manifest["key"]]

    def follow(self, lease: Lease) -> None:
        """Look after one lock until the end."""
        while not self.ended.is_set() and lease.name in self.services:
            had, gives_up = lease.until > 0, self.gives_up(lease)
            if had and gives_up:
                self.stop_first(lease.name)
            lease.look(gives_up, lambda: self.is_stopped(lease.name), lambda: self.others_stand_by(lease.name))
            lease.unsure_until = 0.0
            if had != (lease.until > 0):
                self.calls.woken.set()
                self.woken.set()
            self.rest(lease)

    def rest(self, lease: Lease) -> None:
        """Wait for as long as there is nothing to do for a lock, a round at most."""
        if lease.deaf:
            self.ended.wait(TICK_SECONDS)
        elif lease.is_refused:
            self.ended.wait(TRY_SECONDS)
        elif lease.seen:
            lease.await_change(ROUND_SECONDS)
        elif lease.until > 0:
            self.wait_until(
                lambda: self.wants_away(lease.name), TICK_SECONDS, ROUND_SECONDS / 2 if lease.noticed else ROUND_SECONDS
            )
        else:
            self.wait_until(lambda: lease.is_leaving and self.is_stopped(lease.name), STOPPED_SECONDS, ROUND_SECONDS)

    def wait_until(self, happened: Callable[[], bool], pause: float, seconds: float) -> None:
        """Wait until something has happened, so long at most."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.ended.wait(pause) and not happened():
            pass

    def stop_first(self, name: str) -> None:
        """Stop what may take its time before a lock is handed over, while the rest goes on."""
        if first := [unit for service in self.services[name] for unit in service["units"] if sip_address.stops_first(service)]:
            systemctl("stop", *reversed(first), timeout=STOP_SECONDS + 1)

    def wants_away(self, name: str) -> bool:
        """Tell whether this node wants to hand over a service."""
        return bool(self.manifest.get("leaving")) or is_yielding() or self.lacks_share(name)

    def gives_up(self, lease: Lease) -> bool:
        """Tell whether this node wants to hand over a service, and another one is ready for it."""
        if not self.wants_away(lease.name):
            return False
        staying = [one for one in self.others(lease.name) if not one.get("leaving")]
        return lease.until == 0 or any(ask_peer(one["address"], self.port, "") is not None for one in staying)

    def lacks_share(self, name: str) -> bool:
        """Tell whether the share with a service's files has been missing here for a while."""
        share = self.manifest.get("share")
        mounts = [mount for unit in self.manifest["units"] if unit["name"] in self.units(name) for mount in unit["mounts"]]
        if not share or share["mount"] not in mounts or shares.is_mounted(share):
            self.missed.pop(name, None)
            return False
        return time.monotonic() - self.missed.setdefault(name, time.monotonic()) >= SHARE_GONE_SECONDS

    def others_stand_by(self, name: str) -> bool:
        """Tell whether no other candidate reaches Consul either, so that none will begin."""
        return all(ask_peer(one["address"], self.port, name) is True for one in self.others(name))

    def is_stopped(self, name: str) -> bool:
        """Tell whether no unit of a lock is running any more."""
        if name == sip_address.SERVICE and sip_address.is_here(self.manifest["sip_address"]):
            return False
        units = self.units(name)
        states = systemctl("show", "-P", "SubState", *units).stdout.split()
        return len(states) == len(units) and all(state in STOPPED for state in states)

    def may(self, name: str) -> bool | None:
        """Tell whether this node may run what a lock is for; None where this program has just started and cannot know yet: what
        it held before it may still hold."""
        now, lease = time.monotonic(), self.leases[name]
        # Asked first: its thread writes it last.
        is_unsure = now < lease.unsure_until
        if now < lease.until:
            return True
        return None if is_unsure else False

    def act(self) -> None:
        """Start what this node may run, stop what it may not, whoever started or stopped it."""
        for name in self.services:
            now = time.monotonic()
            if (may := self.may(name)) is None:
                continue
            was, at = self.told.get(name, (None, 0.0))
            try:
                if name == sip_address.SERVICE and not self.has_turned(may):
                    continue
                if may == was and now - at < LOOK_AGAIN_SECONDS:
                    continue
                self.turn(name, may, was not in (None, may))
            except ApplyError as error:
                print(f"{name}: {error}", flush=True)
                continue
            self.told[name] = may, now

    def has_turned(self, may: bool) -> bool:
        """Tell whether the units may follow the address: start with it, and stop even where it cannot be given up."""
        try:
            return self.calls.turn(self.manifest, may)
        except ApplyError as error:
            print(f"{sip_address.SERVICE}: {error}", flush=True)
            return not may

    def turn(self, name: str, may: bool, has_changed: bool) -> None:
        """Start or stop the units of a lock: all where that has just come or gone, else those of which systemd says that they are
        wrong. Raises ApplyError where it does not say."""
        off = quiet.list_units(self.manifest) if may else []
        wrong = [unit for unit in self.units(name) if unit not in off]
        if wrong and not has_changed:
            resting = list_resting(wrong)
            wrong = resting if may else [unit for unit in wrong if unit not in resting]
        for unit in wrong:
            print(f"starting {unit}" if may else f"stopping {unit}: its lock is not this node's", flush=True)
        if wrong:
            # All at once: callers wait for each call of it. systemd keeps their order.
            systemctl("start" if may else "stop", "--no-block", *wrong)

    def run(self) -> int:
        """Run until told to end (0), or until a thread is dead (1); systemd's watchdog ends it when it hangs."""
        self.notify("READY=1")
        is_first = True
        while not self.pause():
            if self.renewed.is_set():
                self.notify(f"WATCHDOG_USEC={RENEWAL_SECONDS * 1e6:.0f}")
                again = [sys.executable, "-X", "utf8", str(PROGRAM), "locks"]
                os.execve(sys.executable, again, os.environ | {"NOTIFY_SOCKET": self.socket})
            self.read_manifest()
            self.act()
            if not all(thread.is_alive() for thread in self.threads):
                return 1
            self.notify("WATCHDOG=1")
            if is_first:
                self.notify(f"WATCHDOG_USEC={LEASE_SECONDS * 1e6:.0f}")
                is_first = False
        if sip_address.SERVICE in self.services:
            self.has_turned(may=False)
        # systemd has stopped the units already: they are bound to this one and ordered after it.
        for name in self.services:
            if self.leases[name].session.id and self.is_stopped(name):
                try:
                    self.leases[name].give_back()
                except ConsulError as error:
                    print(f"{name}: {error}", flush=True)
        return 0

    def pause(self) -> bool:
        """Wait until there may be something to do; tell whether this program is to end. No lease outlives it unnoticed."""
        now = time.monotonic()
        ends = [lease.until - now for lease in self.leases.values() if lease.until > now]
        self.woken.wait(min([TICK_SECONDS, *ends]))
        self.woken.clear()
        return self.ended.is_set()

    def notify(self, text: str) -> None:
        """Notify systemd where it asked for it."""
        if self.socket:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto(text.encode(), self.socket.replace("@", "\0", 1) if self.socket.startswith("@") else self.socket)


def run() -> int:
    """Run the keeper, a unit on every node with services that move."""
    manifest = load_manifest()
    listener = next(probe for service in manifest["services"] if service["name"] == "locks" for probe in service["probes"])
    keeper = Keeper(listener["port"])
    signal.signal(signal.SIGTERM, lambda number, frame: keeper.ended.set())
    signal.signal(signal.SIGHUP, lambda number, frame: keeper.renewed.set())
    server = serve(listener["address"], keeper.port, keeper.leases)
    try:
        return keeper.run()
    finally:
        server.shutdown()
