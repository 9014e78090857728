"""What several probes ask for, asked once; and the ways to ask: HTTP, the database, the broker's management interface."""

import base64
import http.client
import json
import os
import ssl
import subprocess
import threading
from functools import cached_property
from typing import Any

from .consul import ConsulError, list_keys
from .locks import PREFIX
from .manifest import PROBE_SECRETS

TIMEOUT = 3.0


class View:
    """What several probes ask for is asked once. Secrets come from a file that only root reads."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        self.manifest = manifest
        self.address = str(manifest["address"])
        self.locks = {name: threading.Lock() for name in ("sessions", "consul", "broker", "locks")}

    @cached_property
    def secrets(self) -> dict[str, str]:
        """Secrets for probes: name -> value."""
        found: dict[str, str] = json.loads(PROBE_SECRETS.read_text()) if PROBE_SECRETS.exists() else {}
        return found

    @cached_property
    def sessions(self) -> dict[str, int] | str:
        """This node's sessions in the database by application name, or what went wrong."""
        said = query(
            self, "select coalesce(json_object_agg(application_name, n), '{}') from (select application_name, count(*) n "
            f"from pg_stat_activity where datname = 'webitel' and host(client_addr) = '{self.address}' group by 1) s")
        return json.loads(said[0]) if said[0] else said[1]

    @cached_property
    def consul_services(self) -> dict[str, dict[str, Any]] | str:
        """This agent's services by id, with the state of their checks."""
        try:
            services = fetch_json("127.0.0.1", 8500, "/v1/agent/services")
            checks = fetch_json("127.0.0.1", 8500, "/v1/agent/checks")
        except (OSError, http.client.HTTPException, ValueError) as error:
            return f"Consul agent: {error}"
        for check in checks.values():
            if check["ServiceID"] in services:
                services[check["ServiceID"]].setdefault("States", []).append(check["Status"])
        return dict(services)

    @cached_property
    def locks_in_consul(self) -> dict[str, str] | str:
        """By service that moves, the key of the node that holds its lock; or what went wrong."""
        try:
            return {name: row["Value"] for name, row in list_keys(PREFIX).items() if row.get("Session")}
        except ConsulError as error:
            return str(error)

    def lock_holder(self, service: str) -> tuple[str, str]:
        """(the key of the node that holds its lock, "") with "" for nobody, or ("", what went wrong)."""
        with self.locks["locks"]:
            found = self.locks_in_consul
        return ("", found) if isinstance(found, str) else (found.get(service, ""), "")

    @cached_property
    def consumers(self) -> dict[str, set[str]] | str:
        """By queue the addresses of its consumers."""
        found: dict[str, set[str]] = {}
        rows = broker(self, "/api/consumers")
        if isinstance(rows, str):
            return rows
        for row in rows:
            details = row.get("channel_details") or {}
            found.setdefault(row["queue"]["name"], set()).add(str(details.get("peer_host", "")))
        return found


def request(address: str, port: int, path: str, *, method: str = "GET", headers: dict[str, str] | None = None,
            tls: bool = False) -> tuple[int, str]:
    """One HTTP request: status and the first 64 KiB of the body."""
    connection: http.client.HTTPConnection
    if tls:
        # The certificate may be the deployment's own: here it is asked whether anything is served at all.
        connection = http.client.HTTPSConnection(address, port, timeout=TIMEOUT, context=ssl._create_unverified_context())
    else:
        connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read(1 << 20).decode(errors="replace")
    finally:
        connection.close()


def fetch_json(address: str, port: int, path: str, headers: dict[str, str] | None = None) -> Any:
    """The JSON behind a path; a ValueError says the status otherwise."""
    status, body = request(address, port, path, headers=headers)
    if status != 200:
        raise ValueError(f"{path}: HTTP {status}")
    return json.loads(body)


def query(view: View, statement: str, place: str = "host=127.0.0.1 port=5432") -> tuple[str, str]:
    """One value from the database, through HAProxy unless told otherwise, as the services' own role: (value, "") or ("", what
    went wrong)."""
    password = view.secrets.get("database_password", "")
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement,
               f"{place} dbname=webitel user=opensips connect_timeout=2 application_name=webitel-node"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=6, check=False, stdin=subprocess.DEVNULL,
                              env={**os.environ, "PGPASSWORD": password, "PGOPTIONS": "-c statement_timeout=4000"})
    except subprocess.TimeoutExpired:
        return "", "no answer within 6 s"
    if done.returncode != 0:
        return "", " ".join(done.stderr.split())[-300:] or f"psql exit {done.returncode}"
    return done.stdout.strip(), ""


def broker(view: View, path: str) -> Any:
    """JSON of RabbitMQ's management interface, through HAProxy where the node has it, or a text that says what went wrong."""
    proxied = any(service["name"] == "haproxy" for service in view.manifest["services"])
    token = base64.b64encode(f"webitel:{view.secrets.get('broker_password', '')}".encode()).decode()
    try:
        return fetch_json("127.0.0.1" if proxied else view.address, 15672, path, {"Authorization": f"Basic {token}"})
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"RabbitMQ management: {error}"
