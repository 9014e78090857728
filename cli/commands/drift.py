"""`drift`: what was changed outside `webitel`, at the cloud and on the nodes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import DEFAULT_STACK, AsJson, Failure, StackName, format_count, out, print_item
from cli.help import LOOK
from cli.show.documents import drift_document, print_document
from components.model import resource_types
from components.model.report import Reports
from stacks.load import load_deployment

if TYPE_CHECKING:
    from cli.engine.engine import Engine
    from cli.engine.power import Machines

DRIFT_STATUS = 2
"""The exit status where something was changed."""


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=LOOK)(drift)


Waiting = Mapping[str, Mapping[str, str]]
"""By key of a node: the packages that wait for a security update, with its version."""


@dataclass
class Drift:
    """What a look at the real things found: `changed` lines, `unknown` what could not be asked and why, `errors`."""

    changed: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def drift(
    stack: StackName = DEFAULT_STACK,
    nodes: Annotated[bool, typer.Option("--nodes/--no-nodes", help="Include files, units and packages of the nodes.")] = True,
    as_json: AsJson = False,
) -> None:
    """List what was changed outside `webitel`. Exit status 2 if anything was; changes nothing, not even the state."""
    from cli.engine.backend import ROOT
    from cli.engine.engine import asking_nodes, open_engine, require_existing
    from cli.engine.events import EventLog
    from cli.engine.power import ask_power
    from cli.engine.reading import leave_unread
    from tools.environment import ensure_extra

    plan = load_deployment(stack).plan
    if plan.facts.package:
        ensure_extra(plan.cloud)
    with open_engine(stack) as found:
        require_existing(found)
        engine = asking_nodes(found) if nodes else found
        log = EventLog(engine.folder / "events.json")
        command = engine.command(
            "refresh",
            "--preview-only",
            "--suppress-outputs",
            "--config-file",
            str(engine.config_file),
            "--event-log",
            str(log.path),
            *leave_unread(plan),
        )
        done = subprocess.run(
            command, cwd=ROOT, env=engine.environment, stdin=subprocess.DEVNULL, text=True, capture_output=True, check=False
        )
        seen = read_drift(log.read())
        if not done.returncode:
            add_power(seen, ask_power(found, plan))
        reports = ask_reports(found) if nodes and not done.returncode else {}
        waiting = find_waiting(reports)
    if done.returncode:
        raise Failure("\n".join(["The real state could not be read:", *(seen.errors or [done.stdout, done.stderr])]))
    if as_json:
        print_document(drift_document(stack, seen.changed, seen.unknown, waiting, nodes=nodes))
    else:
        show_drift(seen, stack, nodes)
        show_waiting(waiting, stack)
        show_backups(reports)
    raise typer.Exit(DRIFT_STATUS if seen.changed else int(bool(seen.unknown)))


def ask_reports(engine: Engine) -> Reports:
    """Ask the nodes that `up` has met how they are; who does not answer has been told of already."""
    from cli.nodes.access import list_met, read_access
    from cli.nodes.reports import ask_status

    return ask_status(read_access(engine)) if list_met(engine.resources()) else {}


def find_waiting(reports: Reports) -> Waiting:
    """Return which security updates wait on the nodes."""
    found = {key: {name: new for row in report.machine for name, new in row.packages.items()} for key, report in reports.items()}
    return {key: packages for key, packages in found.items() if packages}


def add_power(seen: Drift, machines: Machines) -> None:
    """Add the machines that are off, which no input tells; of one that is gone that is all there is to say."""
    seen.changed += [f"{key} machine: is {word}" for key, word in machines.off.items()]
    gone = {line.partition(" ")[0] for line in seen.changed if line.endswith(": is gone")}
    seen.unknown += [f"whether {key} runs: {why}" for key, why in machines.unknown.items() if key not in gone]


def read_drift(events: Iterable[Mapping[str, Any]]) -> Drift:
    """Return what the events of a refresh tell."""
    from cli.engine.events import Rollout, is_shown

    seen, rollout = Drift(), Rollout(())
    for event in events:
        rollout.feed(event)
        metadata = event.get("resOutputsEvent", {}).get("metadata", {})
        if metadata.get("op") in ("update", "delete") and is_shown(metadata["urn"]):
            seen.changed += describe(metadata)
    seen.unknown = [warning.text for warning in rollout.warnings if warning.name]
    seen.errors = list(map(str, rollout.errors))
    return seen


def describe(metadata: Mapping[str, Any]) -> list[str]:
    """Return one resource's lines: what a node found about itself, or which inputs the cloud has otherwise."""
    from cli.engine.events import noun
    from cloud_init.node.apply.drift import MARK

    name = metadata["urn"].rpartition("::")[2]
    what = f"{name} {noun(metadata['urn'])}"
    if metadata["op"] == "delete":
        return [f"{what}: is gone"]
    if metadata["type"] == resource_types.CONFIGURATION:
        new = (metadata.get("new") or {}).get("inputs") or {}
        return [f"{name} {line}" for line in (new.get("manifest") or {}).get(MARK, ())]
    changed = metadata.get("detailedDiff") or metadata.get("diffs") or ()
    return [f"{what}: {', '.join(changed) or 'something'} changed"]


def show_drift(seen: Drift, stack: str, nodes: bool) -> None:
    """Print what was found, and the command that undoes it."""
    for line in seen.unknown:
        out.print(f"Unknown: {line}")
    if not seen.changed:
        scope = "" if nodes else " at the cloud; the nodes were not asked"
        out.print(f"No drift{scope}" + (", as far as is known." if seen.unknown else "."))
        return
    out.print(f"{format_count(len(seen.changed), 'change')} outside webitel:")
    for line in seen.changed:
        print_item(line)
    given = "" if stack == DEFAULT_STACK else f" {stack}"
    out.print(f"Next: ./webitel up{given} --repair")


def show_backups(reports: Reports) -> None:
    """Print what is wrong with backups, and that the deployment is quiet. That is no drift either."""
    for key, report in reports.items():
        for row in report.machine:
            if row.warning and row.name in ("backup", "recordings' backup", "restore", "quiet"):
                out.print(f"{key}: {row.name}: {row.why}")


def show_waiting(waiting: Waiting, stack: str) -> None:
    """Print how many security updates wait on each node, and the command that installs them. That is no drift."""
    for key, packages in waiting.items():
        out.print(f"{key}: {format_count(len(packages), 'security update')} waiting: {', '.join(packages)}")
    if waiting:
        out.print("Next: ./webitel upgrade" + ("" if stack == DEFAULT_STACK else f" {stack}") + " --security")
