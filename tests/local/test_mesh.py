"""A mesh is turned on and off on nodes that run, with a call held, and somebody listens at the network between them."""

import json
import os
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from components.model.catalogue.hardening import EXPOSURE_LIMIT
from tests.local.conftest import FIGURES, Figure
from tests.local.deployment import wait_until
from tests.local.telephony import Telephony, check_calls
from tests.long_form import only_long

pytestmark = [pytest.mark.nodes, only_long("three nodes and five times `up`")]

PORT, ETH_P_ALL, SO_RCVBUFFORCE = 51820, 0x0003, 33
APART = range(10000, 40000)
"""Ports of audio, which goes past the mesh."""
PROTOCOLS = {6: "tcp", 17: "udp"}
ICMP, UNREACHABLE = 1, 3


class Wire:
    """What passes this host between nodes of a deployment."""

    def __init__(self, addresses: set[str]) -> None:
        self.addresses = {socket.inet_aton(address) for address in addresses}
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        self.socket.settimeout(0.2)
        self.seen, self.kinds, self.ended = bytearray(), set[tuple[str, int]](), False
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def listen(self) -> None:
        while not self.ended:
            try:
                packet = self.socket.recv(1 << 16)
            except TimeoutError:
                continue
            if packet[0] >> 4 != 4 or not {packet[12:16], packet[16:20]} <= self.addresses:
                continue
            start = (packet[0] & 0xF) * 4
            if packet[9] == ICMP and packet[start] == UNREACHABLE:
                # A node that boots says so of WireGuard's own packets, and quotes one.
                start += 8 + (packet[start + 8] & 0xF) * 4
            ports = struct.unpack_from("!HH", packet, start)
            if not {22, PORT}.intersection(ports) and not set(ports) <= set(APART):
                self.seen += packet
                self.kinds.add((PROTOCOLS.get(packet[9], str(packet[9])), min(ports)))


@contextmanager
def listening(deployment: Telephony) -> Iterator[Wire]:
    wire = Wire({deployment.private_address(node.key) for node in deployment.nodes()})
    try:
        yield wire
    finally:
        wire.ended = True
        wire.thread.join()
        wire.socket.close()


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Telephony]:
    settings = {"tier": "basic", "local_network": "nat"}
    deployment = Telephony(tmp_path_factory.mktemp("mesh"), f"t{os.getpid()}-mesh", settings)
    try:
        request.config.stash[FIGURES].append(("up of basic", deployment.bring_up(), "s"))
        yield deployment
    finally:
        deployment.end()


def find_unmet(deployment: Telephony) -> str:
    """Which node does not reach all others through the mesh yet; "" = all do."""
    for node in deployment.nodes():
        shown = node.on_node("ip route show table 51820 || true")
        others = {other.key for other in deployment.nodes()} - {node.key}
        if missing := [key for key in others if f"{deployment.private_address(key)} dev webitel0" not in shown]:
            return f"{node.key} does not reach {', '.join(missing)}: {node.on_node('wg show; journalctl -u webitel-mesh -n 5')}"
    return ""


def test_a_call_is_held_while_the_mesh_comes_and_nothing_can_be_read(basic: Telephony, figure: Figure) -> None:
    with listening(basic) as wire:
        check_calls(basic)
    assert b"INVITE sip:" in wire.seen and b"HTTP/1." in wire.seen, wire.kinds  # Prometheus asks every 15 s
    basic.set(mesh=True)
    with basic.outside.held_call(basic.server):
        figure("up that turns the mesh on, a call held", basic.up().seconds)
        wait_until(lambda: find_unmet(basic), 60)
        with listening(basic) as wire:
            check_calls(basic, held=1)
            for node in basic.nodes():
                node.on_node("webitel-node status --json >/dev/null", check=False)
    assert wire.kinds == set(), (wire.kinds, bytes(wire.seen[:2000]))
    for node in basic.nodes():
        told = json.loads(node.on_node("webitel-node status --json", check=False))
        assert told["healthy"], told
        assert "mesh" not in {row["name"] for row in told["machine"]}, told["machine"]
        said = node.on_node("systemd-analyze security --no-pager webitel-mesh | tail -1; ip -o link show webitel0")
        (exposure,) = re.findall(r"level for webitel-mesh.service: ([\d.]+)", said)
        assert float(exposure) <= EXPOSURE_LIMIT
        assert " mtu 1420 " in said
    assert "Nothing to change." in basic.up().output


def test_a_node_that_restarts_sends_nothing_in_the_clear(basic: Telephony, figure: Figure) -> None:
    app = basic.with_service("freeswitch")[0]
    with listening(basic) as wire:
        app.on_node("systemctl restart webitel-mesh; ip link delete webitel0")
        figure("way back without WireGuard's interface", wait_until(lambda: find_unmet(basic), 60))
        app.wait_healthy(60)  # HAProxy has to see the database again
        basic.webitel("reboot", basic.name, "--node", app.key, "--yes")
        wait_until(lambda: find_unmet(basic), 120)
    assert wire.kinds == set(), (wire.kinds, bytes(wire.seen[:2000]))
    check_calls(basic)


def test_a_call_is_held_while_it_goes_in_two_steps(basic: Telephony, figure: Figure) -> None:
    basic.set(mesh=False)
    assert "webitel:mesh = false: nodes send through it" in basic.up(status=1).said
    with basic.outside.held_call(basic.server):
        basic.set(mesh=True, mesh_sends=False)
        figure("up that has nodes send past the mesh, a call held", basic.up().seconds)
        with listening(basic) as wire:
            check_calls(basic, held=1)
        assert b"INVITE sip:" in wire.seen and b"HTTP/1." in wire.seen, wire.kinds
        basic.set(mesh=None, mesh_sends=None)
        figure("up that takes the mesh away, a call held", basic.up().seconds)
    check_calls(basic)
    for node in basic.nodes():
        assert "webitel0" not in node.on_node("ip link; ip rule; systemctl list-unit-files 'webitel-mesh*'; ls /etc/webitel")
