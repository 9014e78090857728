"""rtpengine and Redis with the node's files, as ordinary processes on addresses of the loopback, and calls through them."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloud_init.node.ask import sip
from tests.sandbox.platform import wait_until
from tests.sandbox.telephony import LOOPBACK, NODE, node_files

CALLER, MEDIA = "127.0.79.21", "127.0.79.22"
"""Where the two ends of a call's audio are."""
NG_PORT, CLI_PORT, REDIS_PORT = 60000, 2224, 6379
DELETE_SECONDS, DISABLED_SECONDS = 1, 2
"""Shorter than a node has it: how long an ended call stays, and how long a Redis that failed is left alone."""
PACKET = bytes([0x80, 8]) + bytes(10) + bytes(160)
PACE_SECONDS = 0.02


class Call:
    """A call whose two ends send audio all the time; `last` and `gaps` say, by end, when it last heard the other, and its
    longest silences."""

    def __init__(self, relay: "Relay") -> None:
        self.relay = relay
        self.id = f"call-{secrets.token_hex(6)}"
        self.sockets = {name: self.bind(name) for name in (CALLER, MEDIA)}
        self.last = dict.fromkeys(self.sockets, 0.0)
        self.gaps = dict.fromkeys(self.sockets, 0.0)
        self.ending = threading.Event()
        start = time.monotonic()
        offered = self.say("offer", CALLER, direction=["ext", "int"])
        answered = self.say("answer", MEDIA)
        self.seconds = time.monotonic() - start
        self.targets = {MEDIA: read_port(offered), CALLER: read_port(answered)}
        self.threads = [threading.Thread(target=self.talk, args=(name,), daemon=True) for name in self.sockets]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def bind(address: str) -> socket.socket:
        """An end's socket."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, 0))
        made.settimeout(PACE_SECONDS)
        return made

    def say(self, command: str, end: str, **more: object) -> str:
        """An offer or an answer of one end."""
        port = self.sockets[end].getsockname()[1]
        text = f"v=0\r\no=- 1 1 IN IP4 {end}\r\ns=-\r\nc=IN IP4 {end}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
        tags = {"from-tag": "a"} | ({"to-tag": "b"} if command == "answer" else {})
        said = self.relay.ask({"command": command, "call-id": self.id, "sdp": text, **tags, **more})
        assert "6:result2:ok" in said, said
        return said

    def talk(self, end: str) -> None:
        """Send and hear."""
        own, number, due = self.sockets[end], 0, time.monotonic()
        while not self.ending.is_set():
            number += 1
            own.sendto(PACKET[:2] + number.to_bytes(2, "big") + (160 * number).to_bytes(4, "big") + PACKET[8:], self.targets[end])
            due += PACE_SECONDS
            while (left := due - time.monotonic()) > 0:
                own.settimeout(left)
                try:
                    own.recv(2000)
                except TimeoutError:
                    break
                now = time.monotonic()
                if self.last[end]:
                    self.gaps[end] = max(self.gaps[end], now - self.last[end])
                self.last[end] = now

    def hears(self) -> bool:
        """Whether both ends hear each other right now."""
        return all(time.monotonic() - heard < 10 * PACE_SECONDS for heard in self.last.values())

    def forget_gaps(self) -> None:
        """Measure silences from here on."""
        self.gaps = dict.fromkeys(self.sockets, 0.0)

    def is_known(self) -> bool:
        """Whether rtpengine knows it."""
        return "6:result2:ok" in self.relay.ask({"command": "query", "call-id": self.id})

    def hang_up(self) -> str:
        """End it; what rtpengine says."""
        self.silence()
        return self.relay.ask({"command": "delete", "call-id": self.id, "from-tag": "a"})

    def silence(self) -> None:
        """Send no more."""
        self.ending.set()
        for thread in self.threads:
            thread.join()


def read_port(said: str) -> tuple[str, int]:
    """Where rtpengine wants an end's audio."""
    found = re.search(r"m=audio (\d+)", said)
    assert found, said
    return NODE, int(found[1])


class Relay:
    """rtpengine and Redis in a folder."""

    def __init__(self, folder: Path, *, redis: bool = True) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.calls = list[Call]()
        files = node_files()
        text = files["/etc/rtpengine/rtpengine.conf"].replace("127.0.0.1", LOOPBACK)
        for name, seconds in (("delete-delay", DELETE_SECONDS), ("redis-disable-time", DISABLED_SECONDS)):
            text, count = re.subn(rf"(?m)^{name} = \d+$", f"{name} = {seconds}", text)
            assert count == 1, name
        self.write("rtpengine.conf", text if redis else re.sub(r"(?m)^(no-)?redis.*\n", "", text))
        self.write("redis.conf", files["/etc/redis/redis.conf"].replace("127.0.0.1", LOOPBACK) + f"dir {folder}\n")
        self.write("rtpengine.sh", files["/usr/lib/webitel/setup/rtpengine.sh"].replace("127.0.0.1", LOOPBACK))

    def write(self, name: str, text: str) -> None:
        """A file."""
        (self.folder / name).write_text(text)

    def launch(self, name: str, *command: str) -> None:
        """A program, its words in `<name>.log`."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def start_redis(self) -> None:
        """Redis, until it answers."""
        self.launch("redis", "redis-server", str(self.folder / "redis.conf"), "--daemonize", "no")
        wait_until(lambda: can_connect(REDIS_PORT), 10, "Redis")

    def start_rtpengine(self) -> float:
        """rtpengine, until it answers, and what its unit does then; the seconds until the answer."""
        start = time.monotonic()
        self.launch("rtpengine", "rtpengine", "-f", "-E", "--no-log-timestamps", f"--config-file={self.folder}/rtpengine.conf")
        wait_until(self.answers, 10, "rtpengine")
        seconds = time.monotonic() - start
        self.run_script("limit")
        return seconds

    def run_script(self, what: str, before: str = "") -> None:
        """What rtpengine's unit runs before and after its start; `before` stands in front of it."""
        script = before + (self.folder / "rtpengine.sh").read_text()
        subprocess.run(["sh", "-c", script, "rtpengine.sh", what], check=True, capture_output=True, timeout=20)

    def answers(self) -> bool:
        """Whether rtpengine answers a ping."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PACE_SECONDS)
            sock.sendto(b"1 d7:command4:pinge", (LOOPBACK, NG_PORT))
            try:
                return b"pong" in sock.recv(100)
            except OSError:
                return False

    def ask(self, message: dict[str, object]) -> str:
        """One command to rtpengine."""
        return sip.ask_rtpengine(LOOPBACK, NG_PORT, message)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a program by a signal."""
        process = self.running.pop(name)
        process.send_signal(number)
        process.wait(20)

    def hold(self, name: str, number: int) -> None:
        """Stop or continue a program."""
        self.running[name].send_signal(number)

    def call(self) -> Call:
        """A new call."""
        self.calls.append(Call(self))
        return self.calls[-1]

    def redis(self, *words: str) -> str:
        """One command to Redis."""
        command = ["redis-cli", "-h", LOOPBACK, "-p", str(REDIS_PORT), "-n", "1", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    def keys(self) -> set[str]:
        """The calls in Redis."""
        return set(self.redis("KEYS", "*").split())

    def close(self) -> None:
        """End everything: who went on talking would be heard by the calls of another test."""
        for call in self.calls:
            call.silence()
        for name in list(self.running):
            self.running[name].send_signal(signal.SIGCONT)
            self.kill(name)


def can_connect(port: int) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection((LOOPBACK, port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def running_relay(*, redis: bool = True) -> Iterator[Relay]:
    """Both programs; without `redis` an rtpengine that knows none."""
    if missing := [name for name in ("rtpengine", "redis-server", "redis-cli") if shutil.which(name) is None]:
        pytest.fail(f"not installed here: {', '.join(missing)}; ./webitel test sandbox installs it")
    with tempfile.TemporaryDirectory(prefix="webitel-relay-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101 - redis and rtpengine may run as others
        made = Relay(Path(folder), redis=redis)
        try:
            made.start_redis()
            made.start_rtpengine()
            yield made
        finally:
            made.close()
