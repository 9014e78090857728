"""rtpengine and Redis with the node's files, as ordinary processes on addresses of the loopback."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloud_init.node.ask import sip
from tests.sandbox.relay_calls import PACE_SECONDS, Call
from tests.sandbox.telephony import LOOPBACK, node_files
from tests.waiting import wait_until

NG_PORT, CLI_PORT, REDIS_PORT = 60000, 2224, 6379
DELETE_SECONDS, DISABLED_SECONDS = 1, 2
"""Shorter than a node has it: how long an ended call stays, and how long a Redis that failed is left alone."""


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

    def call(self, kind: type[Call] = Call) -> Call:
        """A new call."""
        self.calls.append(kind(self.ask))
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
