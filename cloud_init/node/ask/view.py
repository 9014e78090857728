"""What several probes ask for, asked once; and the ways to ask: HTTP, the database, the broker's management interface."""

import base64
import http.client
import json
import os
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

from ..clusters import encryption
from ..clusters.locks import PREFIX
from ..manifest import PROBE_SECRETS, Manifest
from ..system import POSTGRESQL_BIN, Unhealthy, run
from .consul import list_keys

T = TypeVar("T")

TIMEOUT_SECONDS = 3.0
LONGEST_LIST_BYTES = 64 << 20
"""Of the broker's answers: each agent in a browser has a queue with a consumer and several bindings."""
RECENT_SECONDS = 60
"""How far back in the journal failed queries count."""
LACKING = r"(relation|column|function|type|schema) \S[^:;{}]{0,150}? does not exist|ERROR internal server error$"
"""What PostgreSQL says of a schema that a program was not written for; Cases hides that and reports an internal error."""


class Once(Generic[T]):
    """A property that is fetched once, however many threads want it at the same time; a failure is remembered as well."""

    def __init__(self, ask: "Callable[[View], T]") -> None:
        self.ask, self.name, self.__doc__ = ask, ask.__name__, ask.__doc__

    def __get__(self, view: "View", owner: object) -> T:
        with view.mutexes[self.name]:
            if self.name not in view.answers:
                try:
                    view.answers[self.name] = self.ask(view)
                except Unhealthy as error:
                    view.answers[self.name] = error
            answer = view.answers[self.name]
        if isinstance(answer, Unhealthy):
            raise Unhealthy(str(answer)) from answer
        return cast(T, answer)


class View:
    """What several probes need, fetched once. Secrets come from a file that only root can read."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.address, self.ports = manifest["address"], manifest["ports"]
        self.mutexes = {name: threading.Lock() for name, value in vars(View).items() if isinstance(value, Once)}
        self.answers: dict[str, object] = {}

    @cached_property
    def secrets(self) -> dict[str, str]:
        """Return the secrets for probes: name -> value."""
        found: dict[str, str] = json.loads(PROBE_SECRETS.read_text()) if PROBE_SECRETS.exists() else {}
        return found

    @Once
    def sessions(self) -> dict[str, int]:
        """Return this node's sessions in the database by application name."""
        return self.ask_sessions()

    def ask_sessions(self) -> dict[str, int]:
        """Fetch `sessions` again."""
        found: dict[str, int] = json.loads(
            query(
                self,
                "select coalesce(json_object_agg(application_name, n), '{}') from (select application_name, count(*) n "
                f"from pg_stat_activity where datname = 'webitel' and host(client_addr) = '{self.address}' group by 1) s",
            )
        )
        return found

    @Once
    def session_ages(self) -> dict[str, float]:
        """Seconds since the oldest of this node's sessions in the database was opened, by application name."""
        found: dict[str, float] = json.loads(
            query(
                self,
                "select coalesce(json_object_agg(application_name, age), '{}') from (select application_name, "
                "extract(epoch from clock_timestamp() - min(backend_start)) age from pg_stat_activity "
                f"where datname = 'webitel' and host(client_addr) = '{self.address}' group by 1) s",
            )
        )
        return found

    @Once
    def consul_services(self) -> dict[str, dict[str, Any]]:
        """Return this agent's services by id, with the state of their checks."""
        try:
            services = fetch_json("127.0.0.1", self.ports["consul_http"], "/v1/agent/services")
            checks = fetch_json("127.0.0.1", self.ports["consul_http"], "/v1/agent/checks")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unhealthy(f"Consul agent: {error}") from error
        for check in checks.values():
            if check["ServiceID"] in services:
                services[check["ServiceID"]].setdefault("States", []).append(check["Status"])
        return dict(services)

    @Once
    def lock_holders(self) -> dict[str, str]:
        """Return by service that moves the key of the node that holds its lock."""
        return {name: row["Value"] for name, row in list_keys(PREFIX).items() if row.get("Session")}

    @Once
    def consumers(self) -> list[tuple[str, str, str]]:
        """Return queue, address and connection of every consumer."""
        rows = broker(self, "/api/consumers?columns=queue.name,channel_details.peer_host,channel_details.connection_name")
        details = [(row["queue"]["name"], row.get("channel_details") or {}) for row in rows]
        return [(name, str(one.get("peer_host", "")), str(one.get("connection_name", ""))) for name, one in details]

    @Once
    def bindings(self) -> set[tuple[str, str, str, str]]:
        """Return source, kind of destination (`queue` or `exchange`), destination and key of every binding."""
        rows = broker(self, "/api/bindings/%2f?columns=source,destination_type,destination,routing_key")
        return {(row["source"], row["destination_type"], row["destination"], row["routing_key"]) for row in rows}

    @Once
    def schema_errors(self) -> dict[str, tuple[list[float], str]]:
        """Return by unit that is asked for it how many seconds ago queries failed for what the database lacks, the last one at
        the end, and its words."""
        probes = (probe for service in self.manifest["services"] for probe in service["probes"])
        units = [probe["unit"] for probe in probes if probe["kind"] == "schema"]
        done = run(
            [
                "journalctl",
                "-b",
                "-q",
                "--no-pager",
                "-o",
                "json",
                f"--since=-{RECENT_SECONDS}s",
                "--grep",
                LACKING,
                *(f"--unit={unit}" for unit in units),
            ],
            10,
        )
        if done.returncode not in (0, 1):
            raise Unhealthy(f"journalctl: {done.stderr.strip()[:200]}")
        found: dict[str, tuple[list[float], str]] = {}
        # Not `splitlines`: it takes letters for the end of a line that stand in what somebody logged.
        for line in filter(None, done.stdout.split("\n")):
            entry = json.loads(line)
            unit = str(entry.get("_SYSTEMD_UNIT", "")).removesuffix(".service")
            said = re.search(LACKING, str(entry.get("MESSAGE", "")))
            age = time.time() - int(entry["__REALTIME_TIMESTAMP"]) / 1e6
            found[unit] = [*found.get(unit, ([], ""))[0], age], said[0] if said else ""
        return found


def request(
    address: str,
    port: int,
    path: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: str | None = None,
    tls: bool = False,
    most: int = 1 << 20,
) -> tuple[int, str]:
    """Send one HTTP request; return status and the first `most` bytes of the answer."""
    connection: http.client.HTTPConnection
    if tls:
        # The certificate may be the deployment's own: the question here is whether anything is served at all.
        connection = http.client.HTTPSConnection(address, port, timeout=TIMEOUT_SECONDS, context=ssl._create_unverified_context())
    else:
        connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read(most).decode(errors="replace")
    finally:
        connection.close()


def fetch_json(address: str, port: int, path: str, headers: dict[str, str] | None = None) -> Any:
    """Fetch the JSON behind a path; raise a ValueError with any other status."""
    status, body = request(address, port, path, headers=headers, most=LONGEST_LIST_BYTES)
    if status != 200:
        raise ValueError(f"{path}: HTTP {status}")
    return json.loads(body)


def query(view: View, statement: str, *, own: bool = False) -> str:
    """Query the database for one value with the services' own role: through HAProxy, or this node's `own` by its socket."""
    password = view.secrets.get("database_password", "")
    command = [
        str(POSTGRESQL_BIN / "psql"),
        "-XAtq",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        statement,
        f"{reach_database(view, own)} dbname=webitel user=opensips connect_timeout=2 application_name=webitel-node",
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=6,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **encryption.list_environment(), "PGPASSWORD": password, "PGOPTIONS": "-c statement_timeout=4000"},
        )
    except subprocess.TimeoutExpired as error:
        raise Unhealthy("no answer within 6 s") from error
    if done.returncode != 0:
        raise Unhealthy(" ".join(done.stderr.split())[-300:] or f"psql exit {done.returncode}")
    return done.stdout.strip()


def reach_database(view: View, own: bool = False) -> str:
    """Return where the database is, for libpq: behind HAProxy, or this node's own."""
    if own:
        return f"host=/var/run/postgresql port={view.ports['postgresql_sql']}"
    return f"host=127.0.0.1 port={view.ports['haproxy_sql']}"


def broker(view: View, path: str) -> Any:
    """Fetch JSON from RabbitMQ's management interface, through HAProxy where the node has it."""
    try:
        return fetch_json(*reach_broker(view), path, log_in_at_broker(view))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unhealthy(f"RabbitMQ management: {error}") from error


def tell_broker(view: View, method: str, path: str, body: Mapping[str, object]) -> None:
    """Have RabbitMQ's management interface change something. Raises Unhealthy with what it said."""
    headers = log_in_at_broker(view) | {"Content-Type": "application/json"}
    try:
        status, said = request(*reach_broker(view), path, method=method, headers=headers, body=json.dumps(body))
    except (OSError, http.client.HTTPException) as error:
        raise Unhealthy(f"RabbitMQ management: {error}") from error
    if status >= http.HTTPStatus.BAD_REQUEST:
        raise Unhealthy(f"{method} {path}: HTTP {status} {said.strip()[:200]}")


def reach_broker(view: View) -> tuple[str, int]:
    """Return where its management interface is for this node."""
    if any(service["name"] == "haproxy" for service in view.manifest["services"]):
        return "127.0.0.1", view.ports["haproxy_management"]
    return view.address, view.ports["rabbitmq_management"]


def log_in_at_broker(view: View) -> dict[str, str]:
    """Return the header that logs in the services' own user."""
    token = base64.b64encode(f"webitel:{view.secrets.get('broker_password', '')}".encode()).decode()
    return {"Authorization": f"Basic {token}"}
