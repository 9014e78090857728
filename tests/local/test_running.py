"""What a healthy node shows on a closer look: Consul entries, the broker's objects, memory, no password of the vendor."""

import json
import re
from typing import Any

import pytest

from components.model.catalogue.hardening import EXPOSURE_LIMIT, HARDENED
from tests.local.conftest import Figure
from tests.local.deployment import Deployment, wait_until

pytestmark = pytest.mark.local

ENTRIES = {
    "engine": ("engine-{id}", 10040),
    "storage": ("storage-{id}", 10036),
    "call_center": ("call_center-{id}", 10032),
    "workflow": ("workflow-workflow-{id}", 10033),
    "logger": ("{id}", 10011),
    "webitel.cases": ("cases-{id}", 22103),
    "webitel.chat.server": ("webitel.chat.server-", 10039),
    "webitel.chat.bot": ("webitel.chat.bot-", 10048),
    "go.webitel.app": ("go.webitel.app-", 10045),
    "go.webitel.api": ("go.webitel.api-", 10044),
    "webitel.uac": ("webitel.uac-", 10046),
    "freeswitch": ("{node}", 50051),
}
"""Consul's services: id, or its beginning, and port (`facts/observed.md` 4; ports as the catalogue pins them)."""

QUEUES = {
    "engine.trigger",
    "callcenter.call_center-{id}",
    "workflow-call",
    "workflow-exec",
    "logger.service",
    "logger.login",
    "logger.populate",
    "custom-cases-{id}",
}
BINDINGS = {
    ("cases", "engine.trigger", "#"),
    ("chat", "callcenter.call_center-{id}", "#"),
    ("call", "callcenter.call_center-{id}", "events.*.call_center-{id}.*.*"),
    ("call", "workflow-call", "events.#"),
    ("flow", "workflow-exec", "exec"),
    ("logger", "logger.service", "logger.#"),
    ("webitel", "logger", "logger.#"),
    ("logger", "logger.populate", "populate_configs"),
    ("webitel", "logger.login", "login.#"),
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


def fill(single: Deployment, text: str) -> str:
    """A text of a table with the node's own id and name."""
    number = json.loads(single.on_node("cat /etc/webitel/node.json"))["id"]
    return text.replace("{id}", str(number)).replace("{node}", single.node)


def check_consul_entries(single: Deployment) -> None:
    """Every service of the platform is in Consul once, with its id, address and port, and passing."""
    entries = json.loads(single.on_node("curl -sSf http://127.0.0.1:8500/v1/agent/services"))
    checks = json.loads(single.on_node("curl -sSf http://127.0.0.1:8500/v1/agent/checks"))
    passing = {check["ServiceID"] for check in checks.values() if check["Status"] == "passing"}
    for name, (identifier, port) in ENTRIES.items():
        wanted = fill(single, identifier)
        found = [entry for entry in entries.values() if entry["Service"] == name]
        assert len(found) == 1, f"{name}: {found}"
        assert (found[0]["Address"], found[0]["Port"]) == (single.address, port), name
        assert found[0]["ID"].startswith(wanted) if wanted.endswith("-") else found[0]["ID"] == wanted
        assert found[0]["ID"] in passing


def test_every_consul_entry(healthy: Deployment) -> None:
    check_consul_entries(healthy)


def test_every_queue_and_binding(healthy: Deployment) -> None:
    check_bindings(healthy)


def check_bindings(healthy: Deployment) -> None:
    """Every queue and binding of the platform is there, and no other one."""
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


COST = """
import os, pathlib, subprocess, time
kib = ticks = seconds = 0
for unit in ("prometheus", "prometheus-node-exporter", "prometheus-alertmanager"):
    pid = subprocess.run(["systemctl", "show", "-p", "MainPID", "--value", unit], capture_output=True, text=True).stdout.strip()
    rollup = pathlib.Path("/proc", pid, "smaps_rollup").read_text()
    kib += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    fields = pathlib.Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") / age
print(kib, seconds)
"""


def ask_prometheus(healthy: Deployment, path: str) -> Any:
    """What Prometheus on the node answers."""
    return json.loads(healthy.on_node(f"curl -sSfg 'http://127.0.0.1:9090/api/v1/{path}'"))["data"]


def test_monitoring_sees_everything_and_costs_little(healthy: Deployment, figure: Figure) -> None:
    def find_silent() -> str:
        targets = ask_prometheus(healthy, "targets")["activeTargets"]
        silent = [f"{one['labels']['job']}: {one['health']} {one['lastError']}" for one in targets if one["health"] != "up"]
        failing = ask_prometheus(healthy, "query?query=webitel_probe_success==0%20or%20probe_success==0")["result"]
        probes = int(ask_prometheus(healthy, "query?query=count(webitel_probe_success)")["result"][0]["value"][1])
        few = [] if probes > 40 and len(targets) == 9 else [f"{probes} probes, {len(targets)} targets"]
        return "; ".join((*silent, *(str(one["metric"]) for one in failing), *few))

    wait_until(find_silent, 90)
    firing = {alert["labels"]["alertname"] for alert in ask_prometheus(healthy, "alerts")["alerts"] if alert["state"] == "firing"}
    assert "Heartbeat" in firing
    assert healthy.on_node("amtool --alertmanager.url=http://$(hostname -I | cut -d' ' -f1):9093 alert query -o simple Heartbeat")
    kib, share = map(float, healthy.python_on_node(COST).split())
    figure("memory of Prometheus, Alertmanager and the exporter", kib / 1024, "MiB")
    figure("processor time of these", 100 * share, "% of a core")
    assert kib < 400 * 1024


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
    program = (
        "import socket; c = socket.create_connection(('127.0.0.1', 8021), 5); c.recv(999); "
        "c.sendall(b'auth ClueCon\\n\\n'); print(c.recv(999).decode())"
    )
    assert "-ERR invalid" in healthy.python_on_node(program)
    cfg = healthy.on_node("cat /etc/opensips/opensips.cfg")
    assert not re.search(r'th_callid_passwd"\s*,\s*"webitel"', cfg)


def test_units_are_shut_in(healthy: Deployment) -> None:
    judged = dict(re.findall(r"^(\S+)\.service +([\d.]+) ", healthy.on_node("systemd-analyze security --no-pager"), re.M))
    here = [name for name in HARDENED if name in judged]
    assert len(here) > 15 and {name: judged[name] for name in here if float(judged[name]) > EXPOSURE_LIMIT} == {}
    # What a unit's file says counts from its program's next start on.
    look = "p=$(systemctl show -P MainPID $unit); [ $p = 0 ] || echo $unit $(grep ^NoNewPrivs /proc/$p/status)"
    running = [line.split() for line in healthy.on_node(f"for unit in {' '.join(here)}; do {look}; done").splitlines()]
    assert len(running) > 12 and [unit for unit, _, value in running if value != "1"] == []


def test_webitels_services_are_not_root(healthy: Deployment) -> None:
    units = "engine storage flow_manager call_center messages-srv messages-bot webitel-logger webitel-cases"
    look = "echo $unit $(stat -c %U /proc/$(systemctl show -P MainPID $unit))"
    running = [line.split() for line in healthy.on_node(f"for unit in {units}; do {look}; done").splitlines()]
    assert running == [[unit, "webitel"] for unit in units.split()]
    told = healthy.on_node("setpriv --reuid webitel --regid webitel --clear-groups cat /etc/webitel/engine.env 2>&1", check=False)
    assert "Permission denied" in told
    assert healthy.on_node("find /var/lib/webitel/recordings/storage ! -user webitel") == ""
