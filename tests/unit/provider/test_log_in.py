"""A node that changed its firewall is logged in to anew, by a connection of its own, and says how that ended."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from provider.configuration import NodeConfiguration
from provider.handler import PartialFailure
from tests.unit.provider.conftest import Answer, Call, FakeNode, Servers
from tests.unit.provider.test_configuration import GOOD, inputs  # noqa: F401

HANDLER = NodeConfiguration()
WAITS_SECONDS = 3
BACK = json.dumps({"error": "/etc/nftables.conf came back as before", "unit": ""})


def asks(node: FakeNode, change: Callable[[], object] = lambda: None) -> Callable[[str], Answer]:
    """Make the node ask for a log-in, once it has changed something."""

    def say() -> Iterator[str]:
        change()
        yield json.dumps({"step": "confirm", "text": "waiting for a new log-in by SSH"})
        end = time.monotonic() + WAITS_SECONDS
        while time.monotonic() < end:
            if any(command.endswith(" confirm") for command in node.commands):
                yield GOOD[-1]
                return
            yield json.dumps({"step": "confirm", "text": "waiting for a new log-in by SSH"})
        yield BACK

    return lambda command: Answer(say(), pause=0.1) if " apply" in command else Answer(["machine-1"])


def test_the_log_in_is_one_connection_of_its_own(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:  # noqa: F811
    node.answer = asks(node)
    assert HANDLER.create(call, inputs)[1]["digest"]
    assert node.logins == 2
    said = [command for command in node.commands if command.endswith(" confirm")]
    assert said == ["sudo -n -- /usr/bin/python3 -X utf8 /usr/lib/webitel/node confirm"], "by the program that stands on the node"


def test_without_a_wish_for_it_nobody_logs_in_twice(call: Call, node: FakeNode, inputs: dict[str, Any]) -> None:  # noqa: F811
    HANDLER.create(call, inputs)
    assert node.logins == 1


def test_the_way_to_the_node_is_gone_anew_too(
    call: Call,
    new_node: Callable[[], FakeNode],
    node: FakeNode,
    inputs: dict[str, Any],  # noqa: F811
) -> None:
    edge = new_node()
    node.answer = asks(node)
    HANDLER.create(call, inputs | {"via": [{"address": edge.address, "machine_id": "edge-1"}]})
    assert (edge.logins, node.logins) == (2, 2)


def test_a_node_that_lets_nobody_in_any_more_fails_with_what_it_took_back_and_why(
    call: Call,
    servers: Servers,
    node: FakeNode,
    inputs: dict[str, Any],  # noqa: F811
) -> None:
    """The connection that there is stays, as it does with a firewall."""
    node.answer = asks(node, servers.acceptors[-1].close)
    start = time.monotonic()
    with pytest.raises(PartialFailure) as caught:
        HANDLER.create(call, inputs)
    assert str(caught.value) == ("test-all-1: /etc/nftables.conf came back as before\nThe new log-in failed: connection refused")
    assert caught.value.outputs["digest"] == "", "the next `up` tries again"
    assert time.monotonic() - start < WAITS_SECONDS + 10, "it ends when the node does"
