"""This node's part in Consul's access lists: it takes its tokens into use once Consul knows them, and closes its agent.

A new node is closed from its first moment: without a token nobody writes anything. One that was running open, from before there
were access lists, goes on open with them turned on; it takes its tokens into use, notes that in Consul, and once every node has
noted it, one after the other restarts its agent closed. So no program is ever refused what it could do before and has to do.
"""

import functools
import json
import pathlib
import pwd
import re
import time

from .. import turns
from ..ask import tokens
from ..ask.consul import ConsulError, Session, call, find_key
from ..manifest import LOCK, Manifest, load_manifest
from ..report import MachineRow
from ..system import Unhealthy, replace_file, replace_text, run, systemctl
from ..turns import held
from . import access_lists, cookie, trust, waiting

CONSUL_FILE = pathlib.Path("/etc/consul.d/access.json")
CONSUL_DATA = pathlib.Path("/var/lib/consul")
CONSUL_OWNER = "consul"
PATRONI_FILE = pathlib.Path("/etc/patroni/config.yml")
PATRONI_TOKEN = re.compile(r'^(  token: ")[^"]*(")$', re.MULTILINE)
TURN = pathlib.Path("/run/webitel/access-turn.lock")
"""Held by who looks after the access lists: the watcher, and whoever waits for Consul before the watcher has started."""
CLOSING = "webitel/closing-access"
"""The key that the node holds whose agent restarts."""

OPEN, CLOSED = "allow", "deny"
SOON_SECONDS, SETTLED_SECONDS, SERVER_SECONDS = 0.5, 5.0, 2.0
"""Between two rounds: while something is left to do here, when nothing is, and where new nodes' tokens are made."""
RESTART_SECONDS = 60.0
_turn = Session("webitel: closing Consul")


def follow() -> None:
    """Look after the access lists for as long as the node runs."""
    while True:
        time.sleep(look(load_manifest()))


def look(manifest: Manifest) -> float:
    """Do what is to be done now, unless another process does; return the seconds until the next look."""
    with held(TURN, wait=False) as mine:
        return look_alone(manifest) if mine else SOON_SECONDS


def look_alone(manifest: Manifest) -> float:
    """Do what is to be done now; return the seconds until the next look."""
    try:
        if access_lists.is_server(manifest):
            access_lists.provide(manifest)
        if not arm(manifest):
            return SOON_SECONDS
        note(manifest)
        trust.look(manifest)
        cookie.look(manifest)
        if not close(manifest):
            return SERVER_SECONDS
    except ConsulError:
        return SOON_SECONDS  # `status` reports Consul itself
    except OSError as error:
        # Who waits for Consul asks this too, and is to start on a full disk as well.
        print(f"access lists: {error}", flush=True)
        return SETTLED_SECONDS
    return SERVER_SECONDS if access_lists.is_server(manifest) else SETTLED_SECONDS


def prepare(manifest: Manifest) -> None:
    """Make Consul's file before its first start with access lists: closed where there was no agent before, else open."""
    if CONSUL_FILE.exists() or not tokens.list_given(manifest["node"]):
        return
    with held(turns.WRITING):
        write_consul(manifest, OPEN if (CONSUL_DATA / "serf").exists() else CLOSED, {})


def fill(secrets: dict[str, str]) -> dict[str, str]:
    """Return the secrets for this node's files: of a token the one in use, "" before there is one."""
    return secrets | ({tokens.DATABASE: tokens.list_in_use().get(tokens.DATABASE, "")} if tokens.DATABASE in secrets else {})


def read_policy() -> str:
    """Return what this node's agent does at its next start without a token; `allow` where it has no access lists."""
    if not CONSUL_FILE.exists():
        return OPEN
    found: str = json.loads(CONSUL_FILE.read_text())["acl"]["default_policy"]
    return found


def make_consul_file(manifest: Manifest, policy: str, used: dict[str, str]) -> str:
    """Return Consul's file with the tokens in use. A server's agent makes the first token of all itself."""
    own = {name: used[tokens.AGENT] for name in ("agent", "default") if tokens.AGENT in used}
    if access_lists.is_server(manifest):
        given = tokens.list_given(manifest["node"])
        own[name_management()] = used.get(tokens.MANAGEMENT) or given[tokens.MANAGEMENT]
    return json.dumps({"acl": {"default_policy": policy, "tokens": own}}, indent=1)


def write_consul(manifest: Manifest, policy: str, used: dict[str, str]) -> None:
    """Write Consul's file, for Consul and root alone."""
    replace_file(CONSUL_FILE, make_consul_file(manifest, policy, used), 0o640, (0, pwd.getpwnam(CONSUL_OWNER).pw_gid))


@functools.cache
def name_management() -> str:
    """Return what Consul calls the token that may do everything: another word since 1.11."""
    found = re.search(r"v(\d+)\.(\d+)", run(["consul", "version"], 20).stdout)
    return "initial_management" if found and (int(found[1]), int(found[2])) >= (1, 11) else "master"


def is_armed(manifest: Manifest) -> bool:
    """Tell whether this node uses the tokens that it was given."""
    given = tokens.list_given(manifest["node"])
    if not given or tokens.list_in_use() != given or not CONSUL_FILE.exists():
        return False
    return CONSUL_FILE.read_text() == make_consul_file(manifest, read_policy(), given)


def arm(manifest: Manifest) -> bool:
    """Take the given tokens into use if Consul knows them all; tell whether they are in use."""
    if is_armed(manifest):
        return True
    given = tokens.list_given(manifest["node"])
    if not given or not CONSUL_FILE.exists() or not all(access_lists.find_token(token) for token in given.values()):
        return False
    with held(turns.WRITING, wait=False) as mine:
        if not mine:
            return False
        write_consul(manifest, read_policy(), given)
        for name in ("agent", "default"):
            call("PUT", f"/v1/agent/token/{name}", json.dumps({"Token": given[tokens.AGENT]}), token=given[tokens.PROGRAM])
        if tokens.DATABASE in given and PATRONI_FILE.exists():
            hand_to_patroni(given[tokens.DATABASE])
        tokens.save_in_use(given)
    print("Consul knows this node's tokens: they are in use now", flush=True)
    return True


def hand_to_patroni(token: str) -> None:
    """Have Patroni use a token; it takes a new one while it runs."""
    replace_text(PATRONI_FILE, PATRONI_TOKEN.sub(rf"\g<1>{token}\g<2>", PATRONI_FILE.read_text()))
    # One that does not run yet may wait for this very token, and reads it when it starts.
    if systemctl("is-active", "patroni").stdout.strip() == "active":
        systemctl("reload", "--no-block", "patroni")


def blank(text: bytes) -> bytes:
    """Return a file's content without the tokens in use, which it gets and changes when Consul knows them."""
    for token in tokens.list_in_use().values():
        text = text.replace(token.encode(), b"")
    return text


def note(manifest: Manifest) -> None:
    """Note in Consul which tokens this node uses."""
    key = access_lists.NOTES + manifest["node"]
    text = json.dumps({name: access_lists.digest(token) for name, token in tokens.list_in_use().items()}, sort_keys=True)
    if find_key(key)["holder"] != text:
        call("PUT", f"/v1/kv/{key}", text)


def check() -> None:
    """Raise Unhealthy where this node's programs cannot use Consul for want of a token. Those of before a rotation will do."""
    if read_policy() == CLOSED and not (tokens.list_in_use() and access_lists.find_token("")):
        raise Unhealthy("its access lists do not know this node's tokens yet")


def list_waited_for(manifest: Manifest) -> list[str]:
    """List the nodes that are not ready for Consul to be closed."""
    return access_lists.list_behind(access_lists.list_nodes(), tokens.list_given(manifest["node"]))


def report(manifest: Manifest) -> MachineRow | None:
    """Tell that this node's Consul still obeys every program, or still knows tokens that were replaced, and what it takes to end
    that; None where it does not."""
    if not tokens.list_given(manifest["node"]):
        return None
    if read_policy() != CLOSED:
        what, last = "Consul still obeys every program on this node", "this node's agent restarts closed within a minute"
        return waiting.describe("access", what, lambda: list_waited_for(manifest), last)
    try:
        behind = list_waited_for(manifest) if access_lists.is_server(manifest) else []
    except ConsulError:
        return None  # `status` reports Consul itself
    if not behind:
        return None
    return waiting.describe(
        "access", "Consul's tokens are being rotated, and it obeys the former ones until then", lambda: behind, ""
    )


def runs_closed() -> bool:
    """Tell whether the running agent refuses who has no token; its file may say more."""
    shown = call("GET", "/v1/agent/self")["DebugConfig"]
    return CLOSED in (shown.get("ACLDefaultPolicy"), (shown.get("ACLResolverSettings") or {}).get("ACLDefaultPolicy"))


def restart_consul() -> None:
    """Restart this node's agent."""
    systemctl("restart", "consul")


def close(manifest: Manifest) -> bool:
    """Restart the agent closed when every node is ready, one at a time in the whole deployment; tell whether it is closed."""
    if runs_closed():
        return True
    if list_waited_for(manifest) or is_being_configured():
        return False
    if not call("GET", "/v1/operator/autopilot/health")["Healthy"] or not _turn.hold(CLOSING, manifest["key"]):
        return False
    print("every node uses its tokens: restarting Consul's agent with its access lists closed", flush=True)
    with held(turns.WRITING):
        write_consul(manifest, CLOSED, tokens.list_in_use())
    restart_consul()
    deadline = time.monotonic() + RESTART_SECONDS
    while not is_back(manifest) and time.monotonic() < deadline:
        time.sleep(SOON_SECONDS)
    _turn.end()
    return True


def is_back(manifest: Manifest) -> bool:
    """Tell whether the restarted agent works, and with it all servers."""
    try:
        _turn.keep()
        check()
        return access_lists.has_caught_up() and bool(call("GET", "/v1/operator/autopilot/health")["Healthy"])
    except Unhealthy:
        return False


def is_being_configured() -> bool:
    """Tell whether `webitel` is at work on this node."""
    with held(LOCK, wait=False) as mine:
        return not mine
