"""What the watcher restarts, puts back and leaves alone."""

import json
import time
from subprocess import CompletedProcess
from typing import Any

import pytest

from cloud_init.node.ask import view
from cloud_init.node.clusters import broker_cluster, database_cluster, encryption
from cloud_init.node.health import figures, kept_calls, machine, probes, status, topology, waiting, watch
from cloud_init.node.health.watch import DEAF_SECONDS, MIN_RESTART_INTERVAL_SECONDS, ROUND_SECONDS, Watcher
from cloud_init.node.manifest import ProbeEntry
from cloud_init.node.report import ServiceRow
from cloud_init.node.system import Unhealthy
from components.model.catalogue.services import CATALOGUE
from tests.unit.node.entries import manifest, probe, service, wrong

HTTP = probe("http", "it cannot ask the database", path="/")
QUEUE = probe("queue", "nobody consumes its queue", queue="q")
DISK = probe("disk_space", "the disk is nearly full", restart_cures=False)
EXCHANGE = probe("exchanges", "an exchange that services expect is missing")


def binding(owner: str, key: str) -> ProbeEntry:
    return probe("binding", "a binding is gone", source="call", to="queue", destination=owner, key=key, type="topic")


def row(name: str, failed: ProbeEntry | None = None, state: str = "active") -> ServiceRow:
    made: ServiceRow = {
        "name": name,
        "title": name,
        "units": {name: state},
        "healthy": failed is None,
        "why": failed["says"] if failed else "",
        "log": [],
    }
    if failed:
        made["probe"] = failed
    return made


class Node:
    """A node with a clock of its own; `rows` is what its services are at each look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *services: str, **more: Any) -> None:
        self.manifest = manifest(services=[service(name, restarts_when_deaf=name != "flow_manager", **more) for name in services])
        self.watcher, self.now, self.asked = Watcher(), 1000.0, list[str]()
        monkeypatch.setattr(watch, "systemctl", self.systemctl)

    def systemctl(self, *arguments: str, timeout: float = 120) -> CompletedProcess[str]:
        self.asked.append(" ".join(arguments))
        return CompletedProcess([], 0, "", "")

    def pass_time(self, seconds: float, *rows: ServiceRow) -> list[str]:
        """Look every round; what was told to systemd meanwhile."""
        before, end = len(self.asked), self.now + seconds
        base = [row("consul"), row("haproxy")]
        while self.now < end:
            named = {one["name"] for one in rows}
            seen = [*rows, *(one for one in base if one["name"] not in named)]
            self.watcher.look(
                self.manifest,
                {"node": "n", "key": "n-1", "healthy": False, "services": seen, "disks": [], "machine": [], "uptime": 1.0},
                self.now,
            )
            self.now += ROUND_SECONDS
        return self.asked[before:]


def test_the_deaf_is_restarted_after_a_minute_and_for_the_same_reason_once_in_five(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, "engine", "flow_manager")
    deaf = row("engine", QUEUE), row("flow_manager", QUEUE)
    assert node.pass_time(DEAF_SECONDS, *deaf) == []
    assert node.pass_time(2 * ROUND_SECONDS, *deaf) == ["restart --no-block engine"], "and what carries calls is left alone"
    assert node.pass_time(MIN_RESTART_INTERVAL_SECONDS - 2 * ROUND_SECONDS, *deaf) == []
    assert node.pass_time(2 * ROUND_SECONDS, *deaf) == ["restart --no-block engine"]


def test_a_restart_for_one_reason_holds_up_none_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, "logger")
    assert node.pass_time(DEAF_SECONDS + 2 * ROUND_SECONDS, row("logger", QUEUE)) == ["restart --no-block logger"]
    assert node.pass_time(ROUND_SECONDS, row("logger")) == []
    assert node.pass_time(DEAF_SECONDS + 2 * ROUND_SECONDS, row("logger", HTTP)) == ["restart --no-block logger"]


def test_what_a_restart_does_not_cure_is_not_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, "storage", "engine")
    assert node.pass_time(2 * MIN_RESTART_INTERVAL_SECONDS, row("storage", DISK), row("engine", QUEUE, "activating")) == []


def test_nobody_is_deaf_while_the_database_is_away_nor_for_a_minute_after(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, "engine")
    assert node.pass_time(MIN_RESTART_INTERVAL_SECONDS, row("engine", HTTP), row("haproxy", HTTP)) == []
    assert node.pass_time(DEAF_SECONDS, row("engine", HTTP)) == []
    assert node.pass_time(2 * ROUND_SECONDS, row("engine", HTTP)) == ["restart --no-block engine"]


def test_a_missing_exchange_is_declared_by_the_setup_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, "engine")
    missing = row("rabbitmq", EXCHANGE)
    assert node.pass_time(3 * ROUND_SECONDS, missing) == ["restart --no-block webitel-setup-rabbitmq"]
    assert node.pass_time(3 * ROUND_SECONDS, missing) == ["restart --no-block webitel-setup-rabbitmq"]
    assert node.pass_time(3 * ROUND_SECONDS, row("rabbitmq", QUEUE)) == []


def test_a_lost_binding_is_put_back_and_only_where_that_is_refused_the_service_restarted(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    node, answers = Node(monkeypatch, "cases", "flow_manager"), {"flow_manager": "", "cases": "HTTP 405 it is another's"}
    bound = list[str]()

    def bind(probe: ProbeEntry, view: Any) -> None:
        bound.append(probe["destination"])
        if said := answers[probe["destination"]]:
            raise Unhealthy(said)

    monkeypatch.setattr(topology, "bind", bind)
    monkeypatch.setattr(view, "broker", lambda view, path: [])
    # Flow Manager's row names another fault.
    rows = [row("flow_manager", HTTP), row("cases", binding("cases", "#"))]
    for one in node.manifest["services"]:
        one["probes"] = [binding(one["name"], key) for key in ("#", "other")]
    assert node.pass_time(ROUND_SECONDS, *rows) == [] and set(bound) == set(answers)
    said = capsys.readouterr().out
    lines = {f"restored a binding of flow_manager: call to flow_manager with the key {key}" for key in ("#", "other")}
    assert lines <= set(said.splitlines()), "all of them at once"
    assert "cannot restore a binding of cases: call to cases with the key #: HTTP 405" in said
    assert node.pass_time(DEAF_SECONDS + ROUND_SECONDS, *rows) == ["restart --no-block cases"]


def test_whoever_waits_for_a_hung_freeswitch_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    node = Node(monkeypatch, "engine", calls_freeswitch=True)
    monkeypatch.setattr(watch, "find_hung_freeswitch", lambda manifest: "FreeSWITCH fs: it answers no call")
    assert node.pass_time(MIN_RESTART_INTERVAL_SECONDS, row("engine", HTTP)) == []
    assert "engine is left alone: FreeSWITCH fs: it answers no call" in capsys.readouterr().out
    monkeypatch.setattr(watch, "find_hung_freeswitch", lambda manifest: "")
    assert node.pass_time(ROUND_SECONDS, row("engine", HTTP)) == ["restart --no-block engine"]


def test_a_wait_goes_on_whatever_a_question_meets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    met: list[Exception | None] = [
        ConnectionRefusedError("nobody there"),
        ValueError("no JSON"),
        KeyError("leader"),
        Unhealthy("no leader"),
        None,
    ]

    def consul(probe: ProbeEntry, view: Any) -> None:
        if one := met.pop(0):
            raise one

    monkeypatch.setattr(waiting, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(waiting, "load_manifest", manifest)
    monkeypatch.setitem(waiting.QUESTIONS, "consul", consul)
    assert waiting.wait_for(["consul"]) == 0 and not met
    said = capsys.readouterr().out
    assert "waiting for consul: ConnectionRefusedError: nobody there" in said and "waiting for consul: no leader\n" in said


JOURNAL = """
{"_SYSTEMD_UNIT": "engine.service", "MESSAGE": "ERROR pq: column b.metadata does not exist {...}", "__REALTIME_TIMESTAMP": "%d"}
{"_SYSTEMD_UNIT": "init.scope", "MESSAGE": "the type x does not exist", "__REALTIME_TIMESTAMP": "%d"}
{"_SYSTEMD_UNIT": "webitel-cases.service", "MESSAGE": "17:35 ERROR internal server error", "__REALTIME_TIMESTAMP": "%d"}
"""


@pytest.mark.parametrize(("times", "ago", "expected"), [(4, 5, True), (2, 5, False), (4, 30, False)])
def test_a_wrong_schema_is_read_from_the_journal_while_queries_fail(
    times: int,
    ago: int,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = (JOURNAL % ((int(time.time() - ago) * 10**6,) * 3)).strip() + "\n"
    asked: list[list[str]] = []

    def run(command: list[str], timeout: float = 120) -> CompletedProcess[str]:
        asked.append(command)
        return CompletedProcess(command, 0, lines * times, "")

    monkeypatch.setattr(view, "run", run)
    units = ("engine", "webitel-cases", "storage")
    probed = [probe("schema", unit=unit) for unit in units]
    made = view.View(manifest(services=[service("all", *probed)]))
    answers = [wrong(probes.schema, one, made) for one in probed]
    assert [bool(answer) for answer in answers] == [expected, expected, False] and len(asked) == 1
    assert {f"--unit={unit}" for unit in units} <= set(asked[0])
    if expected:
        assert answers[0].endswith("most recently: column b.metadata does not exist")


@pytest.mark.parametrize(("session", "expected"), [(8.0, False), (3600.0, True)])
def test_errors_of_a_database_that_was_away_are_no_wrong_schema(
    session: float, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cases logs the same line for either; what it said before its present session is about the database."""
    line = {"_SYSTEMD_UNIT": "webitel-cases.service", "MESSAGE": "2026/11/29 00:47:12 ERROR internal server error"}
    lines = [{**line, "__REALTIME_TIMESTAMP": str(int((time.time() - age) * 1e6))} for age in range(55, 9, -5)]
    said = "\n".join(json.dumps(one) for one in lines)
    monkeypatch.setattr(view, "run", lambda command, timeout=120: CompletedProcess(command, 0, said, ""))
    monkeypatch.setattr(view, "query", lambda *_: json.dumps({"cases": session}))
    asked = probe("schema", unit="webitel-cases", application="cases")
    answer = wrong(probes.schema, asked, view.View(manifest(services=[service("cases", asked)])))
    assert bool(answer) == expected


def test_the_catalogue_asks_so_of_who_hides_the_cause() -> None:
    asked = [one for one in CATALOGUE["cases"].probes if one.kind == "schema"]
    assert [one.arguments.get("application") for one in asked] == ["cases"]


def test_a_full_disk_keeps_nothing_else_of_a_round_from_being_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(watch, "start_dead", lambda own: done.append("started"))
    for module, name in ((machine, "sample_disks"), (encryption, "look"), (figures.Exporter, "write")):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.setattr(status, "ask", lambda **_: {"services": [], "disks": []})
    monkeypatch.setattr(kept_calls.Keeper, "look", lambda *_: done.append("calls"))
    monkeypatch.setattr(broker_cluster, "grow", lambda own: "")
    monkeypatch.setattr(database_cluster.Follower, "recopy", lambda *_: "copied")
    monkeypatch.setattr(Watcher, "look", lambda *_: done.append("services"))
    watch.Rounds().look(manifest())
    assert done == ["started", "calls", "services"]
    said = capsys.readouterr().out
    assert "encryption: OSError: [Errno 28] No space left on device" in said and "figures: " in said and "copied" in said
