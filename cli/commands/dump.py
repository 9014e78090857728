"""`dump`: logs, unit states and rendered files of every node in one archive, with every secret filtered out."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import DEFAULT_STACK, Failure, StackName, format_count, out
from cli.help import LOOK
from components.model import resource_types
from components.model.planning.planner import plan_to_json
from stacks.load import load_deployment

if TYPE_CHECKING:
    from cli.nodes.access import Answer

DUMP_SECONDS = 120


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=LOOK)(dump)


def dump(
    stack: StackName = DEFAULT_STACK,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The archive, a .tar.gz.", show_default=False)] = None,
    lines: Annotated[int, typer.Option(min=1, max=100_000, help="Log lines of each unit.")] = 2000,
) -> None:
    """Collect logs, unit states and files of all nodes in one archive without secrets."""
    from cli.engine.engine import open_engine
    from cli.nodes.access import ask_nodes, read_access
    from cloud_init.node_command import node_command

    plan = load_deployment(stack).plan
    with open_engine(stack) as engine:
        access = read_access(engine)
        for resource in engine.open_resources():
            if resource["type"] == resource_types.SECRETS:
                access.hide.add(resource["outputs"]["values"])
    target = file or Path(f"webitel-{stack}-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz")
    if target.exists():
        raise Failure(f"{target} already exists; use another name")
    command = node_command("dump", "--lines", str(lines))
    answers = asyncio.run(ask_nodes(access, list(access.nodes.values()), command, DUMP_SECONDS))
    texts = {"plan.json": json.dumps(plan_to_json(plan), indent=2)}
    silent = []
    for key, answer in answers.items():
        found, problem = read_dump(answer)
        if problem:
            silent.append(key)
            found = {"no-answer.txt": problem}
        texts |= {f"{access.nodes[key].name}/{name}": text for name, text in found.items()}
    # The answers are filtered already; again as plain text, since a secret may have stood in JSON in another form.
    write_archive(target, stack, {name: access.hide(text) for name, text in texts.items()})
    missing = f"; nothing from {', '.join(silent)}, the archive says why" if silent else ""
    out.print(
        f"{target}: {format_count(len(texts), 'file')} of {format_count(len(answers), 'node')}{missing}. "
        "Generated secrets are masked; telephone numbers and addresses in logs are not."
    )


def read_dump(answer: Answer) -> tuple[Mapping[str, str], str]:
    """Return the node's texts by name, or why there are none."""
    if answer.problem:
        return {}, answer.problem
    try:
        found: dict[str, str] = json.loads(answer.output)
    except ValueError:
        said = (answer.errors or answer.output).strip()[-2000:]
        return {}, f"its node program ended with exit status {answer.status}: {said}"
    return found, ""


def write_archive(target: Path, folder: str, texts: Mapping[str, str]) -> None:
    """Write one archive, readable by its owner only."""
    target.touch(mode=0o600)
    with tarfile.open(target, "w:gz") as archive:
        for name, text in sorted(texts.items()):
            data = text.encode()
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(data))
