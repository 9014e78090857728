"""Which action is done to which unit, and in what order."""

from subprocess import CompletedProcess

import pytest

from cloud_init.node.apply import units
from cloud_init.node.health import status
from cloud_init.node.system import ApplyError
from tests.unit.node.entries import manifest, service, unit

MANIFEST = manifest(units=[unit(name) for name in ("consul", "patroni", "nginx")])


def test_actions_once_each_in_start_order_and_a_restart_makes_a_reload_needless() -> None:
    wanted = ["reload nginx", "restart consul", "daemon-reload", "reload nginx", "restart nginx", "reload patroni"]
    assert units.order_actions(wanted, MANIFEST) == ["daemon-reload", "restart consul", "reload patroni", "restart nginx"]


def test_a_program_is_restarted_before_a_command_of_ours_asks_it_for_what_only_its_new_version_can() -> None:
    command = f"{units.SETUP}opensips.sh reload_routes"
    wanted = [command, "daemon-reload", "restart nginx"]
    assert units.order_actions(wanted, MANIFEST) == ["daemon-reload", "restart nginx", command]


class FakeSystem:
    """Records what systemctl is asked; `states` are the units' states."""

    def __init__(self, **states: str) -> None:
        self.states, self.asked = states, list[str]()

    def systemctl(self, *arguments: str, timeout: float = 120) -> CompletedProcess[str]:
        if arguments[0] == "is-active":
            return CompletedProcess([], 0, "\n".join(self.states.get(unit, "inactive") for unit in arguments[1:]), "")
        if arguments[0] == "is-enabled":
            return CompletedProcess([], 0, "enabled", "")
        self.asked.append(" ".join(arguments))
        failed = arguments[0] == "reload-or-restart" and self.states.get("reload") == "fails"
        return CompletedProcess([], 1 if failed else 0, "", "Job failed" if failed else "")


def test_creation_starts_everything_and_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    system = FakeSystem(consul="active")
    monkeypatch.setattr(units, "systemctl", system.systemctl)
    units.converge(MANIFEST, ["restart consul", "restart nginx"], False, lambda step, text: None)
    assert "restart --no-block consul" in system.asked and "start --no-block patroni nginx" in system.asked
    assert not [line for line in system.asked if "restart --no-block nginx" in line]


def test_an_update_touches_only_what_is_concerned_and_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    system = FakeSystem(consul="active", patroni="active", nginx="active")
    asked = list[object]()
    monkeypatch.setattr(units, "systemctl", system.systemctl)

    def report(only: object = None, *, brief: bool = False) -> dict[str, object]:
        asked.append(only)
        return {"services": [{"name": "nginx", "healthy": True, "why": "", "log": [], "units": {}}]}

    monkeypatch.setattr(status, "ask", report)
    units.converge(MANIFEST, ["reload nginx"], True, lambda step, text: None)
    assert [line for line in system.asked if "consul" in line and not line.startswith("enable")] == []
    assert "reload-or-restart nginx" in system.asked and asked == [{"nginx"}]


@pytest.mark.parametrize(
    ("action", "raises"), [(f"{units.SETUP}opensips.sh reload_routes", True), ("sysctl -eq --system", False)]
)
def test_a_command_of_ours_that_fails_is_an_error(action: str, raises: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "systemctl", FakeSystem(consul="active", patroni="active", nginx="active").systemctl)
    monkeypatch.setattr(units, "run", lambda command, timeout: CompletedProcess(command, 1, "", "OpenSIPS refused reload_routes"))
    if not raises:
        units.converge(MANIFEST, [action], True, lambda step, text: None)
        return
    with pytest.raises(ApplyError, match=r"opensips\.sh reload_routes failed: OpenSIPS refused reload_routes"):
        units.converge(MANIFEST, [action], True, lambda step, text: None)


def test_a_reload_that_fails_is_an_error_with_the_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    system = FakeSystem(consul="active", patroni="active", nginx="active", reload="fails")
    monkeypatch.setattr(units, "systemctl", system.systemctl)
    monkeypatch.setattr(units, "last_lines", lambda unit: ["nginx: [emerg] no such file"])
    with pytest.raises(ApplyError, match=r"nginx could not be reloaded: Job failed\nnginx: \[emerg\] no such file") as caught:
        units.converge(MANIFEST, ["reload nginx"], True, lambda step, text: None)
    assert caught.value.unit == "nginx"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"LoadState": "not-found"}, "x is not installed"),
        (
            {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainStatus": "102", "NRestarts": "3"},
            "x is failed, exit-code, exit 102, restarted 3 times",
        ),
        ({"ActiveState": "inactive", "SubState": "dead", "Result": "success"}, "x is inactive (dead)"),
    ],
)
def test_a_unit_that_is_not_active_is_told_in_words(state: dict[str, str], words: str) -> None:
    assert status.describe_state("x", state, []) == words


def test_what_the_program_said_last_is_told_too() -> None:
    lines = ["2026-01-01T00:00:00 n x[7]: CRITICAL: Address already in use", "2026-01-01T00:00:01 n systemd[1]: x: Failed"]
    words = status.describe_state("x", {"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "255"}, lines)
    assert words == "x is failed, exit-code, exit 255; it said: CRITICAL: Address already in use"


PREPARED = "2026-01-01T00:00:00 n x-setup[6]: x-get-table: not found"
ENDED = "2026-01-01T00:00:01 n x[7]: CRIT: bad homer address"


@pytest.mark.parametrize(
    ("restarts", "log", "words"),
    [
        ("0", [PREPARED], "x is activating (start-pre), exit-code, exit 255; it said: x-get-table: not found"),
        ("0", ["2026-01-01T00:00:02 n webitel-node[9]: waiting for disk:/d: none"], "x waits: waiting for disk:/d: none"),
        ("2", [ENDED, "2026-01-01T00:00:02 n webitel-node[9]: waiting for consul: none"], "x waits: waiting for consul: none"),
        (
            "2",
            [PREPARED, ENDED, PREPARED.replace("[6]", "[8]")],
            "x is activating (start-pre), exit-code, exit 255, restarted 2 times; it said: CRIT: bad homer address",
        ),
    ],
)
def test_a_unit_that_is_prepared_again_and_again_does_not_wait(restarts: str, log: list[str], words: str) -> None:
    state = {"ActiveState": "activating", "SubState": "start-pre", "NRestarts": restarts, "ExecMainPID": "7"}
    assert status.describe_state("x", state | {"Result": "exit-code", "ExecMainStatus": "255"}, log) == words


@pytest.mark.parametrize(("brief", "read"), [(False, ["a", "c"]), (True, ["a"])])
def test_a_brief_report_reads_the_journal_of_the_first_fault_only(
    brief: bool,
    read: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("a", "b", "c")
    own = manifest(node="n", key="n-1", services=[service(name) for name in names], units=[unit(name) for name in names])
    asked: list[str] = []

    def last_lines(unit: str) -> list[str]:
        asked.append(unit)
        return [f"2026 n {unit}[1]: {unit} is ill"]

    monkeypatch.setattr(status, "load_manifest", lambda: own)
    monkeypatch.setattr(status, "unit_states", lambda names: {"b": {"ActiveState": "active"}})
    monkeypatch.setattr(status, "last_lines", last_lines)
    report = status.ask(brief=brief)
    assert sorted(asked) == read
    assert [row["healthy"] for row in report["services"]] == [False, True, False]
    assert [bool(row["log"]) for row in report["services"]] == [name in read for name in ("a", "b", "c")]
    assert report["services"][0]["why"] == "a is unknown; it said: a is ill"


def test_what_moves_is_left_to_the_holder_of_its_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    system = FakeSystem(nginx="active")
    monkeypatch.setattr(units, "systemctl", system.systemctl)
    own = manifest(units=[*MANIFEST["units"], unit("webitel-logger", "logger", moves=True)])
    units.converge(own, ["restart webitel-logger"], False, lambda step, text: None)
    assert "disable webitel-logger" in system.asked and "start --no-block consul patroni" in system.asked
    assert not [line for line in system.asked if "start" in line and "webitel-logger" in line]


def test_what_a_node_no_longer_has_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    system = FakeSystem()
    monkeypatch.setattr(units, "systemctl", system.systemctl)
    units.drop(["webitel-locks"], lambda step, text: None)
    assert system.asked == ["disable --now webitel-locks"]


def test_a_systemd_that_does_not_answer_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    said = CompletedProcess([], 1, "", "Failed to connect to bus: Connection refused")
    monkeypatch.setattr(units, "systemctl", lambda *_: said)
    with pytest.raises(ApplyError, match="systemd does not say whether nginx and consul run: Failed to connect to bus"):
        units.list_resting(["nginx", "consul"])
