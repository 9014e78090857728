"""What the health check says of services that are idle, cut off, and back (`facts/services-real.md`)."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import grpc
import pytest

from sandbox.standin.behaviour import BEHAVIOURS, SQL_LIFETIME
from tests.sandbox.health import Health
from tests.sandbox.platform import Platform, fetch
from tests.sandbox.runner import ADDRESS, Runner
from tests.unit.node.entries import wrong
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

SETTINGS = bytes(3) + b"\4" + bytes(5)
"""HTTP/2's frame of that name with nothing in it: how a server greets."""
LOST = ("call", "chat", "webitel", "cases", "flow")


@pytest.fixture
def health(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Health:
    return Health(platform, monkeypatch)


@pytest.fixture
def working(runner: Runner, health: Health) -> Iterator[dict[str, Any]]:
    """All services, healthy."""
    processes = {name: runner.start(name, speed=1) for name in BEHAVIOURS}
    wait_for_health(runner, health)
    yield processes


def wait_for_health(runner: Runner, health: Health, *names: str, seconds: float = 60) -> None:
    """RabbitMQ tells of consumers every five seconds only."""
    deadline = time.monotonic() + seconds
    while faults := health.faults(names or BEHAVIOURS):
        assert not runner.ended()
        assert time.monotonic() < deadline, faults
        time.sleep(0.5)


def test_a_shared_program_is_written_once(runner: Runner) -> None:
    """Seen in CI as a service missing from Consul: it had read the emptied program and exited without a word."""
    runner.start("webitel-app")
    program = (runner.folder / "webitel").stat()
    runner.start("webitel-api")
    again = (runner.folder / "webitel").stat()
    assert (again.st_ino, again.st_mtime_ns) == (program.st_ino, program.st_mtime_ns)


def test_an_idle_engine_is_healthy_without_a_session(runner: Runner, health: Health) -> None:
    speed = 100.0
    process = runner.start("engine", speed=speed)
    wait_until(lambda: fetch(f"http://{ADDRESS}:10022/")[0] == 404, 10, "the engine's WebSocket")
    wait_for_health(runner, health, "engine")
    wait_until(lambda: runner.platform.sessions("engine") == 0, SQL_LIFETIME / speed + 5, "its pool closes the session")
    assert health.faults(["engine"]) == {} and process.poll() is None


@pytest.mark.usefixtures("working")
def test_after_a_database_outage_nobody_is_deaf_who_is_not_asked(runner: Runner, health: Health) -> None:
    platform = runner.platform
    platform.stop("postgresql")
    faults = health.faults(BEHAVIOURS)
    assert set(faults) >= {"engine", "messages-bot", "storage", "call_center", "flow_manager", "cases"}
    assert "HTTP 500" in faults["engine"] and "HTTP 502" in faults["messages-bot"]
    platform.start("postgresql")
    assert [platform.sessions(name) for name in ("logger", "messages-srv", "webitel-app")] == [0, 0, 0]
    wait_for_health(runner, health)
    assert [platform.sessions(name) for name in ("logger", "messages-srv", "webitel-app")] == [0, 0, 0]


def test_cases_says_the_same_of_a_lost_database_as_of_a_wrong_schema(runner: Runner, health: Health) -> None:
    said = "ERROR internal server error\n"
    runner.start("cases", speed=1)
    wait_for_health(runner, health, "cases")
    assert said not in runner.log("cases")
    runner.platform.stop("postgresql")
    wait_until(lambda: runner.log("cases").count(said) > 1, 30, "it complains every few seconds")
    runner.platform.start("postgresql")
    wait_for_health(runner, health, "cases")
    told = runner.log("cases").count(said)
    runner.platform.sql("alter schema cases rename to other")
    try:
        wait_until(lambda: runner.log("cases").count(said) > told, 30, "it complains of its schema in the same words")
    finally:
        runner.platform.sql("alter schema other rename to cases")


@pytest.mark.usefixtures("working")
def test_lost_bindings_are_seen_and_most_are_put_back(runner: Runner, health: Health) -> None:
    platform = runner.platform
    for exchange in LOST:
        assert platform.rabbit(f"/exchanges/%2f/{exchange}", "DELETE")[0] == 204
    for exchange in LOST[:3]:
        platform.declare(exchange)
    faults = health.faults(BEHAVIOURS)
    assert set(faults) == {"engine", "call_center", "flow_manager", "logger", "cases", "messages-srv", "messages-bot"}
    assert "`chat`" in faults["messages-bot"] and "engine.trigger" in faults["engine"]
    # A queue of one connection is bound by that one only.
    assert set(health.mend(BEHAVIOURS)) == {"cases"}
    assert set(health.faults(BEHAVIOURS)) == {"cases", "messages-srv", "messages-bot"}
    kinds = {row["name"]: row["type"] for row in json.loads(platform.rabbit("/exchanges/%2f")[1])}
    assert (kinds["flow"], kinds["cases"]) == ("direct", "topic")


@pytest.mark.parametrize("gone", ["messages-srv", "messages-bot"])
def test_the_queues_of_one_messages_program_are_not_the_others(gone: str, runner: Runner, health: Health) -> None:
    names = ("messages-srv", "messages-bot")
    processes = {name: runner.start(name, speed=1) for name in names}
    wait_for_health(runner, health, *names)
    runner.end(processes[gone])
    probe = next(probe for probe in health.services[gone] if probe["kind"] == "own_queues")
    from cloud_init.node.health import topology

    wait_until(lambda: wrong(topology.own_queues, probe, health.view()), 15, f"the queues of {gone} are missed")
    (other,) = set(names) - {gone}
    assert health.faults([other]) == {}


def test_some_do_not_end_without_the_broker(runner: Runner) -> None:
    processes = {name: runner.start(name, speed=1) for name in ("engine", "call_center", "storage")}
    for name in processes:
        wait_until(partial(is_said, runner, name, "is up"), 30, f"{name} is up")
    runner.platform.stop("rabbitmq")
    for name, process in processes.items():
        wait_until(partial(is_said, runner, name, "the connection to the broker is lost"), 15, f"{name} has lost the broker")
        process.terminate()
    time.sleep(6)
    wait_until(lambda: processes["storage"].poll() is not None, 20, "the end of storage")
    assert {name for name, process in processes.items() if process.poll() is None} == {"engine", "call_center"}


def is_said(runner: Runner, name: str, words: str) -> bool:
    return words in runner.log(name)


def register_freeswitch(platform: Platform, port: int) -> None:
    status, said = fetch(
        f"http://127.0.0.1:{platform.ports['consul']}/v1/agent/service/register",
        method="PUT",
        body={
            "Name": "freeswitch",
            "ID": "fs",
            "Address": "127.0.0.1",
            "Port": port,
            "Check": {"TTL": "60s", "Status": "passing"},
        },
    )
    assert status == 200, said


@contextmanager
def silent_freeswitch(platform: Platform, greeting: bytes) -> Iterator[None]:
    """A FreeSWITCH in Consul that takes connections, greets, and says no more."""
    taken: list[socket.socket] = []

    def serve(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                taken.append(server.accept()[0])
                taken[-1].sendall(greeting)

    with socket.create_server(("127.0.0.1", 0)) as server:
        register_freeswitch(platform, server.getsockname()[1])
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield
        server.shutdown(socket.SHUT_RDWR)
    for connection in taken:
        connection.close()


def test_an_engine_passes_a_frozen_freeswitch_over(runner: Runner, health: Health) -> None:
    """Its kernel takes the connection and nothing greets: for that the engine has a limit."""
    with silent_freeswitch(runner.platform, b""):
        runner.start("engine", speed=1)
        wait_for_health(runner, health, "engine", seconds=20)


def test_an_engine_waits_for_ever_for_a_freeswitch_that_answers_no_call(runner: Runner, health: Health) -> None:
    with silent_freeswitch(runner.platform, SETTINGS):
        process = runner.start("engine", speed=1)
        wait_until(lambda: runner.platform.checks().get("engine-101") == "passing", 10, "the engine in Consul")
        time.sleep(4)
        assert "WebSocket" in health.faults(["engine"])["engine"]
    process.kill()
    server = grpc.server(ThreadPoolExecutor(2))
    answer: Any = grpc.unary_unary_rpc_method_handler(lambda request, context: b"\x0a\x02ok")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("fs.Api", {"Execute": answer}),))
    register_freeswitch(runner.platform, server.add_insecure_port("127.0.0.1:0"))
    server.start()
    try:
        runner.start("engine", speed=1)
        wait_for_health(runner, health, "engine")
    finally:
        server.stop(None)
