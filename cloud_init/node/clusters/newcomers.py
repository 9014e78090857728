"""A new machine in the place of a node while Consul's key and certificate are being rotated.

It knows the new ones only, so nobody lets it in before the rotation is over; and that waits for the machine of before, which does
not come back. So Consul is told to forget that one, and whoever asks what the node has done so far finds what the new machine
began with (`facts/ha-measured.md` 7).
"""

from ..ask import tokens
from ..ask.consul import call
from ..manifest import Manifest
from ..report import MachineRow
from ..system import Unhealthy
from . import access_lists, trust

FAILED = 4
"""Status of a member that was there and does not answer."""
SNAPSHOT = "local.snapshot"
"""In it an agent notes whom it met: `alive: NAME ADDRESS`, `not-alive: NAME`."""


def is_shut_out(manifest: Manifest) -> bool:
    """Tell whether this node began with what the others may not take yet, and none of them has let it in so far."""
    given, used = trust.read_given(), trust.load()
    if not given or not used or trust.read_ring() != [given[trust.KEY]] or not trust.is_done(given, used):
        return False
    if has_met_others(manifest["node"]):
        return False
    try:
        return ":" not in (call("GET", "/v1/status/leader") or "")
    except Unhealthy:
        return True


def has_met_others(node: str) -> bool:
    """Tell whether this node's agent has ever known another one."""
    snapshot = trust.SERF / SNAPSHOT
    lines = snapshot.read_text(errors="replace").splitlines() if snapshot.exists() else []
    return any("alive:" in line and line.split()[1:2] != [node] for line in lines)


def report(manifest: Manifest) -> MachineRow | None:
    """Tell that this node is shut out, and what lets it in; None where it is not."""
    if not is_shut_out(manifest):
        return None
    why = (
        "its Consul has met no other yet; if their key and certificate are being rotated, that waits for the machine that this "
        "node had before, and ./webitel up ends the wait"
    )
    return {"name": "trust", "healthy": True, "warning": True, "why": why}


def admit(manifest: Manifest, node: str) -> str:
    """Have Consul forget the machine that was this node's before, where it holds up a rotation; return what was done, "" where
    this node cannot, or nothing was to be done.

    Raises ConsulError while Consul cannot.
    """
    given, used = trust.read_given(), trust.load()
    management = tokens.list_in_use().get(tokens.MANAGEMENT, "")
    if not given or not used or not management or trust.is_done(given, used) or not access_lists.is_server(manifest):
        return ""
    members = call("GET", "/v1/agent/members", token=management) or []
    if not any(member["Name"] == node and member["Status"] == FAILED for member in members):
        return ""
    # First what it has done: as soon as it is forgotten it may be back, and it can write nothing before all is over.
    note = trust.make_note(given, trust.make_new(given), [given[trust.KEY]])
    call("PUT", f"/v1/kv/{trust.NOTES}{node}", note, token=management)
    call("PUT", f"/v1/agent/force-leave/{node}", "", token=management)
    return f"Consul waits no more for the machine that {node} had before"
