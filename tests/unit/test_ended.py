"""What an interrupted test run left on this machine's Incus is deleted by the next, and nothing else is."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.local import ended
from tools.incus import api

ROOT = Path(__file__).resolve().parents[2]
HOLDING = "import sys; from tests.local import ended; held = ended.hold(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def start_worker(stack: str) -> "subprocess.Popen[str]":
    """A process that has a deployment."""
    command = [sys.executable, "-c", HOLDING, stack]
    worker = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None and worker.stdout.readline() == "held\n"
    return worker


def test_only_what_dead_workers_had_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    stacks = ["t1-dead", "t2-alive", "t3-released", "of-a-user"]
    there = [{"name": f"{stack}-all-1", "config": {"user.webitel.stack": stack}} for stack in stacks]
    deleted: list[str] = []

    def list_objects(path: str) -> list[dict[str, Any]]:
        return [*there, {"name": "of-another-program", "config": {}}]

    monkeypatch.setattr(ended, "is_answering", lambda: True)
    monkeypatch.setattr(api, "list_objects", list_objects)
    monkeypatch.setattr(api, "delete_instance", deleted.append)
    monkeypatch.setattr(api, "remove", deleted.append)
    dead, alive = start_worker("t1-dead"), start_worker("t2-alive")
    ended.release(ended.hold("t3-released"))
    dead.kill()
    dead.communicate()
    try:
        ended.sweep()
        assert deleted == [
            "t1-dead-all-1",
            api.network_path("t1-dead-all-1"),
            api.volume_path("t1-dead-all-1"),
        ]
        ended.sweep()
        assert len(deleted) == 3
        assert [path.name for path in ended.directory().iterdir()] == ["t2-alive"]
    finally:
        alive.kill()
        alive.communicate()
