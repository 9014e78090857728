"""What the services lose when something they call is gone, what `status` says of it, and how all of it comes back."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.local.conftest import Figure
from tests.local.deployment import Deployment, wait_until

pytestmark = pytest.mark.local

IS_LONG = bool(os.environ.get("WEBITEL_TEST_LONG"))
DATABASE_GONE = 180.0 if IS_LONG else 60.0
"""Seconds; the long form is `WEBITEL_TEST_LONG=1 ./webitel test local`."""

CALLERS = {"webitel-app", "webitel-api", "webitel-uac", "storage", "logger", "engine", "flow_manager", "call_center",
           "messages-srv", "messages-bot", "cases"}
"""What holds sessions in the database."""

ENTRIES = {
    "engine": ("engine-{id}", 10040), "storage": ("storage-{id}", 10036), "call_center": ("call_center-{id}", 10032),
    "workflow": ("workflow-workflow-{id}", 10033), "logger": ("{id}", 10011), "webitel.cases": ("cases-{id}", 22103),
    "webitel.chat.server": ("webitel.chat.server-", 10039), "webitel.chat.bot": ("webitel.chat.bot-", 10048),
    "go.webitel.app": ("go.webitel.app-", 10045), "go.webitel.api": ("go.webitel.api-", 10044),
    "webitel.uac": ("webitel.uac-", 10046), "freeswitch": ("{node}", 50051),
}
"""Consul's services: id, or its beginning, and port (`facts/observed.md` 4; ports as the catalogue pins them)."""

QUEUES = {"engine.trigger", "callcenter.call_center-{id}", "workflow-call", "workflow-exec", "logger.service", "logger.login",
          "logger.populate", "custom-cases-{id}"}
BINDINGS = {
    ("cases", "engine.trigger", "#"), ("chat", "callcenter.call_center-{id}", "#"),
    ("call", "callcenter.call_center-{id}", "events.*.call_center-{id}.*.*"), ("call", "workflow-call", "events.#"),
    ("flow", "workflow-exec", "exec"), ("logger", "logger.service", "logger.#"), ("webitel", "logger", "logger.#"),
    ("logger", "logger.populate", "populate_configs"), ("webitel", "logger.login", "login.#"),
    ("webitel", "custom-cases-{id}", "custom.dataset.#"),
}
"""`facts/observed.md` 5; six more queues without a name of their own hang on `chat`."""

MEMORY = """
import glob
total = 0
for path in glob.glob("/proc/[0-9]*/smaps_rollup"):
    try:
        total += sum(int(line.split()[1]) for line in open(path) if line.startswith("Pss:"))
    except OSError:
        pass
print(total)
"""
TAKE_PORT = """
import socket, sys, time
taken = socket.socket()
taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
taken.bind((sys.argv[1], int(sys.argv[2])))
taken.listen()
time.sleep(600)
"""


def fill(single: Deployment, text: str) -> str:
    """A text of a table with the node's own id and name."""
    number = json.loads(single.on_node("cat /etc/webitel/node.json"))["id"]
    return text.replace("{id}", str(number)).replace("{node}", single.node)


def read_report(single: Deployment) -> dict[str, dict[str, Any]]:
    """The services of `./webitel status --json` by name."""
    return {service["name"]: service for service in single.status()["nodes"]["all-1"]["services"]}


def wait_for_why(single: Deployment, service: str, pattern: str, seconds: float) -> None:
    """Wait until `./webitel status` gives a cause for a service."""
    def ask() -> str:
        found = read_report(single)[service]
        return "" if re.search(pattern, found["why"]) else f"{service}: {found['why']!r}, expected {pattern}"

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


def test_every_consul_entry(healthy: Deployment) -> None:
    entries = json.loads(healthy.on_node("curl -sSf http://127.0.0.1:8500/v1/agent/services"))
    checks = json.loads(healthy.on_node("curl -sSf http://127.0.0.1:8500/v1/agent/checks"))
    passing = {check["ServiceID"] for check in checks.values() if check["Status"] == "passing"}
    for name, (identifier, port) in ENTRIES.items():
        wanted = fill(healthy, identifier)
        found = [entry for entry in entries.values() if entry["Service"] == name]
        assert len(found) == 1, f"{name}: {found}"
        assert (found[0]["Address"], found[0]["Port"]) == (healthy.address, port), name
        assert found[0]["ID"].startswith(wanted) if wanted.endswith("-") else found[0]["ID"] == wanted
        assert found[0]["ID"] in passing


def test_every_queue_and_binding(healthy: Deployment) -> None:
    queues = set(healthy.on_node("rabbitmqctl -q list_queues --no-table-headers name").split())
    assert {fill(healthy, name) for name in QUEUES} == {name for name in queues if not name.startswith("amq.gen-")}
    shown = healthy.on_node("rabbitmqctl -q list_bindings --no-table-headers source_name destination_name routing_key")
    bindings = {tuple(line.split("\t")) for line in shown.splitlines() if not line.startswith("\t")}
    named = {binding for binding in bindings if "amq.gen-" not in binding[1]}
    assert {tuple(fill(healthy, part) for part in binding) for binding in BINDINGS} == named
    chat = [binding for binding in bindings if "amq.gen-" in binding[1]]
    assert {(source, key) for source, _, key in chat} == {("chat", "invalidate.#")}
    assert len(chat) == 6


def test_memory(healthy: Deployment, figure: Figure) -> None:
    used = int(healthy.python_on_node(MEMORY)) / 2**20
    figure("memory of the node's processes", used, "GiB")
    assert used < 3


def test_the_vendors_passwords_are_refused(healthy: Deployment) -> None:
    """Every default of `facts/webitel.md` 3 against the service that would take it."""
    def ask(command: str) -> str:
        return healthy.on_node(f"{command} 2>&1", check=False)

    for user in ("opensips", "postgres", "webitel", "replicator"):
        for password in ("webitel", "opensips", "postgres", "password"):
            said = ask(f"PGPASSWORD={password} psql -XAt 'host=127.0.0.1 dbname=webitel user={user}' -c 'select 1'")
            assert "FATAL" in said, f"{user} with {password}: {said}"
    is_super = "select rolsuper from pg_roles where rolname = 'opensips'"
    assert healthy.on_node(f'runuser -u postgres -- psql -XAt -c "{is_super}"') == "f"
    for user in ("webitel", "guest"):
        assert ask(f"curl -s -o /dev/null -w %{{http_code}} -u {user}:{user} http://127.0.0.1:15672/api/whoami") == "401"
        assert ask(f"rabbitmqctl -q authenticate_user {user} {user}").startswith("Error")
    assert ask(f"curl -s -o /dev/null -w %{{http_code}} -u admin:admin http://{healthy.address}:3000/api/org") == "401"
    assert ask(f"curl -s -o /dev/null -w %{{http_code}} -X POST -d '{{}}' http://{healthy.address}:8008/restart") == "401"
    program = ("import socket; c = socket.create_connection(('127.0.0.1', 8021), 5); c.recv(999); "
               "c.sendall(b'auth ClueCon\\n\\n'); print(c.recv(999).decode())")
    assert "-ERR invalid" in healthy.python_on_node(program)
    cfg = healthy.on_node("cat /etc/opensips/opensips.cfg")
    assert not re.search(r'th_callid_passwd"\s*,\s*"webitel"', cfg)


def test_database_gone(healthy: Deployment, figure: Figure) -> None:
    before = healthy.units()
    since = healthy.on_node("date +%s")
    with held_down(healthy, "patroni"):
        started = time.monotonic()

        def ask() -> str:
            faults = {name for name, service in read_report(healthy).items() if not service["healthy"]}
            missing = {"postgresql", "haproxy", "opensips", *CALLERS} - faults
            return f"said to be healthy: {', '.join(sorted(missing))}" if missing else ""

        figure("database gone until status names every service", wait_until(ask, 45))
        assert "patroni is " in read_report(healthy)["postgresql"]["why"]
        time.sleep(max(0.0, DATABASE_GONE - (time.monotonic() - started)))
    wait_until(lambda: why if (why := healthy.find_faults().get("haproxy", "")) else "", 90)
    figure("database back until all is healthy", healthy.wait_healthy(120))
    after = healthy.units()
    changed = {name for name in before if after[name] != before[name]}
    assert changed <= {"patroni", "webitel-setup-postgresql"}
    assert "restarting" not in healthy.on_node(f"journalctl -q --no-pager -o cat -u webitel-watch --since=@{since}")


def test_broker_restarted(healthy: Deployment, figure: Figure) -> None:
    started = time.monotonic()
    healthy.on_node("systemctl restart rabbitmq-server", seconds=180)
    # Cases loses its queue and does not notice: the watcher's minute is part of this (facts/observed.md 2).
    healthy.wait_healthy(180)
    figure("broker restarted until all is healthy", time.monotonic() - started)


def test_consul_restarted(healthy: Deployment, figure: Figure) -> None:
    started = time.monotonic()
    healthy.on_node("systemctl restart consul")
    healthy.wait_healthy(120)
    figure("Consul restarted until all is healthy", time.monotonic() - started)


def test_consuls_data_lost(healthy: Deployment, figure: Figure) -> None:
    with held_down(healthy, "consul"):
        healthy.on_node("rm -rf /var/lib/consul/*")
    started = time.monotonic()
    wait_until(lambda: "no new Consul" if healthy.find_faults().get("consul") else "", 60)
    # Logger and Cases never register again by themselves (facts/observed.md 0.7).
    healthy.wait_healthy(240)
    figure("Consul's data lost until all is healthy", time.monotonic() - started)
    test_every_consul_entry(healthy)


def break_database_password(single: Deployment) -> Callable[[], object]:
    single.on_node("runuser -u postgres -- psql -q -c \"alter role opensips password 'another'\"")
    return lambda: single.on_node("systemctl restart webitel-setup-postgresql", seconds=120)


def break_exchange(single: Deployment) -> Callable[[], object]:
    single.on_node("rabbitmqctl -q eval 'rabbit_exchange:delete(rabbit_misc:r(<<\"/\">>, exchange, <<\"opensips\">>), false, "
                   "<<\"test\">>).'")
    return lambda: single.on_node("systemctl restart webitel-setup-rabbitmq", seconds=120)


def break_key(single: Deployment) -> Callable[[], object]:
    single.on_node("mv /opt/storage/key.pem /opt/storage/away.pem && systemctl restart --no-block storage engine")
    return lambda: single.on_node("mv /opt/storage/away.pem /opt/storage/key.pem")


def break_port(single: Deployment) -> Callable[[], object]:
    take = f"systemd-run -q --unit=webitel-test-port python3 -c \"$(cat)\" {single.address} 10040"
    single.on_node(f"systemctl stop engine; {take}; systemctl start --no-block engine", text=TAKE_PORT)
    return lambda: single.on_node("systemctl stop webitel-test-port")


@pytest.mark.parametrize(("break_it", "service", "cause"), [
    (break_database_password, "haproxy", r'password authentication failed for user "opensips"'),
    (break_exchange, "rabbitmq", r"missing: opensips"),
    (break_key, "storage", r"key\.pem"),
    (break_port, "engine", r"address already in use|10040"),
])
def test_status_and_up_name_the_cause(
    healthy: Deployment, break_it: Callable[[Deployment], Callable[[], object]], service: str, cause: str,
) -> None:
    mend = break_it(healthy)
    try:
        wait_for_why(healthy, service, cause, 60)
        failed = healthy.up(status=1)
        assert re.search(rf" {service} +not healthy", failed.output)
        assert re.search(cause, failed.output)
    finally:
        mend()
    healthy.wait_healthy(180)
