"""PostgreSQL's traffic between nodes under TLS. A deployment that ran without it gets there in rounds, and nobody is refused.

The files say what holds in the end: members of the database's cluster let nobody in from another node but by TLS, and clients ask
for it and hold the certificate against the deployment's. A new node has them as they are. On a running one the members offer TLS
first. Clients ask as soon as no member says that it has none; those beside a member that went first ask a little later. When
every node has noted in Consul that its clients do, the members refuse who does not, one after the other.
"""

import json
import pathlib
import re
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .. import owed, turns
from ..ask.consul import ConsulError, Session, call, find_key, list_keys
from ..manifest import FileEntry, Manifest
from ..report import MachineRow
from ..state import load_state
from ..system import replace_text, systemctl, write_private
from . import access, access_lists, waiting

ROOT = pathlib.Path("/etc/webitel/nodes.pem")
"""What clients hold certificates of other nodes against."""
DATABASE_FILE = pathlib.Path("/etc/patroni/config.yml")
PROXY_FILE = pathlib.Path("/etc/haproxy/haproxy.cfg")
WAITING = pathlib.Path("/var/lib/webitel/plain-clients.json")
"""Files that do without TLS until every member, or broker, offers it, each with what its change does."""
NOTES = "webitel/encryption/"
"""By node, that its clients ask for TLS."""
READY = "asks"
CLOSING = "webitel/closing-database"
"""The key that the member holds which begins to refuse."""

CLIENT = (
    (f"sslmode=verify-full&sslrootcert={ROOT}", "sslmode=disable"),
    ("ssl_mode = verify-full", "ssl_mode = disable"),
    ("sslmode: verify-full", "sslmode: disable"),
)
BROKER = tuple(
    (f":{tls} ssl verify required ca-file {ROOT} verifyhost broker.webitel.nodes", f":{plain} # in the clear")
    for tls, plain in ((5671, 5672), (15671, 15672))
)
MEMBER = (
    ("- hostssl ", "- host "),
    ("sslmode: verify-ca", "sslmode: prefer"),
    ("channel_binding: require", "channel_binding: prefer"),
)
"""What files say in the end, and until then: of clients, of HAProxy towards brokers, of members."""
BROKER_PLACE = re.compile(r"^    server \S+ (\S+):5671 ssl ", re.MULTILINE)

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""What a client sends before all else to ask for TLS (PostgreSQL's protocol, SSLRequest)."""
NONE = "/nonexistent"
"""Of a client's own certificate. By default libpq looks for one in the home folder, and gives up where that is shut."""
ANSWER_SECONDS = 2.0
OFFER_SECONDS = 30.0
"""Patroni has PostgreSQL read its settings anew in its next round."""
SETTLE_SECONDS = 8.0
"""Between two members: the receiver of a standby connects anew, and Patroni looks at it once."""
_turn = Session("webitel: closing PostgreSQL")


def offers(address: str, port: int) -> bool | None:
    """Tell whether the PostgreSQL there offers TLS; None where nobody answers."""
    try:
        with socket.create_connection((address, port), ANSWER_SECONDS) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.sendall(SSL_REQUEST)
            said = connection.recv(1)
    except OSError:
        return None
    return {b"S": True, b"N": False}.get(said)


@dataclass(frozen=True)
class Found:
    """What other nodes answer: those that say they have no TLS, and those of which nobody knows, since they do not answer."""

    plain: list[str]
    silent: list[str]

    @classmethod
    def of(cls, answers: Mapping[str, bool | None]) -> "Found":
        """Sort answers by who gave them."""
        said = {answer: [name for name, one in answers.items() if one is answer] for answer in (False, None)}
        return cls(said[False], said[None])

    def lets_ask(self, asks: bool) -> bool:
        """Tell whether clients may ask for TLS: who does not answer decides nothing, and they go on as they do."""
        return not self.plain and (asks or not self.silent)

    def describe(self) -> list[str]:
        """Name who is waited for, and why it is where that is not what is expected."""
        return [*self.plain, *(f"{name} (does not answer)" for name in self.silent)]


def ask_members(manifest: Manifest) -> Found:
    """Ask the other members of the database's cluster."""
    members = manifest["clusters"].get("postgresql", [])
    port = manifest["ports"]["postgresql_sql"]
    return Found.of({one["key"]: offers(one["address"], port) for one in members if one["key"] != manifest["key"]})


def ask_brokers(manifest: Manifest, proxy: str) -> Found:
    """Ask other nodes' brokers, those in a text for HAProxy, by their addresses."""
    places = [place for place in BROKER_PLACE.findall(proxy) if place != manifest["address"]]
    return Found.of({place: answers(place, 5671) or (False if answers(place, 5672) else None) for place in places})


def answers(address: str, port: int) -> bool:
    """Tell whether somebody listens there."""
    try:
        with socket.create_connection((address, port), ANSWER_SECONDS):
            return True
    except OSError:
        return False


def is_closed() -> bool:
    """Tell whether this member refuses who comes from another node without TLS."""
    return "- hostssl " in DATABASE_FILE.read_text()


def relax(
    manifest: Manifest, texts: Mapping[str, str], attributes: Mapping[str, FileEntry], fill: Callable[[str, str], str]
) -> dict[str, str]:
    """Return the texts of files as they may be for now; `fill` puts addresses into one."""
    relaxed = dict(texts)
    if str(DATABASE_FILE) in texts and DATABASE_FILE.exists() and not is_closed():
        relaxed[str(DATABASE_FILE)] = replace(texts[str(DATABASE_FILE)], MEMBER)
    plain: dict[str, str] = {}
    clients = {path: changed for path, text in texts.items() if (changed := replace(text, CLIENT)) != text}
    if not ask_members(manifest).lets_ask(not any(is_plain(pathlib.Path(path), CLIENT) for path in clients)):
        plain |= clients
    proxy = str(PROXY_FILE)
    if proxy in texts and PROXY_FILE.exists():
        asks = bool(BROKER_PLACE.search(PROXY_FILE.read_text()))
        if not ask_brokers(manifest, fill(texts[proxy], proxy)).lets_ask(asks):
            plain[proxy] = replace(texts[proxy], BROKER)
    if plain:
        write_private(WAITING, json.dumps({path: attributes[path]["actions"] for path in plain}))
    else:
        WAITING.unlink(missing_ok=True)
    return relaxed | plain


def replace(text: str, pairs: tuple[tuple[str, str], ...], back: bool = False) -> str:
    """Put the second of each pair in place of the first, or the other way round."""
    for strict, plain in pairs:
        text = text.replace(plain, strict) if back else text.replace(strict, plain)
    return text


def is_plain(path: pathlib.Path, pairs: tuple[tuple[str, str], ...]) -> bool:
    """Tell whether a file is there and does without TLS."""
    return path.is_file() and any(plain in path.read_text(errors="replace") for _, plain in pairs)


def blank(text: bytes) -> bytes:
    """Return a file's content as it is in the end: what the rounds do to it is no drift."""
    for strict, plain in (*CLIENT, *BROKER, *MEMBER):
        text = text.replace(plain.encode(), strict.encode())
    return text


def list_environment() -> dict[str, str]:
    """Return how a client of this program's own asks, for libpq."""
    if not ROOT.exists() or WAITING.exists():
        return {}
    return {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(ROOT), "PGSSLCERT": NONE}


def await_offer(manifest: Manifest) -> None:
    """Wait until this member offers TLS, which clients beside it are about to ask for. `status` reports one that never does."""
    deadline = time.monotonic() + OFFER_SECONDS
    while offers(manifest["address"], manifest["ports"]["postgresql_sql"]) is False and time.monotonic() < deadline:
        time.sleep(0.5)


def look(manifest: Manifest) -> None:
    """Do the round that is due on this node, if one is. Nothing while `webitel` is at work here or was cut off at it."""
    if access.is_being_configured() or load_state()["pending"]:
        return
    pay()
    if not ROOT.exists():
        return
    try:
        if WAITING.exists() and not ask_now(manifest):
            return
        if find_key(NOTES + manifest["node"])["holder"] != READY:
            call("PUT", f"/v1/kv/{NOTES}{manifest['node']}", READY)
        if DATABASE_FILE.exists() and not is_closed() and not list_waited_for(manifest):
            close(manifest)
    except ConsulError:
        return  # `status` reports Consul itself


def pay() -> None:
    """Tell programs of files that have changed."""
    for action in owed.list_owed():
        verb, _, unit = action.partition(" ")
        done = systemctl("try-reload-or-restart" if verb == "reload" else "try-restart", unit)
        if done.returncode != 0:
            print(f"{action}: {done.stderr.strip()}; tried again", flush=True)
            continue
        with turns.held(turns.WRITING):
            owed.forget([action])


def list_behind(manifest: Manifest) -> list[str]:
    """List the members, and the brokers, that this node's clients wait for."""
    proxy = replace(PROXY_FILE.read_text(), BROKER, back=True) if is_plain(PROXY_FILE, BROKER) else ""
    return [*ask_members(manifest).describe(), *ask_brokers(manifest, proxy).describe()]


def ask_now(manifest: Manifest) -> bool:
    """Have the clients ask that waited for a member, unless one still has no TLS or does not answer; tell whether they do."""
    if list_behind(manifest):
        return False
    with turns.held(turns.WRITING):
        if not WAITING.exists():
            return True  # `up` has just done it
        clients: dict[str, list[str]] = json.loads(WAITING.read_text())
        owed.owe(action for actions in clients.values() for action in actions)
        for path in map(pathlib.Path, clients):
            tighten(path, BROKER if path == PROXY_FILE else CLIENT)
        WAITING.unlink()
    print(f"every member of the database, and every broker, offers TLS: {len(clients)} files ask for it now", flush=True)
    pay()
    return not owed.list_owed()


def list_waited_for(manifest: Manifest) -> list[str]:
    """List the nodes whose clients may still come without TLS, and the members that do not offer it or do not answer."""
    notes = list_keys(NOTES)
    behind = [node for node in access_lists.list_nodes() if notes.get(node, {}).get("Value") != READY]
    return sorted([*behind, *ask_members(manifest).describe()])


def close(manifest: Manifest) -> None:
    """Have this member refuse who comes without TLS, one member at a time. Sessions that are open stay."""
    if not _turn.hold(CLOSING, manifest["key"]):
        return
    try:
        with turns.held(turns.WRITING):
            owed.owe(["reload patroni"])
            tighten(DATABASE_FILE, MEMBER)
        pay()
        print("every node's clients ask for TLS: PostgreSQL refuses who does not", flush=True)
        time.sleep(SETTLE_SECONDS)
    finally:
        _turn.end()


def tighten(path: pathlib.Path, pairs: tuple[tuple[str, str], ...]) -> None:
    """Have a file say what holds in the end. Others write into it too: `turns.WRITING` is held."""
    replace_text(path, replace(path.read_text(), pairs, back=True))


def report(manifest: Manifest) -> MachineRow | None:
    """Tell what still goes without TLS, clients of this node or its PostgreSQL, and what that waits for; None where nothing
    does."""
    if WAITING.exists():
        what, last = "clients on this node still ask PostgreSQL or the broker without TLS", "they ask for it within a minute"
        return waiting.describe("encryption", what, lambda: list_behind(manifest), last)
    if not DATABASE_FILE.exists() or is_closed():
        return None
    what, last = "PostgreSQL still lets in clients without TLS", "this member refuses them within a minute"
    return waiting.describe("encryption", what, lambda: list_waited_for(manifest), last)
