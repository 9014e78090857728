"""The tokens with which this node's programs speak to Consul, as far as Consul knows them already.

Consul refuses a token that it does not know, even where it would allow the same to nobody at all. So a node is *given* tokens, in
the file with what its program logs in with, and *uses* each only once Consul has answered to it (`clusters/access.py`).
"""

import hashlib
import hmac
import json
import pathlib
import uuid

from ..manifest import PROBE_SECRETS
from ..system import write_private

IN_USE = pathlib.Path("/etc/webitel/access.json")
PROGRAM, DATABASE, MANAGEMENT = "consul_program_token", "consul_database_token", "consul_management_token"
AGENT_KEY = "consul_agent_key"
AGENT = "agent"
"""The name under which a node keeps the token of its own agent."""


def list_in_use() -> dict[str, str]:
    """Return the tokens in use on this node by name; none before Consul knows them."""
    found: dict[str, str] = json.loads(IN_USE.read_text()) if IN_USE.exists() else {}
    return found


def save_in_use(tokens: dict[str, str]) -> None:
    """Have the node's programs use these tokens from now on."""
    write_private(IN_USE, json.dumps(tokens))


def list_given(node: str) -> dict[str, str]:
    """Return the tokens that the deployment has for this node by name; none on a node of an earlier version."""
    secrets: dict[str, str] = json.loads(PROBE_SECRETS.read_text()) if PROBE_SECRETS.exists() else {}
    if PROGRAM not in secrets or AGENT_KEY not in secrets:
        return {}
    tokens = {name: secrets[name] for name in (PROGRAM, DATABASE, MANAGEMENT) if name in secrets}
    return tokens | {AGENT: derive(secrets[AGENT_KEY], node)}


def read_agent_key() -> str:
    """Return the key that every agent's token is derived from; "" on a node of an earlier version."""
    secrets: dict[str, str] = json.loads(PROBE_SECRETS.read_text()) if PROBE_SECRETS.exists() else {}
    return secrets.get(AGENT_KEY, "")


def derive(key: str, name: str) -> str:
    """Return a UUID that nobody can tell who does not have the key."""
    return str(uuid.UUID(bytes=hmac.new(key.encode(), name.encode(), hashlib.sha256).digest()[:16], version=4))
