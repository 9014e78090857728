"""Health against SSH servers on the loopback."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from provider.certificates import make_ssh_key
from provider.handler import PartialFailure, ProviderError
from provider.health import Health
from tests.unit.provider.conftest import Answer, Call, FakeNode, Servers

HANDLER = Health()
ASKED = "sudo -n -- /usr/bin/python3 -X utf8 /usr/lib/webitel/node status --json"


def report(key: str, why: str = "") -> str:
    """What `status --json` says of a node with two services, the second one unhealthy with a reason."""
    second = {
        "name": "rabbitmq",
        "title": "RabbitMQ",
        "units": {"rabbitmq-server": "activating" if why else "active"},
        "healthy": not why,
        "why": why,
        "log": ["line one", "line two"] if why else [],
    }
    first = {"name": "consul", "title": "Consul", "units": {"consul": "active"}, "healthy": True, "why": "", "log": []}
    disks = [{"purpose": "database", "healthy": True, "why": ""}]
    said = {"node": f"test-{key}", "key": key, "healthy": not why, "services": [first, second], "disks": disks}
    return json.dumps(said)


class Says:
    """A node that says one report after the other, the last one for ever; `log` lines only where it is asked in full."""

    def __init__(self, *reports: str) -> None:
        self.reports = list(reports)

    def __call__(self, command: str) -> Answer:
        said = json.loads(self.reports.pop(0) if len(self.reports) > 1 else self.reports[0])
        assert command in (ASKED, f"{ASKED} --brief")
        if command != ASKED:
            said["services"] = [service | {"log": []} for service in said["services"]]
        return Answer([json.dumps(said)], status=0 if said["healthy"] else 1)


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provider.health._PAUSE_SECONDS", 0.05)


def describe(node: FakeNode, machine_id: str) -> dict[str, Any]:
    return {
        "address": node.address,
        "machine_id": machine_id,
        "user": "debian",
        "host_keys": {machine_id: node.host_key},
        "services": 2,
    }


@pytest.fixture
def nodes(new_node: Callable[[], FakeNode]) -> dict[str, FakeNode]:
    return {"data-1": new_node(), "app-1": new_node()}


@pytest.fixture
def inputs(nodes: dict[str, FakeNode]) -> dict[str, Any]:
    return {
        "nodes": {key: describe(node, f"machine-{key}") for key, node in nodes.items()},
        "private_key": next(iter(nodes.values())).private_key,
        "digests": dict.fromkeys(nodes, "0"),
        "timeout": 30,
    }


def test_ends_when_all_are_healthy_twice_in_a_row(call: Call, nodes: dict[str, FakeNode], inputs: dict[str, Any]) -> None:
    waits = report("data-1", "no quorum yet")
    nodes["data-1"].answer = Says(waits, report("data-1"), waits, report("data-1"))
    nodes["app-1"].answer = Says(report("app-1"))
    id, outputs = HANDLER.create(call, inputs)
    assert id
    assert outputs | {"seconds": 0} == {"healthy": True, "services": 4, "seconds": 0}
    assert len(nodes["data-1"].commands) == 5, "one good answer between two bad ones does not count"
    assert "3 of 4 services: waiting for data-1 rabbitmq (rabbitmq-server): no quorum yet" in call.shown
    assert call.shown[-1] == "4 of 4 services"


def test_a_failure_names_node_unit_reason_and_last_lines(call: Call, nodes: dict[str, FakeNode], inputs: dict[str, Any]) -> None:
    nodes["data-1"].answer = Says(report("data-1", "no quorum yet"))
    nodes["app-1"].answer = Says(report("app-1", "rabbitmq-server is failed, exit 1"))
    with pytest.raises(PartialFailure) as caught:
        HANDLER.create(call, inputs | {"timeout": 0.2})
    assert str(caught.value).splitlines() == [
        "not healthy within 0.2 s (webitel:health_timeout):",
        "  data-1 rabbitmq (rabbitmq-server): no quorum yet",
        "      line one",
        "      line two",
        "  app-1 rabbitmq (rabbitmq-server): rabbitmq-server is failed, exit 1",
        "      line one",
        "      line two",
    ]
    assert not caught.value.outputs["healthy"]
    nodes["data-1"].answer, nodes["app-1"].answer = Says(report("data-1")), Says(report("app-1"))
    assert HANDLER.update(call, caught.value.id, inputs, caught.value.outputs, inputs)["healthy"]


def test_a_node_that_is_not_reached_is_named(
    call: Call, servers: Servers, nodes: dict[str, FakeNode], inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provider.health._CONNECT_SECONDS", 0.2)
    nodes["data-1"].answer = Says(report("data-1"))
    servers.stop_last()
    with pytest.raises(PartialFailure, match=r"app-1: SSH to debian@127.0.0.1:\d+ did not answer .* connection refused"):
        HANDLER.create(call, inputs | {"timeout": 0.3})
    assert call.shown[0].startswith("2 of 4 services: waiting for app-1: SSH to")


def test_a_connection_is_made_anew(call: Call, servers: Servers, nodes: dict[str, FakeNode], inputs: dict[str, Any]) -> None:
    """A node that reboots while it is asked."""
    key = make_ssh_key()[0]
    servers.stop_last()
    node = servers.start(nodes["app-1"], key)
    nodes["data-1"].answer = Says(report("data-1"))
    node.answer = Says(report("app-1", "it boots"))

    def reboot() -> None:
        servers.stop_last()
        servers.start(node, key)
        node.answer = Says(report("app-1"))

    timer = threading.Timer(0.5, reboot)
    timer.start()
    renewed = {"nodes": {key: describe(node, f"machine-{key}") for key, node in nodes.items()}}
    assert HANDLER.create(call, inputs | renewed)[1]["healthy"]
    timer.join()


def test_another_machine_is_not_asked(call: Call, servers: Servers, nodes: dict[str, FakeNode], inputs: dict[str, Any]) -> None:
    nodes["data-1"].answer = Says(report("data-1"))
    servers.stop_last()
    servers.start(nodes["app-1"])
    with pytest.raises(ProviderError, match="another host key than machine machine-app-1"):
        HANDLER.create(call, inputs)
    assert nodes["app-1"].commands == []


def test_a_node_without_its_program_tells_what_it_said(call: Call, nodes: dict[str, FakeNode], inputs: dict[str, Any]) -> None:
    nodes["data-1"].answer = lambda command: Answer(errors="python3: can't open file\n", status=2)
    nodes["app-1"].answer = Says(report("app-1"))
    with pytest.raises(PartialFailure, match="data-1: its node program failed with exit status 2: python3: can't open file"):
        HANDLER.create(call, inputs | {"timeout": 0.1})


def test_an_interruption_ends_within_a_second(call: Call, nodes: dict[str, FakeNode], inputs: dict[str, Any]) -> None:
    for key, node in nodes.items():
        node.answer = Says(report(key, "waits"))
    threading.Timer(0.3, call.cancelled.set).start()
    start = time.monotonic()
    with pytest.raises(PartialFailure, match="cancelled"):
        HANDLER.create(call, inputs | {"timeout": 60})
    assert time.monotonic() - start < 2


def test_only_other_configurations_and_machines_are_a_reason_to_ask(call: Call, inputs: dict[str, Any]) -> None:
    assert HANDLER.diff(call, "health", inputs, {}, inputs | {"timeout": 5, "private_key": "other"}).changed == []
    assert HANDLER.diff(call, "health", inputs, {}, inputs | {"digests": {}}).changed == ["digests"]


def test_a_replaced_node_in_between_is_known_by_its_own_configuration(
    call: Call, new_node: Callable[[], FakeNode], nodes: dict[str, FakeNode], inputs: dict[str, Any]
) -> None:
    """The configuration of a node behind it ran before the replacement and has never met the new machine."""
    edge = nodes["app-1"]
    for key, node in nodes.items():
        node.answer = Says(report(key))
    hop = {"address": edge.address, "machine_id": "machine-app-1"}
    behind = inputs["nodes"]["data-1"] | {"via": [hop]}
    assert HANDLER.create(call, inputs | {"nodes": inputs["nodes"] | {"data-1": behind}})[1]["healthy"]
    forged = {"address": new_node().address, "machine_id": "machine-app-1"}
    wrong = inputs["nodes"]["data-1"] | {"via": [forged]}
    with pytest.raises(ProviderError, match="another host key than machine machine-app-1"):
        HANDLER.create(call, inputs | {"nodes": inputs["nodes"] | {"data-1": wrong}})


class Rotates:
    """A node in the middle of a rotation of Consul's. `waits`: until Consul was told to forget what another's machine was."""

    def __init__(self, key: str, waits: threading.Event, *, outside: bool = False) -> None:
        self.key, self.waits, self.outside = key, waits, outside
        self.admitted: list[str] = []

    def __call__(self, command: str) -> Answer:
        if " admit " in command:
            self.admitted.append(command.rpartition(" ")[2])
            self.waits.set()
            return Answer(["Consul waits no more for the machine that test-app-1 had before"])
        shut_out = self.outside and not self.waits.is_set()
        said = json.loads(report(self.key, "No known Consul servers" if shut_out else ""))
        return Answer([json.dumps(said | ({"shut_out": True} if shut_out else {}))], status=int(shut_out))


def test_a_new_machine_that_consul_keeps_out_is_let_in_by_the_others(
    call: Call, nodes: dict[str, FakeNode], inputs: dict[str, Any]
) -> None:
    waits = threading.Event()
    inside, outside = Rotates("data-1", waits), Rotates("app-1", waits, outside=True)
    nodes["data-1"].answer, nodes["app-1"].answer = inside, outside
    assert HANDLER.create(call, inputs)[1]["healthy"]
    assert (inside.admitted, outside.admitted) == (["test-app-1"], [])
    assert "Consul waits no more for the machine that test-app-1 had before" in call.shown


def test_who_cannot_let_it_in_is_asked_again_later(
    call: Call, nodes: dict[str, FakeNode], inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provider.health._ADMIT_PAUSE_SECONDS", 0.1)
    waits = threading.Event()
    inside, outside = Rotates("data-1", waits), Rotates("app-1", waits, outside=True)
    asked: list[str] = []

    def refuse_first(command: str) -> Answer:
        if " admit " in command:
            asked.append(command)
            if len(asked) == 1:
                return Answer([], status=1)
        return inside(command)

    nodes["data-1"].answer, nodes["app-1"].answer = refuse_first, outside
    assert HANDLER.create(call, inputs)[1]["healthy"]
    assert len(asked) == 2
