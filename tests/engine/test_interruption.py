"""How a run ends that is not let finish."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.conftest import Toy

pytestmark = pytest.mark.engine

SLOW = {"text": "late", "size": 600, "pause": 0.1}  # a minute, if nothing interrupts it


def wait_until(is_true: Callable[[], bool], seconds: float) -> float:
    """Returns the seconds that it took."""
    started = time.monotonic()
    while not is_true():
        assert time.monotonic() - started < seconds
        time.sleep(0.02)
    return time.monotonic() - started


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def has_begun(toy: Toy) -> bool:
    return toy.events.exists() and "step 2/600" in toy.events.read_text()


UP = ("up", "--yes", "--skip-preview", "--event-log")


def test_interrupt_cancels_a_create_and_leaves_the_stack_usable(toy: Toy) -> None:
    toy.want({"a": SLOW, "b": {"text": "quick"}})
    run = toy.start(*UP, str(toy.events))
    wait_until(lambda: has_begun(toy), 20)
    provider = int((toy.world / "provider.pid").read_text())
    started = time.monotonic()
    run.send_signal(signal.SIGINT)
    shown = run.communicate(timeout=15)[0]
    took = time.monotonic() - started
    assert run.returncode != 0
    assert took < 5
    assert "cancelled: run the update again to resume here" in shown
    assert "Traceback" not in shown
    assert not is_running(provider)
    assert not (toy.world / "note-a").exists()
    toy.want({"a": {"text": "now"}, "b": {"text": "quick"}})
    assert "+ 1 created" in toy.up()
    assert (toy.world / "note-a").read_text() == "now"


def test_killed_engine_takes_its_provider_along(toy: Toy) -> None:
    toy.want({"a": SLOW})
    run = toy.start(*UP, str(toy.events))
    wait_until(lambda: has_begun(toy), 20)
    provider = int((toy.world / "provider.pid").read_text())
    assert is_running(provider)
    run.kill()
    wait_until(lambda: not is_running(provider), 5)
    assert not (toy.world / "note-a").exists()
    assert "the stack is currently locked" in toy.up(fails=True)
    toy.run("cancel", "--yes")
    toy.want({"a": {"text": "now"}})
    assert "+ 1 created" in toy.up()


def test_a_run_ends_without_waiting_for_its_provider(toy: Toy) -> None:
    toy.want({"a": {"text": "quick"}})
    toy.up()
    provider = int((toy.world / "provider.pid").read_text())
    wait_until(lambda: not is_running(provider), 1)
    # The engine waits 5 s for a provider that ignores its SIGINT, and kills it then: ours ended by itself.
    assert (toy.world / "provider.ended").exists()
