"""The questions of the health check. Each raises Unhealthy with what was seen where the answer is not the right one."""

import base64
import http.client
import json
import os
import pathlib
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..ask import amqp, sip
from ..ask.consul import call as call_consul
from ..ask.view import RECENT_SECONDS, TIMEOUT_SECONDS, View, broker, query, request
from ..clusters import access, address_move, broker_cluster, brokers, mesh
from ..manifest import ProbeEntry
from ..system import Unhealthy, is_mount_point
from . import kept_calls, machine, opensips, topology

Question = Callable[[ProbeEntry, View], None]

ANY = "*"
LISTEN = "0A"
"""TCP_LISTEN as the kernel's table of connections writes it."""
LEAST_FAILURES = 3
"""Failed queries within `RECENT_SECONDS` that are no accident."""
RECOVERED_SECONDS = 20.0
"""Without a failed query, after which the fault is over, as when a database is back. The watcher asks every 15 s,
and who asks the database only when asked fails then."""
QUERY_GAP_SECONDS = 6.0
"""A service that queries the database every five seconds has a new session by then if its last one was just closed."""

DUMMY = "192.0.0.8"
"""An address that nobody has (RFC 7600)."""

LEAST_FREE_RATIO, LARGEST_MEMORY_SHARE = 2.0, 0.85
"""A broker is unhealthy when its free disk is below this many times RabbitMQ's limit, or its memory above this share."""


def answer(probe: ProbeEntry, view: View) -> None:
    """Ask one probe of the manifest; a kind that this program does not know is an error, never a pass."""
    if probe["kind"] not in PROBES:
        raise Unhealthy(f"this node's program has no probe `{probe['kind']}`")
    ask(PROBES[probe["kind"]], probe, view)


def ask(question: Question, probe: ProbeEntry, view: View) -> None:
    """Ask a question; silence and nonsense are answers too, and never end the caller."""
    try:
        question(probe, view)
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        raise Unhealthy(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from error


def consul(_: ProbeEntry, view: View) -> None:
    """Check that this node's agent knows a leader, and the access lists this node's programs."""
    status, body = request("127.0.0.1", view.ports["consul_http"], "/v1/status/leader")
    if status != http.HTTPStatus.OK or ":" not in body:
        raise Unhealthy(f"HTTP {status} {body.strip()[:80]}")
    access.check()


def consul_server(_: ProbeEntry, view: View) -> None:
    """Check that this server votes."""
    for server in call_consul("GET", "/v1/operator/raft/configuration")["Servers"]:
        if str(server["Address"]).startswith(f"{view.address}:"):
            if not server["Voter"]:
                raise Unhealthy("it does not vote yet")
            return
    raise Unhealthy("it is not in the Raft configuration")


def consul_entry(probe: ProbeEntry, view: View) -> None:
    """Look for the service's own entry at this agent: id (or prefix of it), address, port; under any name where nobody
    knows it.

    Every check must pass: out of service for maintenance is an additional check, and nobody calls an entry that has it.
    """
    wanted = (probe["address"], probe["port"])
    found = [
        entry
        for identifier, entry in view.consul_services.items()
        if (probe["name"] == entry["Service"] and (probe["id"] == "prefix" or identifier == probe["id"]))
        or (probe["name"] == ANY and (entry["Address"], entry["Port"]) == wanted)
    ]
    if not found:
        what = f"entry of {wanted[0]}:{wanted[1]}" if probe["name"] == ANY else probe["name"]
        raise Unhealthy(f"no {what} {'' if probe['id'] == 'prefix' else probe['id']} at this agent".replace("  ", " "))
    for entry in found:
        if (entry["Address"], entry["Port"]) == wanted and set(entry.get("States", [])) == {"passing"}:
            return
    entry = found[0]
    state = "/".join(entry.get("States", [])) or "no check"
    raise Unhealthy(f"{entry['Address']}:{entry['Port']} {state}, expected {wanted[0]}:{wanted[1]} passing")


def postgresql(_: ProbeEntry, view: View) -> None:
    """Check that there is a writable database with the schema in it, with the services' own password."""
    if query(view, "select not pg_is_in_recovery() and exists (select from webitel_setup.done)") != "t":
        raise Unhealthy("the database is read-only or without schema")


def patroni(probe: ProbeEntry, view: View) -> None:
    """Check that this member runs as leader or as streaming replica."""
    _, body = request(probe["address"], probe["port"], "/patroni")
    state = json.loads(body)
    if state.get("state") != "running":
        raise Unhealthy(f"its state is {state.get('state')}")
    if state.get("role") in ("master", "primary"):
        return
    # Patroni 3.0 does not report whether a replica follows.
    try:
        status = query(view, "select status from pg_stat_wal_receiver", own=True)
    except Unhealthy as error:
        raise Unhealthy(f"replica, {error}") from error
    if status != "streaming":
        raise Unhealthy(f"replica, {status or 'not following the leader'}")


def database_sessions(probe: ProbeEntry, view: View) -> None:
    """Look for sessions of the service's own in the database, from this node. Only for a service that queries the
    database all the time; pools close each session every few minutes, so their absence must last."""
    deadline = time.monotonic() + QUERY_GAP_SECONDS
    sessions = view.sessions
    while (count := sessions.get(probe["application"], 0)) < probe["minimum"]:
        if time.monotonic() > deadline:
            raise Unhealthy(f"{count} sessions named {probe['application']}")
        time.sleep(1)
        sessions = view.ask_sessions()


def broker_log_in(_: ProbeEntry, view: View) -> None:
    """Log in to the broker with the services' own password."""
    amqp.log_in("127.0.0.1", view.ports["haproxy_amqp"], "webitel", view.secrets.get("broker_password", ""), TIMEOUT_SECONDS)


def broker_ready(probe: ProbeEntry, view: View) -> None:
    """Check what a service needs from the broker before it starts: the log-in, and the exchanges that it expects."""
    broker_log_in(probe, view)
    topology.exchanges(probe, view)


def rabbitmq(_: ProbeEntry, view: View) -> None:
    """Check that this broker node is running, is not in a minority, and has no alarm."""
    rows = broker(view, "/api/nodes")
    own = [row for row in rows if row["name"] == f"rabbit@{view.manifest['node']}"]
    if not own or not own[0].get("running"):
        raise Unhealthy("this node is not a running member of its cluster")
    alarms = [name for name in ("mem_alarm", "disk_free_alarm") if own[0].get(name)]
    if alarms:
        raise Unhealthy(f"{' and '.join(alarms)}: publishers on every node are blocked")
    if near := describe_limits(own[0]):
        raise Unhealthy(near)
    silent = broker_cluster.list_away(rows)
    # While a member is down, listing the queues would wait for it longer than we can, and no copy is made anyway.
    lacking = broker_cluster.count_missing_replicas(view) if len(rows) > 1 and not silent else 0
    if lacking:
        raise Unhealthy(f"{lacking} quorum queues have no copy on this node yet")
    expected = len(brokers.list_members(view.manifest)) or 1
    if len(rows) < expected and not silent:
        raise Unhealthy(f"the cluster has {len(rows)} members, expected {expected}")


def describe_limits(node: Mapping[str, Any]) -> str:
    """Say how near a broker node is to an alarm, which blocks publishers on all nodes; "" = far from it."""
    free, least = int(node.get("disk_free") or 0), int(node.get("disk_free_limit") or 0)
    if least and free < LEAST_FREE_RATIO * least:
        return (
            f"its disk has {free / 1e9:.1f} GB left: below {least / 1e9:.1f} GB publishers on every node are blocked; "
            "free space now"
        )
    used, most = int(node.get("mem_used") or 0), int(node.get("mem_limit") or 0)
    if most and used > LARGEST_MEMORY_SHARE * most:
        return f"it uses {used / 1e6:.0f} MB of memory: at {most / 1e6:.0f} MB publishers on every node are blocked"
    return ""


def http_answer(probe: ProbeEntry, view: View) -> None:
    """Send a request over HTTP and judge the answer."""
    judge_answer(probe, *request(probe["address"], probe["port"], probe["path"]))


def https_answer(probe: ProbeEntry, view: View) -> None:
    """Send a request to nginx on this node over TLS and judge the answer."""
    judge_answer(probe, *request(view.address, view.ports["nginx_https"], probe["path"], tls=True))


def judge_answer(probe: ProbeEntry, status: int, body: str) -> None:
    """Check for the expected status, and for a text in the body where one is expected."""
    if "not_status" in probe:
        if status == probe["not_status"]:
            raise Unhealthy(f"HTTP {status}")
        return
    if status != probe["status"]:
        raise Unhealthy(f"HTTP {status}, expected {probe['status']}")
    wanted = probe.get("contains", "")
    if wanted.replace(" ", "") not in body.replace(" ", ""):
        raise Unhealthy(f"the answer lacks {wanted}")


def web_socket(probe: ProbeEntry, view: View) -> None:
    """Make a SIP handshake over a web socket, like a browser elsewhere: only then does the answer need a way back."""
    key = base64.b64encode(os.urandom(16)).decode()
    status, _ = request(
        probe["address"],
        probe["port"],
        "/sip",
        headers={
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Origin": "https://webitel-node",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": "sip",
            "X-Real-IP": DUMMY,
        },
    )
    if status != http.HTTPStatus.SWITCHING_PROTOCOLS:
        raise Unhealthy(f"HTTP {status} to a handshake")


def listens(probe: ProbeEntry, view: View) -> None:
    """Check that something listens there. The kernel is asked: a program that takes a probe's connection for a call logs an
    error each time."""
    address = socket.inet_aton(probe["address"])[::-1].hex().upper()
    wanted = {f"{where}:{probe['port']:04X}" for where in (address, "00000000")}
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state = line.split()[:4]
        if local in wanted and state == LISTEN:
            return
    raise Unhealthy(f"nothing listens on {probe['address']}:{probe['port']}")


def schema(probe: ProbeEntry, view: View) -> None:
    """Check that its queries find their tables. It says so in the journal only, and goes on.

    `application`: its errors say no cause, so that those from before its present sessions may be of a database that was away.
    """
    ages, last = view.schema_errors.get(probe["unit"], ([], ""))
    if ages and "application" in probe:
        ages = [age for age in ages if age < view.session_ages.get(probe["application"], 0.0)]
    if len(ages) >= LEAST_FAILURES and ages[-1] <= RECOVERED_SECONDS:
        raise Unhealthy(f"{len(ages)} queries failed within {RECENT_SECONDS} s, most recently: {last}")


def disk_space(probe: ProbeEntry, view: View) -> None:
    """Check that less than the allowed percentage is used."""
    if not is_mount_point(probe["path"]):
        raise Unhealthy(f"nothing is mounted at {probe['path']}")
    size, free = machine.measure_disk(next(disk for disk in view.manifest["disks"] if disk["mount"] == probe["path"]))
    percent = 100 * (size - free) // size
    if percent >= probe["percent"]:
        raise Unhealthy(f"{percent} % used")


PROBES: dict[str, Question] = {
    "consul": consul,
    "consul_server": consul_server,
    "consul_entry": consul_entry,
    "postgresql": postgresql,
    "patroni": patroni,
    "database_sessions": database_sessions,
    "amqp": broker_log_in,
    "rabbitmq": rabbitmq,
    "exchanges": topology.exchanges,
    "queue": topology.queue,
    "binding": topology.binding,
    "own_queues": topology.own_queues,
    "mesh": mesh.probe,
    "http": http_answer,
    "https": https_answer,
    "web_socket": web_socket,
    "listens": listens,
    "schema": schema,
    "disk_space": disk_space,
    "rtpengine": sip.rtpengine,
    "redis": kept_calls.probe_redis,
    "redis_copy": kept_calls.probe_copy,
    "sip_address": address_move.probe,
    "sip": sip.sip_request,
    "opensips_rtpengine": opensips.check_rtpengines,
    "freeswitch": sip.freeswitch,
    "freeswitch_calls": sip.freeswitch_calls,
}
"""The question of each kind of probe."""
