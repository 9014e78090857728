"""Records of a node: what of the journal is kept, in which form, for how long, and how it reaches a log server."""

from __future__ import annotations

import datetime
import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud_init.node.health import machine
from cloud_init.node.records import keep, send, who
from tests.waiting import wait_until


def entry(message: object, **more: object) -> dict[str, object]:
    return {
        "MESSAGE": message,
        "__REALTIME_TIMESTAMP": "1795943999123456",
        "__CURSOR": "s=1;i=2",
        "_HOSTNAME": "edge-1",
        "_PID": "42",
        "_UID": "0",
        "_COMM": "sshd",
        "SYSLOG_IDENTIFIER": "sshd",
        "SYSLOG_FACILITY": "4",
        "PRIORITY": "6",
        **more,
    }


def test_a_record_is_a_line_of_rfc_5424() -> None:
    record = keep.as_record(entry("Accepted publickey for debian from 203.0.113.7 port 50000 ssh2: ED25519 SHA256:abc"))
    assert record == (
        "<38>1 2026-11-29T09:19:59.123456Z edge-1 sshd 42 - - "
        "Accepted publickey for debian from 203.0.113.7 port 50000 ssh2: ED25519 SHA256:abc"
    )  # fmt: skip


def test_nobody_writes_a_second_line_or_another_header() -> None:
    forged = keep.as_record(entry("x\n<38>1 2026 edge-1 sshd 1 - - Accepted", SYSLOG_IDENTIFIER="ss hd\n1"))
    assert "\n" not in forged and forged.split(" ")[3] == "sshd#0121"
    assert keep.as_record(entry([120, 10, 255])).endswith("- x#012\N{REPLACEMENT CHARACTER}")


def test_of_the_kernels_records_ours_are_kept_and_empty_lines_are_not() -> None:
    assert keep.as_record(entry('SYSCALL key="webitel-secrets"', _TRANSPORT="audit"))
    assert not keep.as_record(entry("SERVICE_START pid=1", _TRANSPORT="audit"))
    assert not keep.as_record(entry(None)) and not keep.as_record(entry(""))


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({"_UID": "0"}, True),
        ({"SYSLOG_IDENTIFIER": "sudo", "_UID": "1000", "_EXE": "/usr/bin/sudo"}, True),
        ({"SYSLOG_IDENTIFIER": "sudo", "_UID": "1000", "_EXE": "/usr/bin/logger"}, False),
        ({"SYSLOG_IDENTIFIER": "sshd", "_UID": "1000", "_EXE": "/usr/bin/sudo"}, False),
        ({"SYSLOG_IDENTIFIER": "webitel_login", "_UID": "33", "_EXE": "/usr/sbin/nginx"}, True),
        ({"SYSLOG_IDENTIFIER": "webitel_login", "_UID": "33"}, False),
        ({"SYSLOG_IDENTIFIER": "webitel-node", "_UID": "1000", "_EXE": "/usr/bin/python3.11"}, False),
        ({"SYSLOG_IDENTIFIER": "webitel-node", "_UID": "1000", "_EXE": ""}, False),
    ],
)
def test_a_record_is_of_root_or_of_the_program_whose_name_it_bears(more: dict[str, object], kept: bool) -> None:
    assert bool(keep.as_record(entry("text", **{"_UID": "1000", **more}))) is kept


def test_a_sender_that_was_gone_is_said() -> None:
    record = keep.as_record(entry("command not allowed", SYSLOG_IDENTIFIER="sudo", _UID="1000"))
    assert record.endswith("command not allowed [from user 1000, whose program was gone]")


def test_records_are_in_a_file_a_day_and_old_ones_go(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC).date()  # the day that a record is kept on
    old, kept = (f"audit-{now - datetime.timedelta(days=days):%Y-%m-%d}.log" for days in (11, 9))
    (tmp_path / old).write_text("old\n")
    (tmp_path / kept).write_text("kept\n")
    (tmp_path / "somebody-elses.log").write_text("")
    files = keep.Files(tmp_path, days=10)
    cursor = tmp_path / "cursor"
    lines = [json.dumps(entry("one")), json.dumps(entry("")), json.dumps(entry("two", __CURSOR="s=1;i=3"))]
    assert len(list(keep.keep(lines, files, cursor))) == 2
    today = tmp_path / keep.CURRENT
    assert today.is_symlink() and [line.rpartition(" ")[2] for line in today.read_text().splitlines()] == ["one", "two"]
    assert not today.resolve().stat().st_mode & 0o007, "not for everybody"
    assert cursor.read_text() == "s=1;i=3"
    assert {path.name for path in tmp_path.glob("*.log")} >= {kept, "somebody-elses.log"}
    assert not (tmp_path / old).exists()


def test_who_ran_a_command_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("syslog.syslog", lambda _, text: said.append(text))
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    monkeypatch.setenv("SUDO_USER", "ann")
    who.record_command("drain", ["drain"])
    who.record_command("status", ["status", "--json"])
    who.record_changes(["/etc/b", "/etc/a"], [])
    monkeypatch.setenv("INVOCATION_ID", "1")
    who.record_command("drain", ["drain"])
    assert said == ["ann ran: drain", "ann wrote: /etc/a /etc/b"]


class LogServer:
    """A log server that takes TLS and writes down what it got; `close_after` ends each connection after so many records."""

    def __init__(self, folder: Path, close_after: int = 0) -> None:
        self.authority = folder / "ca.pem"
        self.got: list[bytes] = []
        self.close_after = close_after
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*make_certificate(folder))
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.target = f"localhost:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                raw, _ = self.socket.accept()
                with self.context.wrap_socket(raw, server_side=True) as connection:
                    self.take(connection)
            except OSError:
                if self.socket.fileno() < 0:
                    return

    def take(self, connection: ssl.SSLSocket) -> None:
        rest, count = b"", 0
        while got := connection.recv(4096):
            rest += got
            while (found := re.match(rb"(\d+) ", rest)) and len(rest) >= found.end() + int(found[1]):
                self.got.append(rest[found.end() : found.end() + int(found[1])])
                rest, count = rest[found.end() + int(found[1]) :], count + 1
                if count == self.close_after:
                    self.close_after = 0
                    return


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "ca.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    extra = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *extra], check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(send, "SENT", tmp_path / "sent.json")
    monkeypatch.setattr(send, "STATE", tmp_path / "target.json")
    monkeypatch.setattr(send, "FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(send, "LONGEST_PAUSE_SECONDS", 0.02)
    return tmp_path


class Started:
    def __init__(self, target: str, authority: Path, places: Path) -> None:
        self.written = threading.Event()
        self.sender = send.Sender(target, str(authority), places)
        self.thread = threading.Thread(target=send.run, args=(self.sender, self.written), daemon=True)
        self.thread.start()


@pytest.fixture
def start(places: Path) -> Iterator[Callable[[LogServer, Path], Started]]:
    made: list[Started] = []

    def begin(server: LogServer, authority: Path) -> Started:
        made.append(Started(server.target, authority, places))
        return made[-1]

    yield begin
    for one in made:
        one.sender.ended.set()
        one.written.set()
        one.thread.join(10)


Start = Callable[[LogServer, Path], Started]


def test_records_reach_a_log_server_and_nothing_is_left_out_when_it_goes_away(places: Path, start: Start) -> None:
    server = LogServer(places, close_after=2)
    (places / "audit-2026-11-28.log").write_text("a1\na2\na3\n")
    (places / "audit-2026-11-29.log").write_text("b1\nhalf")
    started = start(server, server.authority)
    wait_until(lambda: {b"a1", b"a2", b"a3", b"b1"} <= {*server.got}, 20, "everything")
    with (places / "audit-2026-11-29.log").open("a") as file:
        file.write(" whole\n")
    started.written.set()
    wait_until(lambda: b"half whole" in server.got, 20, "the rest of the line")
    assert b"half" not in server.got
    order = list(dict.fromkeys(server.got))
    assert order == [b"a1", b"a2", b"a3", b"b1", b"half whole"]
    assert json.loads((places / "target.json").read_text())["why"] == ""


def test_what_was_sent_long_enough_ago_is_not_sent_again(places: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "SETTLED_SECONDS", 0.0)
    server = LogServer(places)
    (places / "audit-2026-11-28.log").write_text("a1\n")
    start(server, server.authority)
    wait_until((places / "sent.json").exists, 20, "its place")
    assert send.load_place() == send.Place("audit-2026-11-28.log", 3)
    assert list(send.read_from(places, send.load_place())) == []


def test_a_server_with_another_certificate_gets_nothing(
    places: Path, start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("other")
    server, other = LogServer(places), LogServer(elsewhere)
    (places / "audit-2026-11-28.log").write_text("secret\n")
    start(server, other.authority)
    wait_until((places / "target.json").exists, 20, "what it says")
    assert "certificate verify failed" in json.loads((places / "target.json").read_text())["why"]
    assert server.got == []
    assert not (places / "sent.json").exists()


def test_status_says_when_the_log_server_takes_nothing_for_long(places: Path) -> None:
    assert machine.log_server() == []
    for why, minutes, shown in (("", 60, 0), ("refused", 1, 0), ("refused", 60, 1)):
        (places / "target.json").write_text(json.dumps({"since": time.time() - 60 * minutes, "why": why}))
        assert len(machine.log_server()) == shown
    (row,) = machine.log_server()
    assert row["warning"] and "for 60 minutes (refused)" in row["why"]
