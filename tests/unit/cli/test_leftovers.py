"""Locks of an engine that died."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cli.console import Failure
from cli.engine.backend import mend_sidecars, state_folder
from cli.engine.engine import Engine
from cli.engine.leftovers import remove_dead_locks
from tests.unit.cli.fakes import make_engine


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """An engine with a backend in a folder."""
    made = make_engine(tmp_path, "")
    return replace(made, environment=made.environment | {"PULUMI_BACKEND_URL": f"file://{tmp_path}/a%20state"})


def lock(tmp_path: Path, pid: int, host: str = "") -> Path:
    """A lock as the engine writes it."""
    path = tmp_path / "a state/.pulumi/locks/organization/webitel/local-basic/1.json"
    path.parent.mkdir(parents=True)
    path.write_text(
        json.dumps(
            {"pid": pid, "username": "root", "hostname": host or socket.gethostname(), "timestamp": "2026-11-23T13:00:17Z"}
        )
    )
    return path


@pytest.fixture
def living(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like an engine."""
    program = tmp_path / "pulumi-alive"
    shutil.copy(str(shutil.which("sleep")), program)
    with subprocess.Popen([str(program), "60"]) as process:
        # The kernel closes the pipe that Popen waits for before it gives the process its new name.
        while Path(f"/proc/{process.pid}/comm").read_text() != "pulumi-alive\n":
            time.sleep(0.01)
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
    tmp_path: Path,
    engine: Engine,
    living: subprocess.Popen[bytes],
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


def test_the_lock_of_a_former_host_name_says_how_to_go_on(tmp_path: Path, engine: Engine) -> None:
    lock(tmp_path, 1, "laptop-before")
    with pytest.raises(Failure, match=r"former name: ./webitel pulumi cancel --yes --stack local-basic$"):
        remove_dead_locks(engine)


def test_a_damaged_lock_is_told(tmp_path: Path, engine: Engine) -> None:
    path = lock(tmp_path, 1)
    path.write_text("")
    with pytest.raises(Failure, match=f"{path} is a damaged lock"):
        remove_dead_locks(engine)


@pytest.mark.parametrize(
    ("address", "folder"),
    [
        ("file://~", "home/.pulumi"),
        ("file://~/a/b", "home/a/b/.pulumi"),
        ("file://~?metadata=skip", "home/.pulumi"),
        ("file://{root}/x%20y?metadata=skip&no_tmp_dir=true", "x y/.pulumi"),
        ("file://{root}/x#y", "x#y/.pulumi"),
        ("file://{root}", ".pulumi"),
        ("login file://~", "home/.pulumi"),
        ("login file://{root}/in", "in/.pulumi"),
        ("s3://bucket/file:///x", ""),
        ("login https://api.pulumi.com", ""),
        ("login ", ""),
    ],
)
def test_the_folder_of_every_file_backend(tmp_path: Path, address: str, folder: str) -> None:
    login, _, said = address.format(root=tmp_path).rpartition("login ")
    environment = {"HOME": str(tmp_path / "home"), "PULUMI_HOME": str(tmp_path)}
    if address.startswith("login "):
        (tmp_path / "credentials.json").write_text(json.dumps({"current": said}))
    else:
        environment["PULUMI_BACKEND_URL"] = said
    assert not login and state_folder(environment) == (tmp_path / folder if folder else None)


def test_a_backend_that_is_no_folder_is_left_to_its_owner(engine: Engine) -> None:
    remove_dead_locks(replace(engine, environment={"PULUMI_BACKEND_URL": "s3://bucket"}))


def test_a_file_half_written_beside_the_state_goes(tmp_path: Path, engine: Engine) -> None:
    """The engine says `failed to load checkpoint: EOF` to every command with it."""
    folder = tmp_path / "a state/.pulumi/stacks/webitel"
    folder.mkdir(parents=True)
    for name, text in (("local-basic.json", "{}"), ("local-basic.json.attrs", ""), ("other.json.attrs", '{"user.mime": ""}')):
        (folder / name).write_text(text)
    mend_sidecars(engine.environment)
    assert sorted(path.name for path in folder.iterdir()) == ["local-basic.json", "other.json.attrs"]
