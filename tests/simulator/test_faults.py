"""Failures on request."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from provider.server import Cancelled, ProviderError, Request
from tests.simulator.conftest import Driver
from tests.simulator.faults import Faults
from tests.simulator.simulators import PACKAGES, Simulators
from tests.simulator.world import Refused


@pytest.fixture
def cloud(make_driver: Callable[[str], Driver]) -> Driver:
    return make_driver("hetzner")


def make(cloud: Driver, name: str = "a", **inputs: Any) -> Any:
    return cloud.create("Server", name, name=name, serverType="ccx13", image="debian-12", location="fsn1", **inputs)


def test_no_capacity_for_a_type(cloud: Driver) -> None:
    cloud.break_(kind="capacity", type="server:Server", match={"serverType": "ccx13"}, times=0)
    for _ in range(2):
        with pytest.raises(Refused, match="server type ccx13 is not available in fsn1"):
            make(cloud)
    cloud.create("Server", "b", name="b", serverType="ccx23", image="debian-12", location="fsn1")
    cloud.faults_file.unlink()
    make(cloud)


def test_error_at_the_nth_call(cloud: Driver) -> None:
    cloud.break_(kind="error", type="Server", nth=2)
    make(cloud, "a")
    with pytest.raises(Refused, match="server error"):
        make(cloud, "b")
    make(cloud, "b")


def test_rate_limit_is_waited_for_until_patience_ends(cloud: Driver) -> None:
    cloud.break_(kind="rate", times=5)
    make(cloud)
    cloud.break_(kind="rate", times=50)
    with pytest.raises(Refused, match="rate_limit_exceeded"):
        make(cloud, "b")
    assert [thing.id for thing in cloud.world.all()] == ["10000001"]


def test_answer_lost_leaves_the_thing_behind(cloud: Driver) -> None:
    cloud.break_(kind="lost", type="Server")
    with pytest.raises(ProviderError, match="connection reset"):
        make(cloud)
    assert len(cloud.world.all()) == 1
    with pytest.raises(Refused, match="already in use"):
        make(cloud)


def test_cut_hangs_until_the_engine_is_gone(cloud: Driver) -> None:
    cloud.break_(kind="cut", type="Server")
    handler = cloud.provider.handlers[cloud.find_type("Server")]
    faults = handler.account.faults  # type: ignore[attr-defined]
    assert isinstance(faults, Faults)
    request = cloud.request(handler.type, "a")
    inputs = cloud.check("Server", "a", name="a", serverType="ccx13", image="debian-12", location="fsn1")
    ended: list[BaseException] = []

    def create() -> None:
        try:
            handler.create(request, inputs)
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=create)
    thread.start()
    assert faults.cut.wait(5)
    assert len(cloud.world.all()) == 1
    assert not ended
    request.cancelled.set()
    thread.join(5)
    assert [type(error) for error in ended] == [Cancelled]


def test_update_and_delete_fail_too(cloud: Driver) -> None:
    server = make(cloud)
    cloud.break_(kind="quota", operation="update")
    with pytest.raises(Refused, match="resource_limit_exceeded"):
        cloud.update(server, serverType="ccx23")
    cloud.break_(kind="error", operation="delete")
    with pytest.raises(Refused, match="server error"):
        cloud.delete(server)
    cloud.delete(server)


@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.parametrize("kind", ["capacity", "quota", "rate", "error"])
def test_every_cloud_has_its_own_words(make_driver: Callable[[str], Driver], name: str, kind: str) -> None:
    cloud = make_driver(name)
    handler = next(iter(cloud.provider.handlers.values()))
    words = handler.account.errors[kind]  # type: ignore[attr-defined]
    assert len(words) > 15
    cloud.break_(kind=kind, times=0)
    with pytest.raises(Refused) as caught:
        handler.create(cloud.request(handler.type, "x"), {})
    assert str(caught.value)[:12] == words[:12]


def test_a_cloud_is_idle_when_it_has_ended_its_calls(simulators: Simulators) -> None:
    """Also a call that writes nothing for longer than a busy machine lets others wait."""
    provider, request = simulators.providers[0], Request("urn:pulumi:test::test::t::slow")
    provider.begin(request)
    ended = threading.Event()

    def end() -> None:
        ended.set()
        provider.end(request)

    threading.Timer(1, end).start()
    simulators.settle()
    assert ended.is_set()
