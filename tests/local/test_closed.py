"""What answers from outside: exactly what the plan opens, and nothing else."""

import asyncio
import ipaddress
import json
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from components.model.catalogue.service import Bind, Listener
from components.model.catalogue.services import CATALOGUE
from tests.local.conftest import Figure
from tests.local.deployment import Deployment, wait_until

pytestmark = pytest.mark.local

AT_ONCE = 400
QUESTION_SECONDS = 30
"""No program keeps the socket of one question open for longer."""
METADATA = "169.254.169.254"
WITHOUT_PEERS = [listener for listener in CATALOGUE["alertmanager"].listeners if listener.name.startswith("gossip")]
"""Alone it has nobody to agree with, and opens none of it."""
BESIDE = {
    "tcp": {("127.0.0.53", 53), ("127.0.0.54", 53), ("127.0.0.1", CATALOGUE["rabbitmq"].listener("epmd").port)},
    "udp": {("127.0.0.53", 53), ("127.0.0.54", 53)},
}
"""What listens on the loopback without being a service's: the resolver, and epmd's second socket, for its own node."""
EPHEMERAL = range(32768, 61000)
"""Ports that Linux gives to who asks for none."""
OUTSIDE_UDP = (53, 67, 68, 123, 5060, 5062, 5080, 8301, 8302, 8600, 9999, 20000, 39999, 60000)


def open_ports(single: Deployment, protocol: str) -> set[int]:
    """Ports that the plan opens to this host, which is the operator of a local deployment."""
    host = ipaddress.ip_address(single.gateway)
    ports: set[int] = set()
    for opening in single.plan()["openings"]:
        first, _, last = opening["ports"].partition("-")
        if opening["protocol"] == protocol and any(host in ipaddress.ip_network(source) for source in opening["sources"]):
            ports |= set(range(int(first), int(last or first) + 1))
    return ports


async def scan(address: str) -> set[int]:
    """Every TCP port that accepts a connection."""
    found: set[int] = set()
    limit = asyncio.Semaphore(AT_ONCE)

    async def knock(port: int) -> None:
        async with limit:
            try:
                _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 10)
            except OSError:  # refused, or no answer at all
                return
            found.add(port)
            writer.close()

    await asyncio.gather(*(knock(port) for port in range(1, 65536)))
    return found


def read_counters(single: Deployment) -> dict[str, int]:
    """Packets by comment of the rule in the node's input chain."""
    shown = json.loads(single.on_node("nft -j list chain inet webitel input"))["nftables"]
    counted: dict[str, int] = {}
    for rule in (entry["rule"] for entry in shown if "rule" in entry):
        for expression in rule["expr"]:
            if "counter" in expression:
                counted[rule["comment"]] = counted.get(rule["comment"], 0) + expression["counter"]["packets"]
    return counted


def send_udp(address: str, ports: list[int]) -> None:
    """One datagram to each port, from one socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("", 0))
        for port in ports:
            sender.sendto(b"?", (address, port))


def test_tcp_ports_are_those_of_the_plan(single: Deployment, figure: Figure) -> None:
    started = time.monotonic()
    found = asyncio.run(scan(single.address))
    figure("scan of all TCP ports", time.monotonic() - started)
    assert found == open_ports(single, "tcp")
    assert found == {22, 80, 443}


def test_udp_ports_are_those_of_the_plan(single: Deployment) -> None:
    wanted = open_ports(single, "udp")
    assert wanted == set(range(10000, 20000))
    listening = single.on_node("ss -HlunA udp | awk '{print $4}' | sed 's/.*://'").split()
    ports = {*OUTSIDE_UDP, *map(int, listening), *random.Random(1).sample(range(1, 65536), 500), 10000, 19999, 1, 65535}
    before = read_counters(single)
    send_udp(single.address, sorted(ports))

    def count(what: str) -> int:
        after = read_counters(single)
        return sum(after[name] - before.get(name, 0) for name in after if (name == "closed udp") is (what == "closed"))

    wait_until(lambda: "" if count("closed") + count("open") >= len(ports) else "datagrams are still under way", 10)
    # Anything else that sends to the node in these moments is counted as well.
    assert len(ports - wanted) <= count("closed") <= len(ports - wanted) + 5
    assert count("open") - len(ports & wanted) in range(6)


def listen(single: Deployment, protocol: str) -> dict[tuple[str, int], str]:
    """Address and port of everything on the node that waits for TCP connections, or UDP datagrams from anybody -> whose it is.

    Without the socket by which RabbitMQ would tell a syslog server: after some starts it stays (`docs/facts/observed.md` 6).
    """
    rows = [line.split() for line in single.on_node(f"ss -Hlnp --{protocol}").splitlines()]
    found = {tuple(row[3].rsplit(":", 1)): " ".join(row[5:]) for row in rows}
    return {
        (address.partition("%")[0], int(port)): whose
        for (address, port), whose in found.items()
        if not (protocol == "udp" and address == "0.0.0.0" and int(port) in EPHEMERAL and "beam.smp" in whose)
    }


def test_what_listens_stands_in_the_catalogue(healthy: Deployment) -> None:
    """At the addresses that the catalogue says: nothing that a package brings along, nothing on every address."""
    places = {Bind.PRIVATE: {healthy.address}, Bind.LOOPBACK: {"127.0.0.1"}, Bind.ANY: {"0.0.0.0", "[::]", "*"}}
    (node,) = healthy.plan()["nodes"]
    known = [listener for name in node["services"] for listener in CATALOGUE[name].listeners]
    for protocol in ("tcp", "udp"):
        mine = [listener for listener in known if listener.protocol == protocol]
        found: dict[tuple[str, int], str] = {}
        always: set[tuple[str, int]] | None = None

        def stray(protocol: str = protocol, mine: list[Listener] = mine) -> str:
            """Say what stood there at every look so far: a socket by which a program asks another one is gone in seconds."""
            nonlocal found, always
            found = listen(healthy, protocol)
            here = {
                (address, port)
                for address, port in found.keys() - BESIDE[protocol]
                if not any(
                    address in places[listener.bind] and listener.ports.first <= port <= listener.ports.last for listener in mine
                )
            }
            always = here if always is None else always & here
            return ", ".join(f"{address}:{port}/{protocol} of {found[address, port]}" for address, port in sorted(always))

        wait_until(stray, QUESTION_SECONDS, pause=2)
        silent = [
            listener
            for listener in mine
            if listener.ports.first == listener.ports.last
            and listener not in WITHOUT_PEERS
            and not any((address, listener.port) in found for address in places[listener.bind])
        ]
        assert silent == [], protocol


def test_nothing_reaches_rtpengines_control_port(single: Deployment) -> None:
    before = read_counters(single)["closed udp"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ng:
        ng.settimeout(2)
        ng.sendto(b"1_1 d7:command4:pinge", (single.address, 60000))
        with pytest.raises(OSError, match=r"timed out|refused"):
            ng.recv(1000)
    assert read_counters(single)["closed udp"] > before


@contextmanager
def metadata_service(single: Deployment) -> Iterator[None]:
    """This host as the machine's metadata service, as on a cloud: the address on the bridge, HTTP behind it."""
    bridge = json.loads(
        subprocess.run(["ip", "-j", "route", "get", single.address], check=True, capture_output=True, text=True).stdout
    )[0]["dev"]

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"credentials")

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    subprocess.run(["ip", "address", "add", f"{METADATA}/32", "dev", bridge], check=True)
    try:
        server = HTTPServer((METADATA, 80), Answer)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
    finally:
        subprocess.run(["ip", "address", "delete", f"{METADATA}/32", "dev", bridge], check=True)


def test_metadata_is_for_root(single: Deployment) -> None:
    fetch = f"curl -sS -m 5 http://{METADATA}/"
    with metadata_service(single):
        assert single.on_node(fetch) == "credentials"
        assert "Failed to connect" in single.on_node(f"runuser -u nobody -- {fetch} 2>&1", check=False)
        # The services' own accounts are no better.
        assert "Failed to connect" in single.on_node(f"runuser -u postgres -- {fetch} 2>&1", check=False)


def test_nobody_commands_consul(single: Deployment) -> None:
    """Patroni's settings name programs that it runs: who writes them is PostgreSQL's superuser (`facts/audit.md` 3)."""
    ask = "runuser -u nobody -- curl -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:8500/v1"
    evil = """'{"postgresql": {"callbacks": {"on_reload": "/bin/sh -c id"}}}'"""
    assert single.on_node(f"{ask}/status/leader") == "200"
    assert single.on_node(f"{ask}/kv/service/webitel/config -X PUT --data {evil}") == "403"
    assert single.on_node(f"{ask}/kv/webitel/locks/grafana -X PUT --data mine") == "403"
    assert single.on_node(f"{ask}/session/create -X PUT") == "403"
    assert single.on_node(f"{ask}/agent/leave -X PUT") == "403"
    for path in ("/etc/webitel/access.json", "/etc/webitel/probe.json", "/etc/consul.d/access.json", "/etc/patroni/config.yml"):
        assert "Permission denied" in single.on_node(f"runuser -u nobody -- cat {path} 2>&1", check=False), path


def test_passwords_are_no_way_in(single: Deployment) -> None:
    shown = single.on_node("sshd -T").splitlines()
    assert {"passwordauthentication no", "kbdinteractiveauthentication no", "permitrootlogin no"} <= set(shown)
