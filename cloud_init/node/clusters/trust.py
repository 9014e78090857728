"""What makes Consul's agents and servers members of one group: the key of their gossip, and the certificate that is its own
authority. Both are rotated while they run.

A node that was given a new certificate trusts it beside the one in use, shows it once every node trusts it, and forgets the
former one once every node shows it. A new key enters Consul's own ring on all nodes, is used, and the former one leaves. What
each node has done so far it notes in Consul. So at no moment are there two members of which one refuses the other; a node that
is down is waited for (`facts/ha-measured.md` 7).
"""

import json
import pathlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypedDict

from .. import turns
from ..ask import tokens
from ..ask.consul import call, find_key, list_keys
from ..manifest import PROBE_SECRETS, Manifest
from ..report import MachineRow
from ..system import replace_text, write_private
from . import access_lists, waiting

KEY, CERTIFICATE = "consul_gossip_key", "consul_certificate"
KEY_FILE = pathlib.Path("/etc/consul.d/webitel.json")
CERTIFICATE_FILE = pathlib.Path("/etc/consul.d/webitel.pem")
SERF = pathlib.Path("/var/lib/consul/serf")
RING = "local.keyring"
IN_USE = pathlib.Path("/etc/webitel/trust.json")
NOTES = "webitel/trust/"
"""By node, what it was given, trusts and shows: digests, as JSON."""
RING_SECONDS = 15.0
"""Consul asks every member before it answers."""
KEY_LINE = re.compile(r'("encrypt": ")([^"]*)(")')
PUBLIC = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)


class Trust(TypedDict):
    """What this node uses. `key`: the one its agent would begin with if it lost its data; `shows`: its certificate and key;
    `trusts`: certificates, that one's too."""

    key: str
    shows: str
    trusts: list[str]


class Note(TypedDict):
    """What this node tells the others. `key`: the one it was given; `ring`: its agent has that one and no other."""

    key: str
    ring: bool
    trusts: list[str]
    shows: str


Notes = Sequence[Note | dict[str, Any]]
"""One of each node, empty where it has written none."""


def load() -> Trust | None:
    """Return what this node uses; None before the first `up` that knows of it."""
    if not IN_USE.exists():
        return None
    found: Trust = json.loads(IN_USE.read_text())
    return found


def read_given() -> dict[str, str]:
    """Return what the deployment has for this node; {} on a node of an earlier version."""
    secrets: dict[str, str] = json.loads(PROBE_SECRETS.read_text()) if PROBE_SECRETS.exists() else {}
    return {name: secrets[name] for name in (KEY, CERTIFICATE)} if {KEY, CERTIFICATE} <= secrets.keys() else {}


def fill(secrets: dict[str, str]) -> dict[str, str]:
    """Return the secrets for this node's files: of a key and a certificate those in use. An agent that has run before goes on
    with what it has; a new one begins with what it is given."""
    if not {KEY, CERTIFICATE} <= secrets.keys():
        return secrets
    used = load() or begin(secrets)
    return secrets | {KEY: used["key"], CERTIFICATE: make_file(used)}


def begin(secrets: dict[str, str]) -> Trust:
    """Remember what the node uses at first: what its files say, where its agent has run with them."""
    used = make_new(secrets)
    if SERF.exists() and KEY_FILE.exists() and CERTIFICATE_FILE.exists():
        found = KEY_LINE.search(KEY_FILE.read_text())
        shows = CERTIFICATE_FILE.read_text()
        used = {"key": found[2] if found else used["key"], "shows": shows, "trusts": PUBLIC.findall(shows)}
    write_private(IN_USE, json.dumps(used))
    return used


def make_new(given: Mapping[str, str]) -> Trust:
    """Return what a new machine uses, and every node once a rotation is over."""
    return {"key": given[KEY], "shows": given[CERTIFICATE], "trusts": PUBLIC.findall(given[CERTIFICATE])}


def is_done(given: Mapping[str, str], used: Trust) -> bool:
    """Tell whether a node uses what it was given, and nothing of before."""
    return used["key"] == given[KEY] and [digest(one) for one in used["trusts"]] == [digest(given[CERTIFICATE])]


def make_file(used: Trust) -> str:
    """Return the file that Consul reads as certificate, key and authorities alike."""
    others = [one for one in used["trusts"] if one not in used["shows"]]
    return "\n".join([used["shows"], *others])


def digest(text: str) -> str:
    """Return what a node says of something: of a certificate what identifies it, of a key nothing that is of use."""
    return tokens.derive("".join(PUBLIC.findall(text)).strip() or text, "note")


def look(manifest: Manifest) -> None:
    """Do what is to be done now. Raises ConsulError while Consul cannot."""
    given = read_given()
    if not given or not load():
        return
    notes = read_notes()
    # `up` compares the files with what this node uses, and writes them: not while one of both is changed.
    with turns.held(turns.WRITING):
        used = step(given, notes)
    text = make_note(given, used, read_ring())
    if find_key(NOTES + manifest["node"])["holder"] != text:
        call("PUT", f"/v1/kv/{NOTES}{manifest['node']}", text)
    if access_lists.is_server(manifest) and access_lists.leads(manifest):
        turn_ring(given[KEY], read_notes())


def make_note(given: Mapping[str, str], used: Trust, ring: Sequence[str]) -> str:
    """Return what a node with these keys in its ring notes for the others."""
    note: Note = {
        "key": digest(given[KEY]),
        "ring": ring == [given[KEY]],
        "trusts": sorted(digest(one) for one in used["trusts"]),
        "shows": digest(used["shows"]),
    }
    return json.dumps(note, sort_keys=True)


def read_notes() -> Notes:
    """Return the notes of all nodes that Consul knows; {} of one that has written none."""
    notes = {name: json.loads(row["Value"]) for name, row in list_keys(NOTES).items()}
    return [notes.get(node, {}) for node in sorted(access_lists.list_nodes())]


def step(given: dict[str, str], notes: Notes) -> Trust:
    """Go one step on with the certificate, and note a key that has become the only one; return what this node uses then.

    Consul takes it up before this node remembers it: a step that was cut off anywhere is done again, the reload too.
    """
    fresh = "".join(PUBLIC.findall(given[CERTIFICATE]))
    said = digest(fresh)
    before, used = load(), load()
    assert before and used, "the caller has looked"
    if said not in [digest(one) for one in used["trusts"]]:
        used["trusts"] = [*used["trusts"], fresh]
    elif digest(used["shows"]) != said:
        if all(said in note.get("trusts", []) for note in notes):
            used["shows"] = given[CERTIFICATE]
    elif len(used["trusts"]) > 1 and all(note.get("shows") == said for note in notes):
        used["trusts"] = [fresh]
    if used["key"] != given[KEY] and read_ring() == [given[KEY]]:
        used["key"] = given[KEY]
        replace_text(KEY_FILE, KEY_LINE.sub(rf"\g<1>{given[KEY]}\g<3>", KEY_FILE.read_text()))
    text = make_file(used)
    if text != make_file(before) or text != CERTIFICATE_FILE.read_text():
        replace_text(CERTIFICATE_FILE, text)
        call("PUT", "/v1/agent/reload", "")
        print(f"Consul trusts {len(used['trusts'])} certificates of its members", flush=True)
    if used != before:
        write_private(IN_USE, json.dumps(used))
    return used


def turn_ring(key: str, notes: Notes) -> None:
    """Have all members use the key and forget any other, once every node was given it: until then one may be configured that
    would bring back the former."""
    if any(note.get("key") != digest(key) for note in notes) or all(note.get("ring") for note in notes):
        return
    management = tokens.list_in_use().get(tokens.MANAGEMENT)
    rings = call("GET", "/v1/operator/keyring", timeout=RING_SECONDS, token=management)
    # Each fails unless every member that is there says it has done so.
    if any(ring["Keys"].get(key, 0) < len(notes) for ring in rings):
        ask_ring("POST", key, management)
        return  # Who was not there for it has to be: its next answer counts again
    ask_ring("PUT", key, management)
    for former in sorted({one for ring in rings for one in ring["Keys"]} - {key}):
        ask_ring("DELETE", former, management)
    print("Consul's members have a new key for their gossip", flush=True)


def ask_ring(method: str, key: str, management: str | None) -> None:
    """Change the ring of every member."""
    call(method, "/v1/operator/keyring", json.dumps({"Key": key}), timeout=RING_SECONDS, token=management)


def read_ring() -> list[str]:
    """Return the keys of this node's agent; none of one that has none."""
    ring = SERF / RING
    found: list[str] = json.loads(ring.read_text()) if ring.exists() else []
    return found


def blank(text: bytes) -> bytes:
    """Return a file's content without what this node changes in it by itself."""
    used = load()
    if not used:
        return text
    plain = text.decode(errors="surrogateescape")
    for one in (used["key"], used["shows"], *used["trusts"]):
        plain = re.sub(re.escape(one) + "\n*", "", plain) if one else plain
    return plain.encode(errors="surrogateescape")


def report(manifest: Manifest) -> MachineRow | None:
    """Tell that a rotation is under way, and what it waits for; None where there is none."""
    given, used = read_given(), load()
    if not given or not used or is_done(given, used):
        return None

    def list_waited_for() -> list[str]:
        notes = dict(zip(sorted(access_lists.list_nodes()), read_notes(), strict=True))
        return find_waited_for(given, notes, access_lists.list_down())

    return waiting.describe("trust", "Consul's key and certificate are being rotated", list_waited_for, "done within a minute")


def find_waited_for(given: dict[str, str], notes: Mapping[str, Note | dict[str, Any]], down: Collection[str]) -> list[str]:
    """List the nodes that hold up the others: who has not done what has to be done everywhere before the next step."""
    said, key = digest(given[CERTIFICATE]), digest(given[KEY])
    steps: tuple[Callable[[Note | dict[str, Any]], bool], ...] = (
        lambda note: note.get("key") == key and said in note.get("trusts", []),
        lambda note: note.get("shows") == said,
        lambda note: bool(note.get("ring")),
    )
    for has_done in steps:
        if late := [node for node, note in notes.items() if not has_done(note)]:
            # Who is there goes on by itself. A ring is changed only while every member is there, whoever has it already.
            return [node for node in (notes if has_done is steps[-1] else late) if node in down] or late
    return []
