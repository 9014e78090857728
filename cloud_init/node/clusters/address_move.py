"""The program beside the keeper where the cloud has to be asked to move the address of SIP: it moves it to the node that has it.

The keeper puts the address on this node's interface while the lock is this node's, says so in a file, and takes both away when
that ends; nothing else tells this program what to do. So it needs no right but the cloud's, and the keeper none of the cloud's.
"""

import json
import math
import pathlib
import signal
import threading
import time
from collections.abc import Callable
from typing import Protocol

from ..ask.view import View
from ..manifest import MANIFEST, Manifest, ProbeEntry, load_manifest
from ..system import Unhealthy, write_private
from . import ec2, google, hcloud, sip_address
from .ec2 import MoveError
from .sip_address import HELD, is_here

LOOK_SECONDS, AGAIN_SECONDS = 0.1, 1.0
"""Between two looks whether the address is here, and between two tries."""
SEE_SECONDS = 5.0
"""Between two looks of a node with the address whether the cloud still says so."""
ALONG_SECONDS, LATE_SECONDS = 3.0, 15.0
"""After a move the cloud says that late at most that the public address came along, and what it says at all may be that late."""
TOLD = pathlib.Path("/run/webitel/address-move.json")
"""What happened last: when (seconds since boot), and what is wrong, "" = nothing."""
SILENT_SECONDS = 60.0
"""After which a program that tells nothing hangs; its own limits are shorter."""


class Way(Protocol):
    """A cloud's way to move the address."""

    def move(self) -> None:
        """Have the address here, whoever has it. Raises MoveError."""

    def complete(self) -> bool:
        """Look whether it is here with the public one, and mend what that lacks; tell whether nothing is missing any more.
        Raises MoveError."""


class Aws:
    """A secondary private address, and the Elastic IP that is associated with it and comes along."""

    def __init__(self, manifest: Manifest) -> None:
        move = manifest["address_move"]
        self.address, self.public, self.allocation = manifest["sip_address"], move["public"], move["handle"]
        self.metadata = ec2.Metadata()
        self.ec2 = ec2.Ec2(self.metadata, manifest["address"])
        self.moved = self.tied = -math.inf

    def move(self) -> None:
        """Have EC2 move it, also where the metadata say that it is here: they may be late."""
        self.ec2.assign(self.metadata.look(self.public).interface, self.address)
        self.moved = time.monotonic()

    def complete(self) -> bool:
        """Look at the metadata. An association is paid for when it is made again (EC2 API Reference), so it is not where there
        is one."""
        machine, now = self.metadata.look(self.public), time.monotonic()
        if self.address in machine.associated and self.address in machine.addresses:
            return True
        if self.address in machine.addresses:
            if now - self.moved > ALONG_SECONDS and now - self.tied > LATE_SECONDS:
                self.ec2.associate(machine.interface, self.address, self.allocation)
                self.tied = time.monotonic()
                print(f"{self.public} is associated with {self.address}", flush=True)
        elif now - self.moved > LATE_SECONDS:
            print(f"{self.address} was taken away", flush=True)
            self.move()
        return False


class Gcp:
    """Rules of Google's that forward a public and a private address whole: both lead here, or it is not done. An answer to a
    change comes before the change, so where a rule leads is asked afterwards, and a change that was lost is made again."""

    def __init__(self, manifest: Manifest) -> None:
        self.rules_paths = manifest["address_move"]["handle"].split()
        self.metadata = google.Metadata()
        self.rules = google.Rules(self.metadata, manifest["address"])
        self.moved = -math.inf

    def list_astray(self) -> dict[str, str]:
        """Return the rules that lead elsewhere, with what each has to lead to."""
        machine = self.metadata.look()
        wanted = {rule: machine.aim(rule) for rule in self.rules_paths}
        return {rule: target for rule, target in wanted.items() if self.rules.find_target(rule) != target}

    def move(self) -> None:
        """Have every rule lead here that does not; one that fails does not keep the others."""
        failed: list[MoveError] = []
        for rule, target in self.list_astray().items():
            try:
                self.rules.aim(rule, target)
            except MoveError as error:
                failed.append(error)
        self.moved = time.monotonic()
        if failed:
            raise failed[0]

    def complete(self) -> bool:
        """Look where the rules lead."""
        astray = self.list_astray()
        if astray and time.monotonic() - self.moved > LATE_SECONDS:
            print(f"{', '.join(rule.rpartition('/')[2] for rule in astray)}: led elsewhere", flush=True)
            self.move()
        return not astray


WAYS: dict[str, Callable[[Manifest], Way]] = {"aws": Aws, "gcp": Gcp, "hetzner": hcloud.Hetzner}
"""By what the manifest calls them."""


class Mover:
    """One look after the other; `had` tells whether this node had the address at the last one."""

    def __init__(self, way: Way, address: str) -> None:
        self.way, self.address = way, address
        self.had, self.moved, self.whole = False, False, False
        self.due, self.told, self.told_at = 0.0, "-", 0.0

    def look(self) -> None:
        """Do what is due now."""
        now, here = time.monotonic(), HELD.exists() and is_here(self.address)
        if here != self.had:
            self.had, self.moved, self.whole, self.due = here, False, False, now
        if here and now >= self.due:
            self.act()
        elif not here and now >= self.due:
            self.tell("")
            self.due = now + SEE_SECONDS

    def act(self) -> None:
        """Move the address, or see whether it is still here."""
        try:
            if not self.moved:
                self.way.move()
                self.moved = True
                print(f"the cloud moves {self.address} here", flush=True)
            whole = self.way.complete()
            if whole and not self.whole:
                print(f"the cloud has {self.address} here, with its public address", flush=True)
            self.whole = whole
            self.tell("" if whole else f"the cloud does not say yet that {self.address} and its public address are here")
        except MoveError as error:
            self.whole = False
            self.tell(str(error))
        self.due = time.monotonic() + (SEE_SECONDS if self.whole else AGAIN_SECONDS)

    def tell(self, wrong: str) -> None:
        """Keep what is wrong for `status`, and print what is new."""
        if wrong and wrong != self.told:
            print(wrong, flush=True)
        self.told = wrong
        write_private(TOLD, json.dumps({"at": time.monotonic(), "wrong": wrong}), 0o644)


def probe(question: ProbeEntry, view: View) -> None:
    """Check that this node has the address, also for the cloud where that moves it, and its Redis takes calls."""
    sip_address.probe(question, view)
    if "address_move" not in view.manifest:
        return
    try:
        told: dict[str, float | str] = json.loads(TOLD.read_text())
        at, wrong = float(told["at"]), str(told["wrong"])
    except (OSError, ValueError, KeyError) as error:
        raise Unhealthy("nobody has the cloud move the address: webitel-address does not run") from error
    if time.monotonic() - at > SILENT_SECONDS:
        raise Unhealthy(f"webitel-address has hung for {time.monotonic() - at:.0f} s")
    if wrong:
        raise Unhealthy(wrong)


def run() -> int:
    """Run until told to end, or until there is another configuration: systemd starts it again with that."""
    manifest, stamp = load_manifest(), MANIFEST.stat().st_mtime_ns
    if "address_move" not in manifest:
        print("this node has no address that a cloud moves", flush=True)
        return 0
    mover, ended = Mover(WAYS[manifest["address_move"]["by"]](manifest), manifest["sip_address"]), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    while not ended.wait(LOOK_SECONDS) and MANIFEST.stat().st_mtime_ns == stamp:
        mover.look()
    return 0
