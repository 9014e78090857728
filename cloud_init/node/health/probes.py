"""The questions of the health check. Each returns "" when the answer is right, else what was seen instead."""

import base64
import http.client
import json
import os
import pathlib
import re
import socket
import time
from collections.abc import Callable
from typing import Any

from ..ask import amqp, sip
from ..ask.view import RECENT, TIMEOUT, View, broker, fetch_json, query, request
from ..clusters import broker_cluster
from . import machine, topology

Arguments = dict[str, Any]

ANY = "*"
LISTEN = "0A"
"""TCP_LISTEN as the kernel's table of connections writes it."""
REPEATED = 3
"""Failed queries within the looked-at time that are no accident."""
STILL = 20.0
"""Seconds since the last failed query after which it is over, such as with a database that is back. The watcher asks every 15 s,
and who asks the database only when asked fails then."""
QUERY_GAP = 6.0
"""Seconds: whoever asks the database every five seconds and whose session has just been closed has a new one by then."""

DUMMY = "192.0.0.8"
"""An address that nobody has (RFC 7600)."""

ROOMY, CROWDED = 2.0, 0.85
"""A broker is called sick when its free disk is below so many times RabbitMQ's limit, its memory above that share."""


def answer(probe: dict[str, Any], view: View) -> str:
    """Ask one probe of the manifest; a probe that this program does not know is an error, never a pass."""
    known: dict[str, Callable[[Arguments, View], str]] = {
        "consul": consul, "consul_server": consul_server, "consul_entry": consul_entry, "postgresql": postgresql,
        "patroni": patroni, "database_sessions": database_sessions, "amqp": broker_log_in, "rabbitmq": rabbitmq,
        "exchanges": topology.exchanges, "queue": topology.queue, "binding": topology.binding, "own_queues": topology.own_queues,
        "http": http_answer, "https": https_answer, "web_socket": web_socket, "listens": listens,
        "schema": schema, "disk_space": disk_space,
        "rtpengine": sip.rtpengine, "sip": sip.sip_request, "opensips_rtpengine": opensips_rtpengine,
        "freeswitch": sip.freeswitch, "freeswitch_calls": sip.freeswitch_calls,
    }
    if probe["kind"] not in known:
        return f"this node's program knows no probe `{probe['kind']}`"
    return ask(known[probe["kind"]], probe, view)


def ask(question: Callable[[Arguments, View], str], arguments: Arguments, view: View) -> str:
    """The answer to a question; nobody there, or nonsense said, is an answer too and no end of who asks."""
    try:
        return question(arguments, view)
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def consul(_: Arguments, view: View) -> str:
    """A leader is known to this node's agent."""
    status, body = request("127.0.0.1", 8500, "/v1/status/leader")
    return "" if status == 200 and ":" in body else f"HTTP {status} {body.strip()[:80]}"


def consul_server(_: Arguments, view: View) -> str:
    """This server votes."""
    for server in fetch_json("127.0.0.1", 8500, "/v1/operator/raft/configuration")["Servers"]:
        if str(server["Address"]).startswith(f"{view.address}:"):
            return "" if server["Voter"] else "it does not vote yet"
    return "it is not in the Raft configuration"


def consul_entry(arguments: Arguments, view: View) -> str:
    """The service's own entry at this agent: id (or prefix of it), address, port; under whatever name where nobody knows it.

    Nothing but passing checks: out of service for maintenance is one check more, and nobody calls what has it.
    """
    services = view.consul_services
    if isinstance(services, str):
        return services
    wanted = (arguments["address"], arguments["port"])
    found = [
        entry for identifier, entry in services.items()
        if (arguments["name"] == entry["Service"] and (arguments["id"] == "prefix" or identifier == arguments["id"]))
        or (arguments["name"] == ANY and (entry["Address"], entry["Port"]) == wanted)
    ]
    if not found:
        what = f"entry of {wanted[0]}:{wanted[1]}" if arguments["name"] == ANY else arguments["name"]
        return f"no {what} {'' if arguments['id'] == 'prefix' else arguments['id']} at this agent".replace("  ", " ")
    for entry in found:
        if (entry["Address"], entry["Port"]) == wanted and set(entry.get("States", [])) == {"passing"}:
            return ""
    entry = found[0]
    state = "/".join(entry.get("States", [])) or "no check"
    return f"{entry['Address']}:{entry['Port']} {state}, expected {wanted[0]}:{wanted[1]} passing"


def postgresql(_: Arguments, view: View) -> str:
    """A writable database with the schema in it, with the services' own password."""
    value, wrong = query(view, "select not pg_is_in_recovery() and exists (select from webitel_setup.done)")
    return wrong if wrong else "" if value == "t" else "the database is read-only or without schema"


def patroni(arguments: Arguments, view: View) -> str:
    """Running as leader or streaming replica."""
    _, body = request(arguments["address"], arguments["port"], "/patroni")
    state = json.loads(body)
    if state.get("state") != "running":
        return f"state {state.get('state')}"
    if state.get("role") in ("master", "primary"):
        return ""
    # Patroni 3.0 does not say whether a replica follows.
    status, wrong = query(view, "select status from pg_stat_wal_receiver", "host=/var/run/postgresql")
    return "" if status == "streaming" else f"replica, {wrong or status or 'not following the leader'}"


def database_sessions(arguments: Arguments, view: View) -> str:
    """Sessions of the service's own in the database, from this node. Only for a service that asks the database all the time;
    pools close each session every few minutes, so their absence must last."""
    deadline = time.monotonic() + QUERY_GAP
    with view.locks["sessions"]:
        sessions = view.sessions
    while True:
        if isinstance(sessions, str):
            return sessions
        count = sessions.get(arguments["application"], 0)
        if count >= int(arguments["minimum"]):
            return ""
        if time.monotonic() > deadline:
            return f"{count} sessions named {arguments['application']}"
        time.sleep(1)
        sessions = view.ask_sessions()


def broker_log_in(_: Arguments, view: View) -> str:
    """A log-in at the broker with the services' own password."""
    return amqp.log_in("127.0.0.1", 5672, "webitel", view.secrets.get("broker_password", ""), TIMEOUT)


def broker_ready(_: Arguments, view: View) -> str:
    """What a service needs of the broker before it starts: the log-in, and the exchanges that it expects."""
    return broker_log_in({}, view) or topology.exchanges({}, view)


def rabbitmq(_: Arguments, view: View) -> str:
    """This broker node runs, is no minority, and has no alarm."""
    rows = broker(view, "/api/nodes")
    if isinstance(rows, str):
        return rows
    own = [row for row in rows if row["name"] == f"rabbit@{view.manifest['node']}"]
    if not own or not own[0].get("running"):
        return "this node is not a running member of its cluster"
    alarms = [name for name in ("mem_alarm", "disk_free_alarm") if own[0].get(name)]
    if alarms:
        return f"{' and '.join(alarms)}: publishers are blocked on every node"
    if near := describe_limits(own[0]):
        return near
    silent = broker_cluster.list_away(rows)
    # While a member is away, a list of the queues waits for it longer than anybody here does, and no copy is made anyway.
    lacking = broker_cluster.count_missing_replicas(view) if len(rows) > 1 and not silent else 0
    if isinstance(lacking, str):
        return lacking
    if lacking:
        return f"{lacking} quorum queues have no copy on this node yet"
    expected = len(broker_cluster.list_members(view.manifest)) or 1
    return f"the cluster has {len(rows)} members, expected {expected}" if len(rows) < expected and not silent else ""


def describe_limits(node: Arguments) -> str:
    """How near a broker node is to an alarm, which blocks publishers on all nodes; "" = far from it."""
    free, least = int(node.get("disk_free") or 0), int(node.get("disk_free_limit") or 0)
    if least and free < ROOMY * least:
        return (f"its disk has {free / 1e9:.1f} GB left: below {least / 1e9:.1f} GB publishers are blocked on every node; "
                "make room now")
    used, most = int(node.get("mem_used") or 0), int(node.get("mem_limit") or 0)
    if most and used > CROWDED * most:
        return f"it uses {used / 1e6:.0f} MB of memory: at {most / 1e6:.0f} MB publishers are blocked on every node"
    return ""


def http_answer(arguments: Arguments, view: View, tls: bool = False) -> str:
    """The expected status, and a text in the body where one is expected."""
    port = int(arguments.get("port", 443))
    status, body = request(arguments.get("address", view.address), port, arguments["path"], tls=tls)
    if "not_status" in arguments:
        return f"HTTP {status}" if status == arguments["not_status"] else ""
    if status != arguments["status"]:
        return f"HTTP {status}, expected {arguments['status']}"
    wanted = str(arguments.get("contains", ""))
    return "" if wanted.replace(" ", "") in body.replace(" ", "") else f"the answer lacks {wanted}"


def https_answer(arguments: Arguments, view: View) -> str:
    """The same over TLS on port 443 of this node."""
    return http_answer(arguments, view, tls=True)


def web_socket(arguments: Arguments, view: View) -> str:
    """A handshake of SIP by web socket, as of a browser elsewhere: only then does the answer need its way back."""
    key = base64.b64encode(os.urandom(16)).decode()
    status, _ = request(arguments.get("address", view.address), int(arguments["port"]), "/sip", headers={
        "Upgrade": "websocket", "Connection": "Upgrade", "Origin": "https://webitel-node", "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "sip", "X-Real-IP": DUMMY})
    return "" if status == 101 else f"HTTP {status} to a handshake"


def listens(arguments: Arguments, view: View) -> str:
    """Something listens there. Asked of the kernel: a program that takes a probe's connection for a call logs an error each
    time."""
    address = socket.inet_aton(arguments["address"])[::-1].hex().upper()
    wanted = {f"{where}:{int(arguments['port']):04X}" for where in (address, "00000000")}
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state = line.split()[:4]
        if local in wanted and state == LISTEN:
            return ""
    return f"nobody listens on {arguments['address']}:{arguments['port']}"


def schema(arguments: Arguments, view: View) -> str:
    """Its queries find their tables. It says so in the journal only, and goes on."""
    with view.locks["journal"]:
        errors = view.schema_errors
    if isinstance(errors, str):
        return errors
    count, age, last = errors.get(arguments["unit"], (0, 0.0, ""))
    return f"{count} queries failed within {RECENT} s, the last one: {last}" if count >= REPEATED and age <= STILL else ""


def disk_space(arguments: Arguments, view: View) -> str:
    """Less than so many percent used."""
    if not os.path.ismount(arguments["path"]):
        return f"nothing is mounted at {arguments['path']}"
    size, free = machine.measure_disk(next(disk for disk in view.manifest["disks"] if disk["mount"] == arguments["path"]))
    percent = 100 * (size - free) // size
    return "" if percent < int(arguments["percent"]) else f"{percent} % used"


def opensips_rtpengine(arguments: Arguments, view: View) -> str:
    """OpenSIPS holds no rtpengine for disabled."""
    compact = ask_opensips(arguments, "rtpengine_show").replace('"', "")
    return "" if "disabled:0" in compact and "disabled:1" not in compact else compact[:200]


def enable_rtpengines(arguments: Arguments) -> list[str]:
    """Has OpenSIPS test every rtpengine that it holds for disabled; returns their addresses."""
    disabled = re.findall(r'"url":"([^"]+)"[^}]*"disabled":1', ask_opensips(arguments, "rtpengine_show"))
    for url in disabled:
        ask_opensips(arguments, "rtpengine_enable", {"url": url, "enable": 1})
    return disabled


def ask_opensips(arguments: Arguments, method: str, parameters: dict[str, Any] | None = None) -> str:
    """The answer of OpenSIPS' management interface to one command, without blanks."""
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": int(time.time()), "method": method}
    if parameters:
        body["params"] = parameters
    connection = http.client.HTTPConnection(arguments["address"], arguments["port"], timeout=TIMEOUT)
    try:
        connection.request("POST", "/mi", json.dumps(body), {"Content-Type": "application/json"})
        return "".join(connection.getresponse().read().decode(errors="replace").split())
    finally:
        connection.close()
