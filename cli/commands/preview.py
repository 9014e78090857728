"""`preview`: what `up` would change, with the lines of every changed file; `comment`: several of them in one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import DEFAULT_STACK, AsJson, Failure, StackName, out
from cli.help import DEPLOY, DEVELOP
from cli.show.documents import preview_document
from components.model.plan import Plan
from components.model.problems import PlanError
from components.model.redact import SecretFilter
from stacks.load import load_deployment

if TYPE_CHECKING:
    from cli.engine.changes import Changes
    from cli.engine.engine import Engine

SECRET_VARIABLE = re.compile(r"TOKEN|SECRET|PASSWORD|PASSPHRASE|ACCESS_KEY|CREDENTIALS")
"""Environment variables whose value appears in no comment."""


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(rich_help_panel=DEPLOY)(preview)
    app.command(rich_help_panel=DEVELOP)(comment)


@dataclass
class Preview:
    """How a preview ended: its exit status, what it would change (None where it failed), what the engine said of a failure,
    and the filter for texts of it."""

    status: int
    changes: Changes | None
    said: str
    hide: SecretFilter


def preview(
    stack: StackName = DEFAULT_STACK,
    diff: Annotated[bool, typer.Option("--diff", help="Show every changed input, and files line by line.")] = False,
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=("Write a comment for a pull request as well; no file where nothing changes.")),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what `up` would change. Nothing is created, no node is asked, no secret is shown."""
    from cli.comment.markdown import write_preview
    from tools.environment import ensure_extra

    if markdown:
        markdown.unlink(missing_ok=True)
    try:
        plan = load_deployment(stack).plan
        if plan.facts.package:
            ensure_extra(plan.cloud)
        seen = run_preview(plan, diff, as_json, wanted=as_json or markdown is not None)
    except (Failure, PlanError) as problem:
        if markdown:
            write_comment(markdown, failure_comment(stack, str(problem)))
        raise
    if markdown and (seen.changes or seen.said):
        text = write_preview(plan, seen.changes) if seen.changes else failure_comment(stack, seen.said)
        write_comment(markdown, seen.hide(text))
    if as_json and seen.changes:
        print(seen.hide(json.dumps(preview_document(stack, seen.changes), indent=2)))
    raise typer.Exit(seen.status)


def run_preview(plan: Plan, diff: bool, quiet: bool, *, wanted: bool) -> Preview:
    """Run the engine, `quiet` with its words on standard error only; changes and secrets are read only where `wanted`."""
    from cli.engine.backend import ROOT
    from cli.engine.changes import read_changes
    from cli.engine.engine import open_engine
    from cli.engine.events import EventLog, Rollout
    from cli.engine.leftovers import remove_dead_locks

    with open_engine(plan.stack) as engine:
        if not engine.exists():
            engine = on_paper(engine)
        remove_dead_locks(engine)
        log = EventLog(engine.folder / "events.json")
        command = [
            str(engine.binary),
            "preview",
            "--stack",
            plan.stack,
            "--config-file",
            str(engine.config_file),
            "--suppress-outputs",
            "--non-interactive",
            *(["--diff"] if diff else []),
            "--event-log",
            str(log.path),
        ]
        done = subprocess.run(
            command, cwd=ROOT, env=engine.environment, stdin=subprocess.DEVNULL, check=False, stdout=sys.stderr if quiet else None
        )
        if not wanted:
            return Preview(done.returncode, None, "", SecretFilter())
        hide = find_secrets(engine)
        events = list(log.read())
    if done.returncode:
        rollout = Rollout(plan.nodes)
        for event in events:
            rollout.feed(event)
        said = "\n".join(map(str, rollout.errors)) or f"the Pulumi engine ended with exit status {done.returncode}"
        return Preview(done.returncode, None, said, hide)
    return Preview(0, read_changes(events), "", hide)


def on_paper(engine: Engine) -> Engine:
    """Return the engine with a state of this run's own: a preview of what was never up leaves nothing in the backend."""
    state = engine.folder / "state"
    state.mkdir()
    made = replace(engine, environment={**engine.environment, "PULUMI_BACKEND_URL": state.as_uri()})
    made.create()
    return made


def find_secrets(engine: Engine) -> SecretFilter:
    """Return a filter that knows every secret of the state, of the stack file and of this process' environment."""
    from cli.engine.engine import list_secrets

    hide = SecretFilter()
    hide.add(list_secrets(json.loads(engine.run("stack", "export", "--show-secrets"))))
    settings = json.loads(engine.run("config", "--json", "--show-secrets", "--config-file", str(engine.config_file)))
    hide.add([setting.get("value", "") for setting in settings.values() if setting.get("secret")])
    hide.add([value for name, value in os.environ.items() if SECRET_VARIABLE.search(name)])
    return hide


def failure_comment(stack: str, text: str) -> str:
    """Return the comment on a preview that failed."""
    from cli.comment.markdown import write_failure

    return write_failure(stack, text)


def write_comment(file: Path, text: str) -> None:
    """Write the comment; no file without one."""
    if text:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def comment(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What `preview --markdown` wrote.")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="The comment; no file where nothing changes.")],
) -> None:
    """Join the previews of several stacks into one comment. Files that are not there are previews without a change."""
    from cli.comment.markdown import join

    output.unlink(missing_ok=True)
    found = [file for file in files if file.exists()]
    write_comment(output, join(file.read_text() for file in found))
    out.print(f"{output}: {len(found)} of {len(files)} previews change something." if found else "Nothing changes.")
