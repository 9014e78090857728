"""Audio is let through packet by packet: a running call outlives the change, calls fill no table of connections, and nobody gets
in who has no opening."""

from __future__ import annotations

import ctypes
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from components.model.plan import Node, Plan
from tests.plans import compose_configuration, make_plan
from tests.sandbox.network import CLONE_NEWNET, own_network
from tests.sandbox.test_nftables import fill, settings_of

pytestmark = [pytest.mark.sandbox, pytest.mark.skipif(os.geteuid() != 0, reason="only root makes networks")]

INSIDE, OUTSIDE = "198.51.100.1", "198.51.100.2"
"""The node, and somebody on the internet."""

RTP, MEDIA = 10_000, 20_000
"""Ports of rtpengine and of FreeSWITCH, whose audio comes from rtpengine alone."""

TABLE = Path("/proc/sys/net/netfilter")
"""A network's own: `nf_conntrack_count` is of the network of whoever reads it."""


def run(command: str) -> None:
    """Run a command of this network."""
    subprocess.run(command.split(), check=True)


def other_network() -> int:
    """Make another network, joined to this one by a cable; return what enters it (a descriptor)."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        assert libc.unshare(CLONE_NEWNET) == 0
        other = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        assert libc.setns(own, CLONE_NEWNET) == 0
    finally:
        os.close(own)
    run("ip link add inside type veth peer name outside")
    subprocess.run(["ip", "link", "set", "outside", "netns", f"/proc/self/fd/{other}"], check=True, pass_fds=[other])
    run(f"ip address add {INSIDE}/24 dev inside")
    run("ip link set inside up")
    with inside(other):
        run(f"ip address add {OUTSIDE}/24 dev outside")
        run("ip link set outside up")
        run("ip link set lo up")
    return other


@contextmanager
def inside(network: int) -> Iterator[None]:
    """Be in another network, this thread alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        assert libc.setns(network, CLONE_NEWNET) == 0
        yield
    finally:
        assert libc.setns(before, CLONE_NEWNET) == 0
        os.close(before)


def udp(address: str, port: int) -> socket.socket:
    """A socket of the network in which this is called, whoever uses it later."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, port))
    made.settimeout(0.5)
    return made


def hears(listener: socket.socket, send: Callable[[], object]) -> bool:
    """Whether what is sent arrives."""
    send()
    try:
        listener.recv(100)
    except TimeoutError:
        return False
    return True


def connections() -> int:
    """How many the kernel remembers in this network."""
    return int((TABLE / "nf_conntrack_count").read_text())


def rules_of(stack: str, role: str, path: Path) -> Path:
    """What a node of the role gets, in a file."""
    settings = settings_of(stack)
    plan: Plan = make_plan(settings, stack)
    node: Node = next(node for node in plan.nodes if node.role == role)
    text, _ = fill(plan, compose_configuration(plan, node, settings).files["/etc/nftables.conf"])
    path.write_text(text)
    return path


def load(path: Path) -> None:
    """Do as a reload does."""
    subprocess.run(["nft", "-f", str(path)], check=True)


@pytest.fixture
def wire() -> Iterator[int]:
    """A node's network, and beyond the cable somebody else's."""
    with own_network():
        other = other_network()
        yield other
        os.close(other)


def test_a_running_call_outlives_the_change(wire: int, tmp_path: Path) -> None:
    """From the rules of a version that tracked audio to today's, and back: no packet either way is lost."""
    today = rules_of("hetzner-basic", "edge", tmp_path / "today")
    before = tmp_path / "before"
    before.write_text(re.sub(r"  chain untracked_\w+ \{.*?\n  \}\n", "", today.read_text(), flags=re.DOTALL))
    assert before.read_text() != today.read_text()
    load(before)
    node = udp(INSIDE, RTP)
    with inside(wire):
        phone = udp(OUTSIDE, 4000)
    lost: list[str] = []
    done = threading.Event()

    def talk() -> None:
        while not done.is_set():
            # The node speaks first, so that what tracks remembers a connection that goes out.
            if not hears(phone, lambda: node.sendto(b"out", (OUTSIDE, 4000))):
                lost.append("out")
            if not hears(node, lambda: phone.sendto(b"in", (INSIDE, RTP))):
                lost.append("in")
            time.sleep(0.005)

    call = threading.Thread(target=talk)
    call.start()
    for path in (today, before, today):
        time.sleep(0.3)
        load(path)
    time.sleep(0.3)
    done.set()
    call.join()
    assert lost == []


def test_audio_fills_no_table_of_connections(wire: int, tmp_path: Path) -> None:
    load(rules_of("hetzner-basic", "edge", tmp_path / "rules"))
    node, known = udp(INSIDE, RTP), connections()
    with inside(wire):
        phones = [udp(OUTSIDE, port) for port in range(4000, 4200)]
    for phone in phones:
        assert hears(node, partial(phone.sendto, b"in", (INSIDE, RTP)))
        assert hears(phone, partial(node.sendto, b"out", phone.getsockname()))
    assert connections() <= known + 5, "packets of audio are remembered as connections"


@pytest.mark.parametrize("stack,role", [("hetzner-basic", "app"), ("local-single", "all")])
def test_ports_of_audio_without_an_opening_stay_closed(stack: str, role: str, wire: int, tmp_path: Path) -> None:
    """FreeSWITCH's are for rtpengine alone, also where FreeSWITCH spoke to that address before."""
    load(rules_of(stack, role, tmp_path / "rules"))
    media = udp(INSIDE, MEDIA)
    with inside(wire):
        stranger = udp(OUTSIDE, 4000)
    assert not hears(media, lambda: stranger.sendto(b"in", (INSIDE, MEDIA)))
    assert hears(stranger, lambda: media.sendto(b"out", (OUTSIDE, 4000)))
    assert not hears(media, lambda: stranger.sendto(b"in", (INSIDE, MEDIA)))
    other = udp(INSIDE, 45_000)
    assert hears(stranger, lambda: other.sendto(b"out", (OUTSIDE, 4000)))
    assert hears(other, lambda: stranger.sendto(b"answer", (INSIDE, 45_000))), "answers to all else are let in"
