"""The address of SIP, which two nodes have in turn, and the calls that come with it.

The holder of the lock runs this as a unit. It takes over in this order: the copy of rtpengine's calls becomes what calls are
written to, then the address is this node's, then the neighbours are told. rtpengine, OpenSIPS and UAC wait for that before they
start. Each step is looked at again and again, so one that fails or is undone is done anew. Who stops gives the address up first,
whatever its programs still do: without it nobody hears them.
"""

import os
import pathlib
import re
import signal
import socket
import struct
import sys
import threading
import time

from ..ask import redis
from ..ask.view import View
from ..manifest import PROGRAM, Manifest, ProbeEntry, load_manifest
from ..system import ApplyError, Unhealthy, write_private
from ..system import run as run_program

SERVICE = "sip-address"
LOOPBACK = "127.0.0.1"
LOOK_SECONDS = 0.5
ANNOUNCEMENTS, ANNOUNCE_SECONDS = 6, 1.0
"""How often neighbours are told at first, and how long between two times: one may be lost."""
OLD_SECONDS = 300
"""How long a copy may have had nobody to copy from: FreeSWITCH has hung up by then, after as long without audio."""
PROMOTED = pathlib.Path("/run/webitel/sip-address")
"""When this node took over, in seconds since its boot."""
ETHERNET_ARP, REQUEST = 0x0806, 1
BROADCAST, NOBODY = b"\xff" * 6, b"\0" * 6


def probe(_: ProbeEntry, view: View) -> None:
    """Check that this node has the address, and its Redis takes calls."""
    address = view.manifest["sip_address"]
    if not find_link(address):
        raise Unhealthy(f"{address} is not this node's")
    try:
        role = ask_copy(view.manifest)["role"]
    except OSError as error:
        raise Unhealthy(f"Redis: {error}") from error
    if role != "master":
        raise Unhealthy("Redis still copies another node's calls")


def may_start(_: ProbeEntry, view: View) -> None:
    """Tell who waits for the address whether they may begin; a Redis that does not answer holds nobody."""
    try:
        probe(_, view)
    except Unhealthy:
        if not find_link(view.manifest["sip_address"]):
            raise
        try:
            role = ask_copy(view.manifest)["role"]
        except OSError:
            return
        if role != "master":
            raise


def find_link(address: str) -> str:
    """Return the interface that has an address; "" where none has."""
    found = re.search(r"^\d+: (\S+)", run_program(["ip", "-o", "-4", "addr", "show", "to", address]).stdout)
    return found[1] if found else ""


def ask_copy(manifest: Manifest) -> dict[str, str]:
    """Ask Redis whose calls it has: `role`, and where that is `slave` how its link is."""
    said = str(redis.ask(LOOPBACK, manifest["ports"]["redis_calls"], "INFO", "replication"))
    return dict(line.split(":", 1) for line in said.splitlines() if ":" in line)


def promote(manifest: Manifest) -> None:
    """Have Redis take calls; what it copied from nobody for too long is over."""
    found = ask_copy(manifest)
    if found["role"] == "master":
        return
    # -1: it has copied from nobody since its start, and is empty.
    old = int(found.get("master_link_down_since_seconds", "0")) > OLD_SECONDS
    port = manifest["ports"]["redis_calls"]
    redis.ask_all(LOOPBACK, port, [("REPLICAOF", "NO", "ONE"), *([("FLUSHDB",)] if old else [])])
    write_private(PROMOTED, f"{time.monotonic():.0f}\n", 0o644)
    print("Redis takes calls" + (", and forgot those of a node that was lost long ago" if old else ""), flush=True)


def take(manifest: Manifest) -> bool:
    """Put the address on the interface of this node's own; tell whether it was not there."""
    address = manifest["sip_address"]
    if find_link(address):
        return False
    link = find_link(manifest["address"])
    done = run_program(["ip", "addr", "add", f"{address}/32", "dev", link, "noprefixroute"])
    if done.returncode != 0:
        raise ApplyError(f"{address} on {link or 'no interface'}: {done.stderr.strip()}")
    print(f"{address} is this node's", flush=True)
    return True


def announce(manifest: Manifest) -> None:
    """Tell all neighbours where the address is now (gratuitous ARP, RFC 5227 section 3)."""
    address = socket.inet_aton(manifest["sip_address"])
    link = find_link(manifest["address"])
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((link, ETHERNET_ARP))
        own: bytes = sender.getsockname()[4]
        body = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, REQUEST, own, address, NOBODY, address)
        sender.send(BROADCAST + own + struct.pack("!H", ETHERNET_ARP) + body)


def give_up() -> int:
    """Give the address up, and copy the calls of the node that has them."""
    manifest = load_manifest()
    if link := find_link(manifest["sip_address"]):
        run_program(["ip", "addr", "del", f"{manifest['sip_address']}/32", "dev", link])
    PROMOTED.unlink(missing_ok=True)
    try:
        follow(manifest)
    except OSError as error:
        # Its next start makes it a copy: its file says so.
        print(f"Redis: {error}", flush=True)
    return 0


def follow(manifest: Manifest) -> None:
    """Have Redis copy the other node's calls."""
    service = next(service for service in manifest["services"] if service["name"] == SERVICE)
    other = next(one["address"] for one in service["candidates"] if one["key"] != manifest["key"])
    port = manifest["ports"]["redis_calls"]
    redis.ask(LOOPBACK, port, "REPLICAOF", other, str(port))


def run() -> int:
    """Take over, and keep what was taken until told to end."""
    ended, renewed = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    signal.signal(signal.SIGHUP, lambda number, frame: renewed.set())
    left, told, last = ANNOUNCEMENTS, 0.0, ""
    while not ended.is_set():
        if renewed.is_set():
            os.execv(sys.executable, [sys.executable, "-X", "utf8", str(PROGRAM), SERVICE])
        manifest = load_manifest()
        try:
            promote(manifest)
        except OSError as error:
            # Calls whose Redis is dead or hangs go on with the address, and new ones are not kept.
            last = say(f"Redis: {error}", last)
        try:
            if take(manifest):
                left, told = ANNOUNCEMENTS, 0.0
            if left and time.monotonic() - told >= ANNOUNCE_SECONDS:
                announce(manifest)
                left, told = left - 1, time.monotonic()
        except (ApplyError, OSError) as error:
            last = say(str(error), last)
        ended.wait(LOOK_SECONDS)
    return give_up()


def say(text: str, last: str) -> str:
    """Print what was not printed last; return it."""
    if text != last:
        print(text, flush=True)
    return text
