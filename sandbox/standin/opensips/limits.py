"""pike and ratelimit: who sends too much, and how much of something is too much."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .context import Context, function

if TYPE_CHECKING:
    from .core import Core


@dataclass
class Node:
    """A part of an address and how often it was seen in this and the last unit of time."""

    hits: list[int] = field(default_factory=lambda: [0, 0])
    leaf_hits: list[int] = field(default_factory=lambda: [0, 0])
    red: bool = False
    ends: float = 0.0
    leaf: bool = False


def too_many(hits: list[int], most: int) -> bool:
    """In the last unit, in this one, or in the mean of both."""
    return hits[0] >= most or hits[1] >= most or sum(hits) >> 1 >= most


class Pike:
    """Addresses as a tree: a part of one must itself be busy before the next part is counted."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.nodes: dict[tuple[int, ...], Node] = {}
        self.lock = threading.Lock()

    def number(self, name: str) -> int:
        """One of the module's numbers."""
        return self.core.config.number("pike", name)

    def check(self, address: str) -> int:
        """1, or -2 for who is cut off now and -1 for who was before."""
        parts = tuple(int(part) for part in address.split("."))
        most = self.number("reqs_density_per_unit")
        with self.lock:
            size = next((length for length in range(4, 0, -1) if parts[:length] in self.nodes), 0)
            node = self.nodes.get(parts[:size])
            ends = time.monotonic() + self.number("remove_latency")
            if node is None:
                self.nodes[parts[:1]] = Node([0, 1], ends=ends)
                return 1
            if size == 4:
                node.leaf, node.ends = True, ends
                node.leaf_hits[1] += 1
                if node.red:
                    return -1
                if too_many(node.leaf_hits, most):
                    node.red = True
                    self.core.say(f"PIKE - BLOCKing ip {address}, node={id(node):#x}")
                    return -2
                return 1
            node.hits[1] += 1
            if too_many(node.hits, most >> 2):
                self.nodes[parts[: size + 1]] = Node([0, max(0, node.hits[1] - 1)], [max(0, node.leaf_hits[1] - 1), 0], ends=ends)
            return 1

    def swap(self) -> None:
        """Another unit of time begins."""
        now = time.monotonic()
        most = self.number("reqs_density_per_unit")
        with self.lock:
            for place, node in list(self.nodes.items()):
                node.hits = [node.hits[1], 0]
                node.leaf_hits = [node.leaf_hits[1], 0]
                if node.red and not too_many(node.leaf_hits, most):
                    node.red = False
                    self.core.say(f"PIKE - UNBLOCKing node {id(node):#x}")
                if node.ends < now and not any(other[: len(place)] == place and other != place for other in self.nodes):
                    del self.nodes[place]


@dataclass
class Pipe:
    """One limit by name."""

    algorithm: str
    limit: int
    counter: int = 0
    last: int = 0
    load: int = -1
    used: float = 0.0
    stamps: list[float] = field(default_factory=list)


class RateLimit:
    """ratelimit's pipes."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.pipes: dict[str, Pipe] = {}
        self.lock = threading.Lock()

    def check(self, name: str, limit: int, algorithm: str) -> int:
        """1, or -1 above the limit."""
        algorithm = (algorithm or self.core.config.text("ratelimit", "default_algorithm")).upper()
        with self.lock:
            pipe = self.pipes.setdefault(name, Pipe(algorithm, limit))
            pipe.limit, pipe.used = limit, time.monotonic()
            pipe.counter += 1
            if algorithm == "SBT":
                window = self.core.config.number("ratelimit", "window_size")
                pipe.stamps = [stamp for stamp in pipe.stamps if stamp > pipe.used - window] + [pipe.used]
                return 1 if len(pipe.stamps) <= limit else -1
            interval = self.core.config.number("ratelimit", "timer_interval")
            whole = limit if self.core.config.number("ratelimit", "limit_per_interval") else limit * interval
            if algorithm == "RED" and pipe.load > 1:
                return 1 if pipe.counter % pipe.load == 0 else -1
            return 1 if pipe.counter <= whole else -1

    def tick(self) -> None:
        """The end of an interval."""
        now = time.monotonic()
        interval = self.core.config.number("ratelimit", "timer_interval")
        with self.lock:
            for name, pipe in list(self.pipes.items()):
                whole = pipe.limit if self.core.config.number("ratelimit", "limit_per_interval") else pipe.limit * interval
                pipe.load = pipe.counter // whole if whole else -1
                pipe.last, pipe.counter = pipe.counter, 0
                if now - pipe.used > self.core.config.number("ratelimit", "expire_time"):
                    del self.pipes[name]


def start(core: Core) -> None:
    """Begins to count time."""
    if core.has("pike"):
        core.timers.every(core.pike.number("sampling_time_unit"), core.pike.swap)
    if core.has("ratelimit"):
        core.timers.every(core.config.number("ratelimit", "timer_interval"), core.rate.tick)
        core.commands["rl_list"] = lambda pipe="": [
            {"id": name, "algorithm": one.algorithm, "limit": one.limit, "counter": one.last}
            for name, one in core.rate.pipes.items()
            if not pipe or pipe == name
        ]


@function("pike_check_req")
def pike_check_req(context: Context) -> int:
    """Counts the request against its source."""
    return context.core.pike.check(context.message.here.address)


@function("rl_check")
def rl_check(context: Context, name: str, limit: int, algorithm: str | None) -> int:
    """Counts against a pipe."""
    return context.core.rate.check(name, limit, algorithm or "")


@function("rl_dec_count")
def rl_dec_count(context: Context, name: str) -> int:
    """Takes one back."""
    pipe = context.core.rate.pipes.get(name)
    if pipe is None:
        return -1
    pipe.counter = max(0, pipe.counter - 1)
    return 1


@function("rl_reset_count")
def rl_reset_count(context: Context, name: str) -> int:
    """Begins anew."""
    pipe = context.core.rate.pipes.get(name)
    if pipe is None:
        return -1
    pipe.counter = 0
    return 1


@function("update_stat")
def update_stat(context: Context, name: str, step: int) -> int:
    """A statistic of the script."""
    with context.core.cache_lock:
        context.core.statistics[name] = context.core.statistics.get(name, 0) + step
    return 1


@function("reset_stat")
def reset_stat(context: Context, name: str) -> int:
    """From zero."""
    context.core.statistics[name] = 0
    return 1
