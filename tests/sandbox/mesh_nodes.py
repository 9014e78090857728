"""Nodes with their rendered files, each in a network name space of its own on one bridge, and who listens at that bridge: real
nftables, real WireGuard (Debian's wireguard-go where the kernel has none) and our program that sets it up."""

import ctypes
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from components.mesh_keys import private_key, public_key
from components.model.settings import Settings
from stacks.load import load_deployment
from tests.plans import compose_configuration, make_plan
from tests.sandbox.network import CLONE_NEWNET
from tests.sandbox.platform import ROOT
from tests.waiting import wait_until

ADDRESSES = {"edge-1": "10.77.2.10", "data-1": "10.77.2.20", "app-1": "10.77.2.30"}
NETWORK, SIZE = 24, 1500
SEED = "what the deployment keeps"
WIREGUARD = ("udp", 51820)
ETH_P_ALL, IPV4 = 0x0003, 4
"""From linux/if_ether.h."""
PROGRAM = """
import pathlib, sys
from cloud_init.node import manifest
from cloud_init.node.clusters import mesh
folder = pathlib.Path(sys.argv[1])
manifest.MANIFEST, mesh.KEY_FILE, mesh.MET = folder / "node.json", folder / "mesh.key", folder / "met.json"
sys.exit(getattr(mesh, sys.argv[2])())
"""
MISSING = [name for name in ("wg", "wireguard-go", "nft", "ip") if shutil.which(name) is None]
Value = TypeVar("Value")


@cache
def configure(key: str, mesh: bool, sends: bool) -> tuple[dict[str, Any], Mapping[str, str]]:
    """A node's manifest and files with a mesh, or without one, as we render them."""
    settings = Settings.model_validate(
        {**load_deployment("local-basic").settings.model_dump(), "mesh": mesh, "mesh_sends": sends}
    )
    plan = make_plan(settings, "local-basic")
    made = compose_configuration(plan, plan.node(key), settings)
    manifest: dict[str, Any] = json.loads(fill(key, json.dumps(made.manifest)))
    return manifest, {path: fill(key, text) for path, text in made.files.items() if path.startswith((NFTABLES, KEY, SYSCTL))}


NFTABLES, KEY, SYSCTL = "/etc/nftables.conf", "/etc/webitel/mesh.key", "/etc/sysctl.d/"


def fill(key: str, text: str) -> str:
    """What the node fills in."""
    known = ADDRESSES | {f"{peer}.mesh": public_key(SEED, peer) for peer in ADDRESSES}
    text = text.replace("{{secret:mesh_key}}", private_key(SEED, key))
    return re.sub(r"\{\{address:([^}]+)\}\}", lambda found: known[found[1]], text)


class Node:
    """One of them."""

    def __init__(self, folder: Path, key: str) -> None:
        self.key, self.address, self.folder = key, ADDRESSES[key], folder / key
        self.folder.mkdir()
        self.program: subprocess.Popen[bytes] | None = None
        # Programs of one name have one socket each: the folder is the node's own.
        Path("/run/wireguard").mkdir(mode=0o700, exist_ok=True)
        script = "mount -t tmpfs none /run/wireguard && exec sleep 900"
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-c", script])
        wait_until(lambda: self.holds("net") and "/run/wireguard" in self.mounts(), 10, "the name space")
        self.port = f"m-{key}"
        run(f"ip link add {self.port} type veth peer name eth0 netns {self.holder.pid}")
        run(f"ip link set {self.port} master br0 up")
        for command in ("ip link set lo up", f"ip addr add {self.address}/{NETWORK} dev eth0", "ip link set eth0 up"):
            self.inside(command)
        self.configure(mesh=False)
        texts = (text for path, text in configure(key, False, True)[1].items() if path.startswith(SYSCTL))
        for name, value in re.findall(r"^(net\.ipv4\.conf\S+) = (\S+)$", "\n".join(texts), re.MULTILINE):
            self.inside(f"sysctl -q {name}={value}")
        assert self.inside("sysctl -n net.ipv4.conf.default.rp_filter").strip() == "2"

    def holds(self, kind: str) -> bool:
        ours, theirs = (Path(f"/proc/{task}/ns/{kind}").readlink() for task in ("thread-self", self.holder.pid))
        return ours != theirs

    def mounts(self) -> str:
        return Path(f"/proc/{self.holder.pid}/mounts").read_text()

    def configure(self, *, mesh: bool, sends: bool = True) -> None:
        """What `up` does there, as far as it concerns the mesh."""
        manifest, files = configure(self.key, mesh, sends)
        if self.program and not mesh:
            self.stop()
            self.inside(f"PYTHONPATH={ROOT} {sys.executable} -c '{PROGRAM}' {self.folder} forget")
        (self.folder / "nftables.conf").write_text(files[NFTABLES])
        self.inside(f"nft -f {self.folder}/nftables.conf")
        (self.folder / "mesh.key").write_text(files.get(KEY, ""))
        fresh = self.folder / "node.json.new"
        fresh.write_text(json.dumps(manifest))
        fresh.rename(self.folder / "node.json")
        if mesh and not self.program:
            self.start()

    def enter(self) -> list[str]:
        return ["nsenter", "--target", str(self.holder.pid), "--net", "--mount"]

    def inside(self, command: str) -> str:
        """A command there; an error fails the test."""
        done = subprocess.run([*self.enter(), "sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def start(self) -> None:
        with (self.folder / "program.log").open("ab") as log:
            self.program = subprocess.Popen(
                [*self.enter(), sys.executable, "-c", PROGRAM, str(self.folder), "follow"],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )

    def stop(self) -> None:
        """The program ends; WireGuard does not."""
        if self.program:
            self.program.terminate()
            self.program.wait(20)
            self.program = None

    def leads_to(self) -> set[str]:
        """The nodes that it reaches through the mesh."""
        shown = self.inside("ip route show table 51820 2>/dev/null || true")
        return {key for key, address in ADDRESSES.items() if f"{address} dev webitel0" in shown}

    def leads_everywhere(self) -> bool:
        return self.leads_to() == ADDRESSES.keys() - {self.key}

    def leads_nowhere(self) -> bool:
        return not self.leads_to()

    def within(self, function: Callable[[], Value]) -> Value:
        """What a function returns in this network, called by a thread of its own; sockets made there stay there."""
        found: list[Value] = []

        def go() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            with Path(f"/proc/{self.holder.pid}/ns/net").open() as network:
                assert libc.setns(network.fileno(), CLONE_NEWNET) == 0
            found.append(function())

        thread = threading.Thread(target=go)
        thread.start()
        thread.join()
        assert found, f"{self.key}: see the error above"
        return found[0]

    def udp(self, port: int, address: str = "") -> socket.socket:
        """A socket of this node."""

        def make() -> socket.socket:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind((address or self.address, port))
            made.settimeout(2)
            return made

        return self.within(make)

    def close(self) -> None:
        self.stop()
        subprocess.run([*self.enter(), "ip", "link", "delete", "webitel0"], capture_output=True, check=False)
        self.holder.kill()
        self.holder.wait()
        run(f"ip link del {self.port} 2>/dev/null || true")


class Talk:
    """A connection that stays open, and is asked again and again."""

    def __init__(self, source: Node, target: Node, port: int) -> None:
        def listen() -> socket.socket:
            return socket.create_server((target.address, port))

        def connect() -> socket.socket:
            return socket.create_connection((target.address, port), 5)

        with target.within(listen) as server:
            self.near = source.within(connect)
            self.far, _ = server.accept()
        self.near.settimeout(20)
        self.far.settimeout(20)
        self.longest = 0.0

    def say(self, text: str) -> None:
        """A word there and back."""
        start = time.monotonic()
        self.near.sendall(text.encode())
        assert self.far.recv(1 << 16) == text.encode()
        self.far.sendall(text.encode())
        assert self.near.recv(1 << 16) == text.encode()
        self.longest = max(self.longest, time.monotonic() - start)

    def go_on_for(self, seconds: float, text: str) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.say(text)
            time.sleep(0.05)

    def send(self, data: bytes) -> bytes:
        """Much at once; what arrived."""
        sender = threading.Thread(target=self.near.sendall, args=(data,))
        sender.start()
        found = b""
        while len(found) < len(data):
            found += self.far.recv(1 << 16)
        sender.join()
        return found

    def close(self) -> None:
        self.near.close()
        self.far.close()


class Wire:
    """Everything that goes to a node or comes from it."""

    def __init__(self, node: Node) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.socket.bind((node.port, ETH_P_ALL))  # what a bridge takes at once goes past any other
        self.socket.settimeout(0.2)
        self.packets: list[bytes] = []
        self.ended = False
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def listen(self) -> None:
        while not self.ended:
            try:
                packet = self.socket.recv(1 << 16)
            except TimeoutError:
                continue
            if packet[0] >> 4 == IPV4:
                self.packets.append(packet)

    def end(self) -> None:
        time.sleep(0.3)
        self.ended = True
        self.thread.join()
        self.socket.close()

    def holds(self, text: str) -> bool:
        return any(text.encode() in packet for packet in self.packets)

    def kinds(self) -> set[tuple[str, int]]:
        """Protocols with the lower port of each packet."""
        found = set()
        for packet in self.packets:
            name = {6: "tcp", 17: "udp"}.get(packet[9], str(packet[9]))
            ports = struct.unpack_from("!HH", packet, (packet[0] & 0xF) * 4) if name in ("tcp", "udp") else (0, 0)
            found.add((name, WIREGUARD[1] if set(ports) == {WIREGUARD[1]} else min(ports)))
        return found


@contextmanager
def listening(node: Node) -> Iterator[Wire]:
    wire = Wire(node)
    try:
        yield wire
    finally:
        wire.end()


def run(command: str) -> None:
    subprocess.run(["sh", "-c", command], check=True, timeout=30)


@contextmanager
def made_nodes(folder: Path) -> Iterator[dict[str, Node]]:
    """All of them, without a mesh yet."""
    run(f"ip link add br0 type bridge && ip link set br0 mtu {SIZE} up")
    made: dict[str, Node] = {}
    try:
        for key in ADDRESSES:
            made[key] = Node(folder, key)
        yield made
    finally:
        for node in made.values():
            node.close()
        run("ip link del br0")
