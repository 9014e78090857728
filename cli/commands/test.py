"""`test`: the checks of the repository, in parts, each with its time."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperCommand

from cli.console import Failure, err, format_duration, out
from cli.develop.parts import ON_NODES, ONLY_BY_NAME, PACKAGES, PARTS, SWEEP, Step
from cli.help import DEVELOP
from components.clouds.registry import CLOUDS

NOTHING_COLLECTED = 5
"""pytest's exit status when no test matched."""
MOST_RUNS = 20
"""On one machine at once."""
WORDS = "words for pytest"
"""Where the context keeps what stands behind `--`."""


class WithWords(TyperCommand):
    """A command whose words behind `--` are another program's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # which module has the type, differs between typer's versions
        """Keep them apart: click would take them for parts."""
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[WORDS] = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("test", cls=WithWords, rich_help_panel=DEVELOP)(run_tests)


def run_tests(
    context: typer.Context,
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar=f"[{'|'.join(PARTS)}]",
            help=f"Without it all but {' and '.join(ONLY_BY_NAME)}. Words after -- are pytest's: unit -- -k firewall.",
        ),
    ] = None,
) -> None:
    """Run the repository's own checks and tests; each of the chosen parts runs, whatever another one finds."""
    from cli.engine.backend import ROOT
    from tools.environment import ensure_extra
    from tools.host.apt import install_stopped

    words: tuple[str, ...] = context.meta[WORDS]
    if unknown := set(parts or ()) - PARTS.keys():
        raise Failure(f"no part {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}")
    chosen = list(dict.fromkeys(parts or [part for part in PARTS if part not in ONLY_BY_NAME]))
    steps = [step for part in chosen for step in PARTS[part] if step.is_pytest or not words]
    if not steps:
        raise Failure(f"{', '.join(chosen)} does not run pytest, which {' '.join(words)} is for")
    ensure_extra("test")
    for cloud in CLOUDS.values():
        if cloud.package:
            ensure_extra(cloud.name)
    for part in chosen:
        install_stopped(list(PACKAGES.get(part, ())), err.print)
    # Hundreds of processes read the project's modules: compiled once, whatever the shell says about that.
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = list_changes(ROOT)
    with files_apart() as folder:
        environment |= {"PYTEST_DEBUG_TEMPROOT": str(folder)}
        results = [run_step(step, words, ROOT, environment) for step in steps if step not in on_nodes(chosen)]
        if later := [step for step in steps if step in on_nodes(chosen)]:
            with nodes_alone(ROOT, environment):
                results += [run_step(step, words, ROOT, environment) for step in later]
    started = time.monotonic()
    if left := sorted(list_changes(ROOT) - before):
        err.print("The tests changed the checkout:\n  " + "\n  ".join(left))
    results.append(("checkout as it was", 1 if left else 0, time.monotonic() - started))
    if words and all(status in (0, NOTHING_COLLECTED) for _, status, _ in results):
        # A choice of tests need not have one in every step, but in one.
        found = [result for result in results[:-1] if result[1] == 0]
        results = [*found, results[-1]] if found else results
    table = Table(box=None, padding=(0, 1), show_header=False)
    for name, status, seconds in results:
        # A part without any test would look like a good one.
        name = f"{name}: none found" if status == NOTHING_COLLECTED else name
        table.add_row(name, "FAILED" if status else "passed", format_duration(seconds), style="red" if status else None)
    out.print(table)
    raise typer.Exit(1 if any(status for _, status, _ in results) else 0)


@contextmanager
def files_apart(place: Path | None = None) -> Iterator[Path]:
    """Give a run a folder of its own for what its tests write, that of a run which has ended where there is one: pytest keeps
    what its last three wrote. In the folder that it has for all runs of a user, each run closes what the others opened for
    programs of other accounts."""
    place = place or Path(tempfile.gettempdir())
    for number in range(MOST_RUNS):
        folder = place / f"webitel{number}"
        with suppress(FileExistsError):
            folder.mkdir()
            folder.chmod(0o755)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            continue  # somebody else's
        with (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield folder
        return
    raise Failure(f"{MOST_RUNS} runs write into {place}/webitel0 and so on already, or these are another user's: delete them")


def on_nodes(parts: list[str]) -> list[Step]:
    """List the steps that need real nodes."""
    return [step for part in parts if part in ON_NODES for step in PARTS[part]]


def run_step(
    step: Step,
    words: tuple[str, ...],
    root: Path,
    environment: Mapping[str, str],
) -> tuple[str, int, float]:
    """Run one command in the open; its name, exit status and seconds."""
    err.print(f"-- {step.name}")
    started = time.monotonic()
    status = subprocess.run(step.words(words), cwd=root, env=environment, check=False).returncode
    return step.name, status, time.monotonic() - started


@contextmanager
def nodes_alone(root: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """One run at a time on this machine's nodes: another one waits. What a run left behind that was interrupted, this one or one
    before it, is deleted, and Incus is stopped afterwards where it was not running and nobody has brought up a deployment
    since."""
    from tools.incus import stop_incus
    from tools.incus.clean import is_in_use
    from tools.incus.daemon import is_answering
    from tools.incus.images import cache_directory

    place = cache_directory()
    place.mkdir(parents=True, exist_ok=True)
    with (place / "test-nodes.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            err.print("Waiting for another run's tests on this machine's nodes ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        had_incus = is_answering()
        subprocess.run(SWEEP, cwd=root, env=environment, check=True)
        try:
            yield
        finally:
            subprocess.run(SWEEP, cwd=root, env=environment, check=True)
            if not had_incus and not is_in_use():
                stop_incus(err.print)


def list_changes(root: Path) -> set[str]:
    """Return what `git status` shows; empty where this is not a repository."""
    if not (root / ".git").exists():
        return set()
    shown = subprocess.run(["git", "status", "--porcelain"], cwd=root, check=True, capture_output=True, text=True)
    return set(shown.stdout.splitlines())
