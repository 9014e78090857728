"""dispatcher: sets of destinations from the database, chosen in turn, pinged, marked."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .context import Context, function
from .requests import send_request
from .sending import resolve
from .sql import SqlError, quote
from .uri import parse_uri

if TYPE_CHECKING:
    from .core import Core

FLUSHED_EVERY = 30.0
"""Seconds between two writings of changed states, a constant of the module."""

INACTIVE, PROBING = "Inactive", "Probing"


@dataclass(eq=False)
class Destination:
    """One row of the table."""

    group: int
    uri: str
    socket: str
    state: str
    attributes: str
    weight: int
    priority: int
    failures: int = 0
    written: str = ""
    """The state that stands in the table."""

    @property
    def address(self) -> tuple[str, int]:
        """Where it is."""
        uri = parse_uri(self.uri)
        return (resolve(uri.host), uri.port) if uri else ("", 0)


class Dispatcher:
    """The table in memory, and what pings say about it."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.destinations: list[Destination] = []
        self.turn: dict[int, int] = {}
        self.lock = threading.RLock()

    def parameter(self, name: str) -> str:
        """One of the module's texts."""
        return self.core.config.text("dispatcher", name)

    def load(self) -> None:
        """Reads the table; what is known of a destination that stays is kept."""
        columns = ("setid", "destination", "socket", "state", "attrs", "weight", "priority")
        names = ",".join(self.parameter(f"{name}_col") for name in columns)
        rows = self.core.databases.query("dispatcher", f"select {names} from {self.parameter('table_name')}")
        known = {(one.group, one.uri): one for one in self.destinations}
        found = []
        for group, uri, socket, state, attributes, weight, priority in rows:
            made = Destination(
                int(group or 0),
                str(uri),
                str(socket or ""),
                {1: INACTIVE, 2: PROBING}.get(int(state or 0), ""),
                str(attributes or ""),
                int(str(weight)) if str(weight or "").isdigit() else 1,
                int(priority or 0),
            )
            made.written = made.state
            old = known.get((made.group, made.uri))
            if old:
                made.state, made.failures = old.state, old.failures
            found.append(made)
        if not found:
            self.core.say("WARNING:dispatcher:ds_load_data: no valid destinations found")
        with self.lock:
            self.destinations = sorted(found, key=lambda one: one.priority)

    def flush(self) -> None:
        """Writes states that changed into the table, from where the next start takes them."""
        names = {name: self.parameter(f"{name}_col") for name in ("setid", "destination", "state")}
        for one in list(self.destinations):
            if one.state == one.written:
                continue
            number = {"": 0, INACTIVE: 1, PROBING: 2}[one.state]
            try:
                self.core.databases.query(
                    "dispatcher",
                    (
                        f"update {self.parameter('table_name')} set {names['state']}={number} where {names['setid']}={one.group} "
                        f"and {names['destination']}={quote(one.uri)}"
                    ),
                )
            except SqlError as error:
                self.core.say(f"ERROR:dispatcher:ds_flusher_routine: {error}")
            else:
                one.written = one.state

    def active(self, group: int) -> list[Destination]:
        """Those of a set that get calls."""
        with self.lock:
            return [one for one in self.destinations if one.group == group and not one.state]

    def choose(self, group: int, algorithm: int, most: int) -> list[Destination]:
        """The next in turn (algorithm 4), or the first (8); the others follow it."""
        found = self.active(group)
        if not found:
            return []
        with self.lock:
            place = self.turn.get(group, 0) % len(found) if algorithm == 4 else 0
            self.turn[group] = place + 1
        return (found[place:] + found[:place])[: most or None]

    def set_state(self, group: int, uri: str, state: str, on: bool) -> bool:
        """Marks one; it is taken out by pings or marks only after as many failures as the threshold says."""
        threshold = self.core.config.parameters.get(("dispatcher", "ds_probing_threshhold")) or [
            self.core.config.number("dispatcher", "ds_probing_threshold")
        ]
        with self.lock:
            for one in self.destinations:
                if one.group != group or one.uri != uri:
                    continue
                if on and state == PROBING:
                    if one.state == INACTIVE:
                        return True
                    one.failures += 1
                    if one.failures < int(threshold[-1]):
                        return True
                if not on and one.state == state == INACTIVE:
                    one.state = ""
                elif on:
                    one.state = state
                return True
        return False

    def revive(self, group: int, uri: str) -> None:
        """A good answer: active, and nothing failed."""
        with self.lock:
            for one in self.destinations:
                if one.group == group and one.uri == uri:
                    one.state, one.failures = "", 0

    def ping(self) -> None:
        """One round of pings, to all or to those that failed."""
        all_of_them = self.core.config.number("dispatcher", "ds_probing_mode") == 1
        groups = [int(part) for part in self.parameter("ds_probing_list").split(",") if part.strip().isdigit()]
        codes = {int(part) for part in self.parameter("options_reply_codes").split(",") if part.strip().isdigit()}
        for one in list(self.destinations):
            if (groups and one.group not in groups) or one.state == INACTIVE or not (all_of_them or one.state == PROBING):
                continue

            def done(status: int, reply: Any, one: Destination = one) -> None:
                del reply
                if status == 200 or status in codes:
                    self.revive(one.group, one.uri)
                elif all_of_them:
                    self.set_state(one.group, one.uri, PROBING, True)

            send_request(
                self.core,
                self.parameter("ds_ping_method"),
                one.uri,
                self.parameter("ds_ping_from"),
                one.uri,
                callback=done,
                socket=self.core.find_socket(one.socket) if one.socket else None,
            )

    def listing(self) -> dict[str, Any]:
        """MI `ds_list`."""
        groups: dict[int, list[dict[str, Any]]] = {}
        for number, one in enumerate(self.destinations):
            socket = {"socket": one.socket} if one.socket else {}
            groups.setdefault(one.group, []).append({"id": number, "URI": one.uri, "state": one.state or "Active", **socket})
        return {
            "PARTITIONS": [{"name": "default", "SETS": [{"id": group, "Destinations": rows} for group, rows in groups.items()]}]
        }


def start(core: Core) -> None:
    """Loads the table and begins to ping."""
    if not core.has("dispatcher"):
        return
    core.dispatcher.load()

    def reload(partition: str = "") -> str:
        del partition
        core.dispatcher.load()
        return "OK"

    def set_state(state: str, group: int | str, address: str) -> str:
        core.dispatcher.revive(int(group), address)
        if state in ("i", "p"):
            core.dispatcher.set_state(int(group), address, INACTIVE if state == "i" else PROBING, True)
        return "OK"

    core.commands |= {"ds_reload": reload, "ds_list": lambda full="": core.dispatcher.listing(), "ds_set_state": set_state}
    if core.config.number("dispatcher", "persistent_state"):
        core.timers.every(FLUSHED_EVERY, core.dispatcher.flush)
        core.at_end.append(core.dispatcher.flush)
    interval = core.config.number("dispatcher", "ds_ping_interval")
    if interval:
        core.timers.every(interval, core.dispatcher.ping)


def apply(context: Context, uri: str, socket: str) -> None:
    """The request goes there."""
    context.message.destination = uri
    if socket:
        context.message.socket = context.core.find_socket(socket)


@function("ds_select_dst")
def ds_select_dst(
    context: Context,
    group: int,
    algorithm: int,
    flags: str | None,
    partition: str | None,
    most: int | None,
) -> int:
    """Chooses; with flag `f` the others are kept for ds_next_dst."""
    del partition
    found = context.core.dispatcher.choose(group, algorithm, most or 0)
    if not found:
        return -1
    apply(context, found[0].uri, found[0].socket)
    keep = found if "f" in (flags or "") else found[:1]
    context.avps["ds_dst_failover"] = [one.uri for one in keep]
    context.avps["ds_sock_failover"] = [one.socket for one in keep[1:]]
    context.avps["ds_grp_failover"] = [group]
    return 1


@function("ds_next_dst")
def ds_next_dst(context: Context, partition: str | None) -> int:
    """The next of those that were kept."""
    del partition
    values = context.avps.get("ds_dst_failover", [])
    if values:
        values.pop(0)
    if not values:
        return -1
    sockets = context.avps.get("ds_sock_failover", [])
    apply(context, str(values[0]), str(sockets.pop(0)) if sockets else "")
    return 1


@function("ds_mark_dst")
def ds_mark_dst(context: Context, how: str | None, partition: str | None) -> int:
    """Marks the destination that is being tried: `p` to be probed, `a` active, else inactive."""
    del partition
    group, uri = context.avps.get("ds_grp_failover", []), context.avps.get("ds_dst_failover", [])
    if not group or not uri:
        return -1
    dispatcher = context.core.dispatcher
    if how == "a":
        dispatcher.revive(int(group[0] or 0), str(uri[0]))
        return 1
    return 1 if dispatcher.set_state(int(group[0] or 0), str(uri[0]), PROBING if how == "p" else INACTIVE, True) else -1


@function("ds_is_in_list")
def ds_is_in_list(
    context: Context,
    address: str,
    port: int,
    group: int | None,
    partition: str | None,
    active: int | None,
    pattern: str | None,
) -> int:
    """Whether an address is a destination's; port 0 is any."""
    del partition, pattern
    for one in context.core.dispatcher.destinations:
        host, own = one.address
        if (
            (group is None or group == -1 or one.group == group)
            and host == address
            and (0 in (own, port) or own == port)
            and not (active and one.state)
        ):
            return 1
    return -1


@function("ds_count")
def ds_count(context: Context, group: int, which: str, target: Any, partition: str | None) -> int:
    """How many of a set are active, inactive or probed."""
    del partition
    letters = {"": "aA1", INACTIVE: "iI0", PROBING: "pP2"}
    rows = [one for one in context.core.dispatcher.destinations if one.group == group]
    context.store(target, sum(any(letter in which for letter in letters[one.state]) for one in rows))
    return 1
