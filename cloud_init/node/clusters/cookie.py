"""The cookie by which RabbitMQ's brokers know one another: rotated while they run.

Erlang asks for it when two nodes connect, and never again. So a new one waits until the node of every broker was given it; then
each node tells its own broker, and every connection that is open stays. Two brokers that lose each other in those seconds come
together once both have it (`facts/ha-measured.md` 11). What each node was given and uses it notes in Consul.
"""

import json
import pathlib

from ..ask import tokens
from ..ask.consul import call, find_key, list_keys
from ..manifest import PROBE_SECRETS, Manifest
from ..report import MachineRow
from ..system import is_running, replace_file, replace_text, run, write_private
from . import waiting
from .brokers import DATA, broker_name, list_members

SECRET = "broker_cookie"
FILE = pathlib.Path("/var/lib/rabbitmq/.erlang.cookie")
BEFORE = pathlib.Path("/var/lib/webitel/cookie.json")
"""The digest of the cookie that the node had when it was last configured."""
FRESH = FILE.with_name(".erlang.cookie.fresh")
NOTES = "webitel/cookie/"
"""By node, what it was given and uses: digests, as JSON."""
BROKER = "rabbitmq-server"
TURN_SECONDS = 30.0
TURN = (
    f'{{ok, New}} = file:read_file("{FRESH}"), true = erlang:set_cookie(binary_to_atom(New)), '
    f'ok = file:rename("{FRESH}", "{FILE}").'
)
"""In the broker, both or nothing: with the other cookie its own commands would no longer reach it. No command line shows a
secret."""


def read_given() -> str:
    """Return what the deployment has for this node; "" without a broker, and on a node of an earlier version."""
    secrets: dict[str, str] = json.loads(PROBE_SECRETS.read_text()) if PROBE_SECRETS.exists() else {}
    return secrets.get(SECRET, "")


def read_used() -> str:
    """Return what a broker that has run goes on with; "" before it has."""
    return FILE.read_text().strip() if FILE.exists() and any(DATA.glob(broker_name("*"))) else ""


def fill(secrets: dict[str, str]) -> dict[str, str]:
    """Return the secrets for this node's files: the cookie in use, and for a new broker the one it is given."""
    used = read_used()
    if SECRET not in secrets or not used:
        return secrets
    write_private(BEFORE, json.dumps(digest(used)))
    return secrets | {SECRET: used}


def digest(text: str) -> str:
    """Return what a node says of a cookie, of no use to who reads it."""
    return tokens.derive(text, "note")


def look(manifest: Manifest) -> None:
    """Do what is to be done now. Raises ConsulError while Consul cannot."""
    given = read_given()
    if not given:
        return
    used = read_used()
    if used and used != given and not list_waited_for(manifest, given, "given", but=manifest["node"]):
        used = turn(given, used)
    text = json.dumps({"given": digest(given), "used": digest(used or given)}, sort_keys=True)
    if find_key(NOTES + manifest["node"])["holder"] != text:
        call("PUT", f"/v1/kv/{NOTES}{manifest['node']}", text)


def list_waited_for(manifest: Manifest, given: str, what: str, but: str = "") -> list[str]:
    """List the brokers' nodes that have not noted this cookie as `given` or `used`."""
    notes = {name: json.loads(row["Value"]) for name, row in list_keys(NOTES).items()}
    names = [member["name"] for member in list_members(manifest)]
    return [name for name in names if name != but and notes.get(name, {}).get(what) != digest(given)]


def turn(given: str, used: str) -> str:
    """Have the broker use the new cookie from now on; return the one that it uses."""
    if not is_running(BROKER):
        replace_text(FILE, given)
        return given
    found = FILE.stat()
    replace_file(FRESH, given, found.st_mode & 0o7777, (found.st_uid, found.st_gid))
    done = run(["rabbitmqctl", "-q", "eval", TURN], TURN_SECONDS)
    if done.returncode != 0:
        print(f"the broker does not take the new cookie: {(done.stdout + done.stderr).strip()[-300:]}", flush=True)
        return used
    print("the broker has the new cookie", flush=True)
    return given


def blank(text: bytes) -> bytes:
    """Return a file's content without what this node changes in it by itself: the cookie that it was given, or the one that it
    had when it was last configured. Any other is somebody's."""
    given = read_given()
    found = FILE.read_text(errors="surrogateescape").strip() if given and FILE.exists() else ""
    ours = found == given or (BEFORE.exists() and json.loads(BEFORE.read_text()) == digest(found))
    return text.replace(found.encode(errors="surrogateescape"), b"") if found and ours else text


def report(manifest: Manifest) -> MachineRow | None:
    """Tell that a rotation is under way, and what it waits for; None where there is none."""
    given, used = read_given(), read_used()
    if not given or not used or used == given:
        return None
    return waiting.describe(
        "cookie",
        "the brokers' cookie is being rotated",
        lambda: list_waited_for(manifest, given, "given"),
        "done within a minute",
    )
