"""Consul's key-value store and sessions, asked through this node's agent."""

import base64
import http.client
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

from ..manifest import load_manifest
from ..system import Unhealthy
from . import tokens

TIMEOUT_SECONDS = 3.0
AWAIT_SECONDS = 1.0
"""Beyond its time, after which an agent that was to tell of a change is taken for one that reaches no server."""
TTL_SECONDS = 13.0
"""Consul ends a session between once and twice that after its last renewal (`facts/ha-measured.md` 5)."""


ALIVE = "serfHealth"
"""Consul's own check of a node: whether the others reach its agent."""
CERTAIN = "consistent"
"""Makes a leader answer only once it has read its whole log: after a restart of all servers it would deny what it holds."""


class ConsulError(Unhealthy):
    """The agent or its servers did not answer, or refused."""


class RefusedError(ConsulError):
    """Consul's access lists do not know the token, or do not let it do that."""


def find_agent() -> str:
    """Return where this node's agent answers."""
    return f"http://127.0.0.1:{load_manifest()['ports']['consul_http']}"


def call(method: str, path: str, body: str | None = None, timeout: float = TIMEOUT_SECONDS, token: str | None = None) -> Any:
    """Return the JSON that the agent answers; None for what does not exist.

    Without a `token` this program's own, where it is in use; with "" that of the agent, as for everybody who has none.
    """
    request = urllib.request.Request(find_agent() + path, None if body is None else body.encode(), method=method)
    if token is None:
        token = tokens.list_in_use().get(tokens.PROGRAM, "")
    if token:
        request.add_header("X-Consul-Token", token)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read() or "null")
    except urllib.error.HTTPError as error:
        if error.code == http.client.NOT_FOUND:
            return None
        said = f"Consul: {path}: HTTP {error.code} {error.read(200).decode(errors='replace').strip()}"
        raise (RefusedError if error.code == http.client.FORBIDDEN else ConsulError)(said) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ConsulError(f"Consul agent: {error}") from error


def list_keys(prefix: str) -> dict[str, dict[str, Any]]:
    """List the entries below a prefix by the rest of their key; `Value` as text, `Session` the one that holds it."""
    rows = call("GET", f"/v1/kv/{quote(prefix)}?recurse&{CERTAIN}") or []
    return {row["Key"].removeprefix(prefix): row | {"Value": base64.b64decode(row["Value"] or "").decode()} for row in rows}


def find_key(key: str, timeout: float = TIMEOUT_SECONDS) -> dict[str, str]:
    """Return {"holder", "session", "index"} of a key: its text, the session that holds it ("" = none), and when it changed."""
    row = (call("GET", f"/v1/kv/{quote(key)}?{CERTAIN}", timeout=timeout) or [{}])[0]
    holder = base64.b64decode(row.get("Value") or "").decode()
    return {"holder": holder, "session": row.get("Session") or "", "index": str(row.get("ModifyIndex", 0))}


def await_key(key: str, index: str, seconds: float) -> None:
    """Wait until a key that exists changes after an index that `find_key` gave, about so many seconds at most."""
    # Consul waits up to a sixteenth longer.
    limit = seconds * 17 / 16 + AWAIT_SECONDS
    call("GET", f"/v1/kv/{quote(key)}?{CERTAIN}&index={index}&wait={seconds * 1000:.0f}ms", timeout=limit)


class Session:
    """A session that its holder renews: what it holds is free again at most half a minute after the holder is gone."""

    def __init__(self, name: str, ttl: float = 0.0, delay: float | None = None) -> None:
        """Make one that ends by time alone; with a `delay` also once the others no longer see its node, and what it held is then
        nobody's for so long."""
        self.name, self.id = name, ""
        # Without checks (by default that Consul considers the node alive): it ends by time alone.
        self.wanted = {"Name": name, "TTL": f"{ttl or TTL_SECONDS:g}s", "Behavior": "delete", "LockDelay": "0s", "Checks": []}
        if delay is not None:
            self.wanted |= {"LockDelay": f"{delay:g}s", "Checks": [ALIVE]}

    def renew(self) -> str:
        """Return the session's id; a new one where Consul has lost it."""
        if not self.keep():
            self.id = call("PUT", "/v1/session/create", json.dumps(self.wanted))["ID"]
        return self.id

    def keep(self, timeout: float = TIMEOUT_SECONDS) -> bool:
        """Renew it; return false where it no longer exists."""
        # A renewal does not accept `CERTAIN`, so whether it is gone has to be asked.
        if (
            self.id
            and call("PUT", f"/v1/session/renew/{self.id}", "", timeout) is None
            and not call("GET", f"/v1/session/info/{self.id}?{CERTAIN}", timeout=timeout)
        ):
            self.id = ""
        return bool(self.id)

    def hold(self, key: str, value: str) -> bool:
        """Tell whether this session holds the key, which it takes if it is free."""
        return bool(call("PUT", f"/v1/kv/{quote(key)}?acquire={self.renew()}", value))

    def release(self, key: str) -> None:
        """Give a key back; the next one may have it at once."""
        if self.id:
            call("PUT", f"/v1/kv/{quote(key)}?release={self.id}", "")

    def end(self) -> None:
        """Release what the session holds."""
        if self.id:
            call("PUT", f"/v1/session/destroy/{self.id}", "")
            self.id = ""
