"""The public certificate: ordered from an ACME server when it is due, by one node for all that show it.

It is kept in Consul and on the node's data disk, enciphered, so that every node and every new machine shows the same one: issuers
give few for the same names in a week. Nothing here stops a service: until there is one, or while the issuer refuses, the old
one stays.
"""

import hashlib
import hmac
import json
import pathlib
import ssl
import time
from urllib.parse import quote, urlsplit

from ..ask.certificate import FOLDER, MEMORY, SHOWN, Memory, OrderError, ask_openssl, dates, digest, is_due, is_taken, remember
from ..ask.consul import ConsulError, Session, call, find_key
from ..manifest import Manifest, OrderEntry
from ..system import ApplyError, Tell, run, write_private
from .units import VERBS, perform, perform_command

ACCOUNT = pathlib.Path("/etc/webitel/acme/account.key")
PASSWORD = pathlib.Path("/etc/webitel/acme/password")
KEPT, LOCK = "webitel/certificate/kept", "webitel/certificate/lock"
"""Keys in Consul."""

ORDER_SECONDS = 240
PAUSE_SECONDS = 1.0

KEY_TYPE = "rsa2048"
"""Desk phones of some makers know no other."""


def renew(manifest: Manifest, tell: Tell) -> bool:
    """Take up a certificate where one is due; tell whether all is well. Safe to run at any time, on all nodes at once."""
    order = manifest.get("order")
    if order is None:
        tell("certificate", "the deployment's certificate is not ordered from an issuer")
        return True
    memory = remember()
    try:
        memory = take_up(order, find_shelf(manifest), memory, tell)
        problem = ""
    except (OrderError, ApplyError, ConsulError, OSError) as error:
        problem = str(error)
        tell("certificate", problem)
    write_private(MEMORY, json.dumps({**memory, "problem": problem}))
    return not problem


def find_shelf(manifest: Manifest) -> pathlib.Path | None:
    """Return the place on a data disk where the certificate outlives the machine, None where the node has no such disk."""
    return next((pathlib.Path(disk["mount"]) / "certificate.kept" for disk in manifest["disks"]), None)


def take_up(order: OrderEntry, shelf: pathlib.Path | None, memory: Memory, tell: Tell) -> Memory:
    """Return what is remembered once the certificate shown is not due."""
    if is_taken(memory, order) and not is_due(SHOWN.read_text()):
        keep_again(order, SHOWN.read_text(), shelf)
        return memory
    text = find_kept(order, shelf)
    if not text or is_due(text):
        text = ask_alone(order, shelf, tell)
    check(text, order["names"])
    keep_again(order, text, shelf)
    write_private(SHOWN, text)
    for action in order["actions"]:
        verb, _, unit = action.partition(" ")
        if verb in VERBS:
            perform(verb, unit, update=True)
        else:
            perform_command(action, tell)
    tell("certificate", f"took up a certificate for {', '.join(order['names'])} that ends on {dates(text)[1]:%Y-%m-%d}")
    # Remembered last: if we die before, the next look does all of it again.
    return {"digest": digest(text), "names": order["names"], "server": order["server"], "problem": ""}


def ask_alone(order: OrderEntry, shelf: pathlib.Path | None, tell: Tell) -> str:
    """Order one while no other node does, unless another one just had it: all nodes begin at once, and the first one orders."""
    session = Session("webitel: certificate", ttl=ORDER_SECONDS)
    deadline = time.monotonic() + ORDER_SECONDS
    try:
        while not session.hold(LOCK, "order"):
            if time.monotonic() > deadline:
                raise OrderError(f"another node has been ordering it for {ORDER_SECONDS} s; asked again by the timer")
            time.sleep(PAUSE_SECONDS)
        text = find_kept(order, shelf)
        if not text or is_due(text):
            tell("certificate", f"order one for {', '.join(order['names'])} from {urlsplit(order['server']).hostname}")
            text = place(order)
            check(text, order["names"])
            keep(order, text, shelf)
        return text
    finally:
        session.end()


def place(order: OrderEntry) -> str:
    """Order a certificate, and return it with its key. nginx answers the issuer's question by itself (`nginx/site.conf`)."""
    account = FOLDER / "accounts" / urlsplit(order["server"]).netloc.replace(":", "_") / order["email"] / "keys"
    account.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(account / f"{order['email']}.key", ACCOUNT.read_text())
    # lego writes its answers to a folder that nobody reads: with a server of its own it would want nginx's port.
    (FOLDER / "answers").mkdir(exist_ok=True)
    options = ["--accept-tos", "--server", order["server"], "--email", order["email"], "--path", str(FOLDER)]
    options += ["--key-type", KEY_TYPE, "--http", "--http.webroot", str(FOLDER / "answers")]
    for name in order["names"]:
        options += ["--domains", name]
    done = run(["lego", *options, "run"], ORDER_SECONDS - 10)
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise OrderError(f"no certificate from {urlsplit(order['server']).hostname}: {' '.join(said[-3:])[-600:]}")
    made = FOLDER / "certificates" / order["names"][0]
    return "".join(made.with_name(made.name + ending).read_text() for ending in (".key", ".crt"))


def check(text: str, names: list[str]) -> None:
    """Raise OrderError where key and certificate do not belong together, or a name is missing."""
    probe = FOLDER / "probe.pem"
    write_private(probe, text)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(probe)
    except (ssl.SSLError, OSError) as error:
        raise OrderError(f"the certificate that came is not that of its key: {error}") from error
    finally:
        probe.unlink()
    shown = ask_openssl(text, "-ext", "subjectAltName")
    if missing := [name for name in names if f"dns:{name.lower()}" not in shown.lower().replace(",", " ").split()]:
        raise OrderError(f"the certificate that came is not for {', '.join(missing)}")


def find_kept(order: OrderEntry, shelf: pathlib.Path | None = None) -> str:
    """Return the certificate that was had for the same names from the same issuer, out of Consul or from the shelf; "" where
    there is none."""
    return next(filter(None, (open_kept(text, order) for text in (find_key(KEPT)["holder"], read_shelf(shelf)))), "")


def read_shelf(shelf: pathlib.Path | None) -> str:
    """Return what a machine before this one left on its data disk."""
    return shelf.read_text() if shelf and shelf.is_file() else ""


def open_kept(found: str, order: OrderEntry) -> str:
    """Return the certificate that was kept; "" for what is not of this order and this deployment."""
    try:
        kept = json.loads(found) if found else {}
        if kept.get("for") != mark(order) or not hmac.compare_digest(kept["mac"], sign(kept["text"])):
            return ""
        text = encipher(kept["text"], "-d")
        check(text, order["names"])
    except (OrderError, ValueError, KeyError, TypeError, AttributeError):
        return ""  # of another deployment's password, or nobody's: one is ordered
    return text


def keep(order: OrderEntry, text: str, shelf: pathlib.Path | None = None) -> None:
    """Keep a certificate for the other nodes, and for the next machine."""
    hidden = encipher(text)
    kept = json.dumps({"for": mark(order), "text": hidden, "mac": sign(hidden)})
    if shelf:
        write_private(shelf, kept)
    call("PUT", f"/v1/kv/{quote(KEPT)}", kept)


def keep_again(order: OrderEntry, text: str, shelf: pathlib.Path | None) -> None:
    """Keep a certificate where it is no longer kept: Consul may have lost its data, or the disk is a new one."""
    if not find_key(KEPT)["holder"] or (shelf and not shelf.is_file()):
        keep(order, text, shelf)


def mark(order: OrderEntry) -> str:
    """Name what was ordered where."""
    return " ".join([order["server"], *sorted(order["names"])])


def sign(hidden: str) -> str:
    """Return what only a node of this deployment writes beside an enciphered text."""
    return hmac.new(PASSWORD.read_bytes(), hidden.encode(), hashlib.sha256).hexdigest()


def encipher(text: str, *options: str) -> str:
    """Encipher a text with the deployment's password, or read it with `-d`."""
    done = run(["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-salt", "-a", "-pass", f"file:{PASSWORD}", *options], 10, text)
    if done.returncode != 0:
        raise OrderError(f"openssl cannot read what Consul keeps: {done.stderr.strip()[-300:]}")
    return done.stdout
