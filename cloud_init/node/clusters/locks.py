"""Services that one node of several runs: the holder of the lock in Consul starts the unit, the others keep theirs stopped.

A node runs the unit only until `LEASE_SECONDS` after it last saw that the lock is its own. Its session with Consul lasts
longer than that and the stop together, so it has stopped before another one can begin, cut off or not. With no Consul server
anywhere nobody can take the lock either: then the holder goes on as long as every other candidate says, asked directly, that it
reaches no server and does not run it; who says so begins nothing for the time of a session. So an outage of all servers stops
nothing, and a node that cannot know (cut off, or another candidate is down too) stops. A program that has just begun anew may
hold what it held: it looks before it stops anything, for `LEASE_SECONDS` at most.

Who holds the lock keeps it: all nodes of a role are alike, so moving back would only be one more interruption. The role's first
node has a head start when all begin at once.
"""

import json
import math
import pathlib
import threading
import time
from collections.abc import Callable

from ..ask.consul import TTL_SECONDS, ConsulError, Session, await_key, find_key
from ..manifest import Manifest, ServiceEntry
from ..system import ApplyError, Tell, write_private

PREFIX = "webitel/locks/"
HELD = pathlib.Path("/run/webitel/locks")
UNIT = "webitel-locks"
YIELD = "yield"
"""The file beside the sessions that makes this node give up what it holds; it is valid for `YIELD_SECONDS`."""
YIELD_SECONDS = 300.0

ANSWER_SECONDS = 2.0
LEASE_SECONDS = 7.5
STOP_SECONDS = 4
"""Until a stopping unit is killed: LEASE_SECONDS, these and a tick together stay below the session's `TTL_SECONDS`."""
HEAD_START_SECONDS = 10.0
"""How long each candidate after the first leaves a free lock alone after its program has started."""
LEFT_ALONE_SECONDS = 10.0
"""How long a free lock is left alone by a node that lacks what the others may have: longer than `LOCK_DELAY_SECONDS`, in which
nobody can take it, and their next look at it."""
HAND_OVER_SECONDS = 60.0
LOCK_DELAY_SECONDS, NOTICED_LEASE_SECONDS = 3.0, 6.0
"""How long a lock that is noticed to be lost stays nobody's, and how long a node knows such a lock for its own. A node that
others no longer see is out of Consul after 4.5 s at the earliest (its `gossip_lan`): with the delay that is more than the lease
and a second, in which it stops by itself."""


def list_moving(manifest: Manifest) -> list[ServiceEntry]:
    """List the node's services that may run on another one, each with `candidates`."""
    return [service for service in manifest["services"] if service.get("candidates")]


def find_lock(service: ServiceEntry) -> str:
    """Return the name of the lock by which a service moves."""
    return service.get("lock", service["name"])


def judge(running: bool, holder: str, own: str) -> str:
    """Say what is wrong between a unit and the lock; "" = it runs where the lock is, or is ready elsewhere."""
    if running and holder != own:
        return f"it runs here, and its lock in Consul is {f'held by {holder}' if holder else 'free'}"
    return "" if holder or running else "no node runs it: its lock in Consul is free"


class Lease:
    """How long this node may run one service."""

    def __init__(
        self,
        name: str,
        key: str,
        position: int,
        noticed: bool = False,
        lacks: Callable[[], bool] = lambda: False,
        alone: Callable[[], bool] = lambda: False,
    ) -> None:
        """`noticed`: the lock is lost as soon as the others miss this node, not only when its session has run out. `lacks` tells
        whether this node would run the service without what another candidate may have, `alone` whether there is no other one."""
        self.alone = alone
        self.name, self.key, self.file, self.noticed = name, key, HELD / name, noticed
        self.lasts = NOTICED_LEASE_SECONDS if noticed else LEASE_SECONDS
        self.session = Session(f"webitel: {name} on {key}", delay=LOCK_DELAY_SECONDS if noticed else None)
        self.until, self.promised, self.deaf = 0.0, 0.0, False
        if self.file.exists():
            # This program was restarted: what it held it still holds.
            self.session.id, self.until = json.loads(self.file.read_text())
        self.begins = time.monotonic() + HEAD_START_SECONDS * position
        # Until then, or until it has looked once, nothing is known but what is remembered; see `Keeper.may`.
        self.unsure_until = time.monotonic() + self.lasts
        self.lacks, self.free_since = lacks, math.inf
        self.seen, self.is_leaving, self.is_refused = "", False, False
        self.mutex = threading.Lock()

    def look(self, gives_up: bool, is_stopped: Callable[[], bool], others_stand_by: Callable[[], bool]) -> None:
        """Take the lock, or renew it, or give it up once the unit has stopped."""
        sent = time.monotonic()
        try:
            held = self.ask(sent, gives_up, is_stopped)
        except ConsulError:
            with self.mutex:
                self.deaf = True
            sent = time.monotonic()
            held = not gives_up and sent < self.until and others_stand_by()
            if not held:
                return
        else:
            with self.mutex:
                self.deaf = False
        with self.mutex:
            # What a candidate has told another one binds it, whatever it has found out since.
            held = held and (sent < self.until or sent >= self.promised)
            self.until = sent + self.lasts if held else 0.0
            if held:
                write_private(self.file, json.dumps([self.session.id, self.until]))
            else:
                self.file.unlink(missing_ok=True)

    def ask(self, now: float, gives_up: bool, is_stopped: Callable[[], bool]) -> bool:
        """Tell whether the lock is this node's, which takes it if it is free."""
        found = find_key(PREFIX + self.name, ANSWER_SECONDS)
        session = found["session"]
        self.seen = found["index"] if session not in ("", self.session.id) else ""
        self.is_leaving, self.is_refused = gives_up and bool(session) and not self.seen, False
        self.free_since = math.inf if session else min(self.free_since, now)
        if session and session == self.session.id:
            if gives_up and is_stopped():
                self.give_back()
            return (self.session.keep(ANSWER_SECONDS) or self.goes_on(now)) and not gives_up
        if session or gives_up:
            return False
        self.is_refused = True
        if now < self.begins or (now - self.free_since < LEFT_ALONE_SECONDS and self.lacks()):
            return False
        self.is_refused = not self.session.hold(PREFIX + self.name, self.key)
        return not self.is_refused or self.goes_on(now)

    def goes_on(self, now: float) -> bool:
        """Tell whether this node runs on while its lock is nobody's for a moment: where no other one could take it."""
        return now < self.until and self.alone()

    def await_change(self, seconds: float) -> None:
        """Wait until the lock is no longer the one's that was seen to have it."""
        try:
            await_key(PREFIX + self.name, self.seen, seconds)
        except ConsulError:
            with self.mutex:
                self.deaf = True

    def give_back(self) -> None:
        """Release the lock: the next one may have it at once, which the end of a session would not allow."""
        self.session.release(PREFIX + self.name)
        self.session.end()
        self.file.unlink(missing_ok=True)

    def stands_by(self) -> bool:
        """Tell whether this node reaches no Consul and does not run the service; if so it will not begin for a while."""
        with self.mutex:
            now = time.monotonic()
            if not self.deaf or now < self.until:
                return False
            self.promised = now + TTL_SECONDS
            return True


def give_up() -> None:
    """Have this node give up what it holds, for a while."""
    write_private(HELD / YIELD, f"{time.monotonic()}")


def is_yielding() -> bool:
    """Tell whether this node was asked recently to give up what it holds. The file does not outlive the boot, nor its clock."""
    try:
        return time.monotonic() - float((HELD / YIELD).read_text()) < YIELD_SECONDS
    except (FileNotFoundError, ValueError):
        return False


def take_again() -> None:
    """Let this node hold locks again."""
    (HELD / YIELD).unlink(missing_ok=True)


def hand_over(manifest: Manifest, tell: Tell) -> None:
    """Have other nodes run what moves; return when they hold the locks. Raises ApplyError when none takes one."""
    left = list(dict.fromkeys(map(find_lock, list_moving(manifest))))
    if left:
        give_up()
    deadline = time.monotonic() + HAND_OVER_SECONDS
    while left:
        tell("services", f"handing over {left[0]}")
        try:
            found = find_key(PREFIX + left[0])
        except ConsulError as error:
            raise ApplyError(f"it is unknown which node runs {left[0]}: {error}", UNIT) from error
        if found["session"] and found["holder"] != manifest["key"]:
            left.pop(0)
        elif time.monotonic() > deadline:
            take_again()
            raise ApplyError(f"no other node takes over {left[0]}; check whether one is down: ./webitel status", UNIT)
        else:
            time.sleep(1)
