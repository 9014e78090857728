"""A restore from another deployment's bucket, in steps that nodes carry out; what they say of it before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cli.console import Failure, progress
from cli.nodes.backups import ask_some
from cloud_init.node_command import node_command

if TYPE_CHECKING:
    from cli.engine.engine import Engine
    from cli.nodes.access import Access
    from components.model.plan import Plan

LOOK_SECONDS, STEP_SECONDS, TRANSFER_SECONDS = 900, 900, 86400
ASK_SECONDS = 15


def look(access: Access, keys: Sequence[str], source: str) -> dict[str, Any]:
    """Have these nodes know where the other deployment's backups are, and say what there is and what they have. A Failure names
    what is wrong; then nodes forget it again."""
    run(access, keys, "source", text=source)
    try:
        said = run(access, keys, "look", seconds=LOOK_SECONDS)
        found: dict[str, Any] = {key: json.loads(output.splitlines()[-1]) for key, output in said.items()}
        if problems := [f"{key}: {one['problem']}" for key, one in found.items() if one["problem"]]:
            raise Failure("\n".join(["nothing was changed:", *problems]))
    except Failure:
        forget(access, keys)
        raise
    return found


def forget(access: Access, keys: Sequence[str]) -> None:
    """Have nodes forget the other bucket and its log-in; who does not answer is told so by what comes next."""
    asyncio.run(ask_some(access, keys, node_command("restore", "forget"), STEP_SECONDS))


def bring_recordings(access: Access, keys: Sequence[str]) -> list[str]:
    """Have these nodes bring recordings; return what was wrong with some of them."""
    said, problems = asyncio.run(ask_some(access, keys, node_command("restore", "recordings-source"), TRANSFER_SECONDS))
    for key, output in said.items():
        for line in output.splitlines():
            progress(f"{key}: {line}")
    return [f"{key}: {why}" for key, why in problems.items()]


def run(
    access: Access, keys: Sequence[str], step: str, at: str = "", text: str = "", seconds: float = STEP_SECONDS
) -> dict[str, str]:
    """Have these nodes run one step. A Failure says which could not, and why."""
    command = node_command("restore", step, *(["--at", at] if at else []))
    said, problems = asyncio.run(ask_some(access, keys, command, seconds, text))
    if problems:
        raise Failure("\n".join(f"{key}: {why}" for key, why in problems.items()))
    return dict(said)


def refuse_new_machines(engine: Engine, plan: Plan, *, replaces: bool) -> None:
    """Refuse machines that would not know that the deployment is quiet, and call people."""
    from cli.nodes.access import list_met, read_access

    met = {resource["inputs"]["key"] for resource in list_met(engine.resources())}
    new = [node.key for node in plan.nodes if node.key not in met]
    if not met or not (new or replaces):
        return
    access = read_access(engine)
    # Who does not answer, or knows nothing of it, is not asked to be quiet.
    said, _ = asyncio.run(ask_some(access, list(access.nodes), node_command("restore", "tell-quiet"), ASK_SECONDS))
    if any(json.loads(output) for output in said.values()):
        which = f" ({', '.join(new)})" if new else ""
        raise Failure(
            f"{engine.stack} is quiet, and a new machine{which} would not be. Nothing was changed.\n"
            f"Next: ./webitel restore {engine.stack} --go-live"
        )


def ask_quiet(access: Access) -> dict[str, Any]:
    """Ask all nodes whether they are quiet; by key what made them so, None where nothing did."""
    return {key: json.loads(output) for key, output in run(access, list(access.nodes), "tell-quiet").items()}
