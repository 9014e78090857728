"""What the watcher restarts, puts back and leaves alone."""

import time
from subprocess import CompletedProcess
from typing import Any

import pytest

from cloud_init.node.ask import view
from cloud_init.node.health import probes, topology, waiting, watch
from cloud_init.node.health.watch import APART, DEAF_FOR, ROUND, Watcher

HTTP = {"kind": "http", "says": "it cannot ask the database", "path": "/"}
QUEUE = {"kind": "queue", "says": "nobody consumes its queue", "queue": "q"}
DISK = {"kind": "disk_space", "says": "the disk is nearly full", "restart_cures": False}
BINDING = {"kind": "binding", "says": "a binding is gone", "source": "call", "destination": "q", "key": "#"}
Row = dict[str, Any]


def row(name: str, probe: Row | None = None, state: str = "active") -> Row:
    return {"name": name, "units": {name: state}, "healthy": probe is None, "why": probe["says"] if probe else "",
            **({"probe": probe} if probe else {})}


class Node:
    """A node with a clock of its own; `rows` is what its services are at each look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *services: str, **more: Any) -> None:
        self.manifest: dict[str, Any] = {"address": "127.0.0.1", "services": [
            {"name": name, "units": [name], "restarts_when_deaf": name != "flow_manager", "probes": [], **more}
            for name in services]}
        self.watcher, self.now, self.asked = Watcher(), 1000.0, list[str]()
        monkeypatch.setattr(watch, "systemctl", self.systemctl)

    def systemctl(self, *arguments: str, timeout: float = 120) -> CompletedProcess[str]:
        self.asked.append(" ".join(arguments))
        return CompletedProcess([], 0, "", "")

    def pass_time(self, seconds: float, *rows: Row) -> list[str]:
        """Look every round; what was told to systemd meanwhile."""
        before, end = len(self.asked), self.now + seconds
        base = [row("consul"), row("haproxy")]
        while self.now < end:
            named = {one["name"] for one in rows}
            self.watcher.look(self.manifest, {"services": [*rows, *(one for one in base if one["name"] not in named)]}, self.now)
            self.now += ROUND
        return self.asked[before:]


def test_the_deaf_is_restarted_after_a_minute_and_for_the_same_reason_once_in_five(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, "engine", "flow_manager")
    deaf = row("engine", QUEUE), row("flow_manager", QUEUE)
    assert node.pass_time(DEAF_FOR, *deaf) == []
    assert node.pass_time(2 * ROUND, *deaf) == ["restart --no-block engine"], "and what carries calls is left alone"
    assert node.pass_time(APART - 2 * ROUND, *deaf) == []
    assert node.pass_time(2 * ROUND, *deaf) == ["restart --no-block engine"]


def test_a_restart_for_one_reason_holds_up_none_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, "logger")
    assert node.pass_time(DEAF_FOR + 2 * ROUND, row("logger", QUEUE)) == ["restart --no-block logger"]
    assert node.pass_time(ROUND, row("logger")) == []
    assert node.pass_time(DEAF_FOR + 2 * ROUND, row("logger", HTTP)) == ["restart --no-block logger"]


def test_what_a_restart_does_not_cure_is_not_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, "storage", "engine")
    assert node.pass_time(2 * APART, row("storage", DISK), row("engine", QUEUE, "activating")) == []


def test_nobody_is_deaf_while_the_database_is_away_nor_for_a_minute_after(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, "engine")
    assert node.pass_time(APART, row("engine", HTTP), row("haproxy", HTTP)) == []
    assert node.pass_time(DEAF_FOR, row("engine", HTTP)) == []
    assert node.pass_time(2 * ROUND, row("engine", HTTP)) == ["restart --no-block engine"]


def test_a_missing_exchange_is_declared_by_the_setup_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, "engine")
    missing = row("rabbitmq", {"kind": "exchanges", "says": "an exchange that services expect is missing"})
    assert node.pass_time(3 * ROUND, missing) == ["restart --no-block webitel-setup-rabbitmq"]
    assert node.pass_time(3 * ROUND, missing) == ["restart --no-block webitel-setup-rabbitmq"]
    assert node.pass_time(3 * ROUND, row("rabbitmq", QUEUE)) == []


def test_a_lost_binding_is_put_back_and_only_where_that_is_refused_the_service_restarted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    node, answers = Node(monkeypatch, "cases", "flow_manager"), {"flow_manager": "", "cases": "HTTP 405 it is another's"}
    bound = list[str]()

    def bind(probe: Row, view: Any) -> str:
        bound.append(probe["owner"])
        return answers[probe["owner"]]

    monkeypatch.setattr(topology, "bind", bind)
    monkeypatch.setattr(topology, "binding", lambda probe, view: "it is gone")
    monkeypatch.setattr(view.View, "bindings", set())
    # Flow Manager's row names another fault.
    rows = [row("flow_manager", HTTP), row("cases", {**BINDING, "owner": "cases"})]
    for service in node.manifest["services"]:
        service["probes"] = [{**BINDING, "owner": service["name"], "key": key} for key in ("#", "other")]
    assert node.pass_time(ROUND, *rows) == [] and set(bound) == set(answers)
    said = capsys.readouterr().out
    assert "put back a binding of flow_manager: call to q by #\n" in said and "by other\n" in said, "all of them at once"
    assert "cannot put back a binding of cases: call to q by #: HTTP 405" in said
    assert node.pass_time(DEAF_FOR + ROUND, *rows) == ["restart --no-block cases"]


def test_whoever_waits_for_a_hung_freeswitch_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    node = Node(monkeypatch, "engine", calls_freeswitch=True)
    monkeypatch.setattr(watch, "find_hung_freeswitch", lambda: "FreeSWITCH fs: it answers no call")
    assert node.pass_time(APART, row("engine", HTTP)) == []
    assert "engine is left alone: FreeSWITCH fs: it answers no call" in capsys.readouterr().out
    monkeypatch.setattr(watch, "find_hung_freeswitch", lambda: "")
    assert node.pass_time(ROUND, row("engine", HTTP)) == ["restart --no-block engine"]


def test_a_wait_goes_on_whatever_a_question_meets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    met: list[Exception | str] = [ConnectionRefusedError("nobody there"), ValueError("no JSON"), KeyError("leader"), ""]

    def consul(arguments: Any, view: Any) -> str:
        one = met.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    monkeypatch.setattr(waiting, "PAUSE", 0)
    monkeypatch.setattr(waiting, "load_manifest", lambda: {"address": "127.0.0.1", "services": []})
    monkeypatch.setattr(probes, "consul", consul)
    assert waiting.wait_for(["consul"]) == 0 and not met
    assert "waiting for consul: ConnectionRefusedError: nobody there" in capsys.readouterr().out


JOURNAL = """
{"_SYSTEMD_UNIT": "engine.service", "MESSAGE": "ERROR pq: column b.metadata does not exist {...}", "__REALTIME_TIMESTAMP": "%d"}
{"_SYSTEMD_UNIT": "init.scope", "MESSAGE": "the type x does not exist", "__REALTIME_TIMESTAMP": "%d"}
{"_SYSTEMD_UNIT": "webitel-cases.service", "MESSAGE": "17:35 ERROR internal server error", "__REALTIME_TIMESTAMP": "%d"}
"""


@pytest.mark.parametrize(("times", "ago", "expected"), [(4, 5, True), (2, 5, False), (4, 30, False)])
def test_a_wrong_schema_is_read_from_the_journal_while_queries_fail(
    times: int, ago: int, expected: bool, monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = (JOURNAL % ((int(time.time() - ago) * 10**6,) * 3)).strip() + "\n"
    asked: list[list[str]] = []

    def run(command: list[str], timeout: float = 120) -> CompletedProcess[str]:
        asked.append(command)
        return CompletedProcess(command, 0, lines * times, "")

    monkeypatch.setattr(view, "run", run)
    units = ("engine", "webitel-cases", "storage")
    probed = [{"kind": "schema", "unit": unit} for unit in units]
    made = view.View({"address": "127.0.0.1", "services": [{"name": "all", "probes": probed}]})
    answers = [probes.schema(probe, made) for probe in probed]
    assert [bool(answer) for answer in answers] == [expected, expected, False] and len(asked) == 1
    assert {f"--unit={unit}" for unit in units} <= set(asked[0])
    if expected:
        assert answers[0].endswith("the last one: column b.metadata does not exist")
