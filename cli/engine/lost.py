"""Creations and deletions whose answer was lost while the engine went on: it takes them for failed, and what they made is in no
state, what they deleted still is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cli.console import Failure, err, progress
from cli.engine.engine import Engine
from cli.engine.events import Rollout, resource_type
from cli.engine.pending import NOT_ASKED, describe, settle
from components.clouds.adoption import tell
from components.clouds.registry import CLOUDS
from components.model.clouds.refusals import find_refusal

LOST = re.compile(
    r"connection reset|connection closed|closed network connection|broken pipe|\bEOF\b|GOAWAY|time(d )?-?out|deadline exceeded"
    r"|internal[ _]?(server |execution )?error|server[ _]error|bad gateway|service unavailable|unable to give you a response"
    r"|(error|code|status|http)[:= ]+50[0234]\b",
    re.IGNORECASE,
)
"""Errors that leave open whether the thing was made (`facts/engine.md`, lost answers)."""

ANSWERED = re.compile(r"already (exists|in use|used|been taken)|not unique|uniqueness|duplicate|conflict", re.IGNORECASE)
"""Errors of a name that something else has: that may be another deployment's, which is never adopted."""


def list_lost(rollout: Rollout) -> list[Mapping[str, Any]]:
    """Return the creations that may have made something, as the engine's events have them."""
    return [
        resource
        for urn, resource in rollout.failed_creations.items()
        if not resource_type(urn).startswith(NOT_ASKED)
        and any(is_lost(resource_type(urn), text) for text in rollout.errors_of.get(urn, ()))
    ]


def list_unsure(rollout: Rollout) -> list[str]:
    """Return the deletions that may have happened, by URN. Some providers fail at deleting what is gone, each time anew
    (`facts/onprem.md` 4.6, 6.5)."""
    return [
        urn
        for urn in dict.fromkeys(rollout.failed_deletions)
        if not resource_type(urn).startswith(NOT_ASKED)
        and any(is_lost(resource_type(urn), text) for text in rollout.errors_of.get(urn, ()))
    ]


def is_lost(type: str, text: str) -> bool:
    """Return whether an error leaves open if a thing was made. Some refusals come as an internal error, such as Google's 503
    for no capacity."""
    cloud = next((one for one in CLOUDS.values() if one.package and one.package == type.partition(":")[0]), None)
    refused = cloud and find_refusal(cloud, text)
    return bool(LOST.search(text)) and not ANSWERED.search(text) and not refused


def adopt_lost(engine: Engine, rollout: Rollout) -> None:
    """Look them up at once, adopt what is there and forget what is gone: an import of the state drops operations that are left
    open, so that nothing would tell the next run."""
    lost, unsure = list_lost(rollout), list_unsure(rollout)
    if not lost and not unsure:
        return
    names = ", ".join(map(describe, (*(one["urn"] for one in lost), *unsure)))
    what = "whether it was made" if not unsure else "whether it is gone" if not lost else "what is there"
    progress(f"Looking {what}, as the answer was lost: {names}.")
    try:
        state = engine.export()
        pending = state["deployment"].get("pending_operations") or []
        known = {one["resource"]["urn"] for one in pending}
        resources = state["deployment"].get("resources") or []
        begun = [as_begun(one, resources) for one in lost if one["urn"] not in known]
        begun_deleting = [{"type": "deleting", "resource": {"urn": urn, "type": resource_type(urn)}} for urn in unsure]
        settle(engine, state, [*pending, *({"type": "creating", "resource": one} for one in begun), *begun_deleting])
    except Failure as error:
        # What made the run fail is told all the same.
        err.print(f"warning: it is unknown what is there, look in the cloud's console: {names}\n{error}")


def as_begun(made: Mapping[str, Any], resources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a resource as the state has one whose creation was interrupted. The events leave out what it refers to, without
    which it would be deleted together with that; the next `up` writes it as the program says it."""
    kept = ("urn", "type", "custom", "parent", "provider", "inputs", "protect")
    ids = {tell(value) for value in list_values(made["inputs"])}
    needed = [
        one["urn"] for one in resources if (id := one.get("id")) and (id in ids or any(value.endswith(f"/{id}") for value in ids))
    ]
    return {**{name: made[name] for name in kept if name in made}, "dependencies": needed}


def list_values(value: Any) -> Iterator[Any]:
    """Yield every plain value inside inputs."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from list_values(item)
    elif isinstance(value, list):
        for item in value:
            yield from list_values(item)
    else:
        yield float(value) if isinstance(value, int) and not isinstance(value, bool) else value
