"""Two nodes for SIP with their rendered files, each in a network name space of its own on one bridge: nftables, Redis, rtpengine
and the program that has the address."""

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from cloud_init.node.ask import sip
from cloud_init.node.clusters import sip_address
from components.model.settings import Settings
from tests.plans import compose_configuration, make_plan
from tests.sandbox.network import CLONE_NEWNET
from tests.sandbox.platform import ROOT
from tests.sandbox.relay import NG_PORT
from tests.sandbox.relay_calls import Call
from tests.waiting import wait_until

ADDRESS, ROUTER, NETWORK = "10.77.1.39", "10.77.1.1", 24
KEYS = ("edge-1", "edge-2")
CALLER, MEDIA = "10.77.1.200", "10.77.1.20"
"""A phone, and the node with FreeSWITCH."""
PROGRAM = """
import pathlib, signal, sys, threading
from cloud_init.node import manifest
from cloud_init.node.clusters import sip_address
folder = pathlib.Path(sys.argv[1])
manifest.MANIFEST, sip_address.TAKEN = folder / "node.json", folder / "taken"
sip_address.PROMOTED, sip_address.LEFT = folder / "promoted", folder / "left"
may, ended = [False], threading.Event()
signal.signal(signal.SIGUSR1, lambda *_: may.__setitem__(0, True))
signal.signal(signal.SIGUSR2, lambda *_: may.__setitem__(0, False))
calls = sip_address.Calls(lambda: may[0], threading.Event())
threading.Thread(target=calls.follow, args=(ended,), daemon=True).start()
while True:
    calls.turn(manifest.load_manifest(), may[0])
    ended.wait(0.1)
"""
"""The keeper's part; two signals stand for the lock that comes and goes."""
Value = TypeVar("Value")


class PairCall(Call):
    """A call from the phone to FreeSWITCH through whichever node has the address."""

    caller, media, node = CALLER, MEDIA, ADDRESS


class Edge:
    """One of the two."""

    def __init__(self, folder: Path, key: str) -> None:
        self.key, self.folder = key, folder / key
        self.folder.mkdir()
        self.address = addresses()[key]
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        made = configure(key)
        manifest = json.loads(fill(json.dumps(made.manifest)))
        self.write("node.json", json.dumps(manifest))
        self.write("redis.conf", fill(made.files["/etc/redis/redis.conf"]) + "dir /proc\n")  # its unit may write nowhere
        self.write("rtpengine.conf", fill(made.files["/etc/rtpengine/rtpengine.conf"]))
        script = fill(made.files["/usr/lib/webitel/setup/rtpengine.sh"])
        self.write("rtpengine.sh", script.replace("/run/webitel/sip-address", f"{self.folder}/promoted"))
        self.write("nftables.conf", fill(made.files["/etc/nftables.conf"]))
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "900"])
        ours, theirs = (Path(f"/proc/{task}/ns/net") for task in ("thread-self", self.holder.pid))
        wait_until(lambda: theirs.readlink() != ours.readlink(), 10, "the name space")
        self.port = f"e{key[-1]}"
        run(f"ip link add {self.port} type veth peer name eth0 netns {self.holder.pid}")
        run(f"ip link set {self.port} master br0 up")
        # As every node has it: a bind says nothing of whose an address is.
        nonlocal_bind = "sysctl -q net.ipv4.ip_nonlocal_bind=1"
        for command in (
            nonlocal_bind,
            "ip link set lo up",
            f"ip addr add {self.address}/{NETWORK} dev eth0",
            "ip link set eth0 up",
        ):
            self.inside(command)
        self.inside(f"nft -f {self.folder}/nftables.conf")
        self.start_redis()
        self.start_keeper()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def enter(self) -> list[str]:
        return ["nsenter", "--target", str(self.holder.pid), "--net"]

    def inside(self, command: str) -> str:
        """A command there; an error fails the test."""
        done = subprocess.run([*self.enter(), "sh", "-c", command], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def launch(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [*self.enter(), *command],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )

    def start_redis(self) -> None:
        self.launch("redis", "redis-server", str(self.folder / "redis.conf"), "--daemonize", "no")
        wait_until(lambda: "role" in self.ask_redis("INFO replication"), 10, "Redis")

    def ask_redis(self, command: str) -> str:
        shell = f"timeout 5 redis-cli -h 127.0.0.1 -n 1 {command} || true"
        return self.inside(shell)

    def is_copy(self) -> bool:
        """Whether its Redis follows the other one, and has all that had."""
        said = self.ask_redis("INFO replication")
        return "role:slave" in said and "master_link_status:up" in said

    def lacks_calls(self) -> bool:
        return sip_address.lacks_calls(json.loads((self.folder / "node.json").read_text()))

    def missing_copy(self) -> str:
        return sip_address.describe_missing_copy(json.loads((self.folder / "node.json").read_text()))

    def calls(self) -> set[str]:
        return set(self.ask_redis("KEYS '*'").split())

    def take_over(self) -> float:
        """What its units do when the lock is this node's, in their order; the seconds until rtpengine answers."""
        start = time.monotonic()
        self.running["address"].send_signal(signal.SIGUSR1)
        wait_until(lambda: f" {ADDRESS}/32" in self.inside("ip -o -4 addr"), 10, "the address")
        self.inside(f"systemctl() {{ echo {self.left}; }}; set -- forget; . {self.folder}/rtpengine.sh")
        self.launch("rtpengine", "rtpengine", "-f", "-E", "--no-log-timestamps", f"--config-file={self.folder}/rtpengine.conf")
        wait_until(self.answers, 10, "rtpengine")
        return time.monotonic() - start

    left = 0
    """When its rtpengine ended before, in microseconds since the machine's start, as systemd says it."""

    def answers(self) -> bool:
        try:
            return "pong" in self.ask({"command": "ping"})
        except OSError:
            return False

    def ask(self, message: dict[str, object]) -> str:
        """One command to its rtpengine."""
        return self.within(lambda: sip.ask_rtpengine("127.0.0.1", NG_PORT, message))

    def within(self, function: Callable[[], Value]) -> Value:
        """What a function returns in this network, called by a thread of its own."""
        found: list[Value] = []
        failed: list[OSError] = []

        def go() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            with Path(f"/proc/{self.holder.pid}/ns/net").open() as network:
                assert libc.setns(network.fileno(), CLONE_NEWNET) == 0
            try:
                found.append(function())
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=go)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return found[0]

    def cut(self) -> None:
        """Take its cable."""
        run(f"ip link set {self.port} down")

    def mend(self) -> None:
        run(f"ip link set {self.port} up")

    def kill(self, *names: str, number: int = signal.SIGKILL) -> None:
        for name in names or list(self.running):
            process = self.running.pop(name)
            # nsenter executes the program: it is that itself.
            process.send_signal(number)
            process.wait(20)

    def start_keeper(self) -> None:
        """It leaves what it finds alone until it has the lock."""
        self.launch("address", sys.executable, "-u", "-P", "-c", PROGRAM, str(self.folder))
        wait_until(lambda: self.is_copy() or "role:slave" in self.ask_redis("INFO replication"), 10, "the program")
        time.sleep(1)

    def lose_lock(self) -> None:
        """The address is given up before all else."""
        self.running["address"].send_signal(signal.SIGUSR2)
        wait_until(lambda: f" {ADDRESS}/32" not in self.inside("ip -o -4 addr"), 5, "the address")

    def give_up(self) -> None:
        """What its units do when the lock is lost: the address first."""
        self.lose_lock()
        self.kill("rtpengine", number=signal.SIGTERM)
        self.left = int(float(Path("/proc/uptime").read_text().split()[0]) * 1e6)

    def close(self) -> None:
        self.kill()
        # With the name space it would go a while later, and the next test have no room for its own.
        run(f"ip link del {self.port}")
        self.holder.kill()
        self.holder.wait(10)


def run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)


def make_bridge() -> None:
    """The network between them, with the phone and FreeSWITCH's node on this side of it."""
    for command in ("ip link add br0 type bridge", "ip link set br0 up", f"ip addr add {ROUTER}/{NETWORK} dev br0"):
        run(command)
    for address in (CALLER, MEDIA):
        run(f"ip addr add {address}/32 dev br0")


def remove_bridge() -> None:
    run("ip link del br0")


@cache
def settings() -> Settings:
    return Settings.model_validate({"cloud": "local", "tier": "basic", "counts": {"edge": 2}})


@cache
def configure(key: str):  # type: ignore[no-untyped-def]
    plan = make_plan(settings(), "s")
    return compose_configuration(plan, plan.node(key), settings())


@cache
def addresses() -> dict[str, str]:
    return {node.key: str(node.private_address) for node in make_plan(settings(), "s").nodes}


def fill(text: str) -> str:
    """A file with the addresses of these nodes."""
    text = re.sub(r"\{\{address:([a-z]+-\d)(\.public)?\}\}", lambda found: addresses()[found[1]], text)
    return re.sub(r"\{\{[^}]*\}\}", "secret", text)
