"""Which ports of each node every other one reaches, against the plan."""

import ipaddress
import itertools
import json
from typing import Any

from tests.local.deployment import Deployment, wait_until
from tests.local.test_closed import read_counters

LISTENING = "ss -Hln -A {0} | awk '{{print $4}}' | grep -v -e '^127\\.' -e '^\\[::1\\]' | sed 's/.*://' | sort -un"
CONNECT = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def knock(target):
    try:
        socket.create_connection(tuple(target), 5).close()
    except OSError:
        return False
    return True
targets = json.load(sys.stdin)
with ThreadPoolExecutor(40) as pool:
    print(json.dumps([target for target, open_ in zip(targets, pool.map(knock, targets)) if open_]))
"""
SEND = """
import json, socket, sys
address, ports, times = json.load(sys.stdin)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in ports:
    for _ in range(times):
        sender.sendto(b"?", (address, port))
"""
TIMES = 20
"""Datagrams to each port: what others send meanwhile stays below."""


def nodes_of(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """The plan's nodes by key."""
    return {node["name"].removeprefix(f"{deployment.name}-"): node for node in deployment.plan()["nodes"]}


def planned(openings: list[dict[str, Any]], source: dict[str, Any], target: dict[str, Any], protocol: str) -> set[int]:
    """The ports of a node that the plan opens to another one, of services that it has."""
    address = ipaddress.ip_address(source["private_address"])
    ports: set[int] = set()
    for opening in openings:
        if (opening["role"], opening["protocol"]) != (target["role"], protocol) or opening["service"] not in target["services"]:
            continue
        if any(
            one == f"role:{source['role']}" or (not one.startswith("role:") and address in ipaddress.ip_network(one))
            for one in opening["sources"]
        ):
            first, _, last = opening["ports"].partition("-")
            ports |= set(range(int(first), int(last or first) + 1))
    return ports


def check_tcp_ports(deployment: Deployment) -> None:
    """What listens on each node is reached from every other one as the plan says, and nothing more."""
    nodes, openings = nodes_of(deployment), deployment.plan()["openings"]
    ready = {
        key: {row["name"] for row in node["services"] if "standby" in row} for key, node in deployment.status()["nodes"].items()
    }
    listening = {key: {int(port) for port in deployment.at(key).on_node(LISTENING.format("tcp")).split()} for key in nodes}
    assert all(22 in ports for ports in listening.values())
    for source in nodes:
        targets = [
            (node["private_address"], port)
            for key, node in nodes.items()
            if key != source
            for port in listening[key] | planned(openings, nodes[source], node, "tcp") | {1, 10023, 5432, 65535}
        ]
        answered = deployment.at(source).on_node(f"python3 -c '{CONNECT}'", text=json.dumps(targets))
        found = {tuple(one) for one in json.loads(answered)}
        wanted = {
            (node["private_address"], port)
            for key, node in nodes.items()
            if key != source
            for port in planned(openings, nodes[source], node, "tcp") & listening[key]
        }
        assert found == wanted, source
        silent = {
            (key, port)
            for key, node in nodes.items()
            if key != source
            for port in planned(openings, nodes[source], node | {"services": set(node["services"]) - ready[key]}, "tcp")
            - listening[key]
        }
        assert not silent, f"the plan opens to {source} what nobody serves: {silent}"


def check_udp_ports(deployment: Deployment) -> None:
    """The same for datagrams, by what each node's own firewall counts as closed."""
    nodes, openings = nodes_of(deployment), deployment.plan()["openings"]
    for source, target in itertools.permutations(nodes, 2):
        allowed = planned(openings, nodes[source], nodes[target], "udp")
        ends = {min(allowed), max(allowed)} if allowed else set()
        listening = {int(port) for port in deployment.at(target).on_node(LISTENING.format("udp")).split()}
        ports = sorted({*(port for port in listening if port < 10000 or port >= 40000), *ends, 53, 5060, 5062, 8301, 60000, 9})
        before = read_counters(deployment.at(target))["closed udp"]
        deployment.at(source).on_node(f"python3 -c '{SEND}'", text=json.dumps([nodes[target]["private_address"], ports, TIMES]))
        closed = len([port for port in ports if port not in allowed])

        def count(target: str = target, before: int = before) -> int:
            return read_counters(deployment.at(target))["closed udp"] - before

        wait_until(lambda: "" if count() >= closed * TIMES else f"{source} to {target}: {count()} of {closed * TIMES}", 20)  # noqa: B023
        assert count() < (closed + 1) * TIMES, f"{source} to {target}: more is closed than the plan says"
