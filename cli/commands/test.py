"""`test`: the checks of the repository, in parts, each with its time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cli.console import Failure, err, format_duration, out
from components.clouds.registry import CLOUDS

PYTHON = (sys.executable, "-P", "-m")
# The module has no __main__, and its script's first line may name another place.
IMPORT_LINTER = (sys.executable, "-P", "-c", "from importlinter.cli import lint_imports_command as run; run()")
PYTEST = (*PYTHON, "pytest", "-q")
SIDE_BY_SIDE = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile")
"""A worker a processor, whole files each: the tests of one go on where others ended."""
SPEED = "tests/clouds/conformance/test_speed.py"
"""Prints figures, which nothing beside it may spoil."""
PARTS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "unit": (
        ("ruff", (*PYTHON, "ruff", "check", "--quiet", ".")),
        ("mypy", (*PYTHON, "mypy")),
        ("import-linter", IMPORT_LINTER),
        ("files that changed since a real program read them", (*PYTHON, "tests.lint.real_programs")),
        ("unit tests", PYTEST),
    ),
    "engine": (("engine tests", (*PYTEST, "-m", "engine")),),
    "clouds": (
        ("deployments on simulated clouds", (*PYTEST, *SIDE_BY_SIDE, "-m", "clouds", f"--ignore={SPEED}")),
        ("speed on simulated clouds", (*PYTEST, "-m", "clouds", SPEED)),
    ),
    "sandbox": (("stand-ins on Debian's programs", (*PYTEST, "-m", "sandbox")),),
    "local": (("tests on real nodes", (*PYTEST, "-m", "local")),),
    "nodes": (("tests on several real nodes", (*PYTEST, "-m", "nodes")),),
    "drills": (("drills on real nodes", (*PYTEST, "-m", "drills")),),
}
ONLY_BY_NAME = ("nodes",)
"""What takes a quiet machine and many minutes: not a part of the whole."""
PACKAGES: dict[str, tuple[str, ...]] = {
    "unit": ("fail2ban", "gnupg", "openssl", "openssh-client"),
    "sandbox": ("nginx", "postgresql-15", "rabbitmq-server", "python3-psycopg2", "python3-pika", "rtpengine-daemon", "openssl"),
    "local": ("openssh-client",),
    "nodes": ("openssh-client",),
    "drills": ("openssh-client",),
}
"""Debian's packages that a part runs programs of."""
NOTHING_COLLECTED = 5
"""pytest's exit status when no test matched."""


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("test")(run_tests)


def run_tests(
    parts: Annotated[
        list[str] | None, typer.Argument(
            metavar=f"[{'|'.join(PARTS)}]", help=f"Without it all but {' and '.join(ONLY_BY_NAME)}.")] = None,
) -> None:
    """Run the repository's own checks and tests; each of the chosen parts runs, whatever another one finds."""
    from cli.engine.engine import ROOT
    from tools.environment import ensure_extra
    from tools.incus import stop_incus
    from tools.incus.apt import install_stopped
    from tools.incus.daemon import is_answering

    if unknown := set(parts or ()) - PARTS.keys():
        raise Failure(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    ensure_extra("test")
    for cloud in CLOUDS.values():
        if cloud.package:
            ensure_extra(cloud.name)
    chosen = parts or [part for part in PARTS if part not in ONLY_BY_NAME]
    for part in chosen:
        install_stopped(list(PACKAGES.get(part, ())), err.print)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    results: list[tuple[str, bool, float]] = []
    before = list_changes(ROOT)
    had_incus = is_answering()
    for name, command in (step for part in chosen for step in PARTS[part]):
        err.print(f"-- {name}")
        started = time.monotonic()
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        # A part without any test would look like a good one.
        results.append((name if status != NOTHING_COLLECTED else f"{name}: none found", status == 0,
                        time.monotonic() - started))
    started = time.monotonic()
    if left := sorted(list_changes(ROOT) - before):
        err.print("The tests changed the checkout:\n  " + "\n  ".join(left))
    results.append(("checkout as it was", not left, time.monotonic() - started))
    if not had_incus:
        stop_incus(err.print)
    table = Table(box=None, padding=(0, 1), show_header=False)
    for name, good, seconds in results:
        table.add_row(name, "passed" if good else "FAILED", format_duration(seconds), style=None if good else "red")
    out.print(table)
    raise typer.Exit(0 if all(good for _, good, _ in results) else 1)


def list_changes(root: Path) -> set[str]:
    """What `git status` shows; empty where this is no repository."""
    if not (root / ".git").exists():
        return set()
    shown = subprocess.run(["git", "status", "--porcelain"], cwd=root, check=True, capture_output=True, text=True)
    return set(shown.stdout.splitlines())
