"""PostgreSQL under Patroni: who leads, restarts in the right order, handing over leadership, a member that leaves."""

import base64
import http.client
import json
import pathlib
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from ..ask.consul import ConsulError, Session
from ..ask.view import View, query
from ..manifest import Manifest, load_manifest
from ..system import ApplyError, Tell, Unhealthy, systemctl

LOGIN = pathlib.Path("/etc/webitel/patroni.curl")
LEADER, STANDBY = "leader", "sync_standby"
RESTART_SECONDS, HAND_OVER_SECONDS = 300.0, 90.0
_lock = Session("webitel: restarts of PostgreSQL")

Member = dict[str, Any]


def find_patroni(manifest: Manifest) -> str:
    """Return where this member's Patroni answers."""
    return f"http://{manifest['address']}:{manifest['ports']['postgresql_rest']}"


def list_members(manifest: Manifest) -> list[Member]:
    """Read Patroni's own list: name, role, state, api_url, pending_restart where it is so. Raises OSError or ValueError."""
    with urllib.request.urlopen(f"{find_patroni(manifest)}/cluster", timeout=5) as answer:
        members: list[Member] = json.loads(answer.read())["members"]
    return members


def read_parameters(manifest: Manifest) -> dict[str, Any]:
    """Read the parameters of PostgreSQL that the whole cluster has. Raises OSError or ValueError."""
    with urllib.request.urlopen(f"{find_patroni(manifest)}/config", timeout=5) as answer:
        found: dict[str, Any] = json.loads(answer.read()).get("postgresql", {}).get("parameters", {})
    return found


def change_parameters(manifest: Manifest, wanted: Mapping[str, object]) -> str:
    """Change some of them; return "" or why it was not done."""
    return post(f"{find_patroni(manifest)}/config", {"postgresql": {"parameters": wanted}}, 30, method="PATCH")


def post(url: str, what: Mapping[str, object], seconds: float, method: str = "POST") -> str:
    """Send one command to a member's Patroni; return "" or why it was not done."""
    found = re.search(r'user = "(.*)"', LOGIN.read_text())
    assert found, f"{LOGIN} has no credentials"
    token = base64.b64encode(found[1].encode()).decode()
    order = urllib.request.Request(url, json.dumps(what).encode(), {"Authorization": f"Basic {token}"}, method=method)
    try:
        with urllib.request.urlopen(order, timeout=seconds):
            return ""
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code} {error.read(300).decode(errors='replace').strip()}"
    except (OSError, http.client.HTTPException) as error:
        return str(error)


class Follower:
    """This member as one that has to follow, observed again and again."""

    def __init__(self) -> None:
        self.stuck_at = ""

    def recopy(self, view: View) -> str:
        """Have the member copied again where the leader has discarded what it lacks; return what was done, "" for nothing.

        Patroni would let it wait for ever. What it has was the leader's once, and is discarded only while the leader and another
        member are there. Two observations in a row have to agree.
        """
        before, self.stuck_at = self.stuck_at, find_stuck(view)
        if not self.stuck_at or self.stuck_at != before:
            return ""
        self.stuck_at = ""
        said = post(f"{find_patroni(view.manifest)}/reinitialize", {"force": True}, 60)
        return f"PostgreSQL here ends at {before}, and the leader has discarded what follows: copying it again" + (
            f": {said}" if said else ""
        )


def find_stuck(view: View) -> str:
    """Return where in the log this member is stuck, if the leader can bring it no further and it may be copied; else ""."""
    if len(view.manifest["clusters"].get("postgresql", [])) < 2:
        return ""
    try:
        others = [member for member in list_members(view.manifest) if member["name"] != view.manifest["key"]]
    except (OSError, ValueError):
        return ""  # `status` reports Patroni itself
    there = {member["name"]: member["role"] for member in others if member["state"] in ("running", "streaming")}
    followers = [name for name, role in there.items() if role != LEADER]
    # Without a standby all followers may be stuck: one after the other, so that only one is without data at a time.
    if len(followers) == len(there) or not followers or (STANDBY not in there.values() and min(followers) < view.manifest["key"]):
        return ""
    try:
        at = query(view, "select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())", own=True)
        if not re.fullmatch("[0-9A-F]+/[0-9A-F]+", at):
            return ""  # a leader
        # The log's files by number, without the timeline, which changes with each leader.
        gone = query(
            view,
            f"select '{at}' < pg_current_wal_lsn() and not exists (select from pg_ls_waldir() "
            f"where right(name, 16) = right(pg_walfile_name('{at}'::pg_lsn + 1), 16))",
        )
    except Unhealthy:
        return ""  # not up, which `status` reports too
    return at if gone == "t" else ""


def restart_pending(tell: Tell) -> int:
    """Restart what has parameters that take effect at a start only: followers one after the other, then leadership is handed over
    and the old leader follows. One run at a time in the whole cluster; returns 0, or 1 where a member does not come back."""
    manifest = load_manifest()
    try:
        while not _lock.hold("webitel/postgresql/restart", manifest["key"]):
            time.sleep(1)
    except ConsulError as error:
        tell("services", f"{error}; PostgreSQL is not restarted now")
        return 1
    try:
        members = list_members(manifest)
        pending = [member for member in members if member.get("pending_restart")]
        followers = [member for member in pending if member["role"] != LEADER]
        for member in followers:
            restart_member(manifest, member, tell)
        leader = next((member for member in pending if member["role"] == LEADER), None)
        if leader and len(members) > 1:
            hand_over(manifest, leader["name"], tell)
            leader = next(
                (
                    member
                    for member in list_members(manifest)
                    if member["name"] == leader["name"] and member.get("pending_restart")
                ),
                None,
            )
        if leader:
            restart_member(manifest, leader, tell)
        return 0
    except (ApplyError, OSError, ValueError) as error:
        tell("services", f"PostgreSQL was not restarted everywhere: {error}")
        return 1
    finally:
        _lock.end()


def restart_member(manifest: Manifest, member: Member, tell: Tell) -> None:
    """Restart one member and wait until it runs with no restart pending."""
    tell("services", f"restart PostgreSQL on {member['name']}")
    url = member["api_url"].removesuffix("/patroni") + "/restart"
    said = post(url, {"restart_pending": True}, RESTART_SECONDS)
    deadline = time.monotonic() + RESTART_SECONDS
    while True:
        time.sleep(1)
        _lock.renew()
        now = next((one for one in list_members(manifest) if one["name"] == member["name"]), {})
        if now.get("state") == "running" and not now.get("pending_restart"):
            return
        if time.monotonic() > deadline:
            raise ApplyError(f"{member['name']} is {now.get('state', 'gone')} after its restart; {said}", "patroni")


def hand_over(manifest: Manifest, leader: str, tell: Tell) -> None:
    """Have the synchronous standby lead instead; an ApplyError where it does not. Patroni's state counts, not its answer."""
    deadline = time.monotonic() + HAND_OVER_SECONDS
    said = "no synchronous standby"
    while time.monotonic() < deadline:
        members = list_members(manifest)
        now = next((member for member in members if member["role"] == LEADER), None)
        if now and now["name"] != leader:
            if all(member["state"] == "running" for member in members if member["name"] == leader):
                return
        elif now and (standby := next((member for member in members if member["role"] == STANDBY), None)):
            tell("services", f"PostgreSQL: {standby['name']} takes over from {leader}")
            url = now["api_url"].removesuffix("/patroni") + "/switchover"
            said = post(url, {"leader": leader, "candidate": standby["name"]}, 60)
        time.sleep(1)
    raise ApplyError(f"PostgreSQL's leadership could not be moved from {leader}: {said}", "patroni")


def step_down(manifest: Manifest, tell: Tell) -> None:
    """Prepare a restart: have another member lead, if there is one and this one leads. Raises ApplyError where none can."""
    me = manifest["key"]
    try:
        members = list_members(manifest)
    except (OSError, ValueError) as error:
        tell("services", f"Patroni does not report the cluster's state; restarting without handing over: {error}")
        return
    if len(members) > 1 and any(member["role"] == LEADER and member["name"] == me for member in members):
        hand_over(manifest, me, tell)


def leave(manifest: Manifest, tell: Tell) -> None:
    """Give up leadership and the role of synchronous standby, so that nobody waits for this member when it stops."""
    me = manifest["key"]
    if not any(member["key"] != me for member in manifest["clusters"]["postgresql"]):
        raise ApplyError("no other node has the database", "patroni")
    try:
        if any(member["role"] == LEADER and member["name"] == me for member in list_members(manifest)):
            hand_over(manifest, me, tell)
        # By now its configuration says that it is neither a candidate nor a synchronous standby.
        systemctl("reload", "patroni")
        deadline = time.monotonic() + HAND_OVER_SECONDS
        while any(member["name"] == me and member["role"] in (LEADER, STANDBY) for member in list_members(manifest)):
            if time.monotonic() > deadline:
                raise ApplyError(f"{me} is still needed by the database's cluster", "patroni")
            time.sleep(1)
    except (OSError, ValueError) as error:
        raise ApplyError(f"Patroni does not report the cluster's state: {error}", "patroni") from error
