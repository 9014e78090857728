"""Who may write what into Consul: real servers and agents, the node program's part, and somebody without a token."""

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_init.node.ask import tokens
from tests.sandbox.access_nodes import Node, Patroni, go_on
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

NAMES = (tokens.MANAGEMENT, tokens.DATABASE, tokens.PROGRAM, tokens.AGENT_KEY)
EVIL = json.dumps({"postgresql": {"callbacks": {"on_reload": "/bin/sh -c id"}}})


def make_secrets() -> dict[str, str]:
    return {name: str(uuid.uuid4()) for name in NAMES}


class Deployment:
    """Nodes with their secrets."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.secrets = folder, make_secrets()
        self.nodes: list[Node] = []

    def add(self, count: int, servers: int) -> list[Node]:
        made = [Node(self.folder, number, servers) for number in range(1, count + 1)]
        self.nodes += made
        self.give(self.secrets)
        return made

    def give(self, secrets: dict[str, str]) -> None:
        for node in self.nodes:
            node.give(secrets)

    def all_ready(self) -> bool:
        return all(node.is_ready() for node in self.nodes)


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    try:
        yield made
    finally:
        for node in made.nodes:
            node.stop()


def make_session(node: Node, token: str = "") -> int:
    return node.send("PUT", "/v1/session/create", {"Name": "mine", "TTL": "10s"}, token)[0]


def test_nobody_writes_settings_or_holds_locks(deployment: Deployment) -> None:
    server, edge = deployment.add(2, servers=1)
    for node in deployment.nodes:
        node.start()
    go_on(deployment.nodes, deployment.all_ready)
    for node in (server, edge):
        assert node.send("PUT", "/v1/kv/service/webitel/config", EVIL)[0] == 403
        assert node.send("PUT", "/v1/kv/webitel/locks/grafana", "mine")[0] == 403
        assert node.send("DELETE", "/v1/kv/service/webitel?recurse")[0] == 403
        assert make_session(node) == 403
        assert node.send("PUT", "/v1/agent/force-leave/node-1", "")[0] == 403
        assert node.send("PUT", "/v1/agent/leave", "")[0] == 403
        assert node.send("GET", "/v1/acl/tokens")[0] == 403
    foreign = {"Node": "node-1", "Address": server.address, "Service": {"Service": "engine", "Address": "127.0.0.9", "Port": 1}}
    assert edge.send("PUT", "/v1/catalog/register", foreign)[0] == 403
    foreign["Node"] = "node-9"
    assert edge.send("PUT", "/v1/catalog/register", foreign)[0] == 403
    assert edge.send("PUT", "/v1/kv/service/webitel/config", EVIL, deployment.secrets[tokens.PROGRAM])[0] == 403


def test_who_has_to_write_can(deployment: Deployment) -> None:
    server, edge = deployment.add(2, servers=1)
    for node in deployment.nodes:
        node.start()
    go_on(deployment.nodes, deployment.all_ready)
    entry = {"Name": "freeswitch", "ID": "edge", "Address": "127.0.0.3", "Port": 50051, "Check": {"TTL": "60s"}}
    assert edge.send("PUT", "/v1/agent/service/register", entry)[0] == 200
    assert edge.send("PUT", "/v1/agent/check/update/service:edge", {"Status": "passing"})[0] == 200
    asked = "/v1/health/service/freeswitch?passing=1"
    wait_until(lambda: len(json.loads(server.send("GET", asked)[1])) == 1, 10, "FreeSWITCH's entry at the server")
    assert edge.send("PUT", "/v1/agent/service/maintenance/edge?enable=true", "")[0] == 200
    assert edge.send("PUT", "/v1/agent/service/deregister/edge")[0] == 200
    wait_until(lambda: not json.loads(server.send("GET", "/v1/catalog/service/freeswitch")[1]), 10, "its end")
    database, program = deployment.secrets[tokens.DATABASE], deployment.secrets[tokens.PROGRAM]
    assert server.send("PUT", "/v1/kv/service/webitel/config", "{}", database)[0] == 200
    assert make_session(server, database) == 200
    assert server.send("PUT", "/v1/agent/service/register", {"Name": "webitel", "ID": "webitel/node-1"}, database)[0] == 200
    assert server.send("GET", "/v1/agent/self", token=database)[0] == 200
    assert edge.send("PUT", "/v1/kv/webitel/locks/grafana", "edge", program)[0] == 200
    assert edge.send("GET", "/v1/kv/service/webitel/config", token=program)[0] == 200
    assert make_session(edge, program) == 200
    assert f'token: "{database}"' in server.patroni.read_text()


def test_a_running_deployment_is_closed_and_nobody_is_refused_meanwhile(deployment: Deployment) -> None:
    nodes = deployment.add(4, servers=3)
    for node in nodes:
        node.start(with_lists=False)
    wait_until(lambda: all(":" in node.send("GET", "/v1/status/leader")[1] for node in nodes), 60, "a leader")
    assert nodes[3].send("PUT", "/v1/kv/service/webitel/config", "{}")[0] == 200, "open, as it was"
    writers = [Patroni(node) for node in (nodes[0], nodes[3])]
    configured: list[Node] = []
    for node in reversed(nodes):
        node.restart()
        configured.append(node)
        go_on(configured, node.is_ready)
        assert not any(node.is_closed() for node in configured), "not every node has its tokens"
    go_on(nodes, lambda: all(node.is_closed() for node in nodes), 120)
    for writer in writers:
        writer.end()
        assert writer.done > 20
        assert not writer.refused
    assert [node.restarts for node in nodes] == [2] * 4, "once with access lists, once closed"
    assert nodes[3].send("PUT", "/v1/kv/service/webitel/config", EVIL)[0] == 403


def test_a_consul_that_lost_its_data_gets_the_same_tokens_back(deployment: Deployment) -> None:
    server, edge = deployment.add(2, servers=1)
    for node in deployment.nodes:
        node.start()
    go_on(deployment.nodes, deployment.all_ready)
    server.stop()
    shutil.rmtree(server.folder / "data" / "raft")
    server.start()
    wait_until(lambda: not server.is_ready(), 10, "a Consul that knows no token")
    go_on(deployment.nodes, deployment.all_ready)
    assert edge.send("PUT", "/v1/kv/webitel/locks/grafana", "edge", deployment.secrets[tokens.PROGRAM])[0] == 200
    wait_until(lambda: edge.send("PUT", "/v1/agent/service/register", {"Name": "engine"})[0] == 200, 15, "the edge's entry")
    assert edge.send("PUT", "/v1/kv/service/webitel/config", EVIL)[0] == 403


def test_rotated_tokens_replace_the_former_ones_without_a_refusal(deployment: Deployment) -> None:
    server, edge = deployment.add(2, servers=1)
    for node in deployment.nodes:
        node.start()
    go_on(deployment.nodes, deployment.all_ready)
    writer = Patroni(server)
    for name in NAMES:
        value = deployment.secrets[name]
        former = value if name != tokens.AGENT_KEY else tokens.derive(value, edge.name)
        deployment.secrets |= {name: str(uuid.uuid4())}
        for node in (edge, server):
            node.give(deployment.secrets)
            edge.look()
            server.look()
            assert deployment.all_ready(), "`up` waits for that before it goes to the next node"
        go_on(deployment.nodes, lambda token=former: is_forgotten(deployment, token))  # type: ignore[misc]
        assert edge.send("PUT", "/v1/kv/service/webitel/config", EVIL, former)[0] == 403
    writer.end()
    assert not writer.refused
    assert server.restarts == edge.restarts == 0


def is_forgotten(deployment: Deployment, token: str) -> bool:
    """Whether every node uses its present tokens, and Consul does not know that one."""
    known = deployment.nodes[0].send("GET", "/v1/acl/token/self", token=token)[0] == 200
    return not known and all(node.is_armed() for node in deployment.nodes)
