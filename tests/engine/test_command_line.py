"""The command line's dealings with the real engine: nothing written into the checkout, interruptions resumed."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.commands import destroy
from cli.console import Failure
from cli.engine import leftovers
from cli.engine.backend import state_folder
from cli.engine.engine import Engine, open_engine, set_for_this_run
from cli.engine.rollout import Run, report_failure, run_engine
from stacks import settings
from stacks.load import load_deployment
from tests.engine.conftest import Toy

pytestmark = pytest.mark.engine

STACK = "clean"
PLAN = load_deployment("local-single").plan
TEXT = "# a comment of the user's\nconfig:\n  toy:colour: blue\n"
SLOW = {"text": "late", "size": 600, "pause": 0.1}


@pytest.fixture
def opened(toy: Toy, engine: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The command line's engine on the toy project, with a stack file as a user writes it."""
    monkeypatch.setattr("cli.engine.engine.ROOT", toy.folder)
    monkeypatch.setattr("cli.engine.backend.ROOT", toy.folder)
    monkeypatch.setattr("cli.engine.rollout.ROOT", toy.folder)
    monkeypatch.setattr(settings, "STACKS", toy.folder / "stacks")
    monkeypatch.setattr("cli.engine.pending.ROOT", toy.folder)
    monkeypatch.setattr("cli.engine.pending.NOT_ASKED", ("toy:", "pulumi:"))
    for name in list(os.environ):
        if name.startswith("PULUMI_") and name not in toy.environment:
            monkeypatch.delenv(name)
    for name, value in toy.environment.items():
        monkeypatch.setenv(name, value)
    stack_file(toy).write_text(TEXT)
    with open_engine(STACK, lambda progress: engine) as made:
        yield made
        if made.exists():
            up(made, "destroy")
            made.run("stack", "rm", "--yes", "--preserve-config")
    assert stack_file(toy).read_text() == TEXT


def stack_file(toy: Toy) -> Path:
    """The user's file."""
    return toy.folder / "stacks" / f"Pulumi.{STACK}.yaml"


def up(made: Engine, command: str = "up") -> Run:
    """Run the engine to its end; it must be good."""
    run = run_engine(made, (), command)
    report_failure(run, f"webitel {command}", PLAN)
    return run


def wait_for(condition: Path, text: str) -> None:
    """Wait until a file holds a text."""
    deadline = time.monotonic() + 30
    while not (condition.exists() and text in condition.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("named", [("--stack", STACK), (f"--stack={STACK}",), ("-s", STACK)])
def test_a_secret_is_set_before_the_first_up(
    named: tuple[str, ...], toy: Toy, opened: Engine, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`up` may ask for one, and only `up` makes the stack."""
    monkeypatch.setattr("tools.engine.find.find_engine", lambda progress: engine)
    words = ["pulumi", "config", "set", "--secret", "toy:word", "s3cret", *named]
    try:
        assert CliRunner().invoke(app, words).exit_code == 0
        text = stack_file(toy).read_text()
    finally:
        stack_file(toy).write_text(TEXT)
    assert "toy:word:" in text and "secure: " in text and "s3cret" not in text
    assert text.startswith(TEXT.splitlines()[0])


def test_a_stack_from_nothing_to_nothing(toy: Toy, opened: Engine) -> None:
    toy.want({"a": {"text": "one", "password": "s3cret"}})
    assert not opened.exists()
    opened.create()
    assert opened.exists()
    assert up(opened).rollout.changes == {"create": 2}
    assert set(up(opened).rollout.changes) == {"same"}
    set_for_this_run(opened, "disruptive", "true")
    assert "disruptive" in opened.config_file.read_text()
    assert "s3cret" in str(opened.open_resources()) and "s3cret" not in str(opened.export())

    assert up(opened, "destroy").rollout.changes == {"delete": 2}
    opened.run("stack", "rm", "--yes", "--preserve-config")
    folder = state_folder(opened.environment)
    assert folder
    destroy.remove_history(folder, STACK)
    assert not [path for path in folder.rglob("*") if path.is_file() and STACK in str(path.relative_to(folder))]


def test_an_error_is_told_once_and_whole(toy: Toy, opened: Engine) -> None:
    opened.create()
    toy.want({"a": {"type": "Faulty", "known": 1, "password": "x"}})
    with pytest.raises(Failure) as caught:
        up(opened)
    assert str(caught.value).startswith("Failed:\nfaulty: no room:\n  first")
    assert "1 error occurred" not in str(caught.value) and "update failed" not in str(caught.value)
    toy.want({})


def test_a_wrong_passphrase_is_named(toy: Toy, opened: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.create()
    wrong = {**opened.environment, "PULUMI_CONFIG_PASSPHRASE": "wrong"}
    with pytest.raises(Failure, match="incorrect passphrase"):
        up(Engine(STACK, opened.binary, wrong, opened.folder))


def test_a_killed_engine_is_resumed(toy: Toy, opened: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    opened.create()
    toy.want({"a": SLOW})
    events = opened.folder / "events.json"
    runs: list[Run] = []
    thread = threading.Thread(target=lambda: runs.append(killed(opened)))
    thread.start()
    wait_for(events, "step 2/600")
    (lock,) = leftovers.find_locks(opened)
    kill_engine(lock)
    thread.join(30)
    with pytest.raises(Failure, match=r"SIGKILL"):
        report_failure(runs[0], "webitel up", PLAN)
    assert opened.export()["deployment"]["pending_operations"]

    toy.want({"a": {"text": "now"}})
    leftovers.clear_leftovers(opened)
    assert "Removed the lock" in capsys.readouterr().err
    assert not leftovers.find_locks(opened)
    assert not opened.export()["deployment"].get("pending_operations")
    run = up(opened)
    assert run.rollout.changes.get("create") == 1 and not run.rollout.warnings
    assert (toy.world / "note-a").read_text() == "now"


def kill_engine(lock: Path) -> None:
    """End the process that holds a lock, as `kill -9` does."""
    os.kill(json.loads(lock.read_text())["pid"], signal.SIGKILL)


def killed(made: Engine) -> Run:
    """A run in a thread of its own, where no signal handler can be set."""
    with patch.object(signal, "signal"):
        return run_engine(made, (), "up")


def test_what_is_left_out_stays_as_it_is_and_holds_up_nothing_behind_it(toy: Toy, opened: Engine) -> None:
    """As the node that has the calls is (`cli/nodes/standby_first.py`)."""
    opened.create()
    toy.want({"a": {"text": "one"}, "b": {"text": "one", "after": ["a"]}})
    up(opened)
    (urn,) = [one["urn"] for one in opened.resources() if one["urn"].endswith("::a")]
    toy.want({"a": {"text": "two"}, "b": {"text": "two", "after": ["a"]}})
    report_failure(run_engine(opened, (), "up", "--exclude", urn), "webitel up", PLAN)
    assert [(toy.world / f"note-{name}").read_text() for name in "ab"] == ["one", "two"]
    assert up(opened).rollout.changes["update"] == 1
    assert (toy.world / "note-a").read_text() == "two"
