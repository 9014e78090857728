"""A user's first minutes on a fresh Debian 12 with git, ca-certificates and sudo: no Go, no Python, no HOME, no terminal.

A folder is no machine: it has no kernel, so what needs one of its own (Incus) is where this ends.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.first_run.bare_machine import ROOT, make_machine, remove_machine, run_in

pytestmark = pytest.mark.first_run

BUILD_SECONDS = 2400
"""The engine's build takes four minutes on two quiet cores."""
COMMAND = re.compile(r"^ {4}(\./webitel \S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("bare")
    root = make_machine(folder)
    yield root
    remove_machine(root)


def show(name: str, started: float, output: str) -> None:
    print(f"\n-- {name}: {time.monotonic() - started:.0f} s\n{output}")


def test_the_machine_is_bare(machine: Path) -> None:
    for program in ("python3", "go", "gcc", "curl", "ssh", "pulumi", "incus"):
        assert run_in(machine, ["sh", "-c", f"command -v {program}"]).returncode == 1, program


def test_who_is_not_root_is_told_one_line_that_mends_it(machine: Path) -> None:
    done = run_in(machine, ["./webitel", "plan"], user=True)
    assert done.returncode == 1
    (line,) = [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert line.startswith("sudo sh -c 'apt-get update && apt-get install")


def test_plan_installs_python_and_what_it_imports(machine: Path) -> None:
    started = time.monotonic()
    done = run_in(machine, ["./webitel", "plan"], seconds=900)
    show("plan", started, done.stdout)
    assert done.returncode == 0
    assert "Next: ./webitel up local-single" in done.stdout
    again = time.monotonic()
    assert run_in(machine, ["./webitel", "plan"]).returncode == 0
    show("plan, again", again, "")


def test_doctor_finds_nothing_to_be_done_by_hand(machine: Path) -> None:
    done = run_in(machine, ["./webitel", "doctor"])
    show("doctor", time.monotonic(), done.stdout)
    assert done.returncode == 0
    assert "MISSING" not in done.stdout
    assert "Incus          not installed; `up` installs it" in done.stdout


def test_preview_installs_go_and_builds_the_engine(machine: Path) -> None:
    started = time.monotonic()
    done = run_in(machine, ["./webitel", "preview"], seconds=BUILD_SECONDS)
    show("preview", started, done.stdout)
    assert done.returncode == 0
    assert "installing golang-go" in done.stdout
    assert re.search(r"building Pulumi [\d.]+: \d+ of \d+ packages, \d+ s", done.stdout)
    lines = [line for line in done.stdout.splitlines() if re.match(r"building Pulumi .*packages", line)]
    spent = int(lines[-1].split(", ")[1].split()[0])
    assert len(lines) <= spent / 10 + 2
    assert "+ 1 to create" in done.stdout or "to create" in done.stdout


def test_first_command_of_the_readme_goes_as_far_as_a_kernel_is_needed(machine: Path) -> None:
    found = COMMAND.search((ROOT / "README.md").read_text())
    assert found
    started = time.monotonic()
    done = run_in(machine, found[1].split(), seconds=900)
    show(found[1], started, done.stdout)
    # The last step that can be told here: Incus is installed from backports and its daemon started.
    assert "installing incus-base" in done.stdout
    assert "starting Incus" in done.stdout


def test_a_second_user_is_not_disturbed_by_what_root_left(machine: Path) -> None:
    started = time.monotonic()
    done = run_in(machine, ["./webitel", "plan"], user=True, seconds=900)
    show("plan of another user", started, done.stdout)
    assert done.returncode == 0
