"""Services that move, against a real Consul: one candidate at a time runs the unit, whatever is taken away."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.sandbox.lock_program import is_alive
from tests.sandbox.platform import ROOT, Platform, free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

TTL, LEASE, HEAD_START = 5.0, 2.7, 3.0
AT_ONCE = 0.5
"""Far less than the rounds in which both look after the lock by themselves."""
TAKEN_OVER = 2 * TTL + 5
"""Consul ends a session within twice its time."""


class Gate:
    """A candidate's way to Consul, which can be cut: connections are refused and the open ones end."""

    def __init__(self, target: int) -> None:
        self.target, self.is_open, self.pairs = target, True, set[tuple[socket.socket, socket.socket]]()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            try:
                if not self.is_open:
                    raise OSError("cut")
                far = socket.create_connection(("127.0.0.1", self.target), 1)
            except OSError:
                near.close()
                continue
            self.pairs.add((near, far))
            threading.Thread(target=self.serve_pair, args=(near, far), daemon=True).start()

    def serve_pair(self, near: socket.socket, far: socket.socket) -> None:
        back = threading.Thread(target=self.copy, args=(far, near), daemon=True)
        back.start()
        self.copy(near, far)
        back.join()
        # Closed by nobody else, so never under the other thread; left open they fill the process in an hour.
        self.pairs.discard((near, far))
        near.close()
        far.close()

    def copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        self.shut(source, sink)

    def shut(self, *ends: socket.socket) -> None:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        self.is_open = False
        for pair in list(self.pairs):
            self.shut(*pair)

    def close(self) -> None:
        self.cut()
        # A thread in accept() holds the socket: shutting it down wakes that.
        self.shut(self.server)
        self.server.close()


class Candidate:
    """One node's program and its unit."""

    def __init__(self, world: "World", n: int) -> None:
        self.world, self.n, self.key = world, n, f"app-{n}"
        self.folder = world.folder / self.key
        self.folder.mkdir()
        self.gate = Gate(world.platform.ports["consul"])
        self.write()
        self.begin()

    def write(self, **more: object) -> None:
        candidates = [{"key": f"app-{n}", "address": f"127.0.0.{n + 1}"} for n in (1, 2)]
        (self.folder / "node.json").write_text(
            json.dumps(
                {
                    "key": self.key,
                    "units": [],
                    "ports": {"consul_http": self.gate.port},
                    **more,
                    "services": [
                        {"name": "logger", "units": ["webitel-logger"], "candidates": candidates},
                        {
                            "name": "locks",
                            "units": ["webitel-locks"],
                            "probes": [{"kind": "http", "address": f"127.0.0.{self.n + 1}", "port": self.world.port}],
                        },
                    ],
                }
            )
        )

    def begin(self) -> None:
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "sandbox" / "lock_program.py")],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "PYTHONSAFEPATH": "1",  # the folder of this script has a module platform
                    "FOLDER": str(self.folder),
                    "SHARED": str(self.world.shared),
                },
            )

    def unit(self) -> int:
        """The process that is the unit, 0 = it does not run."""
        file = self.folder / "pid"
        pid = int(file.read_text() or 0) if file.exists() else 0
        return pid if pid and is_alive(pid) else 0

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(how)
        self.process.wait(10)


class World:
    """A Consul of its own and two candidates; the first one has the lock."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.shared, self.port = folder, folder / "shared", free_port()
        self.platform = Platform(folder)
        (folder / "consul.json").write_text(
            json.dumps(
                {
                    "ports": {"http": self.platform.ports["consul"], "https": -1, "grpc": -1, **self.platform.consul_ports},
                    "session_ttl_min": "5s",
                    "performance": {"raft_multiplier": 1},
                }
            )
        )
        self.candidates: list[Candidate] = []

    def begin(self) -> None:
        self.platform.start("consul")
        self.candidates += [Candidate(self, 1), Candidate(self, 2)]
        wait_until(self.one.unit, 10, "the first candidate begins")

    @property
    def one(self) -> Candidate:
        return self.candidates[0]

    @property
    def other(self) -> Candidate:
        return self.candidates[1]

    def moves_to(self, candidate: Candidate, seconds: float = TAKEN_OVER) -> float:
        """Wait until a candidate runs the unit alone; returns how long it took."""
        began = time.monotonic()
        other = self.one if candidate is self.other else self.other
        wait_until(lambda: candidate.unit() and not other.unit(), seconds, f"{candidate.key} takes over")
        return time.monotonic() - began

    def check(self) -> None:
        """At no time two units ran."""
        logs = "\n".join(f"{path.parent.name}: {path.read_text()}" for path in sorted(self.folder.glob("app-*/log")))
        assert not Path(f"{self.shared}.clash").exists(), logs
        assert "Traceback" not in logs, logs

    def close(self) -> None:
        for candidate in self.candidates:
            if candidate.process.poll() is None:
                candidate.end()
            candidate.gate.close()
        self.platform.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    try:
        # Also when it does not begin: what is left running would go on asking, for all tests to come.
        made.begin()
        yield made
        made.check()
    finally:
        made.close()


def test_a_lost_holder_is_followed_by_the_other_and_does_not_take_it_back(world: World) -> None:
    assert not world.other.unit()
    world.one.end()
    began = time.monotonic()
    assert world.moves_to(world.other) > 1, "its session goes on for a while"
    unit = world.other.unit()
    world.one.begin()
    time.sleep(max(0.0, began + TAKEN_OVER - time.monotonic()) / 2)
    assert (world.one.unit(), world.other.unit()) == (0, unit)


def test_a_holder_that_is_cut_off_stops_before_the_other_begins(world: World) -> None:
    world.one.gate.cut()
    began = time.monotonic()
    wait_until(lambda: not world.one.unit(), LEASE + 2, "it stops by itself")
    assert not world.other.unit() and time.monotonic() - began < TTL
    world.moves_to(world.other)
    world.one.gate.is_open = True
    time.sleep(2)
    assert world.other.unit() and not world.one.unit()


def test_with_no_server_anywhere_the_holder_goes_on_as_long_as_the_other_agrees(world: World) -> None:
    unit = world.one.unit()
    world.platform.stop("consul")
    time.sleep(2 * TTL)
    assert (world.one.unit(), world.other.unit()) == (unit, 0)
    world.platform.start("consul")
    time.sleep(TTL)
    assert (world.one.unit(), world.other.unit()) == (unit, 0)
    world.platform.stop("consul")
    world.other.end()
    wait_until(lambda: not world.one.unit(), LEASE + 3, "nobody is left to agree")


def test_it_is_handed_over_at_once(world: World) -> None:
    unit = world.one.unit()
    world.one.process.send_signal(signal.SIGHUP)
    time.sleep(2)
    assert world.one.unit() == unit, "a new program goes on with what the old one held"
    time.sleep(HEAD_START)
    world.one.write(leaving=True)
    wait_until(lambda: not world.one.unit(), LEASE + 3, "the unit is stopped")
    seconds = world.moves_to(world.other, LEASE)
    print(f"\nnobody runs it for {seconds:.2f} s")
    assert seconds < AT_ONCE, "the other one is told of it"
    world.one.write()
    time.sleep(1)
    # What systemd does when the program is to end: first what is bound to it stops, and does not start again.
    (world.other.folder / "stopping").touch()
    os.kill(world.other.unit(), signal.SIGKILL)
    wait_until(lambda: not world.other.unit(), 5, "the unit has stopped")
    world.other.end(signal.SIGTERM)
    world.moves_to(world.one, LEASE + 3)


def test_what_somebody_else_starts_or_stops_is_put_right(world: World) -> None:
    os.kill(world.one.unit(), signal.SIGKILL)
    wait_until(world.one.unit, 5, "the holder starts it again")
    sleeper = subprocess.Popen(["sleep", "60"])
    (world.other.folder / "pid").write_text(str(sleeper.pid))
    try:
        assert sleeper.wait(5) == -signal.SIGKILL
    finally:
        sleeper.kill()
