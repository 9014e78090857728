"""What exists in the simulated clouds, kept in a file. Names and addresses have one holder, and what is in use stays
(`facts/clouds.md` 0).

The file is a journal of JSON lines, the newest state of a thing last: another process may add a line (a change behind
Pulumi's back), the next call sees it. What happened can be read from it in order.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from provider.server import Properties, ProviderError


class Refused(ProviderError):
    """What the cloud's API answers when it does not do what it was asked."""


@dataclass
class Thing:
    """Something that exists. `inputs` as asked for, `outputs` as the cloud decided, `urn` of the resource that made it.

    `uses` are keys of things that cannot be deleted while this one exists; `holds` are tokens (an address, a name, a
    disk) that only one thing may hold.
    """

    type: str
    id: str
    urn: str
    inputs: Properties
    outputs: Properties = field(default_factory=dict)
    uses: list[str] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Its place in the world."""
        return make_key(self.type, self.id)

    def list_names(self) -> set[str]:
        """All that it may be known by: its id, and what it was given, alone or in a list (MAC addresses)."""
        given = (value if isinstance(value, list) else [value] for value in self.outputs.values())
        return {self.id, *(str(one) for values in given for one in values)}

    def get(self, name: str) -> Any:
        """An output or input of that name, None without one."""
        value = self.outputs.get(name)
        return self.inputs.get(name) if value is None else value


def make_key(type: str, id: str) -> str:
    """The key of the thing of that type and id."""
    return f"{type}|{id}"


class World:
    """All things of one file. Changes are made inside `change()`, which undoes them all when it is left by an error."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.RLock()
        self._read = 0
        self._things: dict[str, Thing] = {}
        self._holders: dict[str, str] = {}
        self._count = 0
        self._undo: list[tuple[str, Thing | None]] | None = None
        file.touch()

    @contextmanager
    def change(self) -> Iterator[World]:
        """One call of the cloud's API: all of it happens or nothing."""
        with self._lock:
            self._catch_up()
            self._undo = []
            try:
                yield self
            except BaseException:
                for key, thing in reversed(self._undo):
                    self._set(key, thing)
                raise
            else:
                keys = dict.fromkeys(key for key, _ in self._undo)
                self._append({key: asdict(self._things[key]) if key in self._things else None for key in keys})
            finally:
                self._undo = None

    def all(self, type: str = "") -> list[Thing]:
        """Every thing, or those of a type, in the order of their creation."""
        with self._lock:
            self._catch_up()
            return [thing for thing in self._things.values() if type in ("", thing.type)]

    def find(self, type: str, id: str) -> Thing | None:
        """The thing of that type and id, None without one."""
        with self._lock:
            self._catch_up()
            return self._things.get(make_key(type, id))

    def put(self, thing: Thing) -> None:
        """Adds or changes a thing; inside `change()`. Raises Refused where a token of it is held by another one."""
        for token in thing.holds:
            holder = self._holders.get(token)
            if holder is not None and holder != thing.key:
                raise Refused(f"{token} is already in use by {holder.replace('|', ' ')}")
        self._record(thing.key)
        self._set(thing.key, thing)

    def remove(self, thing: Thing) -> None:
        """Deletes a thing; inside `change()`. Raises Refused while another one uses it."""
        for other in self._things.values():
            if thing.key in other.uses:
                raise Refused(f"{thing.type} {thing.id} is still in use by {other.type} {other.id}")
        self._record(thing.key)
        self._set(thing.key, None)

    def drop(self, thing: Thing) -> None:
        """Deletes a thing, whatever uses it; inside `change()`."""
        self._record(thing.key)
        self._set(thing.key, None)

    def is_held(self, token: str) -> bool:
        """Whether something holds the token."""
        return token in self._holders

    def users_of(self, thing: Thing) -> list[Thing]:
        """What uses a thing."""
        with self._lock:
            self._catch_up()
            return [other for other in self._things.values() if thing.key in other.uses]

    def next_number(self) -> int:
        """A number that no thing had before."""
        self._count += 1
        return self._count

    def allocate(self, scope: str, network: str, *, first: int, last: int, wanted: str | None = None) -> str:
        """An address of a network for `hold(address_token(...))`: the wanted one or the lowest that is free.

        `first` and `last` are how many addresses the cloud keeps at both ends.
        """
        block = IPv4Network(network)
        low, high = int(block.network_address) + first, int(block.broadcast_address) - last
        if wanted is not None:
            if not low <= int(IPv4Address(wanted)) <= high:
                raise Refused(f"{wanted} is outside {network} or one of the addresses that the cloud keeps")
            if self.is_held(address_token(scope, wanted)):
                raise Refused(f"{wanted} is already in use in {scope}")
            return wanted
        for number in range(low, high + 1):
            if not self.is_held(address_token(scope, str(IPv4Address(number)))):
                return str(IPv4Address(number))
        raise Refused(f"{network} has no free address")

    def edit(self, type: str, id: str, **inputs: Any) -> None:
        """Changes a thing behind Pulumi's back."""
        with self.change():
            thing = self._things[make_key(type, id)]
            self.put(replace(thing, inputs={**thing.inputs, **inputs}))

    def disturb(self, type: str, id: str, **outputs: Any) -> None:
        """Changes what the cloud itself decides of a thing, as by a click on a button that no input tells of."""
        with self.change():
            thing = self._things[make_key(type, id)]
            self.put(replace(thing, outputs={**thing.outputs, **outputs}))

    def erase(self, type: str, id: str) -> None:
        """Deletes a thing behind Pulumi's back, whatever uses it."""
        with self.change():
            self.drop(self._things[make_key(type, id)])

    def _record(self, key: str) -> None:
        assert self._undo is not None, "the world changes only inside change()"
        self._undo.append((key, self._things.get(key)))

    def _set(self, key: str, thing: Thing | None) -> None:
        if old := self._things.get(key):
            for token in old.holds:
                self._holders.pop(token, None)
        if thing is None:
            self._things.pop(key, None)
        else:
            self._things[key] = thing
            self._holders.update(dict.fromkeys(thing.holds, key))

    def _append(self, changes: Mapping[str, Any]) -> None:
        if not changes:
            return
        lines = "".join(json.dumps({"key": key, "thing": thing, "n": self._count}) + "\n" for key, thing in changes.items())
        with self.file.open("ab", buffering=0) as file:
            file.write(lines.encode())  # in one piece: others read meanwhile
            self._read = file.tell()

    def _catch_up(self) -> None:
        if self._undo is not None or self.file.stat().st_size == self._read:
            return
        with self.file.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # somebody is writing it at this moment
                entry = json.loads(line)
                self._set(entry["key"], Thing(**entry["thing"]) if entry["thing"] else None)
                self._count = max(self._count, entry.get("n", 0))
                self._read += len(line)


def copy_world(file: Path, target: Path) -> World:
    """A world of its own in `target` with what exists in `file` now, which somebody may be writing to at this moment."""
    lines = file.read_bytes()
    target.write_bytes(lines[: lines.rfind(b"\n") + 1])
    return World(target)


def address_token(scope: str, address: str) -> str:
    """What the holder of an address holds."""
    return f"address {address} of {scope}"
