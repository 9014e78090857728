"""Consul's key-value store and sessions, asked through this node's agent."""

import base64
import http.client
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

AGENT = "http://127.0.0.1:8500"
TIMEOUT = 3.0
TTL = "15s"


class ConsulError(Exception):
    """The agent or its servers did not answer, or refused."""


def call(method: str, path: str, body: str | None = None) -> Any:
    """The JSON that the agent answers; None for what is not there."""
    request = urllib.request.Request(AGENT + path, None if body is None else body.encode(), method=method)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return json.loads(answer.read() or "null")
    except urllib.error.HTTPError as error:
        if error.code == http.client.NOT_FOUND:
            return None
        raise ConsulError(f"Consul: {path}: HTTP {error.code} {error.read(200).decode(errors='replace').strip()}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ConsulError(f"Consul agent: {error}") from error


def list_keys(prefix: str) -> dict[str, dict[str, Any]]:
    """The entries below a prefix, by the rest of their key; `Value` as text, `Session` the one that holds it."""
    rows = call("GET", f"/v1/kv/{quote(prefix)}?recurse") or []
    return {row["Key"].removeprefix(prefix): row | {"Value": base64.b64decode(row["Value"] or "").decode()} for row in rows}


class Session:
    """A session that its holder renews: what it holds is free again at most half a minute after the holder is gone."""

    def __init__(self, name: str) -> None:
        self.name, self.id = name, ""

    def renew(self) -> str:
        """The session's id; a new one where Consul has lost it."""
        if self.id and call("PUT", f"/v1/session/renew/{self.id}", "") is None:
            self.id = ""
        if not self.id:
            wanted = {"Name": self.name, "TTL": TTL, "Behavior": "delete", "LockDelay": "0s", "Checks": []}
            self.id = call("PUT", "/v1/session/create", json.dumps(wanted))["ID"]
        return self.id

    def hold(self, key: str, value: str) -> bool:
        """Whether this session holds the key, taken if it was free."""
        return bool(call("PUT", f"/v1/kv/{quote(key)}?acquire={self.renew()}", value))

    def end(self) -> None:
        """Frees what the session holds."""
        if self.id:
            call("PUT", f"/v1/session/destroy/{self.id}", "")
            self.id = ""
