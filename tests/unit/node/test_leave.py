"""A node on its way out: calls end first, then everything stops but what the machine itself needs."""

import subprocess

import pytest

from cloud_init.node.apply import leave
from cloud_init.node.health import status
from cloud_init.node.system import ApplyError
from tests.unit.node.entries import manifest, unit

MANIFEST = manifest(
    node="s-app-2", key="app-2", leaving=True, units=[unit(name) for name in ("ssh", "consul", "flow_manager", "freeswitch")]
)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the node was asked to do; a unit is running until it is stopped."""
    asked: list[str] = []

    def systemctl(*arguments: str, timeout: float = 0) -> subprocess.CompletedProcess[str]:
        asked.append(" ".join(arguments))
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setattr(leave, "systemctl", systemctl)
    monkeypatch.setattr(leave, "is_running", lambda unit: f"disable --now {unit}" not in asked)
    monkeypatch.setattr(leave, "forget_services", lambda manifest: asked.append("forget"))
    monkeypatch.setattr(leave, "run", lambda command, seconds, more: asked.append(" ".join(command)))
    monkeypatch.setitem(leave.STEPS, "freeswitch", lambda manifest, tell: asked.append("drain"))
    return asked


def test_calls_end_before_anything_stops_and_consul_hears_of_it(done: list[str]) -> None:
    leave.leave(MANIFEST, lambda step, text: None)
    assert done == [
        "disable --now webitel-watch.service",
        "drain",
        "disable --now freeswitch",
        "disable --now flow_manager",
        "forget",
        "consul leave",
        "disable --now consul",
    ]
    done.remove("drain")
    leave.leave(MANIFEST, lambda step, text: None)
    assert "drain" not in done, "what has stopped is not drained again"


def test_a_member_that_cannot_leave_stops_nothing(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(manifest: object, tell: object) -> None:
        raise ApplyError("3 calls still run")

    monkeypatch.setitem(leave.STEPS, "freeswitch", refuse)
    with pytest.raises(ApplyError, match="3 calls still run"):
        leave.leave(MANIFEST, lambda step, text: None)
    assert done == ["disable --now webitel-watch.service", "enable --now webitel-watch.service"]


@pytest.mark.parametrize("left", [True, False])
def test_it_is_healthy_when_it_has_left(left: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "load_manifest", lambda: MANIFEST)
    monkeypatch.setattr(status, "load_state", lambda: {"left": left})
    report = status.ask()
    assert (report["healthy"], report["left"], report["services"]) == (left, left, [])
