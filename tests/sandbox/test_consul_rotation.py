"""Consul's key and certificate are rotated while its real servers and agents run: none is ever refused, none restarts."""

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_init.node.ask import tokens
from cloud_init.node.clusters import newcomers, trust
from provider.certificates import make_base64_key, make_member
from tests.sandbox.access_nodes import Node, Patroni, go_on

pytestmark = pytest.mark.sandbox

NAMES = (tokens.MANAGEMENT, tokens.DATABASE, tokens.PROGRAM, tokens.AGENT_KEY)
HOST = "server.webitel.consul"
REFUSED = re.compile(
    r"bad certificate|unknown authority|No installed keys|certificate signed by|failed to decrypt", re.IGNORECASE
)


def make_secrets() -> dict[str, str]:
    return {name: str(uuid.uuid4()) for name in NAMES} | {trust.KEY: make_base64_key(), trust.CERTIFICATE: make_member(HOST)}


def rotate(secrets: dict[str, str]) -> dict[str, str]:
    return secrets | {trust.KEY: make_base64_key(), trust.CERTIFICATE: make_member(HOST)}


@pytest.fixture
def group(tmp_path: Path) -> Iterator[tuple[dict[str, str], list[Node]]]:
    """Three servers and an agent that use their tokens, a key and a certificate."""
    secrets = make_secrets()
    nodes = [Node(tmp_path, number, 3) for number in range(1, 5)]
    for node in nodes:
        node.of_members = True
        node.give(secrets)
        node.start()
    try:
        go_on(nodes, lambda: all(node.is_ready() and node.is_armed() and node.is_closed() for node in nodes))
        yield secrets, nodes
    finally:
        for node in nodes:
            node.stop()


def uses_alone(node: Node, secrets: dict[str, str]) -> bool:
    """Whether the node's ring and files have the new key and certificate, and no former one."""
    ring = json.loads((node.folder / "data/serf/local.keyring").read_text())
    said = json.loads((node.folder / "etc/webitel.json").read_text())["encrypt"]
    pem = (node.folder / "etc/webitel.pem").read_text()
    return bool(ring == [secrets[trust.KEY]] and said == secrets[trust.KEY] and pem == secrets[trust.CERTIFICATE])


def list_alive(node: Node) -> set[str]:
    """The members that a node sees alive."""
    return {one["Name"] for one in json.loads(node.send("GET", "/v1/agent/members")[1]) if one["Status"] == 1}


def list_down(node: Node) -> set[str]:
    """The members that a node has given up seeing."""
    return {one["Name"] for one in json.loads(node.send("GET", "/v1/agent/members")[1]) if one["Status"] == 4}


def list_refusals(nodes: list[Node]) -> list[str]:
    """Lines of their logs in which one does not know another."""
    return [line for node in nodes for line in (node.folder / "log").read_text().splitlines() if REFUSED.search(line)]


def test_both_are_rotated_without_a_refusal_and_who_has_the_former_is_no_member(
    group: tuple[dict[str, str], list[Node]], tmp_path: Path
) -> None:
    secrets, nodes = group
    edge = nodes[-1]
    restarts = [node.restarts for node in nodes]
    patroni = Patroni(edge)
    fresh = rotate(secrets)
    try:
        # As `up` goes from node to node; the ones behind it must be able to bring nothing back.
        for node in nodes:
            node.give(fresh)
            node.fill()
            for _ in range(3):
                for one in nodes:
                    one.look()
            assert list_alive(edge) == {one.name for one in nodes}
        go_on(nodes, lambda: all(uses_alone(node, fresh) for node in nodes))
    finally:
        patroni.end()
    assert patroni.done > 20 and patroni.refused == []
    assert [node.restarts for node in nodes] == restarts
    assert list_refusals(nodes) == []
    for node in nodes:
        with node.acting():
            node.look()
            assert trust.report(node.manifest) is None
    # What each has on its disk is what it needs to come back.
    for node in nodes:
        node.restart()
    go_on(nodes, lambda: all(node.is_ready() for node in nodes) and list_alive(edge) == {one.name for one in nodes})
    assert list_refusals(nodes) == []
    thief = Node(tmp_path, 5, 3)
    thief.of_members = True
    thief.give(secrets)
    thief.start()
    try:
        go_on(nodes, lambda: "No installed keys could decrypt" in (thief.folder / "log").read_text())
        assert thief.name not in list_alive(nodes[0])
    finally:
        thief.stop()


def test_a_node_that_is_down_is_waited_for(group: tuple[dict[str, str], list[Node]]) -> None:
    secrets, nodes = group
    *there, away = nodes
    away.stop()
    fresh = rotate(secrets)
    for node in nodes:
        node.give(fresh)
        node.fill()
    for _ in range(5):
        for node in there:
            node.look()
    with there[0].acting():
        row = trust.report(there[0].manifest)
    assert row and away.name in row["why"]
    assert not any(uses_alone(node, fresh) for node in there)
    away.start()
    go_on(nodes, lambda: all(uses_alone(node, fresh) for node in nodes), 90)
    assert list_refusals(there) == []


@pytest.mark.parametrize("number", [2, 4])
def test_a_new_machine_in_the_place_of_one_that_is_waited_for_ends_the_wait(
    group: tuple[dict[str, str], list[Node]], tmp_path: Path, number: int
) -> None:
    """A server and an agent. The new machine knows the new key and certificate only."""
    secrets, nodes = group
    former = nodes[number - 1]
    there = [node for node in nodes if node is not former]
    former.stop()
    fresh = rotate(secrets)
    for node in there:
        node.give(fresh)
        node.fill()
    new = Node(tmp_path / "new", number, 3)
    new.of_members = True
    new.give(fresh)
    new.start()
    try:
        go_on(there, lambda: former.name in list_down(there[0]), 30)
        for _ in range(5):
            for node in (*there, new):
                node.look()
        assert not new.is_ready() and not any(uses_alone(node, fresh) for node in there)
        with new.acting():
            assert newcomers.is_shut_out(new.manifest)
        told = []
        for node in there:
            with node.acting():
                assert not newcomers.is_shut_out(node.manifest)
                told.append(newcomers.admit(node.manifest, new.name))
        assert any(told)
        every = [*there, new]
        go_on(every, lambda: all(node.is_ready() and uses_alone(node, fresh) for node in every), 90)
        # Gossip takes a moment to tell of the new one.
        go_on(every, lambda: list_alive(there[0]) == {node.name for node in every}, 30)
        go_on(every, lambda: all(node.is_armed() and node.is_closed() for node in every), 60)
        with there[0].acting():
            assert newcomers.admit(there[0].manifest, new.name) == ""
    finally:
        new.stop()


def test_a_node_that_is_there_is_not_given_up(group: tuple[dict[str, str], list[Node]]) -> None:
    secrets, nodes = group
    *there, away = nodes
    fresh = rotate(secrets)
    for node in there:
        node.give(fresh)
        node.fill()
        node.look()
    for node in there:
        with node.acting():
            assert newcomers.admit(node.manifest, away.name) == ""
    away.give(fresh)
    away.fill()
    go_on(nodes, lambda: all(uses_alone(node, fresh) for node in nodes), 90)
    assert list_refusals(nodes) == []
