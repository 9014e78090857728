"""What the node program writes for Prometheus: every unit and every probe, and what programs say of calls."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud_init.node.ask import sip
from cloud_init.node.ask.view import View
from cloud_init.node.health import call_figures, database_figures, figures, machine
from cloud_init.node.report import MachineRow, Report, ServiceRow
from tests.unit.node.entries import manifest, probe, service

FIRST, SECOND, THIRD = probe("http", "no page", path="/a"), probe("http", "no other page", path="/b"), probe("queue", 'no "x"')


def row(name: str, why: str = "", **parts: Any) -> ServiceRow:
    made: ServiceRow = {"name": name, "title": name, "units": {name: "active"}, "healthy": not why, "why": why, "log": []}
    return {**made, **parts}  # type: ignore[typeddict-item]


def report(*rows: ServiceRow, **parts: Any) -> Report:
    made: Report = {
        "node": "n",
        "key": "all-1",
        "healthy": all(one["healthy"] for one in rows),
        "services": list(rows),
        "disks": [],
        "machine": [],
        "uptime": 1.0,
    }
    return {**made, **parts}  # type: ignore[typeddict-item]


def written(rows: list[MachineRow], told: Report) -> str:
    known = manifest(services=[service("engine", FIRST, SECOND, THIRD)])
    return figures.format_samples(list(figures.list_samples(known, told, rows)))


def test_every_probe_is_a_figure_and_none_follows_one_that_failed() -> None:
    good = written([], report(row("engine")))
    assert good.count("webitel_probe_success{") == 3 and good.count("} 1\n") == 5
    assert 'webitel_probe_success{service="engine",probe="queue",of="",says="no \\"x\\""} 1\n' in good
    ill = written([], report(row("engine", "no other page (404)", probe=SECOND)))
    assert 'webitel_probe_success{service="engine",probe="http",of="/a",says="no page"} 1\n' in ill
    assert 'webitel_probe_success{service="engine",probe="http",of="/b",says="no other page"} 0\n' in ill
    assert 'probe="queue"' not in ill and 'webitel_service_healthy{service="engine"} 0\n' in ill
    assert "webitel_node_healthy 0\n" in ill


def test_a_dead_unit_and_a_standby_ask_no_probe() -> None:
    dead = written([], report(row("engine", "engine is failed", units={"engine": "failed"})))
    assert 'webitel_unit_active{service="engine",unit="engine"} 0\n' in dead and "webitel_probe_success" not in dead
    standby = written([], report(row("engine", units={"engine": "inactive"}, standby="all-2")))
    assert 'webitel_service_standby{service="engine"} 1\n' in standby and "webitel_probe_success" not in standby


def test_disks_certificate_clock_and_updates() -> None:
    told = report(disks=[{"purpose": "database", "healthy": True, "why": "", "size": 10, "free": 4, "days_until_full": 3.5}])
    text = written(
        [
            {"name": "certificate", "healthy": True, "why": "", "days": 12.5},
            {"name": "clock", "healthy": False, "why": "", "seconds": -2.0},
            {"name": "security updates", "healthy": True, "warning": True, "why": "", "packages": {"curl": "2"}},
        ],
        told,
    )
    assert 'webitel_disk_free_bytes{disk="database"} 4\n' in text and "webitel_certificate_days 12.5\n" in text
    assert "webitel_clock_offset_seconds -2\n" in text and "webitel_security_updates 1\n" in text
    assert "webitel_node_healthy 0\n" in text and 'webitel_machine_healthy{check="clock"} 0\n' in text
    assert text.count("# TYPE webitel_machine_healthy gauge\n") == 1


def test_the_machine_is_asked_once_a_minute_and_a_failure_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(figures, "FILE", tmp_path / "shown" / "webitel.prom")

    def ask(_: object) -> list[MachineRow]:
        asked.append("")
        return []

    monkeypatch.setattr(machine, "ask", ask)
    known, exporter = manifest(services=[service("engine"), service(figures.GIVEN_TO)]), figures.Exporter()
    exporter.write(known, report(row("engine")))
    exporter.write(known, report(row("engine")))
    assert len(asked) == 1 and "webitel_node_healthy 1\n" in figures.FILE.read_text()
    assert [path.name for path in figures.FILE.parent.iterdir()] == ["webitel.prom"]
    monkeypatch.setattr(figures, "FILE", tmp_path / "shown" / "webitel.prom" / "nowhere" / "x.prom")
    exporter.write(known, report(row("engine")))
    assert "figures for Prometheus" in capsys.readouterr().out


ANSWER: dict[str, Any] = {
    "statistics": {
        "currentstatistics": {"sessionstotal": 3},
        "totalstatistics": dict.fromkeys(call_figures.TOTALS, 7),
        "mos": {"mos_total": "12.600000", "mos_samples_total": 3},
        "interfaces": [{"name": "ext", "ports": {"free": 90, "totals": 100}}],
    },
    "result": "ok",
}


def bencode(value: Any) -> bytes:
    return b"i%de" % value if isinstance(value, int) else sip.bencode(value) if isinstance(value, str) else nest(value)


def nest(value: Any) -> bytes:
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


@pytest.fixture
def rtpengine() -> Iterator[int]:
    """The port of something that answers as rtpengine 10.5.3.5 did."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def answer() -> None:
            data, peer = sock.recvfrom(4096)
            assert data.endswith(b" d7:command10:statisticse")
            sock.sendto(data.partition(b" ")[0] + b" " + bencode(ANSWER), peer)

        thread = threading.Thread(target=answer)
        thread.start()
        yield sock.getsockname()[1]
        thread.join(5)


def test_rtpengine_says_its_calls(rtpengine: int) -> None:
    known = manifest(services=[service("rtpengine", probe("rtpengine", address="127.0.0.1", port=rtpengine))])
    found = call_figures.ask(known, View(known))
    assert ("webitel_rtpengine_sessions", {}, 3.0) in found and ("webitel_rtpengine_mos_total", {}, 12.6) in found
    assert ("webitel_rtpengine_ports_free", {"interface": "ext"}, 90.0) in found
    assert {name for name, _, _ in found} <= set(figures.HELP)


def test_opensips_says_its_calls() -> None:
    class Interface(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert asked["method"] == "get_statistics" and "dialog:" in asked["params"]["statistics"]
            result = {"dialog:active_dialogs": 2, "tm:5xx_transactions": "4", "tm:inuse_transactions": 1}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}).encode())

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Interface) as server:
        threading.Thread(target=server.handle_request).start()
        asked = probe("opensips_rtpengine", address="127.0.0.1", port=server.server_port)
        known = manifest(services=[service("opensips", asked)])
        assert call_figures.ask(known, View(known)) == [
            ("webitel_opensips_dialogs", {}, 2.0),
            ("webitel_opensips_answers_total", {"code": "5xx"}, 4.0),
        ]


STATUS = """UP 0 years, 0 days, 0 hours, 1 minute, 2 seconds
FreeSWITCH (Version 1.10.10) is ready
512 session(s) since startup
7 session(s) - peak 9, last 5min 8
2 session(s) per Sec out of max 50, peak 4, last 5min 3
1000 session(s) max
"""


def test_freeswitch_says_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip, "ask_freeswitch", lambda *_: STATUS)
    known = manifest(services=[service("freeswitch", probe("freeswitch", address="127.0.0.1", port=1))])
    assert {name: value for name, _, value in call_figures.ask(known, View(known))} == {
        "webitel_freeswitch_sessions_total": 512.0,
        "webitel_freeswitch_sessions": 7.0,
        "webitel_freeswitch_new_sessions": 2.0,
        "webitel_freeswitch_new_sessions_limit": 50.0,
        "webitel_freeswitch_sessions_limit": 1000.0,
    }


def test_who_does_not_answer_has_no_figures() -> None:
    known = manifest(services=[service("opensips", probe("opensips_rtpengine", address="127.0.0.1", port=1))])
    assert call_figures.ask(known, View(known)) == []


def test_the_database_is_asked_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def query(view: View, statement: str, *, own: bool = False) -> str:
        asked.append(own)
        return '{"webitel_database_connections": 12, "webitel_database_size_bytes": 4096}'

    monkeypatch.setattr(database_figures, "query", query)
    without = manifest(services=[service("engine")])
    assert list(database_figures.ask(without, View(without))) == [] and asked == []
    known = manifest(services=[service("postgresql", probe("patroni"))])
    assert ("webitel_database_connections", {}, 12.0) in list(database_figures.ask(known, View(known))) and asked == [True]
    monkeypatch.setattr(database_figures, "query", lambda *_, **__: "")
    assert list(database_figures.ask(known, View(known))) == []


def test_without_monitoring_nothing_is_asked_or_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(figures, "FILE", tmp_path / "shown" / "webitel.prom")

    def ask(*_: object) -> Any:
        raise AssertionError("asked")

    for module in (machine, call_figures, database_figures):
        monkeypatch.setattr(module, "ask", ask)
    exporter = figures.Exporter()
    exporter.write(manifest(services=[service("engine")]), report(row("engine")))
    assert not figures.FILE.exists()
    figures.write_public("webitel_node_healthy 1\n")
    exporter.write(manifest(services=[service("engine")]), report(row("engine")))
    assert not figures.FILE.exists(), "what it was when monitoring was on is no figure of today"


def test_no_figure_is_there_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """The node exporter takes the first of two, and complains at every request."""
    rows: list[MachineRow] = [
        {"name": "allowance", "healthy": True, "why": ""},
        {"name": "allowance", "healthy": True, "warning": True, "why": "eth1"},
    ]
    text = written(rows, report(row("engine")))
    assert text.count('webitel_machine_warning{check="allowance"}') == 1
    assert 'webitel_machine_warning{check="allowance"} 1\n' in text
    ports = [
        ("webitel_rtpengine_ports_free", {"interface": "ext"}, 10.0),
        ("webitel_rtpengine_ports_free", {"interface": "ext"}, 5.0),
    ]
    assert 'webitel_rtpengine_ports_free{interface="ext"} 15\n' in figures.format_samples(list(ports))
    other = [("webitel_disk_size_bytes", {"disk": "x"}, 1.0), ("webitel_disk_size_bytes", {"disk": "x"}, 2.0)]
    assert figures.format_samples(list(other)).endswith('webitel_disk_size_bytes{disk="x"} 1\n')
    assert "webitel_disk_size_bytes" in capsys.readouterr().out
