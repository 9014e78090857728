"""A user's first minutes on a fresh Debian 12 with git, ca-certificates and sudo: no Go, no Python, no HOME, no terminal.

A folder with a network and processes of its own stands for the machine: its kernel is this host's.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.first_run.bare_machine import ROOT, Machine, bare_machine

pytestmark = pytest.mark.first_run

BUILD_SECONDS = 2400
"""The engine's build takes four minutes on two quiet cores."""
UP_SECONDS = 1800
COMMAND = re.compile(r"^ {4}(\./webitel \S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with bare_machine(tmp_path_factory.mktemp("bare")) as made:
        yield made


def show(name: str, started: float, output: str) -> None:
    print(f"\n-- {name}: {time.monotonic() - started:.0f} s\n{output}")


def test_the_machine_is_bare(machine: Machine) -> None:
    for program in ("python3", "go", "gcc", "curl", "ssh", "pulumi", "incus"):
        assert machine.run("sh", "-c", f"command -v {program} || echo none").stdout == "none\n", program


def test_who_is_not_root_is_told_one_line_that_mends_it(machine: Machine) -> None:
    done = machine.run("./webitel", "plan", user=True)
    assert done.returncode == 1
    (line,) = [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert line.startswith("sudo sh -c 'apt-get update && apt-get install")


def test_plan_installs_python_and_what_it_imports(machine: Machine) -> None:
    started = time.monotonic()
    done = machine.run("./webitel", "plan", seconds=900)
    show("plan", started, done.stdout)
    assert done.returncode == 0
    assert "Next: ./webitel up local-single" in done.stdout
    again = time.monotonic()
    assert machine.run("./webitel", "plan").returncode == 0
    show("plan, again", again, "")


def test_doctor_finds_nothing_to_be_done_by_hand(machine: Machine) -> None:
    done = machine.run("./webitel", "doctor")
    show("doctor", time.monotonic(), done.stdout)
    assert done.returncode == 0
    assert "MISSING" not in done.stdout
    assert "Incus          not installed; `up` installs it" in done.stdout


def test_preview_installs_go_and_builds_the_engine(machine: Machine) -> None:
    started = time.monotonic()
    done = machine.run("./webitel", "preview", seconds=BUILD_SECONDS)
    show("preview", started, done.stdout)
    assert done.returncode == 0
    assert "installing golang-go" in done.stdout
    assert re.search(r"building Pulumi [\d.]+: \d+ of \d+ packages, \d+ s", done.stdout)
    lines = [line for line in done.stdout.splitlines() if re.match(r"building Pulumi .*packages", line)]
    spent = int(lines[-1].split(", ")[1].split()[0])
    assert len(lines) <= spent / 10 + 2
    assert re.search(r"\+ \d+ to create", done.stdout)


def test_first_command_of_the_readme_ends_healthy(machine: Machine) -> None:
    found = COMMAND.search((ROOT / "README.md").read_text())
    assert found
    started = time.monotonic()
    # In one go: what a command leaves running ends with it here.
    script = f"{found[1]} && ./webitel status; ./webitel destroy --yes; python3 -m tools.incus clean"
    done = machine.run("sh", "-c", script, seconds=UP_SECONDS)
    show(found[1], started, done.stdout)
    assert "installing incus-base" in done.stdout
    assert len(re.findall(r"services healthy", done.stdout)) >= 1


def test_a_second_user_is_not_disturbed_by_what_root_left(machine: Machine) -> None:
    started = time.monotonic()
    done = machine.run("./webitel", "plan", user=True, seconds=900)
    show("plan of another user", started, done.stdout)
    assert done.returncode == 0
