"""A deployment that is never let finish: killed three times, interrupted, failing; then resumed."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.local.conftest import Figure
from tests.local.deployment import Deployment, Running, wait_until
from tests.local.processes import descendants, is_running

pytestmark = pytest.mark.local

BROKEN = ("cloud_init/files/rtpengine/rtpengine.conf", "[rtpengine]", "[rtpengine]\nhomer = nonsense")


def list_incus(*arguments: str) -> list[str]:
    """Names that `incus ... list` shows."""
    command = ["incus", *arguments, "--format", "json"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    return [entry["name"] for entry in json.loads(shown)]


def find_machine(unlucky: Deployment) -> str:
    """The id of the only container of the deployment."""
    (name,) = [name for name in list_incus("list") if name.startswith(unlucky.name)]
    command = ["incus", "config", "get", name, "user.webitel.machine"]
    return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout.strip()


def find_engine(running: Running) -> int:
    """The engine that this `./webitel` runs."""
    (engine,) = [pid for pid in descendants(running.process.pid) if Path(f"/proc/{pid}/comm").read_text().strip() == "pulumi"]
    return engine


def kill_engine_at(unlucky: Deployment, step: str) -> str:
    """Start `up`, kill its engine at a step; returns what was said."""
    running = unlucky.start("up", unlucky.name)
    running.wait_for(step, 300)
    engine = find_engine(running)
    below = descendants(engine)
    assert any("-m provider" in command for command in below.values())
    os.kill(engine, signal.SIGKILL)
    done = running.wait(30)
    assert done.status == 1
    assert "the Pulumi engine was ended by signal 9 (SIGKILL)" in done.said
    assert "it resumes" in done.said
    wait_until(lambda: str(left) if (left := [text for pid, text in below.items() if is_running(pid)]) else "", 10)
    return done.said


def test_engine_killed_while_the_container_is_made(unlucky: Deployment) -> None:
    kill_engine_at(unlucky, "creating container from image")


def test_engine_killed_while_the_node_boots(unlucky: Deployment) -> None:
    said = kill_engine_at(unlucky, "boot: waiting for cloud-init")
    assert "Removed the lock of an interrupted run" in said
    find_machine(unlucky)


def test_engine_killed_while_the_node_is_configured(unlucky: Deployment) -> None:
    before = find_machine(unlucky)
    said = kill_engine_at(unlucky, f"{unlucky.node}  start ")
    assert "Removed the lock of an interrupted run" in said
    assert find_machine(unlucky) == before


def test_interrupted_while_waiting_for_health(unlucky: Deployment) -> None:
    before = find_machine(unlucky)
    with unlucky.edit(*BROKEN):
        running = unlucky.start("up", unlucky.name)
        running.wait_for("health  ", 300)
        below = descendants(running.process.pid)
        running.process.send_signal(signal.SIGINT)
        done = running.wait(30)
        assert done.status == 1
        assert "Stopping: " in done.said
        assert "Interrupted." in done.said
        assert "Traceback" not in done.said
        wait_until(lambda: str(left) if (left := [text for pid, text in below.items() if is_running(pid)]) else "", 10)
    assert find_machine(unlucky) == before


def test_creation_with_a_service_that_exits_at_start(unlucky: Deployment, figure: Figure) -> None:
    with unlucky.edit(*BROKEN):
        failed = unlucky.up("--disruptive", status=1, seconds=400)
        figure("first up with a service that exits at start, of 20 s allowed for health", failed.seconds)
        assert "rtpengine-daemon" in failed.said
        assert unlucky.node in failed.said or "all-1" in failed.said
        assert "homer" in failed.said.lower()  # rtpengine's own words


def test_resumed_to_the_end_with_the_first_machine(unlucky: Deployment) -> None:
    before = find_machine(unlucky)
    unlucky.set(health_timeout=None)
    done = unlucky.up("--disruptive")
    assert "services healthy" in done.said
    assert find_machine(unlucky) == before
    assert unlucky.find_resource("LocalMachine")["outputs"]["machine_id"] == before
    assert unlucky.find_changed_files() == []
