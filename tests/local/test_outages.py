"""What the services lose when something they call is gone, what `status` says of it, and how all of it comes back.

The times are short; the issue's own are taken with `WEBITEL_TEST_LONG=1 ./webitel test local`. So is what waits for the watcher's
minute once more, where another test waits for it already: `tests/sandbox/test_running.py` has the programs' part of each.
"""

import re
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.local.conftest import Figure
from tests.local.deployment import Deployment, wait_until
from tests.local.test_running import check_bindings, check_consul_entries
from tests.long_form import LONG, only_long

pytestmark = pytest.mark.local

DATABASE_GONE = 180.0 if LONG else 20.0
LATE = 60.0 if LONG else 3.0
IDLE = 960.0 if LONG else 30.0
"""Seconds. An engine that nobody uses closes its last session in the database after five minutes, and the watcher restarts what
is deaf for one."""

CALLERS = {"webitel-api", "storage", "engine", "flow_manager", "call_center", "messages-bot", "cases"}
"""What asks the database by itself, or when it is asked. Of the others nothing shows that it is away until somebody uses them."""

BY_RESTART = {"webitel-cases", "messages-srv", "messages-bot"}
"""Whose queues only they can bind: each belongs to one connection, or has a name that the broker chose."""

DELETE = 'rabbitmqctl -q eval \'rabbit_exchange:delete(rabbit_misc:r(<<"/">>, exchange, <<"{}">>), false, <<"test">>).\''

LATE_ONES = ("patroni", "rabbitmq-server", "consul")
"""What everything else waits for."""
ORDERS = [LATE_ONES, LATE_ONES[::-1], (LATE_ONES[1], LATE_ONES[2], LATE_ONES[0])][: None if LONG else 1]

TAKE_PORT = """
import socket, sys, time
taken = socket.socket()
taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
taken.bind((sys.argv[1], int(sys.argv[2])))
taken.listen()
time.sleep(600)
"""


def read_report(single: Deployment) -> dict[str, dict[str, Any]]:
    """The services of `./webitel status --json` by name."""
    return {service["name"]: service for service in single.status()["nodes"]["all-1"]["services"]}


def wait_for_why(single: Deployment, service: str, pattern: str, seconds: float) -> None:
    """Wait until `./webitel status` gives a cause for a service."""

    def ask() -> str:
        # A node at its limits may not answer in time: then its services are not known.
        why = read_report(single).get(service, {}).get("why", "nothing known")
        return "" if re.search(pattern, why) else f"{service}: {why!r}, expected {pattern}"

    wait_until(ask, seconds)


@contextmanager
def held_down(single: Deployment, *units: str) -> Iterator[None]:
    """Units stopped so that nothing on the node starts them again."""
    names = " ".join(f"{unit}.service" for unit in units)
    single.on_node(f"systemctl mask --runtime -q {names} && systemctl stop {names}", seconds=150)
    try:
        yield
    finally:
        single.on_node(f"systemctl unmask --runtime -q {names} && systemctl start --no-block {names}")


@contextmanager
def nothing_restarted(single: Deployment, *expected: str, restarts: Collection[str] = ()) -> Iterator[None]:
    """No unit but the expected ones is another process afterwards, and the watcher restarted none but `restarts`."""
    before, since = single.units(), single.on_node("date +%s")
    yield
    after = single.units()
    assert {name for name in before if after[name] != before[name]} <= {*expected, *restarts}
    said = single.on_node(f"journalctl -q --no-pager -o cat -u webitel-watch --since=@{since}")
    restarted = re.findall(r"^restarting (\S+):", said, re.MULTILINE)
    assert len(restarted) <= len(restarts), said


def test_database_gone(healthy: Deployment, figure: Figure) -> None:
    with nothing_restarted(healthy, "patroni", "webitel-setup-postgresql"):
        with held_down(healthy, "patroni"):
            started = time.monotonic()

            def ask() -> str:
                faults = {name for name, service in read_report(healthy).items() if not service["healthy"]}
                missing = {"postgresql", "haproxy", "opensips", *CALLERS} - faults
                return f"said to be healthy: {', '.join(sorted(missing))}" if missing else ""

            figure("database gone until status names every service", wait_until(ask, 60))
            wait_for_why(healthy, "postgresql", "patroni is ", 30)
            time.sleep(max(0.0, DATABASE_GONE - (time.monotonic() - started)))
        wait_until(lambda: healthy.find_faults().get("haproxy", ""), 120)
        figure("database back until all is healthy", healthy.wait_healthy(180))


def test_idle(healthy: Deployment) -> None:
    """Nobody uses it, and nothing is restarted and nothing called unhealthy for it."""
    with nothing_restarted(healthy):
        until = time.monotonic() + IDLE
        while time.monotonic() < until:
            assert healthy.find_faults() == {}
            time.sleep(5)


def test_exchanges_and_bindings_lost(healthy: Deployment, figure: Figure) -> None:
    """What services bind at their start only comes back without a restart, but for those that alone can bind their queues."""
    started = time.monotonic()
    shown = "systemctl show -P InvocationID webitel-setup-rabbitmq"
    before = healthy.on_node(shown)

    def noticed() -> str:
        """On a busy machine the watcher has them made again between two looks."""
        return "" if "rabbitmq" in healthy.find_faults() or healthy.on_node(shown) != before else "nobody misses an exchange"

    with nothing_restarted(healthy, "webitel-setup-rabbitmq", restarts=BY_RESTART):
        healthy.on_node(" && ".join(DELETE.format(name) for name in ("call", "chat", "webitel", "cases", "flow")), seconds=120)
        wait_until(noticed, 60)
        healthy.wait_healthy(300)
    figure("exchanges and bindings lost until all is healthy", time.monotonic() - started)
    check_bindings(healthy)


@only_long("waits two minutes for what tests/sandbox/test_running.py has with the same programs")
def test_stopped_without_the_broker(healthy: Deployment, figure: Figure) -> None:
    """Engine and CallCenter wait for the broker to tell it good-bye: their units do not."""
    with held_down(healthy, "rabbitmq-server"):
        started = time.monotonic()
        healthy.on_node("systemctl stop engine call_center", seconds=60)
        figure("stop without the broker", time.monotonic() - started)
        assert time.monotonic() - started < 40
        healthy.on_node("systemctl start --no-block engine call_center")
    healthy.wait_healthy(300)


@only_long("waits for the same minute as a stop without it")
def test_broker_restarted(healthy: Deployment, figure: Figure) -> None:
    started = time.monotonic()
    healthy.on_node("systemctl restart rabbitmq-server", seconds=300)
    # Cases loses its queue and does not notice: the watcher's minute is part of this (facts/observed.md 2).
    healthy.wait_healthy(300)
    figure("broker restarted until all is healthy", time.monotonic() - started)


def test_consul_restarted(healthy: Deployment, figure: Figure) -> None:
    started = time.monotonic()
    healthy.on_node("systemctl restart consul", seconds=120)
    healthy.wait_healthy(180)
    figure("Consul restarted until all is healthy", time.monotonic() - started)


@only_long("waits for the watcher's minute")
def test_consuls_data_lost(healthy: Deployment, figure: Figure) -> None:
    with held_down(healthy, "consul"):
        healthy.on_node("rm -rf /var/lib/consul/*")
    started = time.monotonic()
    wait_until(lambda: healthy.find_faults().get("consul", ""), 120)
    # Logger and Cases never register again by themselves (facts/observed.md 0.7): the watcher's minute again.
    healthy.wait_healthy(300)
    figure("Consul's data lost until all is healthy", time.monotonic() - started)
    check_consul_entries(healthy)


@pytest.mark.parametrize("order", ORDERS, ids=",".join)
def test_dependencies_come_late(healthy: Deployment, order: tuple[str, ...], figure: Figure) -> None:
    """Everything starts without what it needs, which then comes one after the other: all healthy without help."""
    every = list(healthy.units())
    late, others = (" ".join(f"{name}.service" for name in names) for names in (order, [n for n in every if n not in order]))
    try:
        healthy.on_node(f"systemctl mask --runtime -q {late} && systemctl stop {late} {others}", seconds=300)
        healthy.on_node(f"systemctl start --no-block {others}")
    finally:
        for name in order:
            time.sleep(LATE)
            healthy.on_node(f"systemctl unmask --runtime -q {name}.service && systemctl start --no-block {name}.service")
    figure(f"{', '.join(order)} each {LATE:g} s late: the last one until all is healthy", healthy.wait_healthy(300))


FAULTS = {
    "another password": (
        "runuser -u postgres -- psql -q -c \"alter role opensips password 'another'\"",
        "systemctl restart webitel-setup-postgresql",
        "haproxy",
        r'password authentication failed for user "opensips"',
    ),
    "an exchange missing": (
        # The watcher would put it back before anybody has looked.
        f"systemctl mask --runtime -q webitel-watch && systemctl stop webitel-watch && {DELETE.format('opensips')}",
        "systemctl unmask --runtime -q webitel-watch && systemctl start webitel-watch",
        "rabbitmq",
        "missing: opensips",
    ),
    "the key missing": (
        "mv /opt/storage/key.pem /opt/storage/away.pem && systemctl restart --no-block storage engine",
        "mv /opt/storage/away.pem /opt/storage/key.pem",
        "storage",
        r"key\.pem",
    ),
    "a port taken": (
        "cat >/run/take-port.py; systemctl stop engine; "
        "systemd-run -q --unit=webitel-test-port python3 /run/take-port.py ADDRESS 10040; systemctl start --no-block engine",
        "systemctl stop webitel-test-port; rm /run/take-port.py",
        "engine",
        "address already in use|10040",
    ),
}
"""What breaks a node, what mends it, the service that status tells about it, and the cause it must name."""
SHOWN_BY_UP = {"another password"}
"""What the short form has `up` name too: it reads the same report, and takes half a minute."""


def find_missing(said: str, *patterns: str) -> str:
    """All that was said where one of the patterns is not in it; else ""."""
    return "" if all(re.search(pattern, said) for pattern in patterns) else said


@pytest.mark.parametrize("fault", FAULTS)
def test_status_and_up_name_the_cause(healthy: Deployment, fault: str) -> None:
    broken, mended, service, cause = FAULTS[fault]
    try:
        healthy.on_node(broken.replace("ADDRESS", healthy.address), text=TAKE_PORT, seconds=120)
        wait_for_why(healthy, service, cause, 90)
        if LONG or fault in SHOWN_BY_UP:
            # Its last look may go by while a machine at its limits does not answer in time: then nothing is known, as it says.
            wait_until(lambda: find_missing(healthy.up(status=1).output, rf" {service} +not healthy", cause), 180)
    finally:
        healthy.on_node(mended, seconds=180)
    healthy.wait_healthy(240)
