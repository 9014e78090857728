"""A run of the engine: shown, ended, and told about when it fails."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from cli.console import Failure
from cli.engine import rollout
from cli.engine.rollout import Run, report_failure, run_engine
from components.model.dropped_calls import REFUSED
from tests.plans import load_stack
from tests.unit.cli.fakes import make_engine

PLAN = load_stack("local-basic").plan
NODES = PLAN.nodes
AGAIN = "./webitel up local-basic"


def run(folder: Path, body: str) -> Run:
    """Run a fake engine to its end."""
    return run_engine(make_engine(folder, body), NODES, "up")


def interrupt_when(path: Path, times: int = 1) -> threading.Thread:
    """Send this process Ctrl-C as soon as a file is there."""

    def wait() -> None:
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_steps_are_lines_where_nobody_watches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run(
        tmp_path,
        """
assert "--yes" in sys.argv and "--skip-preview" in sys.argv and "--non-interactive" in sys.argv
assert option("--stack") == "local-basic" and sys.argv[1] == "up"
say("resourcePreEvent", op="create")
diagnose("packages 1/30", ephemeral=True)
diagnose("packages 2/30", ephemeral=True)
diagnose("start consul", ephemeral=True)
say("resOutputsEvent", op="create")
write({"summaryEvent": {"resourceChanges": {"create": 1}}})
""",
    )
    report_failure(done, AGAIN, PLAN)
    shown = capsys.readouterr().err.splitlines()
    assert [line.partition("s  ")[2] for line in shown] == [
        "local-basic-data-1  creating node configuration",
        "local-basic-data-1  packages 1/30",
        "local-basic-data-1  start consul",
    ]
    assert done.rollout.changes == {"create": 1} and not done.interrupted


def test_a_failed_node_is_told_with_its_lines_and_how_to_go_on(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
say("resourcePreEvent", op="create")
diagnose("rabbitmq-server failed on data-1\\n  address already in use", "error")
say("resOpFailedEvent", op="create")
diagnose("update failed", "error", urn="")
sys.exit(255)
""",
    )
    with pytest.raises(Failure) as caught:
        report_failure(done, AGAIN, PLAN)
    text = str(caught.value)
    assert "rabbitmq-server failed on data-1\n  address already in use" in text
    assert text.startswith("Failed:") and "update failed" not in text
    assert text.endswith(f"Run {AGAIN} again: it resumes.")


def test_what_was_refused_for_calls_in_progress_is_resumed_with_the_leave(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        f"""
diagnose("data-1: {REFUSED}OpenSIPS restarts", "error")
sys.exit(255)
""",
    )
    for again in (AGAIN, f"{AGAIN} --disruptive"):
        with pytest.raises(Failure, match=rf"Run {AGAIN} --disruptive again: it resumes\.$"):
            report_failure(done, again, PLAN)


def test_what_never_became_an_event_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, "sys.exit('error: incorrect passphrase')")
    with pytest.raises(Failure, match="incorrect passphrase"):
        report_failure(done, AGAIN, PLAN)


def test_ctrl_c_reaches_the_engine_once_and_waits_for_it(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)  # ignored where CI runs in the background
    thread = interrupt_when(tmp_path / "ready")
    done = run(
        tmp_path,
        f"""
def stop(*_):
    diagnose("cancelled: run the update again to resume here", "error")
    open({str(tmp_path / "stopped")!r}, "a").write("x")
    time.sleep(0.3)
    sys.exit(1)
signal.signal(signal.SIGINT, stop)
open({str(tmp_path / "ready")!r}, "w")
time.sleep(60)
""",
    )
    thread.join()
    assert (tmp_path / "stopped").read_text() == "x" and done.interrupted and done.status == 1
    with pytest.raises(Failure, match=r"(?s)Interrupted.*cancelled.*it resumes"):
        report_failure(done, AGAIN, PLAN)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_engine_that_does_not_stop_is_ended_with_its_children(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rollout, "CANCEL_SECONDS", 0.5)
    thread = interrupt_when(tmp_path / "ready", times=2)
    started = time.monotonic()
    done = run(
        tmp_path,
        f"""
import subprocess
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "60"])
open({str(tmp_path / "ready")!r}, "w").write(str(child.pid))
time.sleep(60)
""",
    )
    thread.join()
    assert time.monotonic() - started < 20 and done.status == -signal.SIGKILL
    state = Path(f"/proc/{(tmp_path / 'ready').read_text()}/stat")
    deadline = time.monotonic() + 5
    while state.exists() and state.read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not state.exists() or state.read_text().split()[2] == "Z"
