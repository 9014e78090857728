"""cachedb_local: values and counters that end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .context import Context, function
from .tree import Value, Variable

if TYPE_CHECKING:
    from .core import Core


def start(core: Core) -> None:
    """Begins to clean up."""
    if core.has("cachedb_local"):
        core.timers.every(core.config.number("cachedb_local", "cache_clean_period"), lambda: clean(core))


def clean(core: Core) -> None:
    """Takes out what has ended."""
    now = time.monotonic()
    with core.cache_lock:
        for key in [key for key, (_, ends) in core.cache.items() if ends and ends < now]:
            del core.cache[key]


def cached(context: Context, store: str, key: str) -> Value:
    """A value that has not ended."""
    found = context.core.cache.get(f"{store}/{key}")
    if found is None or (found[1] and found[1] < time.monotonic()):
        return None
    return found[0]


@function("cache_store")
def cache_store(context: Context, store: str, key: str, value: str, seconds: int | None) -> int:
    """Keeps a value for a while, or for ever."""
    with context.core.cache_lock:
        context.core.cache[f"{store}/{key}"] = value, time.monotonic() + seconds if seconds else 0.0
    return 1


@function("cache_fetch")
def cache_fetch(context: Context, store: str, key: str, target: Variable) -> int:
    """A value, -2 when there is none."""
    value = cached(context, store, key)
    if value is None:
        return -2
    context.store(target, str(value))
    return 1


@function("cache_counter_fetch")
def cache_counter_fetch(context: Context, store: str, key: str, target: Variable) -> int:
    """A counter, -2 when there is none."""
    value = cached(context, store, key)
    if value is None:
        return -2
    context.store(target, int(value))
    return 1


@function("cache_remove")
def cache_remove(context: Context, store: str, key: str) -> int:
    """Forgets a value."""
    with context.core.cache_lock:
        context.core.cache.pop(f"{store}/{key}", None)
    return 1


@function("cache_add")
def cache_add(context: Context, store: str, key: str, step: int, seconds: int, target: Variable | None) -> int:
    """Counts; a counter ends when its first count said, however often it is counted after that."""
    with context.core.cache_lock:
        old = cached(context, store, key)
        value = int(old or 0) + step
        ends = context.core.cache[f"{store}/{key}"][1] if old is not None else time.monotonic() + seconds if seconds else 0.0
        context.core.cache[f"{store}/{key}"] = value, ends
    if target:
        context.store(target, value)
    return 1


@function("cache_sub")
def cache_sub(context: Context, store: str, key: str, step: int, seconds: int, target: Variable | None) -> int:
    """Counts down."""
    return cache_add(context, store, key, -step, seconds, target)
