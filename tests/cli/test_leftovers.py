"""Locks and interrupted operations of an engine that died."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cli.console import Failure
from cli.engine import Engine
from cli.leftovers import remove_dead_locks, settle_pending_operations
from tests.cli.fakes import make_engine

STATE = {"version": 3, "deployment": {"resources": [], "pending_operations": [
    {"type": "creating", "resource": {"type": "webitel:index:LocalMachine", "urn": "urn:one"}},
    {"type": "creating", "resource": {"type": "aws:ec2/instance:Instance", "urn": "urn:two"}},
]}}


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """An engine with a backend in a folder."""
    made = make_engine(tmp_path, "")
    return replace(made, environment=made.environment | {"PULUMI_BACKEND_URL": f"file://{tmp_path}/a%20state"})


def lock(tmp_path: Path, pid: int, host: str = "") -> Path:
    """A lock as the engine writes it."""
    path = tmp_path / "a state/.pulumi/locks/organization/webitel/local-basic/1.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"pid": pid, "username": "root", "hostname": host or socket.gethostname(),
                                "timestamp": "2026-11-23T13:00:17Z"}))
    return path


@pytest.fixture
def living(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like an engine."""
    program = tmp_path / "pulumi-alive"
    shutil.copy(str(shutil.which("sleep")), program)
    with subprocess.Popen([str(program), "60"]) as process:
        yield process
        process.kill()


def test_the_lock_of_a_dead_process_goes(tmp_path: Path, engine: Engine) -> None:
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    path = lock(tmp_path, dead.pid)
    remove_dead_locks(engine)
    assert not path.exists()


def test_the_lock_of_a_number_given_again_goes(tmp_path: Path, engine: Engine) -> None:
    path = lock(tmp_path, 1)
    remove_dead_locks(engine)
    assert not path.exists()


def test_the_lock_of_a_living_engine_stays(
    tmp_path: Path, engine: Engine, living: subprocess.Popen[bytes],
) -> None:
    path = lock(tmp_path, living.pid)
    with pytest.raises(Failure, match=f"process {living.pid}"):
        remove_dead_locks(engine)
    assert path.exists()


def test_the_lock_of_another_host_stays(tmp_path: Path, engine: Engine) -> None:
    path = lock(tmp_path, 999_999_999, "elsewhere")
    with pytest.raises(Failure, match="elsewhere"):
        remove_dead_locks(engine)
    assert path.exists()


def test_a_backend_that_is_no_folder_is_left_to_its_owner(engine: Engine) -> None:
    remove_dead_locks(replace(engine, environment={"PULUMI_BACKEND_URL": "s3://bucket"}))


def test_only_operations_of_our_own_types_are_settled(tmp_path: Path) -> None:
    imported = tmp_path / "imported.json"
    engine = make_engine(tmp_path, f"""
if sys.argv[2] == "export":
    print({json.dumps(STATE)!r})
else:
    open({str(imported)!r}, "w").write(sys.stdin.read())
""")
    settle_pending_operations(engine)
    state = json.loads(imported.read_text())
    assert [operation["resource"]["urn"] for operation in state["deployment"]["pending_operations"]] == ["urn:two"]
    imported.unlink()
    binary = engine.binary.read_text()
    engine.binary.write_text(binary.replace(json.dumps(STATE), json.dumps(state)))
    settle_pending_operations(engine)
    assert not imported.exists()
