"""rtpengine's calls and Redis: both are made up here, as servers that say what the real ones were seen to say."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from cloud_init.node.ask.view import View
from cloud_init.node.health import kept_calls, probes
from cloud_init.node.manifest import Manifest
from tests.unit.node.entries import PORTS, manifest, probe, service, wrong

SESSION = "callid: {:>60} | deletionmark:{:>4} | created:  1795958678 | proxy:127.0.0.1:49684 | redis_keyspace:1 | foreign:no\n"
UNIT = "rtpengine-daemon"


class Media:
    """rtpengine with its calls, and Redis with those that were written."""

    def __init__(self) -> None:
        self.calls, self.ended, self.kept = set[str](), set[str](), set[str]()
        self.cuts = False
        self.knows_redis, self.memory, self.commands = True, 1_000_000, list[str]()

    def rtpengine(self, command: str) -> str:
        """What its command line interface says."""
        self.commands.append(command)
        if command == "active" and self.knows_redis:
            self.kept |= self.calls
        if command == "list numsessions":
            return f"Current sessions own: {len(self.calls)}\nCurrent sessions total: {len(self.calls) + len(self.ended)}\n"
        marks = [(name, "no") for name in sorted(self.calls)] + [(name, "yes") for name in self.ended]
        return "".join(SESSION.format(*mark) for mark in marks) or "No sessions on this media relay.\n"

    def redis(self, words: list[str]) -> str:
        """What Redis says."""
        if words[0] == "KEYS":
            return f"*{len(self.kept)}\r\n" + "".join(f"${len(key)}\r\n{key}\r\n" for key in sorted(self.kept))
        if words[0] == "GET":
            kinds = {"browser": '{"media-0":{"protocol":"UDP/TLS/RTP/SAVPF"}}', "secret": '{"media-0":{"protocol":"RTP/SAVP"}}'}
            text = kinds.get(words[1].partition("-")[0], "{}")
            return f"${len(text)}\r\n{text}\r\n"
        if words[0] == "DEL":
            self.kept.discard(words[1])
            return ":1\r\n"
        if words[0] == "INFO":
            text = f"# Memory\r\nused_memory:{self.memory}\r\nmaxmemory:2000000\r\n"
            return f"${len(text)}\r\n{text}\r\n"
        return "+PONG\r\n" if words[0] == "PING" else "+OK\r\n" if words[0] == "SELECT" else "-ERR unknown\r\n"


@pytest.fixture
def media(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Media]:
    made = Media()

    class Rtpengine(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            said = made.rtpengine(self.rfile.readline().decode().strip()).encode()
            time.sleep(0.01)
            try:
                ended = self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
            except BlockingIOError:
                ended = False
            # Who has closed its half is sent what the socket takes at once, and no more.
            self.wfile.write(said[: len(said) // 2] if ended or (made.cuts and b"callid:" in said) else said)

    class Redis(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline():
                words = [(self.rfile.readline(), self.rfile.readline())[1].decode().strip() for _ in range(int(line[1:]))]
                self.wfile.write(made.redis(words).encode())

    servers = [socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) for handler in (Rtpengine, Redis)]
    for server in servers:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    ports = dict(zip(("rtpengine_cli", "redis_calls"), (server.server_address[1] for server in servers), strict=True))
    monkeypatch.setattr("tests.unit.node.test_kept_calls.OWN", manifest(services=[service("redis")], ports={**PORTS, **ports}))
    monkeypatch.setattr(kept_calls, "WRITING_SECONDS", 0.0)
    monkeypatch.setattr(kept_calls, "PUT_OFF", tmp_path / "put-off")
    yield made
    for server in servers:
        server.shutdown()
        server.server_close()


OWN: Manifest = manifest(services=[service("redis")])
"""With the ports of the servers."""


class System:
    """systemd, which counts how often it started rtpengine."""

    def __init__(self) -> None:
        self.runs, self.asked = 1, list[str]()

    def systemctl(self, *words: str) -> CompletedProcess[str]:
        self.asked.append(" ".join(words))
        return CompletedProcess([], 0, f"run-{self.runs}\n" if words[0] == "show" else "", "")


def test_only_calls_in_progress_that_redis_lacks_are_lost(media: Media) -> None:
    media.calls, media.ended, media.kept = {"a", "b@10.0.0.1", "probe-12-ab"}, {"old"}, {"a", "gone"}
    assert kept_calls.list_lost(OWN) == {"b@10.0.0.1"}


def test_the_whole_list_of_calls_is_read(media: Media) -> None:
    media.calls = media.kept = {f"call-{number}" for number in range(40)}
    media.calls |= {"late"}
    media.kept = media.calls - {"late"}
    assert len(kept_calls.list_calls(OWN)) == 41 and kept_calls.list_lost(OWN) == {"late"}
    media.cuts = True
    with pytest.raises(OSError, match="it lists 20 of 41"):
        kept_calls.list_calls(OWN)
    assert "it does not say which calls it has (it lists 20 of 41)" in kept_calls.describe_obstacle(OWN)


def test_rtpengine_is_made_to_write_what_a_new_redis_lacks(media: Media) -> None:
    media.calls = {"a", "b"}
    assert kept_calls.describe_obstacle(OWN) == "" and media.kept == {"a", "b"}
    media.kept.clear()
    media.knows_redis = False
    assert kept_calls.describe_obstacle(OWN) == "calls in progress would end: 2 that Redis does not have"
    media.calls.clear()
    assert kept_calls.describe_obstacle(OWN) == "", "it is idle"
    media.calls = media.kept = {"a", "browser-1"}
    assert kept_calls.describe_obstacle(OWN) == "calls in progress would end: 1 of browsers"
    gone = manifest(services=[service("redis")], ports={**OWN["ports"], "rtpengine_cli": 1})
    assert kept_calls.describe_obstacle(gone) == "", "who does not run has no calls"


def test_the_restart_is_made_once_no_call_would_end(media: Media, monkeypatch: pytest.MonkeyPatch) -> None:
    system = System()
    monkeypatch.setattr(kept_calls, "systemctl", system.systemctl)
    keeper, media.calls, media.knows_redis = kept_calls.Keeper(), {"a"}, False
    kept_calls.put_off(UNIT)
    keeper.look(OWN, 1000.0)
    row = kept_calls.report(OWN)
    assert row and row.get("warning") and "1 that Redis" in row["why"] and UNIT in row["why"] and "--disruptive" in row["why"]
    assert not any("restart" in asked for asked in system.asked)
    media.calls.clear()
    keeper.look(OWN, 1015.0)
    assert f"restart --no-block {UNIT}" in system.asked
    system.runs += 1
    assert kept_calls.report(OWN) is None and kept_calls.list_put_off() == [], "it runs anew"


def test_a_restart_that_waits_is_forgotten_by_nobody_who_has_not_seen_it(media: Media, monkeypatch: pytest.MonkeyPatch) -> None:
    system = System()
    silent = False

    def systemctl(*words: str) -> CompletedProcess[str]:
        return CompletedProcess([], 124, "", "") if silent else system.systemctl(*words)

    monkeypatch.setattr(kept_calls, "systemctl", systemctl)
    media.calls, media.knows_redis = {"a"}, False
    silent = True
    kept_calls.put_off(UNIT)
    assert kept_calls.list_put_off() == [UNIT], "systemd is not answering"
    silent = False
    assert kept_calls.list_put_off() == [UNIT]
    silent = True
    assert kept_calls.list_put_off() == [UNIT]
    silent = False
    later = manifest(ports=OWN["ports"])
    row = kept_calls.report(later)
    assert row and UNIT in row["why"], "a later `up` has taken Redis away"
    cut = manifest(ports={**OWN["ports"], "rtpengine_cli": 1})
    assert (row := kept_calls.report(cut)) and UNIT in row["why"] and "it is unknown which calls" in row["why"]
    media.calls.clear()
    kept_calls.Keeper().look(later, 1000.0)
    assert f"restart --no-block {UNIT}" in system.asked
    system.runs += 1
    assert kept_calls.list_put_off() == []


def test_calls_without_audio_are_not_kept_alive_by_rewriting_them(media: Media) -> None:
    keeper, media.calls, media.knows_redis = kept_calls.Keeper(), {"a"}, False
    for now in range(1000, 1090, 15):
        keeper.look(OWN, float(now))
    assert media.commands.count("active") == 1
    keeper.look(OWN, 1000.0 + kept_calls.REWRITE_SECONDS)
    assert media.commands.count("active") == 2
    media.knows_redis = True
    keeper.look(OWN, 1000.0 + 2 * kept_calls.REWRITE_SECONDS)
    assert media.kept == {"a"} and kept_calls.report(OWN) is None


def test_secret_calls_are_written_again_and_again_and_before_a_restart(media: Media, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_calls, "systemctl", System().systemctl)
    keeper, media.calls, media.kept = kept_calls.Keeper(), {"a"}, {"a"}
    for now in range(1000, 1400, 15):
        keeper.look(OWN, float(now))
    assert media.commands.count("active") == 0, "other calls are written when they change"
    media.calls = media.kept = {"a", "secret-1"}
    for now in range(1400, 1400 + 10 * int(kept_calls.REWRITE_SECONDS), 45):
        keeper.look(OWN, float(now))
    assert 8 <= media.commands.count("active") <= 10
    media.commands.clear()
    assert kept_calls.describe_obstacle(OWN) == "" and "active" in media.commands
    media.commands.clear()
    kept_calls.put_off(UNIT)
    keeper.look(OWN, 1400.0 + 10 * kept_calls.REWRITE_SECONDS - 60)
    assert media.commands.count("active") == 1


def test_calls_that_are_over_do_not_stay_in_redis(media: Media) -> None:
    keeper, media.calls, media.ended, media.kept = kept_calls.Keeper(), {"a"}, {"b"}, {"a", "b", "over"}
    for now in range(1000, 1000 + int(kept_calls.STALE_SECONDS), 60):
        keeper.look(OWN, float(now))
        assert media.kept == {"a", "b", "over"}, "rtpengine may come back and find it"
    for now in range(1300, 1300 + 2 * int(kept_calls.REWRITE_SECONDS), 45):
        keeper.look(OWN, float(now))
    assert media.kept == {"a", "b"}
    media.kept.add("back")
    keeper.look(OWN, 2000.0)
    media.calls.add("back")
    keeper.look(OWN, 2100.0)
    media.calls.remove("back")
    for later in (2200.0, 2300.0, 2400.0):
        keeper.look(OWN, later)
    assert "back" in media.kept, "it has not been away long enough"


def test_without_redis_nobody_is_asked(media: Media) -> None:
    kept_calls.Keeper().look(manifest(), 0.0)
    assert kept_calls.report(manifest()) is None and media.commands == []


def test_redis_is_healthy_while_it_answers_and_has_room(media: Media) -> None:
    asked = probe("redis", address="127.0.0.1", port=OWN["ports"]["redis_calls"])
    assert wrong(probes.answer, asked, View(OWN)) == ""
    media.memory = 1_800_000
    assert "uses 2 MB of 2 MB" in wrong(probes.answer, asked, View(OWN))
    assert wrong(probes.answer, probe("redis", address="127.0.0.1", port=1), View(OWN))
