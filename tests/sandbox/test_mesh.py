"""A mesh is turned on, broken and turned off under connections that stay open, and somebody listens at the network."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox import mesh_nodes
from tests.sandbox.mesh_nodes import ADDRESSES, MISSING, WIREGUARD, Node, Talk, listening
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

SECRET = "what-a-caller-said"
GOSSIP, SSH, AUDIO = 8301, 22, 20000
LONGEST_SECONDS = 10.0
"""Of one word there and back on a busy machine; a hundredth of a second is usual."""


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[dict[str, Node]]:
    if MISSING or os.geteuid() != 0:
        pytest.fail(f"not installed here, or not root: {', '.join(MISSING)}; ./webitel test sandbox installs it")
    with mesh_nodes.made_nodes(tmp_path) as made:
        yield made


@pytest.fixture
def talk(nodes: dict[str, Node]) -> Iterator[Talk]:
    made = Talk(nodes["app-1"], nodes["data-1"], GOSSIP)
    yield made
    made.close()


def turn_on(nodes: dict[str, Node]) -> None:
    """All of them, and wait until each reaches each through it."""
    for node in nodes.values():
        node.configure(mesh=True)
    for node in nodes.values():
        wait_until(node.leads_everywhere, 30, f"routes of {node.key}")


def test_a_connection_goes_on_while_the_mesh_comes_and_nothing_can_be_read(nodes: dict[str, Node], talk: Talk) -> None:
    app, data = nodes["app-1"], nodes["data-1"]
    with listening(data) as wire:
        talk.go_on_for(0.5, SECRET)
    assert wire.holds(SECRET), "without a mesh it can be read"
    data.configure(mesh=True)
    with listening(data) as wire:
        talk.go_on_for(3, SECRET)
    assert wire.holds(SECRET) and not data.leads_to(), "who has no interface yet is reached in the clear"
    app.configure(mesh=True)
    wait_until(lambda: data.key in app.leads_to() and app.key in data.leads_to(), 30, "both")
    with listening(data) as wire:
        talk.go_on_for(2, SECRET)
        sent = os.urandom(3_000_000)
        assert talk.send(sent) == sent
    assert not wire.holds(SECRET)
    assert wire.kinds() == {WIREGUARD}
    assert talk.longest < LONGEST_SECONDS
    # The third node has none yet: no packet for it is lost.
    Talk(app, nodes["edge-1"], GOSSIP).say(SECRET)
    turn_on(nodes)
    with listening(nodes["edge-1"]) as wire:
        Talk(app, nodes["edge-1"], GOSSIP).say(SECRET)
    assert wire.kinds() == {WIREGUARD}


def test_ssh_and_audio_go_past_it_and_signalling_does_not(nodes: dict[str, Node]) -> None:
    turn_on(nodes)
    edge, app = nodes["edge-1"], nodes["app-1"]
    with listening(app) as wire:
        Talk(edge, app, SSH).say("ssh encrypts by itself")
        edge.udp(10000).sendto(b"audio", (app.address, AUDIO))
        app.udp(AUDIO).sendto(b"audio", (edge.address, 10000))
        edge.udp(5062).sendto(f"INVITE {SECRET}".encode(), (app.address, 5080))
    assert wire.holds("ssh encrypts by itself") and wire.holds("audio") and not wire.holds(SECRET)
    assert wire.kinds() == {WIREGUARD, ("tcp", SSH), ("udp", 10000)}


def test_nobody_speaks_in_another_nodes_name(nodes: dict[str, Node]) -> None:
    turn_on(nodes)
    app, data = nodes["app-1"], nodes["data-1"]
    heard = data.udp(GOSSIP)
    app.udp(GOSSIP).sendto(b"mine", (data.address, GOSSIP))
    assert heard.recvfrom(100) == (b"mine", (app.address, GOSSIP))
    app.inside(f"ip addr add {ADDRESSES['edge-1']}/32 dev lo")
    app.udp(GOSSIP, ADDRESSES["edge-1"]).sendto(b"forged", (data.address, GOSSIP))
    with pytest.raises(TimeoutError):
        heard.recvfrom(100)


def test_without_wireguard_nothing_goes_out_in_the_clear_and_it_comes_back(nodes: dict[str, Node], talk: Talk) -> None:
    turn_on(nodes)
    app, data = nodes["app-1"], nodes["data-1"]
    app.stop()
    with listening(data) as wire:
        talk.go_on_for(1, SECRET)  # it does not need the program that set it up
        assert app.program is None
        app.inside("ip link delete webitel0")
        with pytest.raises(OSError, match="No route to host"):
            app.udp(5000).sendto(SECRET.encode(), (data.address, GOSSIP))
        Talk(nodes["edge-1"], app, SSH).say("the way to mend it")
        app.start()
        wait_until(lambda: data.key in app.leads_to(), 30, "the way there")
        talk.go_on_for(1, SECRET)
    assert not wire.holds(SECRET)
    # As at a start of the machine: the way is closed before anybody has answered.
    data.stop()
    data.inside("ip link delete webitel0; ip route flush table 51820")
    data.inside("for one in $(ip rule | sed -n 's/^\\(51..\\):.*/\\1/p'); do ip rule delete preference $one; done")
    data.start()
    with listening(data) as wire:
        wait_until(lambda: app.key in data.leads_to(), 30, "the way back")
        talk.go_on_for(1, SECRET)
    assert not wire.holds(SECRET)


def test_a_connection_goes_on_while_the_mesh_ends_in_two_steps(nodes: dict[str, Node], talk: Talk) -> None:
    turn_on(nodes)
    app, data = nodes["app-1"], nodes["data-1"]
    talk.say(SECRET)
    for node in nodes.values():
        node.configure(mesh=True, sends=False)
        wait_until(node.leads_nowhere, 30, f"no routes of {node.key}")
        talk.go_on_for(0.5, SECRET)
    for node in nodes.values():
        node.configure(mesh=False)
        talk.go_on_for(0.5, SECRET)
    assert talk.longest < LONGEST_SECONDS
    for node in (app, data):
        assert "webitel0" not in node.inside("ip link") and "51820" not in node.inside("ip rule")
        assert node.inside("ip route show table 51820 2>/dev/null || true") == ""
    with listening(data) as wire:
        talk.say(SECRET)
    assert wire.holds(SECRET)
