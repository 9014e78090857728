"""What status says of a program's own last words."""

import json
import time
from subprocess import CompletedProcess

import pytest

from cloud_init.node import system
from cloud_init.node.ask import view
from cloud_init.node.health import status
from tests.unit.node.entries import manifest, probe, service


def test_the_last_words_hide_the_password_of_an_address() -> None:
    log = [
        "2026-11-28T17:48:58+0000 node messages[7]: INF Disconnected from amqp://webitel:jK0z_b-Q@127.0.0.1:5672?heartbeat=10",
        "2026-11-28T17:48:58+0000 node systemd[1]: messages-srv.service: Deactivated successfully.",
    ]
    assert status.last_words(log) == "INF Disconnected from amqp://webitel:***@127.0.0.1:5672?heartbeat=10"


def test_a_line_of_a_log_is_shown_as_far_as_a_person_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may write megabytes in one line, and twenty of them are asked for."""
    said = CompletedProcess([], 0, "short\n" + "x" * 1_000_000 + "\n", "")
    monkeypatch.setattr(system, "run", lambda *_: said)
    short, long = system.last_lines("engine")
    assert short == "short" and len(long) < 2100 and long.endswith("...")


def test_what_somebody_logged_ends_no_line_of_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as the sign between two paragraphs, which Python takes for the end of a line."""
    entry = {
        "_SYSTEMD_UNIT": "engine.service",
        "__REALTIME_TIMESTAMP": str(int(time.time() * 1e6)),
        "MESSAGE": 'ERROR: column "a\u2028b\x85" does not exist',
    }
    said = CompletedProcess([], 0, f"{json.dumps(entry, ensure_ascii=False)}\n", "")
    monkeypatch.setattr(view, "run", lambda *_: said)
    asked = probe("schema", "the schema is another one", unit="engine")
    found = view.View(manifest(services=[service("engine", asked)])).schema_errors
    assert len(found["engine"][0]) == 1
