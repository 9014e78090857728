"""Every cause of a failing start that `facts/observed.md` 1 lists, on real programs: exit status and words."""

import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from typing import Any

import pytest

from sandbox.standin.behaviour import BEHAVIOURS
from tests.sandbox.platform import Platform, free_port
from tests.sandbox.runner import ADDRESS, Runner
from tests.unit.cloud_init.test_webitel_fragments import SERVICES
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

CASES = [(name, cause) for name, facts in SERVICES.items() if facts.get("seen", True) for cause in facts["exits"]]
CONNECTIONS = {"database": "data_source", "broker": "broker_url", "consul": "consul"}
SPEED = 100.0
ED25519 = ("openssl", "genpkey", "-algorithm", "ed25519", "-out")


def with_port(url: str, old: int, new: int) -> str:
    return url.replace(f":{old}", f":{new}")


def changes_for(cause: str, name: str, runner: Runner, stack: ExitStack) -> tuple[list[str], dict[str, str]]:
    """Arguments and settings that bring a cause about; sockets it holds are closed with `stack`."""
    row = BEHAVIOURS[name]
    subject, _, kind = cause.partition(" ")
    if cause == "unknown flag":
        return ["--no_such_flag=1"], {}
    if kind == "refused":
        setting = getattr(row, CONNECTIONS[subject])
        port = runner.platform.ports[{"database": "postgresql", "broker": "rabbitmq", "consul": "consul"}[subject]]
        return [], {setting: with_port(runner.environment(name)[setting], port, free_port())}
    if cause == "empty database":
        setting = row.data_source
        return [], {setting: runner.environment(name)[setting].replace("/webitel?", "/empty?")}
    if subject == "key":
        path = runner.folder / "other.pem"
        if kind == "not PEM":
            path.write_text("nothing of the kind\n")
        elif kind == "not RSA":
            subprocess.run([*ED25519, str(path)], check=True, capture_output=True)
        return [], {"PRESIGNED_CERT": str(path)}
    if cause == "folder missing":
        return ["--web_root=/nonexistent"], {}
    assert kind == "taken"
    listener = next(listener for listener in row.listeners if listener.name == subject)
    settings = runner.environment(name)
    address = listener.address.format(**{**row.defaults, **settings})
    host, _, port_text = address.rpartition(":")
    stack.enter_context(socket.create_server((host, int(port_text))))
    return [], {}


@pytest.fixture(scope="module")
def empty_database(platform: Platform) -> None:
    platform.sql("create database empty owner opensips", "postgres")


def wait_for_words(runner: Runner, name: str, words: str) -> None:
    wait_until(lambda: words in runner.log(name), 20, f"{words} in the log of {name}")


@pytest.mark.usefixtures("empty_database")
@pytest.mark.parametrize(("name", "cause"), [case for case in CASES if case[1] != "exchange missing"])
def test_start_fails_as_the_real_one(name: str, cause: str, runner: Runner) -> None:
    expected: Any = SERVICES[name]["exits"][cause]
    with ExitStack() as stack:
        arguments, changes = changes_for(cause, name, runner, stack)
        began = time.monotonic()
        process = runner.start(name, *arguments, changes=changes, speed=SPEED)
        if expected == "stays":
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1.5)
            if cause == "consul refused" and name == "cases":
                # Unregistered, it does not hear SIGTERM.
                process.send_signal(signal.SIGTERM)
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(1.0)
                return
            if not BEHAVIOURS[name].silent:
                wait_for_words(runner, name, "is up")
            assert runner.end(process) == 0
            return
        status, seconds = expected if isinstance(expected, list) else (expected, 0)
        assert process.wait(seconds / SPEED + 10) == status, runner.log(name)
        assert time.monotonic() - began >= 0.9 * seconds / SPEED
        assert runner.log(name).strip(), "a failing start says why"
        assert "database-password" not in runner.log(name) and "broker-password" not in runner.log(name)


@pytest.mark.parametrize(
    ("name", "exchange"),
    [("flow_manager", "call"), ("logger", "webitel"), ("cases", "webitel"), ("call_center", "chat"), ("call_center", "call")],
)
def test_a_missing_exchange(name: str, exchange: str, runner: Runner) -> None:
    platform = runner.platform
    assert platform.rabbit(f"/exchanges/%2f/{exchange}", "DELETE")[0] == 204
    try:
        process = runner.start(name)
        expected = SERVICES[name]["exits"]["exchange missing"]
        if expected == "stays":
            wait_until(lambda: platform.checks().get("call_center-101") == "passing", 20, "call_center in Consul")
            # Consul may still have the entry of the run before: what this one says may come later.
            wait_until(lambda: f"NOT_FOUND - no exchange '{exchange}'" in runner.log(name), 20, "what call_center says of it")
            assert process.poll() is None
        else:
            assert process.wait(10) == expected
    finally:
        platform.declare(exchange)


@pytest.mark.parametrize("name", ["engine", "storage", "logger", "messages-srv"])
def test_a_wrong_database_password_looks_like_no_database(name: str, runner: Runner) -> None:
    setting = BEHAVIOURS[name].data_source
    url = runner.environment(name)[setting].replace("database-password", "webitel")
    process = runner.start(name, changes={setting: url}, speed=SPEED)
    expected = SERVICES[name]["exits"]["database refused"]
    assert process.wait(15) == (expected[0] if isinstance(expected, list) else expected)
    assert "password authentication failed" in runner.log(name)


@pytest.mark.parametrize(("name", "status"), [("storage", 2), ("cases", 0), ("messages-srv", 1)])
def test_a_wrong_broker_password(name: str, status: int, runner: Runner) -> None:
    setting = BEHAVIOURS[name].broker_url
    process = runner.start(name, changes={setting: runner.environment(name)[setting].replace("broker-password", "webitel")})
    assert process.wait(15) == status
    if name == "storage":
        assert "storage-101" not in runner.platform.checks(), "it registers, then takes its entry away"


def test_flow_manager_without_key_leaves_a_passing_entry(runner: Runner) -> None:
    assert runner.start("flow_manager", changes={"PRESIGNED_CERT": "/nonexistent"}).wait(10) == 2
    assert runner.platform.checks()["workflow-workflow-101"] == "passing"


def test_sigterm_while_waiting_for_the_database_kills(runner: Runner) -> None:
    for name in ("engine", "storage", "call_center", "flow_manager"):
        setting = BEHAVIOURS[name].data_source
        url = runner.environment(name)[setting]
        changes = {setting: with_port(url, runner.platform.ports["postgresql"], free_port())}
        process = runner.start(name, changes=changes, speed=1)
        wait_for_words(runner, name, "refused")
        assert runner.end(process, 2) == -signal.SIGTERM


def test_the_logger_ends_by_itself_now_and_then(runner: Runner) -> None:
    row = BEHAVIOURS["logger"]
    assert row.flaps == pytest.approx(2 / 25)
    process = runner.start("logger", changes={"SANDBOX_FLAPS": "1"})
    assert process.wait(5) == 0 and "unexpected command received" in runner.log("logger")


def test_cases_without_an_address_of_its_own_registers_an_empty_one(runner: Runner) -> None:
    process = runner.start("cases", changes={"GRPC_ADDR": ":0"})
    wait_until(lambda: runner.platform.checks().get("cases-101") == "passing", 20, "cases in Consul")
    entry = runner.platform.consul("/v1/agent/service/cases-101")
    assert '"Address": ""' in entry.replace('":"', '": "') and ADDRESS not in entry
    assert runner.end(process) == 0
